"""Prolific's list of a study. Each page is saved on disk, so that an interrupted backtest continues."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.domain.submission import Submission
from service.prolific import Page, Prolific, SubmissionFilter
from service.prolific.lists import LARGEST_PAGE, ORDERING, read_list
from service.prolific.payloads import read_page

KEPT_FOR = 3600.0  # seconds
Progress = Callable[[int, int], None]


def cache_dir() -> Path:
    """Return where pages are kept: below XDG_CACHE_HOME, or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "autoreview" / "backtest"


@dataclass(frozen=True, slots=True)
class PageCache:
    """Pages of one study. They hold participants' ids, so that only their owner can read them."""

    folder: Path
    study_id: str

    def read(self, number: int) -> Page | None:
        """Return a page that was fetched within the hour."""
        file = self._file(number)
        try:
            if time.time() - file.stat().st_mtime > KEPT_FOR:
                return None
            return self._page(json.loads(file.read_text(encoding="utf-8")))
        # A page that can't be read is fetched again.
        except (OSError, ValueError):
            return None

    def write(self, number: int, page: Page) -> None:
        """Save a page atomically."""
        file = self._file(number)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = file.with_suffix(".part")
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as kept:
            json.dump({"results": page.rows, "count": page.count, "next": page.next}, kept)
        # An interrupted write must not leave half a page that looks whole.
        unfinished.replace(file)

    def clear(self) -> None:
        """Delete the saved pages of the study."""
        for file in self._file(1).parent.glob("page-*.json"):
            file.unlink(missing_ok=True)

    def _page(self, kept: dict[str, Any]) -> Page:
        link = {"href": "next"} if kept["next"] else None
        body = {"results": kept["results"], "meta": {"count": kept["count"]}, "_links": {"next": link}}
        return read_page(body, study_id=self.study_id, page_size=LARGEST_PAGE)

    def _file(self, number: int) -> Path:
        return self.folder / self.study_id / f"page-{number}.json"


async def read_submissions(
    prolific: Prolific, study_id: str, cache: PageCache, progress: Progress
) -> list[Submission]:
    """Return the study's submissions. Raise IncompleteList if rows are missing; what was read stays kept."""
    found: dict[str, Submission] = {}
    read: set[int] = set()

    async def fetch(number: int) -> Page:
        # A list with missing rows is read a second time: then a saved page would miss the same rows.
        page = None if number in read else cache.read(number)
        read.add(number)
        if page is None:
            wanted = SubmissionFilter(study=study_id, ordering=ORDERING, page=number, page_size=LARGEST_PAGE)
            page = await prolific.page(wanted)
            cache.write(number, page)
        return page

    async for page in read_list(fetch):
        found |= {row.id: row for row in page.results}
        progress(len(found), page.count or len(found))
    return list(found.values())
