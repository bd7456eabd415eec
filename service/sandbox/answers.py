"""Answers of the simulated Prolific: 2xx bodies, and refusals in the envelopes that Prolific uses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

Detail = str | list[str] | dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Answer:
    body: Any = None
    status_code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    submission_ids: tuple[str, ...] = ()  # those that a call is about, beside the one in its path


class Refusal(Exception):
    """A 4xx answer. ``detail`` is a text, a list of them, or field → list."""

    def __init__(self, status_code: int, detail: Detail) -> None:
        super().__init__(f"{status_code}: {detail}")
        self.status_code = status_code
        self.detail = detail

    def bare(self) -> dict[str, Any]:
        """Return the envelope of lists, counts and bulk approval (schema ``ErrorDetail``)."""
        return {
            "status": self.status_code,
            "error_code": 140_000 + self.status_code,
            "title": HTTPStatus(self.status_code).phrase,
            "detail": self.detail,
            "interactive": False,
        }

    def wrapped(self) -> dict[str, Any]:
        """Return the envelope of everything else (schema ``Error``)."""
        return {"error": self.bare()}


def invalid(field_name: str, what: str) -> Refusal:
    return Refusal(400, {field_name: [what]})


def not_found(what: str) -> Refusal:
    return Refusal(404, f"{what} does not exist.")


REQUIRED = "This field is required."


def required(body: Mapping[str, Any], field_name: str) -> str:
    """Take a text that must be there, or refuse with 400."""
    value = body.get(field_name)
    if value is None:
        raise invalid(field_name, REQUIRED)
    if not isinstance(value, str):
        raise invalid(field_name, "Not a valid string.")
    if not value.strip():
        raise invalid(field_name, "This field may not be blank.")
    return value
