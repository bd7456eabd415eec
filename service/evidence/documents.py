"""The body of a POST as documents: one JSON object, a JSON array, lines of JSON, or a form."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from service.evidence.refusals import DeliveryRefused
from service.web.http import DuplicateKey, read_json

MAX_ROWS = 10_000
MAX_FIELDS = 1000
JSON_LINES = {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
# Encodings as browsers read them: ISO-8859-1 means Windows-1252.
CHARSETS = {"utf-8": "utf-8", "us-ascii": "utf-8", "iso-8859-1": "cp1252", "windows-1252": "cp1252"}


@dataclass(frozen=True, slots=True)
class Documents:
    """The rows of a body. A row that can't be read is the message that says why."""

    rows: tuple[Mapping[str, Any] | str, ...]
    is_batch: bool = False


async def parse(content_type: str, body: bytes) -> Documents:
    """Read a body by its declared type; whatever is no form is JSON. Raise DeliveryRefused."""
    kind, _, _ = content_type.partition(";")
    match kind.strip().lower():
        case "application/x-www-form-urlencoded":
            return Documents((_form(content_type, body),))
        case "multipart/form-data":
            return Documents((await _multipart(content_type, body),))
        case lines if lines in JSON_LINES:
            return _lines(body)
        case _:
            return _json(body)


def _json(body: bytes) -> Documents:
    try:
        parsed = read_json(body)
    except DuplicateKey as error:
        raise DeliveryRefused(422, "duplicate_key", str(error)) from None
    except ValueError:
        return _sniffed(body)
    if isinstance(parsed, list):
        if len(parsed) > MAX_ROWS:
            raise _too_many()
        rows = tuple(row if isinstance(row, dict) else "the row is no JSON object" for row in parsed)
        return _bounded(Documents(rows, is_batch=True))
    if not isinstance(parsed, dict):
        raise DeliveryRefused(
            422, "not_an_object", "The body must be a JSON object, an array of objects, or a form."
        )
    return Documents((parsed,))


def _sniffed(body: bytes) -> Documents:
    """Read JSON lines without their content type: a platform may send them as plain JSON."""
    first, _, rest = body.strip().partition(b"\n")
    # One line alone is either an object, which was read above, or broken.
    if rest and isinstance(_row(first), dict):
        return _lines(body)
    raise DeliveryRefused(
        422, "not_json", "The body is no JSON: send one object, an array of objects, or a form."
    )


def _lines(body: bytes) -> Documents:
    lines = [line for line in body.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
    if len(lines) > MAX_ROWS:
        raise _too_many()
    return _bounded(Documents(tuple(_row(line) for line in lines), is_batch=True))


def _row(line: bytes) -> Mapping[str, Any] | str:
    try:
        # Other bytes than UTF-8's would be taken for UTF-16 or UTF-32 where they look like it.
        parsed = read_json(line.decode("utf-8").encode())
    except DuplicateKey as error:
        return str(error)
    except ValueError:
        return "the line is no JSON"
    return parsed if isinstance(parsed, dict) else "the line is no JSON object"


def _bounded(documents: Documents) -> Documents:
    if not documents.rows:
        raise DeliveryRefused(422, "no_rows", "The body has no rows.")
    if len(documents.rows) > MAX_ROWS:
        raise _too_many()
    return documents


def _too_many() -> DeliveryRefused:
    return DeliveryRefused(422, "too_many_rows", f"Send at most {MAX_ROWS:,} rows in one request.")


def _form(content_type: str, body: bytes) -> Mapping[str, Any]:
    _, _, parameters = content_type.lower().partition("charset=")
    charset = parameters.partition(";")[0].strip(" \"'")
    encoding = CHARSETS.get(charset or "utf-8")
    if encoding is None:
        raise DeliveryRefused(422, "charset", f"A form must be in UTF-8, not in {charset[:40]!r}.")
    try:
        pairs = parse_qsl(
            body.decode(encoding),
            keep_blank_values=True,
            encoding=encoding,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except UnicodeDecodeError:
        raise DeliveryRefused(422, "charset", "The form is not in UTF-8.") from None
    except ValueError:
        raise DeliveryRefused(
            422, "too_many_fields", f"Send at most {MAX_FIELDS:,} fields in one form."
        ) from None
    return _grouped(pairs)


async def _multipart(content_type: str, body: bytes) -> Mapping[str, Any]:
    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    # Starlette's parser takes a body that was cut for a whole form with fewer fields.
    if not body.rstrip().endswith(b"--"):
        raise DeliveryRefused(422, "not_a_form", "The form ends before its last boundary.")
    headers = Headers({"Content-Type": content_type})
    try:
        form = await MultiPartParser(
            headers, whole(), max_files=0, max_fields=MAX_FIELDS, max_part_size=len(body)
        ).parse()
    except MultiPartException as error:
        raise DeliveryRefused(422, "not_a_form", f"The form can't be read: {error.message}") from None
    return _grouped([(name, value) for name, value in form.multi_items() if isinstance(value, str)])


def _grouped(pairs: list[tuple[str, str]]) -> Mapping[str, Any]:
    """Return the form's fields; one that occurs several times is a list of texts."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}
