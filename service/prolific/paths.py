"""Paths of Prolific's API."""

from urllib.parse import quote

from service.prolific.errors import NotFound


def part(identifier: str) -> str:
    """Make an id one part of a path, whatever somebody put into it."""
    quoted = quote(identifier, safe="", errors="replace")
    if quoted.strip(".") == "":  # "", "." and ".." would lead elsewhere
        raise NotFound(404, f"There is no id {identifier!r}.")
    return quoted
