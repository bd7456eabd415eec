"""Where the top-level folders that come with the service are: in a wheel, or beside a checkout."""

from pathlib import Path

PACKAGE = Path(__file__).parent


def shipped(name: str) -> Path:
    """The folder ``migrations`` or ``rules`` of this version."""
    installed = PACKAGE / "_shipped" / name
    return installed if installed.is_dir() else PACKAGE.parent / name
