"""Ids of Prolific: 24 digits and letters from a to f."""

import re

ID = re.compile(r"[0-9a-f]{24}")
IN_ADDRESS = re.compile(r"(?<![0-9a-zA-Z])[0-9a-fA-F]{24}(?![0-9a-zA-Z])")
NEARLY = re.compile(r"[0-9a-fA-F]{12,}")
SHAPE = "24 digits and letters from a to f"


def is_id(text: str) -> bool:
    """Return True if the text has the form of Prolific's ids."""
    return ID.fullmatch(text) is not None


def problem_of(text: str) -> str | None:
    """Return what is wrong with an id that was copied wrongly, None for a valid id and for other text."""
    if is_id(text):
        return None
    if found := IN_ADDRESS.findall(text):
        # Workspace and project stand before the study in the address of a study.
        after = text.rpartition("studies/")[2]
        wanted = (IN_ADDRESS.findall(after) or found)[0].lower()
        what = "has capital letters" if wanted == text.lower() else "is not the id alone"
        return f"`{text}` {what}: write {wanted}"
    if "/" in text:
        return f"`{text}` is an address without the id of a study, which has {SHAPE}"
    if NEARLY.fullmatch(text):
        return f"`{text}` has {len(text)} characters; an id has {SHAPE}: copy it again"
    return None
