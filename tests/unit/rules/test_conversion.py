"""Conversion of text values by the type of the field."""

from typing import Any

import pytest

from service.rules.conversion import convert
from service.rules.delivery import understand
from service.rules.evidence import Source
from service.rules.facts import FieldType

INT, DOUBLE, BOOL, STRING = FieldType.INT, FieldType.DOUBLE, FieldType.BOOL, FieldType.STRING


@pytest.mark.parametrize(
    ("kind", "sent", "value"),
    [
        (INT, "2", 2),
        (INT, " -2 ", -2),
        (INT, 2, 2),
        (DOUBLE, "0.9", 0.9),
        (DOUBLE, "3", 3.0),
        (DOUBLE, 3, 3.0),
        (BOOL, True, True),
        *((BOOL, sent, True) for sent in ("true", "TRUE", "1", "yes", "Yes")),
        *((BOOL, sent, False) for sent in ("false", "False", "0", "no", "NO")),
        (STRING, " as written ", " as written "),
        (STRING, "5", "5"),
    ],
)
def test_text_is_converted_to_the_type_of_the_field(kind: FieldType, sent: Any, value: Any) -> None:
    converted = convert(kind, sent)
    assert (converted.value, converted.problem, converted.warning) == (value, None, None)
    assert type(converted.value) is type(value)


@pytest.mark.parametrize("kind", [INT, DOUBLE, BOOL, STRING])
@pytest.mark.parametrize("sent", [None, "", "  "])
def test_empty_text_is_a_missing_value(kind: FieldType, sent: Any) -> None:
    converted = convert(kind, sent)
    assert (converted.value, converted.problem, converted.warning) == (None, None, None)


@pytest.mark.parametrize("kind", [INT, DOUBLE, BOOL, STRING])
@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ("${e://Field/SESSION_ID}", "declare SESSION_ID as embedded data"),
        ("${q://QID1/ChoiceTextEntryValue}", "Qualtrics"),
        ("{{%SESSION_ID%}}", "study's URL"),
        ("{{score}}", "no field of that name"),
        (" {{ score }} ", "no field of that name"),
    ],
)
def test_unfilled_placeholder_is_a_missing_value_with_a_warning(
    kind: FieldType, sent: str, named: str
) -> None:
    converted = convert(kind, sent)
    assert (converted.value, converted.problem) == (None, None)
    assert converted.warning
    assert named in converted.warning


REFUSED: dict[FieldType, tuple[Any, ...]] = {
    INT: ("two", "2.0", "2,5", "1_000", "٣", True, 2.0, 2**63, str(2**63), [1], {}),
    DOUBLE: ("nan", "inf", "1e999", "0,9", True, float("nan"), 10**400, "0x1"),
    BOOL: (1, 0, 1.0, "2", "on", "y", "truth"),
    STRING: (5, 0.5, True, ["a"], {"a": 1}, "\0", "\ud800"),
}


@pytest.mark.parametrize(("kind", "sent"), [(kind, sent) for kind, all_ in REFUSED.items() for sent in all_])
def test_text_of_another_type_is_refused(kind: FieldType, sent: Any) -> None:
    converted = convert(kind, sent)
    assert converted.value is None
    assert converted.problem
    assert str(kind) in converted.problem


SURVEY = Source(
    "survey",
    {"recaptcha": DOUBLE, "failed": INT},
    key="hidden.session_id",
    map={"recaptcha": "Q_RecaptchaScore", "failed": "answers[?ref=='check'].number | [0]"},
)
BODY: dict[str, Any] = {"hidden": {"session_id": "abc"}, "Q_RecaptchaScore": "0.9", "more": [1]}


def test_document_is_read_by_key_and_map() -> None:
    delivery = understand(SURVEY, BODY | {"answers": [{"ref": "x"}, {"ref": "check", "number": 2}]})
    assert (delivery.submission, delivery.problems) == ("abc", ())
    assert delivery.fields.values == {"recaptcha": 0.9, "failed": 2}


def test_field_without_a_value_at_its_path_is_absent_and_others_count() -> None:
    delivery = understand(SURVEY, BODY)
    assert (delivery.problems, [name for name, _ in delivery.fields.absent]) == ((), ["failed"])


def test_document_without_any_field_is_refused_with_the_paths() -> None:
    delivery = understand(SURVEY, {"hidden": {"session_id": "abc"}, "Q_RecaptchaScor": 1})
    ((name, sentence),) = delivery.problems
    assert name == "fields"
    assert "Q_RecaptchaScore" in sentence


def test_absent_field_suggests_a_similar_key() -> None:
    source = Source("s", {"recaptcha": DOUBLE, "failed": INT})
    delivery = understand(source, {"submission_id": "abc", "recaptcha": 1, "faild": 2})
    assert delivery.fields.absent == (("failed", "failed: nothing at failed; did you mean `faild`?"),)


@pytest.mark.parametrize(
    ("key", "named"),
    [
        (None, "hidden.session_id"),
        ("", "hidden.session_id"),
        (17, "must be a text"),
        (["abc"], "must be a text"),
        ("a b", "no submission id"),
        ("${e://Field/SESSION_ID}", "embedded data"),
        ("{{%SESSION_ID%}}", "study's URL"),
    ],
)
def test_document_without_a_submission_id_is_refused(key: Any, named: str) -> None:
    delivery = understand(SURVEY, BODY | {"hidden": {"session_id": key}})
    assert delivery.submission is None
    ((name, sentence),) = delivery.problems
    assert name == "key"
    assert named in sentence


def test_refused_field_is_reported_with_its_path_and_others_are_read() -> None:
    delivery = understand(
        SURVEY, BODY | {"Q_RecaptchaScore": "high", "answers": [{"ref": "check", "number": 1}]}
    )
    ((name, sentence),) = delivery.problems
    assert (name, delivery.fields.values) == ("recaptcha", {"failed": 1})
    assert "recaptcha (at Q_RecaptchaScore): 'high'" in sentence


def test_failing_jmespath_function_is_reported_for_its_field() -> None:
    source = Source("s", {"most": INT}, map={"most": "max(answers)"})
    delivery = understand(source, {"submission_id": "abc", "answers": ["a", 1]})
    assert delivery.problems[0][0] == "most"
