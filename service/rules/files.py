"""Read the files of a rules folder: regular files, and links that stay inside the folder."""

import os
import re
import stat
from pathlib import Path

LARGEST = 1024 * 1024  # bytes of one file
# Windows hides the last ending, so that `rules.yaml.txt` looks like `rules.yaml`.
LOOKALIKE = re.compile(r"\.ya?ml(\.(txt|rtf|docx?))?\Z", re.IGNORECASE)


class NotAllowed(Exception):  # becomes a finding where files are read
    """The file is none that rules are read from; the message says why."""


def is_lookalike(name: str) -> bool:
    """Return True for the name of a file that is probably meant as a rule file but is not read."""
    return not name.startswith(".") and not name.endswith(".yaml") and LOOKALIKE.search(name) is not None


def read_rules(path: Path, folder: Path | None = None) -> bytes:
    """Return the first MiB of a file, and one byte more if there is any.

    Kubernetes links each file through ``..data``, so links are followed as long as they end in ``folder``; None
    allows any, for a file that somebody named. Raise NotAllowed, or OSError if the file can't be read.
    """
    real = os.path.realpath(path, strict=True)
    if folder is not None and not Path(real).is_relative_to(os.path.realpath(folder, strict=True)):
        raise NotAllowed("links to a file outside of the folder: copy it into the folder")
    # Without O_NONBLOCK opening a named pipe waits for a writer, and with it the stop of the service.
    handle = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise NotAllowed("is not a file")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(LARGEST + 1)
    finally:
        os.close(handle)
