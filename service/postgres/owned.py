"""Open files of the data folder safely.

Somebody who may write to the folder before the service starts could leave a link there, and the service, perhaps as
root, would write to its target. So no link is followed, and files of other users are refused.
"""

import os
import stat
from pathlib import Path

from service.errors import DatabaseError

ROOT = 0


def refuse_foreign(path: Path, *trusted: int) -> None:
    """Raise DatabaseError if the path itself, not a link's target, belongs to another user.

    Trusted are root, this process's user, and ``trusted``.
    """
    _refuse(path, path.lstat().st_uid, trusted)


def open_own(path: Path, flags: int, *trusted: int) -> int:
    """Open a regular file of ours and return its descriptor. A new file is readable by its owner alone.

    Raise DatabaseError if it is a link, no file, or another user's, and OSError if it can't be opened.
    """
    if path.is_symlink():
        raise DatabaseError(f"{path} is a link, which the service does not follow: remove it.")
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        _refuse_other_kinds(path, handle)
        _refuse(path, os.fstat(handle).st_uid, trusted)
    except BaseException:
        os.close(handle)
        raise
    return handle


def read_own(path: Path, *trusted: int) -> str:
    """Return the text of a file of ours. Raise as ``open_own`` does."""
    with os.fdopen(open_own(path, os.O_RDONLY, *trusted)) as file:
        return file.read()


def _refuse_other_kinds(path: Path, handle: int) -> None:
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        raise DatabaseError(f"{path} is not a file: remove it.")


def _refuse(path: Path, owner: int, trusted: tuple[int, ...]) -> None:
    if owner not in (ROOT, os.geteuid(), *trusted):
        raise DatabaseError(
            f"{path} belongs to another user (uid {owner}): run the service as that user, give the folder to "
            "yours, or set AUTOREVIEW_DATA_DIR to a folder of your own."
        )
