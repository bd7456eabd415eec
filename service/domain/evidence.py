"""The origin of a payload of evidence."""

from enum import StrEnum

# Beside the fields of a source in the facts of a decision, where a browser sent them.
ORIGIN = "origin"


class EvidenceOrigin(StrEnum):
    """``FILE`` is a person's file (``autoreview evidence push``), ``CSV`` the file that a rule file names."""

    PUSH = "push"
    BROWSER = "browser"
    FILE = "file"
    HTTP = "http"
    SQL = "sql"
    CSV = "csv"
