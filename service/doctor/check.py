"""One check: a question, and what came of it. Nothing that goes wrong in one keeps another from being made."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from service.connect.advice import advice
from service.errors import AutoreviewError, ConfigurationError

PATIENCE = 30.0  # seconds a check may take
SET_RIGHT = "Correct it: docs/reference.md lists every setting."

Question = Callable[[], Awaitable[str]]
"""Says in a few words what it found; raises Unwell or another error where it is not well."""


@dataclass(frozen=True, slots=True)
class Check:
    """``detail`` is what was found, ``fix`` what to do about it; None where it is ok."""

    name: str
    ok: bool
    detail: str
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A question that makes sense only where those it ``needs`` were answered well."""

    name: str
    question: Question
    needs: str | None = None


class Unwell(AutoreviewError):
    """Something is not as it should be."""

    code = "unwell"

    def __init__(self, detail: str, fix: str) -> None:
        super().__init__(detail)
        self.fix = fix


async def examine(step: Step, earlier: Mapping[str, Check]) -> Check:
    needed = earlier.get(step.needs) if step.needs else None
    if needed is not None and not needed.ok:
        return Check(
            step.name, False, f"not checked, because of {needed.name}", f"See to {needed.name} first."
        )
    try:
        async with asyncio.timeout(PATIENCE):
            return Check(step.name, True, one_line(await step.question()))
    except TimeoutError:
        return Check(step.name, False, f"no answer in {PATIENCE:.0f} s", "Run it again in a minute.")
    except Unwell as error:
        return Check(step.name, False, one_line(str(error)), error.fix)
    except AutoreviewError as error:
        fix = (
            SET_RIGHT
            if isinstance(error, ConfigurationError)
            else advice(error) or "Look at the service's log."
        )
        return Check(step.name, False, one_line(str(error)), fix)
    except Exception as error:  # its text may quote a URL with a password
        return Check(step.name, False, f"failed with {type(error).__name__}", "Look at the settings it uses.")


def one_line(text: str) -> str:
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())
