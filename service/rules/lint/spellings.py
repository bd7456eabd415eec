"""What other languages, spreadsheets and text processors write for the signs and words of CEL."""

OPERATORS = {
    "=": "==",
    "&": "&&",
    "|": "||",
    "=>": ">=",
    "=<": "<=",
    "<>": "!=",
    "=~": ".matches(…)",
    "===": "==",
    "!==": "!=",
    ">==": ">=",
    "<==": "<=",
}
WORDS = {
    "and": "&&",
    "or": "||",
    "not": "!",
    "is": "==",
    "equals": "==",
    "eq": "==",
    "mod": "%",
    "xor": "!=",
}
CAPITALS = {"True": "true", "False": "false", "TRUE": "true", "FALSE": "false"}
QUOTES = frozenset("“”„‟«»‘’‚‛‹›″′＂＇`´")
SIGNS = {
    "≥": ">=",
    "≤": "<=",
    "≠": "!=",
    "×": "*",
    "÷": "/",
    "⋅": "*",
    "·": "*",
    "∧": "&&",
    "∨": "||",
    "¬": "!",
    "∈": "in",
    "…": "...",
    **dict.fromkeys("–—−‐‑‒―", "-"),
}
UNITS = {"s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1} | {
    "m": 60,
    "min": 60,
    "mins": 60,
    "minute": 60,
    "minutes": 60,
    "h": 3600,
    "hr": 3600,
    "hour": 3600,
    "hours": 3600,
    "d": 86400,
    "day": 86400,
    "days": 86400,
}
FACT_UNITS = {"s": 1, "seconds": 1, "minutes": 60}
