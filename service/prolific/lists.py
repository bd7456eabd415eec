"""Read Prolific's list of submissions to its end, and report missing rows.

In live use the server caps ``page_size``, repeats and skips rows between pages without a fixed order, returns short
pages in the middle, loops with ``_links.next``, and answers 404 past the end. So pages are numbered here, and the
rows are compared with ``meta.count``.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from service.prolific.errors import IncompleteList, NotFound
from service.prolific.payloads import Page

LARGEST_PAGE = 100  # rows; the server returns no more, whatever is requested
ORDERING = "started_at"  # new submissions are added at the end, so no row moves to a page already read
READINGS = 2  # a list with missing rows is often complete the next time
STALLED = 2  # pages in a row without a new row: the server ignores the page number

FetchPage = Callable[[int], Awaitable[Page]]


@dataclass(slots=True)
class Reading:
    """One pass through a list: the rows seen so far, and the number of rows that it should have."""

    ids: set[str] = field(default_factory=set)
    count: int | None = None
    unreadable: bool = False
    stalled: int = 0

    def add(self, page: Page) -> None:
        new = {row.id for row in page.results} - self.ids
        self.ids |= new
        self.unreadable |= page.unreadable > 0
        self.stalled = 0 if new else self.stalled + 1
        if page.count is not None:
            # The highest count: rows of a list that shrinks while it is read move to pages already read.
            self.count = max(page.count, self.count or 0)

    def ends_with(self, page: Page) -> bool:
        """Return True if no page can follow this one."""
        # The link to the next page never ends on some lists: an empty page, or pages without a new row, end
        # it here.
        if not page.rows or self.stalled >= STALLED:
            return True
        # Short pages occur in the middle: while rows are missing, another page is worth a request.
        return not page.next and not self.is_short

    @property
    def is_short(self) -> bool:
        return self.count is not None and len(self.ids) < self.count

    @property
    def problem(self) -> str | None:
        """Return what keeps the list from being complete, None if it is complete."""
        if self.count is None:
            return "Prolific did not give the number of rows (meta.count)"
        if self.is_short:
            return f"{len(self.ids)} of {self.count} submissions could be read"
        return "rows without an id or a status" if self.unreadable else None


async def read_list(fetch: FetchPage) -> AsyncIterator[Page]:
    """Yield all pages, from the first again if rows are missing.

    Raise IncompleteList after the last page if rows are still missing: the yielded pages are a part of the list.
    """
    for _ in range(READINGS):
        reading = Reading()
        async for page in _read_once(fetch, reading):
            yield page
        if not reading.is_short:
            break
    if reading.problem:
        raise IncompleteList(f"Prolific's list is incomplete: {reading.problem}")


async def _read_once(fetch: FetchPage, reading: Reading) -> AsyncIterator[Page]:
    number = 1
    while True:
        try:
            page = await fetch(number)
        except NotFound:
            # Only the first page can mean that the study is unknown.
            if number == 1:
                raise
            return  # past the end
        reading.add(page)
        yield page
        if reading.ends_with(page):
            return
        number += 1
