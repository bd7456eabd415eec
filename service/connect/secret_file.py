"""The file with the signing secret: readable by its owner alone, and complete at any moment."""

import os
import re
from pathlib import Path
from secrets import token_hex

from service.errors import ConfigurationError

SECRET = re.compile(r"[!-~]{1,500}")  # one word


def check_writable(path: Path) -> Path:
    """Return the file's full path. Raise ConfigurationError if a secret can't be stored there."""
    path = path.expanduser().resolve()
    if path.exists() and not path.is_file():
        raise ConfigurationError(f"{path} is not a file: name another one with --out.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigurationError(f"No file can be written in {path.parent}: name another one with --out.")
    # A mistyped path must not cost another file.
    if not all(SECRET.fullmatch(part) for part in _held(path)):
        raise ConfigurationError(f"{path} holds something else than secrets: name another one with --out.")
    return path


def keep_secret(path: Path, value: str) -> None:
    """Write the secret, readable by its owner alone.

    A file that contains it stays unchanged. Several other secrets are kept beside it, a single one is replaced.
    """
    try:
        held = _held(path)
        if value in held:
            path.chmod(0o600)
        else:
            # Several are a rotation under way: deliveries signed with the old one still arrive.
            _replace(path, ",".join([value, *held]) if len(held) > 1 else value)
    except OSError as error:
        raise ConfigurationError(f"The secret can't be written to {path}: {error.strerror}.") from None


def _held(path: Path) -> list[str]:
    if not path.exists():
        return []
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}.") from None
    return [part.strip() for part in text.split(",") if part.strip()]


def _replace(path: Path, value: str) -> None:
    # The new file is renamed over the old one, so that a reader never sees half a secret.
    unfinished = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{value}\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
