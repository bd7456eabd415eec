"""The position of each rule in the text of its file."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import yaml


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The lines of one rule; ``first`` counts from 1."""

    first: int
    text: str


@lru_cache(maxsize=64)
def excerpts(text: str) -> Mapping[str, Excerpt]:
    """Return each rule's lines, by its name; ``otherwise`` is the last resort's. Empty for what is no rule file."""
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return {}
    if not isinstance(root, yaml.MappingNode):
        return {}
    lines, found = text.splitlines(), dict[str, Excerpt]()
    for key, node in root.value:
        if key.value == "rules" and isinstance(node, yaml.SequenceNode):
            for rule in node.value:
                if name := _name(rule):
                    found[name] = _excerpt(lines, rule.start_mark.line, rule)
        elif key.value == "otherwise":
            found["otherwise"] = _excerpt(lines, key.start_mark.line, node)
    return found


def _name(rule: yaml.Node) -> str | None:
    pairs = rule.value if isinstance(rule, yaml.MappingNode) else ()
    names = (
        value.value for key, value in pairs if key.value == "name" and isinstance(value, yaml.ScalarNode)
    )
    return next(names, None)


def _excerpt(lines: list[str], first: int, node: yaml.Node) -> Excerpt:
    # A block ends where the next token begins, so what stands between them is left out.
    last = node.end_mark.line + (
        1 if getattr(node, "flow_style", None) or isinstance(node, yaml.ScalarNode) else 0
    )
    own = lines[first : max(first + 1, last)]
    while len(own) > 1 and (not own[-1].strip() or own[-1].lstrip().startswith("#")):
        own.pop()
    return Excerpt(first + 1, "\n".join(own))
