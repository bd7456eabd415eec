"""Validates nodes of a file against the model, and reports each error at its place."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from service.domain.decision import MESSAGE_LENGTH
from service.rules.conditions import Conditions
from service.rules.facts import FieldType
from service.rules.format import document, values
from service.rules.format.document import Node, Scalar, plain
from service.rules.format.findings import Code, Findings, Mark, shortened
from service.rules.format.given_model import evidence_model
from service.rules.format.positions import place
from service.rules.format.values import Closed, described, detail, refuse_all, refused, wrong
from service.rules.lint.names import unknown_fact
from service.rules.prolific_ids import problem_of
from service.rules.rule import Condition
from service.rules.templates import FORM, Template, TemplateError

Model = TypeVar("Model", bound=Closed)


@dataclass(slots=True)
class Claims:
    """The studies that a file names, and where, also if the file has errors."""

    ids: dict[str, Mark] = field(default_factory=dict)
    everything: Mark | None = None


@dataclass(frozen=True)
class Reading:
    """The context of a file that the model needs to validate its parts.

    ``types`` of all facts, None where the declaration has an error; ``rules`` are the rules' names,
    ``observed`` those of them that are only observed, ``browser`` the sources that browsers may send.
    """

    types: Mapping[str, FieldType | None]
    sources: Collection[str]
    rules: Collection[str]
    observed: Collection[str]
    conditions: Conditions
    claims: Claims = field(default_factory=Claims)
    browser: Collection[str] = ()

    def text(self, value: object) -> str:
        return values.text(value)

    def participant_text(self, value: object) -> str:
        entered = values.text(value)
        self._parsed(entered)
        return entered

    def message(self, value: object) -> str:
        entered = values.text(value)
        length = len(self._parsed(entered).own_text)
        if length < MESSAGE_LENGTH:
            message = f"Prolific requires {MESSAGE_LENGTH} characters or more; without what is filled in these are {length}"
            raise wrong(Code.MESSAGE_TOO_SHORT, message)
        return entered

    def _parsed(self, entered: str) -> Template:
        try:
            template = Template.parse(entered)
        except TemplateError:
            message = "a brace stands alone: `{fact}` fills in a fact, `{{` and `}}` are braces themselves"
            raise wrong(Code.TEMPLATE, message) from None
        strange = [fact for fact in template.facts if fact not in self.types]
        refuse_all(
            detail(wrong(Code.TEMPLATE, f"{{{fact}}}: {unknown_fact(fact, self.types)}")) for fact in strange
        )
        refuse_all(self._form_problems(template))
        return template

    def _form_problems(self, template: Template) -> Iterator[InitErrorDetails]:
        for fact, form in zip(template.facts, template.forms, strict=True):
            kind = self.types[fact]
            if form is not None and not FORM.fullmatch(form):
                message = f"{{{fact}:{form}}}: write the number of decimals as `{{{fact}:.1f}}`"
            elif form and kind not in (FieldType.INT, FieldType.DOUBLE, None):
                message = f"{{{fact}:{form}}}: decimals are for numbers, {fact} is of type {kind}"
            else:
                continue
            yield detail(wrong(Code.TEMPLATE, message))

    def condition(self, value: object) -> Condition:
        return self.conditions.read(value)

    def studies(self, value: object) -> tuple[str, ...] | None:
        """Return the studies. None: every study that no other file names."""
        if isinstance(value, Scalar) and value.value == "all":
            self.claims.everything = value.start
            return None
        if not isinstance(value, list):
            entered = (
                value.value if isinstance(value, Scalar) and not value.is_null else "60aca280709ee40ec37d4885"
            )
            ids = ", ".join(entered.replace(",", " ").split())
            raise refused(value, "a list of ids, or `all`", f": write `studies: [{shortened(ids)}]`")
        if not value:
            raise wrong(Code.EMPTY, "an empty list; it needs study ids")
        found = []
        for index, item in enumerate(value):
            try:
                self._claim(item)
            except PydanticCustomError as error:
                found.append(detail(error, index))
        refuse_all(found)
        return tuple(self.claims.ids)

    def _claim(self, value: object) -> None:
        study = values.text(value)
        if study == "all":
            raise wrong(Code.BAD_VALUE, "for every study write `studies: all`, without the list")
        if study.split() != [study]:
            raise wrong(Code.BAD_VALUE, "a study's id has no spaces; ids in a list are separated by commas")
        if problem := problem_of(study):
            raise wrong(Code.STUDY_ID, problem)
        if study in self.claims.ids:
            raise wrong(Code.BAD_VALUE, f"{study} stands twice in the list")
        if isinstance(value, Scalar):
            self.claims.ids[study] = value.start

    def evidence(self, given: object) -> dict[str, Any]:
        """Return what a test gives of each source, by source and field; a source that is null has not answered."""
        entered = self._evidence_model.model_validate(given, context=self)
        return {
            name: value for name, value in entered.model_dump(exclude_unset=True).items() if value is not None
        }

    @cached_property
    def _evidence_model(self) -> type[Closed]:
        return evidence_model(self.types, self.sources)


def read(model: type[Model], node: Node, path: str, reading: Reading, findings: Findings) -> Model | None:
    """Return the node as the model. Return None and add a finding for each error if it is invalid."""
    try:
        return model.model_validate(plain(node), context=reading)
    except ValidationError as error:
        report(error, node, path, findings)
        return None


def report(error: ValidationError, node: Node, path: str, findings: Findings) -> None:
    """Add a finding for each error, at the place of its value or key."""
    for problem in error.errors(include_url=False):
        kind, loc, context = problem["type"], problem["loc"], problem.get("ctx", {})
        if kind == "missing":
            code, message, loc = Code.MISSING_KEY, f"`{loc[-1]}` is missing", loc[:-1]
        elif "message" in context:
            code, message = Code(kind), context["message"]
        else:  # a mapping is wanted: all other types have validators of their own
            code = Code.WRONG_TYPE
            message = f"must be a mapping (`key: value`), not {described(problem['input'])}"
        key, found, where = find(node, path, loc)
        at = key if context.get("key") or "[key]" in loc else found.start
        if "offset" in context and isinstance(found, Scalar):
            at = place(found, context["offset"])
        findings.add(code, at, where, message)


def find(node: Node, path: str, loc: tuple[str | int, ...]) -> tuple[Mark, Node, str]:
    """Return the last key, the node and its path. Parts of ``loc`` that name no node are pydantic's own."""
    key = node.start
    for part in loc:
        if isinstance(node, document.Mapping) and part in node.entries:
            (name, node), path = node.entries[str(part)], join(path, str(part))
            key = name.start
        elif isinstance(node, document.Sequence) and isinstance(part, int):
            node, path = node.items[part], f"{path}[{part}]"
    return key, node, path


def join(path: str, key: str) -> str:
    name = shortened(key)
    return f"{path}.{name}" if path else name
