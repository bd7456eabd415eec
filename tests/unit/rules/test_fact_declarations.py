"""The declaration of each fact is complete."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.domain.submission import CompletionCode, Status, Study, Submission
from service.review.facts import facts_of
from service.review.statistics import stats_facts
from service.rules import CATALOGUE, FACTS, FieldType, load
from service.rules.cases.case import Case
from service.rules.catalogue import Default
from service.rules.facts import FactSheet, typed
from service.store.statistics import Past, Times
from tests.world import rules_text, write_rules

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
IN_A_TEST = FactSheet.read(
    Case("nothing given", 1, {}, frozenset(), None, {}).facts((), "60aca280709ee40ec37d4885"), FACTS
).values


@pytest.mark.parametrize("name", CATALOGUE)
def test_fact_that_a_test_does_not_give_has_its_default(name: str) -> None:
    fact = CATALOGUE[name]
    if fact.default is Default.MISSING:
        assert name not in IN_A_TEST
        assert fact.may_be_missing, f"{name} can't be missing, so a test needs a default for it"
    elif fact.default is Default.COMPUTED:
        assert name in IN_A_TEST, f"service/rules/cases/case.py does not compute {name}"
    else:
        assert typed(fact.type, fact.default) == IN_A_TEST[name] == fact.default


@pytest.mark.parametrize("name", CATALOGUE)
def test_fact_has_a_meaning_an_origin_and_a_unit(name: str) -> None:
    fact = CATALOGUE[name]
    assert fact.meaning
    assert fact.origin in ("Prolific", "this service")
    if fact.type is FieldType.DOUBLE:
        assert fact.unit


def test_review_computes_exactly_the_declared_facts(tmp_path: Path) -> None:
    submission = Submission(
        id="a",
        study_id="60aca280709ee40ec37d4885",
        participant_id="p",
        status=Status.AWAITING_REVIEW,
        started_at=NOW - timedelta(minutes=20),
        completed_at=NOW - timedelta(minutes=5),
        entered_code="DONE",
        return_requested_at=NOW,
    )
    study = Study(
        "60aca280709ee40ec37d4885",
        "A study",
        "ACTIVE",
        10.0,
        30.0,
        150,
        100,
        "note",
        (CompletionCode("DONE", "COMPLETED"),),
    )
    statistics = {
        "stats": stats_facts(Times(30, 600.0, 100.0, 590.0, 6.4, 0.2), 900, 1.5),
        "participant": asdict(Past(3, 1, 1, 1)),
    }
    [rule_file] = load(write_rules(tmp_path, rules_text())).files
    facts = facts_of(submission, study, {}, rule_file, completed_by=NOW, now=NOW, statistics=statistics)
    del facts["evidence"]
    computed = {
        f"{group}.{name}" if isinstance(values, dict) else group
        for group, values in facts.items()
        for name in (values if isinstance(values, dict) else [group])
    }
    assert computed == set(CATALOGUE)
