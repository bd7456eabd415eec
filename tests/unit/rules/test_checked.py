"""The facts of a condition are those of CEL's checked expression."""

import pytest

from service.rules.cel import Environment
from service.rules.facts import FieldType

TYPES: dict[str, FieldType | None] = {
    "submission.pace": FieldType.DOUBLE,
    "submission.id": FieldType.STRING,
    "evidence.s.failed": FieldType.INT,
    "evidence.s.unread": None,
    "now": FieldType.TIMESTAMP,
}


@pytest.mark.parametrize(
    ("condition", "facts"),
    [
        ("true", ()),
        ("submission.pace > 1.0", ("submission.pace",)),
        (
            "evidence.s.failed > 2 && submission.pace < 1.0 && evidence.s.failed < 9",
            ("evidence.s.failed", "submission.pace"),
        ),
        ('submission.id.matches("submission.pace") // now', ("submission.id",)),
        ("evidence.s.unread == 3 && now.getFullYear() > 2025", ("evidence.s.unread", "now")),
        ("[1, 2].exists(x, x == evidence.s.failed)", ("evidence.s.failed",)),
        (".submission.pace > 1.0", ("submission.pace",)),
        (f"'{'ä😀' * 200}' == submission.id || submission.pace > 1.0", ("submission.id", "submission.pace")),
    ],
)
def test_condition_facts_come_from_the_checked_expression(condition: str, facts: tuple[str, ...]) -> None:
    assert Environment(TYPES).compile(condition).facts == facts


def test_macro_variable_is_no_fact() -> None:
    """A variable of a macro may be named ``submission``; its ``pace`` is not the fact."""
    program = Environment(TYPES).compile('[{"pace": 1.0}].exists(submission, submission.pace > 1.0)')
    assert program.facts == ()
