"""Texts to people, with facts filled in: ``You missed {evidence.survey.attention_failed} checks``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from service.rules.facts import Plain

PART = re.compile(r"\{\{|\}\}|\{(?P<fact>[^{}]*)\}|(?P<lone>[{}])")
LONGEST_VALUE = 500  # characters of one filled value


class TemplateError(Exception):
    """A brace in a text opens or closes nothing."""


@dataclass(frozen=True, slots=True)
class Template:
    """``literals`` and ``facts`` alternate, a literal first and last."""

    literals: tuple[str, ...]
    facts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        literals, facts, done = [""], [], 0
        for part in PART.finditer(text):
            literals[-1] += text[done : part.start()]
            done = part.end()
            if part["lone"]:
                raise TemplateError
            if part["fact"] is None:
                literals[-1] += part.group()[0]
            else:
                facts.append(part["fact"])
                literals.append("")
        literals[-1] += text[done:]
        return cls(tuple(literals), tuple(facts))

    @property
    def own_text(self) -> str:
        """What stands there whatever is filled in."""
        return "".join(self.literals).strip()

    def fill(self, values: Mapping[str, Plain]) -> str:
        filled = [self.literals[0]]
        for fact, literal in zip(self.facts, self.literals[1:], strict=True):
            filled += (written(values[fact])[:LONGEST_VALUE] if fact in values else "", literal)
        return "".join(filled).strip()


def written(value: Plain) -> str:
    """As people write it: 2, 0.5, true."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)
