"""Health and metrics: what probes and Prometheus see."""

from uuid import uuid4

import psycopg

from service.app import Parts
from service.store.workers import FRESH
from tests.conftest import Start
from tests.databases import named
from tests.world import World, until


async def ready(world: World) -> None:
    async def look() -> bool:
        return (await world.http.get("/readyz")).status_code == 200

    await until(look, "the service to be ready")


async def test_a_service_at_work_is_alive_and_ready(start: Start) -> None:
    async with start() as world:
        await ready(world)
        for route in ("/livez", "/healthz", "/readyz"):
            assert (await world.http.get(route)).status_code == 200
        verbose = (await world.http.get("/readyz?verbose")).json()
        assert verbose["ready"] is True
        assert set(verbose["checks"]) == {"database", "schema", "rules", "worker"}


async def test_on_a_later_schema_that_says_it_works_for_this_version_it_is_ready(
    start: Start, database_url: str
) -> None:
    """Expand, then contract: a newer version migrates first, the older one serves on beside it."""
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("INSERT INTO schema_heads (head) VALUES ('9999')")
    async with start() as world:
        await ready(world)
        answer = await world.http.get("/readyz?verbose")
        assert answer.status_code == 200
        assert "9999 (a later one" in answer.json()["checks"]["schema"]["detail"]
        assert (await world.reviewed(world.completed()))["status"] == "applied"


async def test_without_a_schema_it_is_not_ready_and_says_what_to_run(start: Start, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.execute("DELETE FROM schema_heads")
    async with start(parts=Parts(web=True, worker=False)) as world:
        answer = await world.http.get("/readyz")
        assert answer.status_code == 503
        assert "autoreview migrate" in answer.text
        assert (await world.http.get("/livez")).status_code == 200


async def test_without_its_database_it_is_alive_but_not_ready(
    start: Start, database_url: str, postgres: str
) -> None:
    moved = f"moved_{uuid4().hex}"
    database = database_url.rpartition("/")[2]
    async with start(parts=Parts(web=True, worker=False)) as world:
        with psycopg.connect(named(postgres, "postgres"), autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{database}" RENAME TO "{moved}"')
            try:
                assert (await world.http.get("/readyz")).status_code == 503
                assert (await world.http.get("/livez")).status_code == 200
            finally:
                connection.execute(f'ALTER DATABASE "{moved}" RENAME TO "{database}"')
        assert (await world.http.get("/readyz")).status_code == 200


async def test_a_worker_alone_is_ready_by_its_own_heartbeat(start: Start) -> None:
    async with start(parts=Parts(web=False, worker=True)) as world:
        await ready(world)
        checks = (await world.http.get("/readyz?verbose")).json()["checks"]
        assert set(checks) == {"database", "worker"}
        assert (await world.http.post("/webhooks/prolific")).status_code == 404
        world.service.health.worker_running = False
        assert (await world.http.get("/readyz")).status_code == 503


async def test_readyz_of_both_halves_includes_the_own_worker(start: Start, database_url: str) -> None:
    """Other replicas' heartbeats say nothing about a worker that can't reach the database."""
    async with start() as world:
        await ready(world)
        with psycopg.connect(database_url) as connection:
            connection.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")  # another replica's, alive
        health = world.service.health
        health.heartbeat_at = health.timer() - FRESH.total_seconds() - 1
        answer = await world.http.get("/readyz")
        assert (answer.status_code, "worker: The worker's last heartbeat" in answer.text) == (503, True)


async def test_readyz_of_a_web_process_says_nothing_of_workers(start: Start) -> None:
    async with start(parts=Parts(web=True, worker=False)) as world:
        await ready(world)
        checks = (await world.http.get("/readyz?verbose")).json()["checks"]
        assert set(checks) == {"database", "schema", "rules"}


async def test_a_service_on_its_way_out_is_not_ready_but_answers(start: Start) -> None:
    async with start(parts=Parts(web=True, worker=False)) as world:
        world.service.health.draining = True
        assert (await world.http.get("/readyz")).status_code == 503
        assert (await world.tell("abc")).status_code == 202


async def test_metrics_count_what_happens(start: Start) -> None:
    async with start() as world:
        await world.reviewed(world.completed())
        await world.http.post("/webhooks/prolific", content=b"forged")
        text = (await world.http.get("/metrics")).text
        for line in (
            'autoreview_webhooks_total{result="accepted"} 1.0',
            'autoreview_webhooks_total{result="signature"} 1.0',
            'autoreview_reviews_total{result="applied"} 1.0',
            'autoreview_decisions_total{guard="",outcome="approve"} 1.0',
            'autoreview_applications_total{status="applied"} 1.0',
            "autoreview_rules_files 1.0",
        ):
            assert line in text
