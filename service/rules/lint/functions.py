"""The functions of CEL, and how other languages call them."""

from service.rules.lint.names import did_you_mean

FUNCTIONS = (
    *("all", "exists", "exists_one", "filter", "map", "size"),
    *("contains", "endsWith", "matches", "startsWith"),
    *("bool", "double", "duration", "int", "string", "timestamp"),
    *("getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getMonth"),
    *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
)
INFIX = {"contains": "contains", "startswith": "startsWith", "endswith": "endsWith", "matches": "matches"}
SIZE = frozenset({"len", "length", "count", "nchar", "strlen"})
PRESENCE = frozenset(
    {"exists", "defined", "isset", "isnull", "is_null", "isempty", "is_empty", "isna", "missing"}
)
LETTERS = frozenset({"lower", "lowerascii", "upper", "tolowercase", "touppercase", "toupper", "tolower"})
OTHER_NAMES = {"float": "double", "str": "string", "number": "double", "date": "timestamp"}


def unknown_function(name: str) -> str:
    """Return the message for a function that CEL does not have."""
    word = name.lower()
    said = f"no function is called {name}"
    if word in SIZE:
        return f"{said}; write `size(…)`"
    if word in PRESENCE:
        return f"{said}; write evidence.<source>.received to ask whether a source has answered"
    if word in LETTERS:
        return f'{said}; to ignore case write `.matches("(?i)^text$")`'
    if word in OTHER_NAMES:
        return f"{said}; write `{OTHER_NAMES[word]}(…)`"
    return f"{said}{did_you_mean(name, FUNCTIONS)}"
