"""Render templates. Everything is escaped, and pages load nothing from other hosts."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import ChainableUndefined, Environment, FileSystemLoader
from starlette.responses import Response

from service import __version__
from service.domain.printable import printable_json
from service.pages.sessions import Session
from service.rules.templates import written

HERE = Path(__file__).parent
STATIC = HERE / "static"

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def utc(moment: datetime | str | None) -> str:
    """The moment as the server writes it; a script shows it in the viewer's own zone."""
    found = _moment(moment)
    return f"{found:%Y-%m-%d %H:%M:%S} UTC" if found else "never"


def iso(moment: datetime | str) -> str:
    found = _moment(moment)
    return found.isoformat() if found else ""


def money(minor: float | Decimal | None) -> str:
    """Return minor units as people write them: 150 is 1.50."""
    return "unknown" if minor is None else f"{Decimal(str(minor)) / 100:,.2f}"


def duration(seconds: float | None) -> str:
    """A length of time in its two largest units."""
    if seconds is None:
        return "unknown"
    left = max(0, round(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number or (unit == "s" and not parts):
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2])


def seconds(found: float | None) -> str:
    """A short time with as many digits as matter."""
    if found is None:
        return "unknown"
    return f"{found:.2f} s" if found < 10 else duration(found)


def words(name: str | None) -> str:
    """A name of the API as people read it: request_return is request return."""
    return (name or "").replace("_", " ")


def value(found: Any) -> str:
    """A fact's value for people: numbers rounded, a missing one named so."""
    if found is None:
        return "missing"
    if isinstance(found, float) and not found.is_integer():
        return f"{found:.3g}" if abs(found) < 1000 else f"{found:.0f}"
    if isinstance(found, bool | int | float | str):
        return written(found)
    return str(found)


def pretty(found: Any) -> str:
    """Return JSON for people, without characters that control a screen."""
    return printable_json(json.dumps(found, ensure_ascii=False, indent=2, default=str))


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")


def query(parameters: Mapping[str, Any]) -> str:
    """Return the query string of the parameters that are set."""
    given = {name: item for name, item in parameters.items() if item not in (None, "")}
    return f"?{urlencode(given)}" if given else ""


def _moment(moment: datetime | str | None) -> datetime | None:
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return None
    return moment.astimezone(UTC) if moment else None


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=ChainableUndefined,  # what other versions recorded may lack what this one records
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "utc": utc,
        "iso": iso,
        "money": money,
        "duration": duration,
        "seconds": seconds,
        "words": words,
        "value": value,
        "pretty": pretty,
        "segment": segment,
        "query": query,
    }
    environment.globals |= {"version": __version__}
    return environment


TEMPLATES = _environment()


def page(
    template: str,
    session: Session | None = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response:
    """Render a template as an answer."""
    body = TEMPLATES.get_template(template).render(session=session, **values)
    return Response(
        body,
        status_code=status,
        media_type="text/html; charset=utf-8",
        headers={**HEADERS, **(headers or {})},
    )


def redirect(path: str) -> Response:
    """Redirect to a page of this service, by GET."""
    return Response(status_code=303, headers={**HEADERS, "Location": path})
