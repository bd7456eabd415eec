"""How a payload of evidence came."""

from enum import StrEnum


class EvidenceOrigin(StrEnum):
    """``FILE`` is a person's file (``autoreview evidence push``), ``CSV`` the file that a rule file names."""

    PUSH = "push"
    BROWSER = "browser"
    FILE = "file"
    HTTP = "http"
    SQL = "sql"
    CSV = "csv"
