"""The client of each source that a rule file has asked, made when it is first needed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

import httpx

from service.evidence.asked import LONGEST_WAIT, Client
from service.evidence.csv_source import CsvSource
from service.evidence.http_source import HttpSource
from service.evidence.sql_source import SqlSource
from service.rules import Source
from service.rules.evidence import PARTICIPANT_ID
from service.secret import Secret
from service.web.outgoing import http_client


@dataclass(slots=True)
class Clients:
    """Makes clients by a source's declaration. ``secret`` is what AUTOREVIEW_SOURCE_<NAME> holds."""

    rules_folder: Path
    secret: Callable[[str], Secret | None]
    _made: dict[str, Client] = field(default_factory=dict)
    _http: httpx.AsyncClient | None = None

    def client(self, source: Source) -> Client:
        """Return the client of a source. Raise ConfigurationError where the environment makes one impossible."""
        if source.declaration not in self._made:
            self._made[source.declaration] = self._make(source)
        return self._made[source.declaration]

    def _make(self, source: Source) -> Client:
        def secret() -> str | None:
            found = self.secret(source.name)
            return found.read() if found else None

        match source.origin:
            case "http":
                self._http = self._http or http_client(timeout=LONGEST_WAIT, follow_redirects=False)
                return HttpSource(source.url or "", secret, self._http)
            case "sql":
                return SqlSource(source.name, source.query or "", secret)
            case "csv":
                file = source.file or ""
                columns = [source.map.get(name, name) for name in (*source.fields, PARTICIPANT_ID)]
                return CsvSource(file, self.rules_folder / file, source.key, columns)
            case "push":
                raise ValueError(f"{source.name} is not asked")
            case _:
                assert_never(source.origin)

    async def close(self) -> None:
        if self._http:
            await self._http.aclose()
