"""Becomes one of PostgreSQL's programs: as the right user, and not outliving the service.

Run as a script (``python -I -S``), because code between fork and exec is unsafe beside threads. It imports
nothing of the service, so that it starts in a few milliseconds.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def become(uid: int, gid: int) -> None:
    if os.geteuid() != uid:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def die_with(parent: int) -> None:
    """After ``become``: a change of user takes the death signal back."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
    if os.getppid() != parent:  # it died before it could be tied to us
        sys.exit("the service is gone")


def main(parent: str, uid: str, gid: str, folder: str, program: str, *arguments: str) -> None:
    become(int(uid), int(gid))
    die_with(int(parent))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and that would be inherited
    os.umask(0o077)
    try:
        os.chdir(folder)
        os.execv(program, [program, *arguments])  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
