"""Build the sources, rules and tests of a file from its validated model."""

from collections.abc import Mapping
from typing import Any

from service.domain.decision import AlsoActions
from service.rules.actions import PlannedAction
from service.rules.cases.case import Case
from service.rules.evidence import RETRY_EVERY, Comparison, Signature, Source
from service.rules.format import rule_model, source_model
from service.rules.format.case_model import Test
from service.rules.format.field_model import ComparedField
from service.rules.format.given_model import CODES
from service.rules.rule import Quantifier, Rule, When


def source_of(name: str, parsed: source_model.Source) -> Source:
    signed = parsed.signature
    return Source(
        name=name,
        fields={
            name: field.type if isinstance(field, ComparedField) else field
            for name, field in parsed.fields_.items()
        },
        wait=parsed.wait,
        origin=parsed.origin,
        key=parsed.key,
        map=parsed.map,
        signature=Signature(signed.header, signed.prefix, signed.encoding) if signed else None,
        cors=tuple(parsed.cors or ()),
        url=parsed.url,
        query=parsed.query,
        file=parsed.file,
        retry_every=parsed.retry_every or RETRY_EVERY,
        compared={
            name: use
            for name, field in parsed.fields_.items()
            for use in Comparison
            if isinstance(field, ComparedField) and getattr(field, use.value)
        },
    )


def rule_of(parsed: rule_model.Rule) -> Rule:
    if isinstance(parsed.when, rule_model.Conditions):
        [(quantifier, conditions)] = [(key, value) for key, value in parsed.when if value]
        when = When.of(Quantifier(quantifier), tuple(conditions))
    else:
        when = When.of(Quantifier.ALL, (parsed.when,))
    return Rule(
        name=parsed.name,
        when=when,
        plan=PlannedAction.of(
            parsed.action(), AlsoActions(**parsed.also.model_dump()) if parsed.also else None
        ),
        tag=parsed.tag,
        recheck_after=parsed.recheck_after,
        skips_unknown=parsed.if_unknown is not None,
        allow=frozenset(parsed.allow or ()),
        is_observed=parsed.observe,
    )


def case_of(line: int, test: Test) -> Case:
    given: Mapping[str, Any] = test.given.model_dump(exclude_unset=True) if test.given else {}
    evidence = given.get("evidence") or {}
    codes = given.get(CODES)
    flat: dict[str, Any] = {}
    for group, values in given.items():
        if group not in ("evidence", CODES):
            flat |= (
                {f"{group}.{field}": value for field, value in values.items()}
                if isinstance(values, dict)
                else {group: values}
            )
    for source, values in evidence.items():
        flat |= {f"evidence.{source}.{field}": value for field, value in values.items()}
    expected = test.expect.model_dump(exclude_unset=True)
    return Case(test.name, line, flat, frozenset(evidence), None if codes is None else tuple(codes), expected)
