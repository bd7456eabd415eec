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
    problem = f"no function is called {name}"
    if word in SIZE:
        return f"{problem}; write `size(…)`"
    if word in PRESENCE:
        return f"{problem}; write evidence.<source>.received to ask whether a source has answered"
    if word in LETTERS:
        return f'{problem}; to ignore case write `.matches("(?i)^text$")`'
    if word in OTHER_NAMES:
        return f"{problem}; write `{OTHER_NAMES[word]}(…)`"
    return f"{problem}{did_you_mean(name, FUNCTIONS)}"
