"""Quirks: differences between Prolific's answers in live use and its documents, to switch on in the sandbox."""

from dataclasses import dataclass, fields

LARGEST_PAGE = 100  # rows


@dataclass(slots=True)
class Quirks:
    """Switches of the list of submissions, and of the answer to a request to return. All are off by default.

    ``page_cap`` is the largest page, whatever ``page_size`` asks for. ``ignores_status`` lists every status.
    ``unstable_order`` shuffles the list at each request that names no ``ordering``. So many of the next pages
    lack their last row (``short_pages``). ``looping_next`` links the first page as the next one of every page.
    ``empty_past_end`` answers a page past the end with no rows, not with 404. ``answers_returned`` says RETURNED
    in the answer to request-return, though the submission still awaits review.
    """

    page_cap: int = LARGEST_PAGE
    ignores_status: bool = False
    unstable_order: bool = False
    short_pages: int = 0
    looping_next: bool = False
    empty_past_end: bool = False
    answers_returned: bool = False

    def __post_init__(self) -> None:
        least = {"page_cap": 1, "short_pages": 0}
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not field.type or value < least.get(field.name, False):
                raise ValueError(f"not a possible value: {field.name}")
