"""Connection parameters of a database URL, parsed in one place for every driver."""

import os
import re
from contextlib import suppress

from psycopg import ProgrammingError, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

SCHEMES = ("postgresql://", "postgres://")

# A connection to a dead peer fails within 11 s instead of two hours. A URL may set other values.
DEFAULTS = {
    "application_name": "autoreview",
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}

NUMBERS = tuple(name for name, value in DEFAULTS.items() if value.isdigit())

# psycopg requires these formats, and a server, database or role may have other defaults.
SESSION = {
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "default_transaction_isolation": "read committed",
    # PostgreSQL ends the session of a process that freezes inside a transaction, which would keep its locks.
    "idle_in_transaction_session_timeout": "10s",
}
# Only this service sets it. A session without it was opened by a pooler, which dropped our ``options``.
DIRECT = "autoreview.direct"

# Variables that libpq reads but does not list among its defaults.
UNLISTED_VARIABLES = ("PGSERVICEFILE", "PGSYSCONFDIR", "PGDATESTYLE", "PGTZ", "PGGEQO", "PGLOCALEDIR")


def connection_parameters(url: str) -> dict[str, str]:
    """Return libpq's parameters for the URL, with the defaults and session settings of this service.

    Raise ValueError that names the mistake. Its message never contains a part of the URL, which may be a password.
    """
    if not url.startswith(SCHEMES):
        raise ValueError("must start with postgresql://")
    found = _parsed(url)
    if "," in found.get("host", ""):
        # One of several hosts may be a standby: connect to the one that accepts writes.
        found.setdefault("target_session_attrs", "read-write")
    options = f"{found.get('options', '')} {_startup_options()}".strip()
    return DEFAULTS | found | {"client_encoding": "utf8", "options": options}


def _parsed(url: str) -> dict[str, str]:
    escaped = _escaped(url)
    with suppress(ProgrammingError):
        found = {name: str(value) for name, value in conninfo_to_dict(escaped).items()}
        # libpq checks numbers only when it connects.
        numbers = [found.get(name, "0") for name in NUMBERS] + found.get("port", "").split(",")
        if all(re.fullmatch(r"-?\d*", number) for number in numbers):
            return found
    raise ValueError(
        "can't be read: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, special characters of the "
        "password as %XX, and only options that PostgreSQL knows after a ?"
    )


def conninfo_for(url: str, *, pooled: bool = False) -> str:
    """Return the parameters as libpq's connection string, without ``options`` for a pooler that rejects them."""
    parameters = connection_parameters(url)
    return make_conninfo(**parameters | ({"options": ""} if pooled else {}))


def own_options(url: str) -> str:
    """Return the ``options`` that the URL itself sets, such as ``-csearch_path=review``."""
    options = connection_parameters(url)["options"]
    return options.removesuffix(_startup_options()).strip()


def ignore_shell_variables() -> None:
    """Remove the variables that libpq reads (``PGSERVICE``, ``PGSSLMODE``, …) from the environment.

    They describe another server than the embedded one, and libpq has no parameter to ignore them.
    """
    listed = (option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar)
    for name in (*listed, *UNLISTED_VARIABLES):
        os.environ.pop(name, None)


def _startup_options() -> str:
    values = {**SESSION, DIRECT: "on"}
    return " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in values.items())


def _escaped(url: str) -> str:
    """Encode each ``/`` of a password, which libpq takes for the end of the host.

    Raise ValueError if the end of the password is ambiguous.
    """
    scheme, _, rest = url.partition("://")
    beginning, question_mark, query = rest.partition("?")
    if beginning.count("@") > 1:
        raise ValueError("has more than one @: write the one in its password as %40")
    credentials, at, address = beginning.rpartition("@")
    if re.match(r"[^:/]*(:\d+)?/", credentials):
        raise ValueError("has a / before its @: write the / of a password as %2F, the @ of a name as %40")
    return f"{scheme}://{credentials.replace('/', '%2F')}{at}{address}{question_mark}{query}"
