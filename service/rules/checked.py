"""The names in a condition, from the checked expression of CEL.

The engine gives it as protobuf (``cel.expr.CheckedExpr`` inside an ``Any``). No maintained package has its
classes, so the few fields needed are read here: references by expression id, and where each expression stands.
"""

from collections.abc import Iterator

ANY_VALUE = 2
REFERENCES, SOURCE_INFO = 2, 5  # of CheckedExpr
POSITIONS = 4  # of SourceInfo
KEY, VALUE = 1, 2  # of an entry of a map
NAME, OVERLOADS = 1, 3  # of Reference; only functions have overloads
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # types on the wire


def names(expression: bytes) -> list[str]:
    """Return the variables that a checked expression reads, each once, in the order they stand there."""
    parts = list(_fields(_last(expression, ANY_VALUE)))
    found: dict[int, str] = {}
    positions: dict[int, int] = {}
    for number, part in parts:
        if number == REFERENCES:
            entry = dict(_fields(part))
            reference = dict(_fields(entry[VALUE]))
            if OVERLOADS not in reference:
                found[_integer(entry[KEY])] = reference.get(NAME, b"").decode()
        elif number == SOURCE_INFO:
            entries = [dict(_fields(value)) for field, value in _fields(part) if field == POSITIONS]
            positions = {_integer(entry[KEY]): _integer(entry.get(VALUE, b"\0")) for entry in entries}
    return list(dict.fromkeys(found[at] for at in sorted(found, key=lambda at: positions.get(at, 0))))


def _last(message: bytes, number: int) -> bytes:
    return dict(_fields(message)).get(number, b"")


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each field's number and bytes; of a varint the bytes as they stand."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        start, kind = at, tag & 7
        if kind == VARINT:
            _, at = _varint(message, at)
        elif kind == LENGTH:
            size, start = _varint(message, at)
            at = start + size
        else:
            at += {FIXED64: 8, FIXED32: 4}[kind]
        yield tag >> 3, message[start:at]


def _integer(varint: bytes) -> int:
    return _varint(varint, 0)[0]


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the number that stands at a place, and the place behind it."""
    number, shift = 0, 0
    while True:
        byte = message[at]
        number, at, shift = number | (byte & 0x7F) << shift, at + 1, shift + 7
        if byte < 0x80:
            return number, at
