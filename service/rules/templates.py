"""Templates of texts with facts: ``You missed {evidence.survey.attention_failed} checks``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from service.domain.numbers import rounded
from service.rules.facts import Plain

PART = re.compile(r"\{\{|\}\}|\{(?P<fact>[^{}:]*)(?::(?P<form>[^{}]*))?\}|(?P<lone>[{}])")
FORM = re.compile(r"\.\df")
LONGEST_VALUE = 500  # characters of one filled value


class TemplateError(Exception):
    """A brace in a text opens or closes nothing."""


@dataclass(frozen=True, slots=True)
class Template:
    """``literals`` and ``facts`` alternate, a literal first and last.

    ``forms`` has the format that follows each fact's name, ``.1f``; None where there is none.
    """

    literals: tuple[str, ...]
    facts: tuple[str, ...]
    forms: tuple[str | None, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        literals, facts, forms, done = [""], list[str](), list[str | None](), 0
        for part in PART.finditer(text):
            literals[-1] += text[done : part.start()]
            done = part.end()
            if part["lone"]:
                raise TemplateError
            if part["fact"] is None:
                literals[-1] += part.group()[0]
            else:
                facts.append(part["fact"])
                forms.append(part["form"])
                literals.append("")
        literals[-1] += text[done:]
        return cls(tuple(literals), tuple(facts), tuple(forms))

    @property
    def own_text(self) -> str:
        """Return the text without the placeholders."""
        return "".join(self.literals).strip()

    def fill(self, values: Mapping[str, Plain]) -> str:
        filled = [self.literals[0]]
        for fact, form, literal in zip(self.facts, self.forms, self.literals[1:], strict=True):
            value = values.get(fact)
            filled += ("" if value is None else _filled(value, form)[:LONGEST_VALUE], literal)
        return "".join(filled).strip()


def _filled(value: Plain, form: str | None) -> str:
    return format(value, form) if form and isinstance(value, int | float) else written(value)


def written(value: Plain) -> str:
    """Return a value for people: 2, 0.5, -3.42, true. The facts of a decision keep every digit."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return rounded(value) if isinstance(value, float) else str(value)
