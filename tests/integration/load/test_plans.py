"""On a database of long use, nothing that is asked for often reads a table whole that grows with every submission."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from service.app import Parts
from service.domain.decision import Mode, Outcome
from service.notify.alerts import ALERTS
from service.ops.gauges import Gauges
from service.postgres.database import Database, database_now
from service.review.retry_policy import MOST_IN_AN_HOUR
from service.store.counting import Window, newest_outcomes, number_in_a_day, reward_in_a_day
from service.store.decisions import failed_submissions
from service.store.history import history_of
from service.store.holds import held_or_observed
from service.store.notifications import active_studies, unclaimed_studies
from service.store.overdue import (
    RECENT,
    missing_from_list,
    overdue_timers,
    pending_without_job,
    unprocessed_in_list,
)
from service.store.overview import version
from service.store.pauses import scopes
from service.store.pruning import prune_events
from service.store.reviews import begin_review, end_review
from service.store.rulebooks import RulesVersion, decided_under_other_rules
from service.store.statistics import past_of_participant
from service.store.submissions import studies_with_parents
from tests.conftest import Start
from tests.databases import TEMPLATE, create, named
from tests.integration.load.filling import STUDIES, fill
from tests.integration.load.pages import PAGES, PARTICIPANT, STUDY, SUBMISSION
from tests.integration.load.plans import Executed, noted
from tests.integration.pages.browsing import person

NUMBER = 20_000
WEB = Parts(worker=False)


@pytest.fixture(scope="module")
def filled_url(postgres: str) -> str:
    create(postgres, "filled", like=TEMPLATE)
    fill(named(postgres, "filled"), NUMBER, waiting=NUMBER // 10)
    return named(postgres, "filled")


@pytest.fixture
def database_url(filled_url: str) -> str:
    """The same for each test here: none changes it much."""
    return filled_url


@pytest.fixture
def no_whole_table(database_url: str) -> Iterator[list[Executed]]:
    """Check in the end what the test has noted."""
    everything: list[Executed] = []
    yield everything
    assert sum(len(executed.statements) for executed in everything)
    assert [found for executed in everything for found in executed.whole_table_reads(database_url)] == []


async def test_the_api_reads_indexes_and_kept_counts(start: Start, no_whole_table: list[Executed]) -> None:
    filters = {
        "submission": SUBMISSION,
        "study": STUDY,
        "participant": PARTICIPANT,
        "outcome": "complete",
        "rule": "unknown",
        "status": "failed",
        "trigger": "person",
        "since": "2040-01-01",
    }
    async with start(parts=WEB) as world:
        with noted(world.service.database) as executed:
            for name, value in filters.items():
                await world.api("decisions", **{name: value})
            await world.api("decisions")
            await world.api(f"submissions/{SUBMISSION}")
            await world.api("holds")
            await world.api("holds", study=STUDY)
            await world.api(f"studies/{STUDY}")
            await world.api("status")
            await Gauges(world.service.database, world.service.metrics).look()
    no_whole_table.append(executed)


async def test_the_dashboard_reads_indexes(start: Start, no_whole_table: list[Executed]) -> None:
    async with start(parts=WEB) as world, person(world) as ada:
        csrf = await ada.csrf()
        with noted(world.service.database) as executed:
            for path in PAGES:
                assert (await ada.http.get(path)).status_code in {200, 204, 303}, path
            answer = await ada.send("/holds/dialog", csrf=csrf, all="1", action="approve")
            assert answer.status_code == 200
            async with world.service.database.single() as connection:
                await version(connection)
    no_whole_table.append(executed)


async def test_a_sweep_reads_indexes(database_url: str, no_whole_table: list[Executed]) -> None:
    database = Database(database_url, pool_size=1)
    listed = [f"submission-{number}" for number in range(7, 2000, STUDIES)]
    with noted(database) as executed:
        async with database.begin() as connection:
            now = await database_now(connection)
            assert len(await studies_with_parents(connection, within=RECENT)) == STUDIES
            await unprocessed_in_list(connection, listed, now)
            await missing_from_list(connection, STUDY, listed, now)
            assert len(await pending_without_job(connection, now)) == NUMBER / 1000
            await overdue_timers(connection)
    await database.close()
    no_whole_table.append(executed)


async def test_pruning_reads_indexes(database_url: str, no_whole_table: list[Executed]) -> None:
    database = Database(database_url, pool_size=1)
    with noted(database) as executed:
        async with database.begin() as connection:
            now = await database_now(connection)
            await prune_events(connection, now - timedelta(days=7, minutes=1), timedelta(days=7))
    await database.close()
    no_whole_table.append(executed)


async def test_a_review_reads_indexes(database_url: str, no_whole_table: list[Executed]) -> None:
    database = Database(database_url, pool_size=1)
    window = Window(STUDY, 0, SUBMISSION)
    with noted(database) as executed:
        async with database.begin() as connection:
            now = await database_now(connection)
            begun = await begin_review(connection, SUBMISSION, MOST_IN_AN_HOUR)
            await history_of(
                connection,
                SUBMISSION,
                study=STUDY,
                participant=PARTICIPANT,
                sources=["survey"],
                holds_end=True,
            )
            await past_of_participant(connection, PARTICIPANT, without=SUBMISSION)
            await newest_outcomes(connection, window, 49)
            await number_in_a_day(connection, window, Outcome.REJECT, now + timedelta(days=300))
            await reward_in_a_day(connection, window, now + timedelta(days=300))
            await end_review(connection, SUBMISSION, began=begun.now, unread=(), lease=None)
    await database.close()
    no_whole_table.append(executed)


async def test_notifications_and_commands_read_indexes(
    database_url: str, no_whole_table: list[Executed]
) -> None:
    database = Database(database_url, pool_size=1)
    with noted(database) as executed:
        async with database.begin() as connection:
            for look in ALERTS:
                await look(connection)
            await active_studies(connection)
            await scopes(connection)
            assert len(await failed_submissions(connection)) == 4 * NUMBER / 1000
            assert len(await held_or_observed(connection, None)) == 30 * NUMBER / 1000
            behind = await decided_under_other_rules(
                connection, lambda study, _: RulesVersion("1" * 64, Mode.LIVE) if study == STUDY else None
            )
            assert len(behind) < NUMBER / STUDIES
            await unclaimed_studies(connection, timedelta(0))
    await database.close()
    no_whole_table.append(executed)
