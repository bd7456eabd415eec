"""Run one of PostgreSQL's programs as the right user, and end with the service.

This is a script (``python -I -S``), because code between fork and exec is unsafe beside threads. It imports nothing
of the service, so that it starts in a few milliseconds.
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
    """End with the parent. Call it after ``become``: a change of user resets the death signal."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
    if os.getppid() != parent:  # the parent ended before prctl
        sys.exit("the service is gone")


def main(parent: str, uid: str, gid: str, folder: str, program: str, *arguments: str) -> None:
    become(int(uid), int(gid))
    die_with(int(parent))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and the program would inherit that
    os.umask(0o077)
    try:
        os.chdir(folder)
        os.execv(program, [program, *arguments])  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
