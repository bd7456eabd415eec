"""Shadow rules: decisions of a second folder are recorded apart and never applied."""

from pathlib import Path

import pytest

from service.backtest.run import NothingToCompare, against_shadow
from service.sandbox.studies import STROOP
from tests.conftest import Start
from tests.integration.backtest.test_backtest import RULES, STRICTER, decided
from tests.world import World, until, write_rules


async def shadowed(world: World, number: int) -> None:
    async def look() -> bool:
        async with world.service.database.connect() as connection:
            found = await connection.exec_driver_sql("SELECT count(*) FROM shadow_decisions")
            return bool(found.scalar_one() == number)

    await until(look, f"{number} shadow decisions")


async def test_shadow_rules_record_decisions_and_send_nothing(start: Start, tmp_path: Path) -> None:
    folder = write_rules(tmp_path / "shadow", STRICTER)
    async with start(RULES, shadow_rules_dir=folder) as world:
        await loaded(world)
        decisions = [await decided(world, attention_failed=failed) for failed in (0, 1, 2)]
        await shadowed(world, 3)
        async with world.service.database.connect() as connection:
            found = (await against_shadow(connection, STROOP)).comparison.as_json()
        newest = [await world.decisions(decision["submission_id"]) for decision in decisions]
        calls = [world.calls(decision["submission_id"]) for decision in decisions]
    assert [len(one) for one in newest] == [1, 1, 1]
    assert [call[0]["action"] for call in calls] == ["APPROVE", "APPROVE", "REJECT"]
    assert found["matrix"] == {"approve": {"approve": 1, "reject": 1}, "reject": {"reject": 1}}
    assert [one["submission_id"] for one in found["changed"]] == [decisions[1]["submission_id"]]
    assert found["rules"][0]["matched"] == 2


async def loaded(world: World) -> None:
    """Wait until the shadow rules are stored. They decide later submissions too."""

    async def look() -> bool:
        async with world.service.database.connect() as connection:
            found = await connection.exec_driver_sql("SELECT count(*) FROM rule_files")
            return bool(found.scalar_one() >= 2)

    await until(look, "the shadow's rules")


async def test_broken_shadow_rules_change_no_live_decision(start: Start, tmp_path: Path) -> None:
    folder = write_rules(tmp_path / "shadow", "version: 1\nname: broken\n")
    async with start(RULES, shadow_rules_dir=folder) as world:
        decision = await decided(world, attention_failed=0)
        async with world.service.database.connect() as connection:
            with pytest.raises(NothingToCompare, match="SHADOW_RULES_DIR"):
                await against_shadow(connection, STROOP)
    assert (decision["outcome"], decision["status"]) == ("approve", "applied")
