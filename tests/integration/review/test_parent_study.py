"""A submission of a quota or representative-sample study goes by the rules of the study that it is a part of."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.domain.submission import Status
from service.rules import load
from service.sandbox.model import SimSubmission
from service.sandbox.studies import STROOP, TWO_PARTS
from tests.conftest import Start
from tests.world import World, rules_text, write_rules

CHILD, PARENT, OTHER = "child", "parent", "another"


def file_of(studies: str) -> str:
    return rules_text().replace(f"studies: [{STROOP}]", f"studies: {studies}")


@pytest.mark.parametrize(
    ("claims", "study", "parent", "expected"),
    [
        (["[child]", "[parent]", "all"], CHILD, PARENT, "[child]"),
        (["[parent]", "all"], CHILD, PARENT, "[parent]"),
        (["all"], CHILD, PARENT, "all"),
        (["[parent]", "all"], CHILD, None, "all"),
        (["[parent]"], CHILD, None, None),
        (["[parent]"], CHILD, OTHER, None),
        (["[parent]"], PARENT, None, "[parent]"),
        (["[child]"], PARENT, None, None),
    ],
)
def test_the_file_of_the_study_comes_before_that_of_its_parent_and_that_before_all(
    tmp_path: Path, claims: list[str], study: str, parent: str | None, expected: str | None
) -> None:
    for number, claim in enumerate(claims):
        write_rules(tmp_path, file_of(claim), f"{number}.yaml")
    found = load(tmp_path).file_for(study, parent)
    assert (found and found.path) == (None if expected is None else f"{claims.index(expected)}.yaml")


@asynccontextmanager
async def with_a_part(start: Start, parent: str) -> AsyncIterator[tuple[World, SimSubmission]]:
    """A submission of a study that is part of another, as Prolific shows it."""
    async with start() as world:
        world.sandbox.studies[TWO_PARTS].parent_id = parent
        yield world, world.completed(study=TWO_PARTS, code="B0THPART")


async def test_the_parents_file_decides_a_submission_of_a_child_study(start: Start) -> None:
    async with with_a_part(start, STROOP) as (world, submission):
        decision = await world.reviewed(submission)
        found = (decision["outcome"], decision["status"], decision["rule_file"])
        assert found == ("approve", "applied", "rules.yaml")
        assert decision["study_id"] == TWO_PARTS, "limits and pauses are those of the study itself"
        assert submission.status is Status.APPROVED
        assert (await world.api("status"))["inbox"]["unclaimed"] == 0


async def test_a_child_study_that_has_a_file_goes_by_that(start: Start, tmp_path: Path) -> None:
    own = rules_text(otherwise="hold").replace(STROOP, TWO_PARTS)
    write_rules(tmp_path / "rules", own, "own.yaml")
    async with with_a_part(start, STROOP) as (world, submission):
        decision = await world.reviewed(submission)
        assert (decision["outcome"], decision["rule_file"]) == ("hold", "own.yaml")


async def test_a_child_of_a_study_without_rules_is_unclaimed(start: Start) -> None:
    async with with_a_part(start, "5f0000000000000000000001") as (world, submission):
        await world.tell(submission.id)
        await world.at_rest()
        assert await world.decisions(submission.id) == []
        assert (await world.api("status"))["inbox"]["unclaimed"] == 1
