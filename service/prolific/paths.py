"""Paths of Prolific's API."""

from urllib.parse import quote

from service.prolific.errors import NotFound


def part(identifier: str) -> str:
    """Return an id as one part of a path, with every other character escaped."""
    quoted = quote(identifier, safe="", errors="replace")
    if quoted.strip(".") == "":  # "", "." and ".." would change the path
        raise NotFound(404, f"There is no id {identifier!r}.")
    return quoted
