"""JMESPath: the path of a value in a document of a survey platform."""

from typing import Any

from service.rules.conversion import shown

LONGEST = 1000  # characters of one expression


class BadPath(ValueError):
    """An expression that is no JMESPath; ``offset`` is the place of the mistake in it."""

    def __init__(self, message: str, offset: int = 0) -> None:
        self.offset = offset
        super().__init__(message)


class Unreadable(ValueError):
    """An expression that can't be evaluated on a document."""


def compiled(expression: str) -> Any:
    """Return the parsed expression, which the library caches. Raise BadPath."""
    from jmespath import compile as parse
    from jmespath.exceptions import JMESPathError
    from jmespath.functions import Functions

    if len(expression) > LONGEST:
        raise BadPath(f"a path has {LONGEST:,} characters at most")
    try:
        path = parse(expression)
        unknown = _functions(path.parsed) - Functions.FUNCTION_TABLE.keys()
    except JMESPathError as error:
        reason = str(error).strip().splitlines()[0].rstrip(":")
        raise BadPath(
            f"not a JMESPath expression: {reason}", getattr(error, "lex_position", None) or 0
        ) from None
    except RecursionError:
        raise BadPath("is nested too deep") from None
    if unknown:
        name = min(unknown)
        raise BadPath(f"JMESPath has no function {name}()", max(0, expression.find(name)))
    return path


def search(expression: str, document: Any) -> Any:
    """Return what stands at the path, None where there is nothing. Raise Unreadable."""
    try:
        return compiled(expression).search(document)
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        # What a document holds can make a function fail: sort() of texts and numbers, to_number() of a list.
        raise Unreadable(shown(" ".join(str(error).split()), 200)) from None


def _functions(node: Any) -> set[str]:
    """Return the names of the functions that a parsed expression calls."""
    names = {node["value"]} if node["type"] == "function_expression" else set()
    return names.union(*(_functions(child) for child in node["children"] if isinstance(child, dict)))
