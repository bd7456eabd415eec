"""A secret, from a variable or from a file that is read again when it changes. It is never shown."""

from dataclasses import dataclass, field
from pathlib import Path

from service.errors import ConfigurationError


@dataclass(slots=True)
class Secret:
    """The value of ``variable``, fixed or from ``file``."""

    variable: str
    value: str | None = field(default=None, repr=False)
    file: Path | None = None
    _seen: tuple[int, int] | None = field(default=None, repr=False)

    def read(self) -> str:
        """Return the current value. Raise ConfigurationError if the file was never readable or is empty."""
        if self.file is None:
            return self.value or ""
        try:
            stat = self.file.stat()
            # A file that is replaced by a rename may keep its time, but not its inode.
            if (stat.st_mtime_ns, stat.st_ino) != self._seen:
                self.value = self.file.read_text(encoding="utf-8").strip() or self.value
                self._seen = (stat.st_mtime_ns, stat.st_ino)
        except (OSError, UnicodeDecodeError) as error:
            # While the file is being replaced, the running service keeps the last value.
            if self.value is None:
                raise ConfigurationError(f"{self.variable}_FILE can't be read: {error}") from None
        if not self.value:
            raise ConfigurationError(f"{self.variable}_FILE is empty: {self.file}")
        return self.value

    def parts(self) -> tuple[str, ...]:
        """Return the parts of a comma-separated secret. All are valid, so that one can be replaced without a gap."""
        return tuple(part.strip() for part in self.read().split(",") if part.strip())
