"""The OpenAPI document describes the routes and their responses."""

from collections.abc import Iterator
from typing import Any

import jsonschema
from starlette.routing import BaseRoute, Mount, Route

from service.app import Parts
from tests.conftest import Start
from tests.world import EVIDENCE, bearer


def routes(found: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Return each path with each of its methods."""
    for route in found:
        if isinstance(route, Mount):
            yield from routes(list(route.routes), prefix + route.path)
        if isinstance(route, Route) and route.include_in_schema:
            for method in (route.methods or {"GET"}) - {"HEAD"}:
                yield prefix + route.path, method.lower()


CALLED_BY_MACHINES = ("/webhooks", "/evidence", "/api", "/livez", "/healthz", "/readyz", "/metrics")
"""The other routes are pages, for browsers."""


async def test_openapi_document_describes_exactly_the_routes(start: Start) -> None:
    async with start() as world:
        described = await world.api("openapi.json")
        there = {(path, method) for path, what in described["paths"].items() for method in what}
        served = set(routes(world.service.web.routes))
        assert there == {(path, method) for path, method in served if path.startswith(CALLED_BY_MACHINES)}


async def test_responses_match_the_openapi_document(start: Start) -> None:
    hold = "\n  - name: look\n    when: true\n    hold: Look at it.\n"
    from tests.world import rules_text

    async with start(rules_text(hold)) as world:
        described = await world.api("openapi.json")
        submission = world.completed()
        await world.reviewed(submission)
        decision = (await world.decisions(submission.id))[0]
        holds = await world.api("holds")
        checks = [
            ("/api/decisions", await world.api("decisions")),
            ("/api/decisions/{id}", await world.api(f"decisions/{decision['id']}")),
            ("/api/submissions/{id}", await world.api(f"submissions/{submission.id}")),
            ("/api/studies/{id}", await world.api(f"studies/{submission.study_id}")),
            ("/api/holds", holds),
        ]
        assert len(holds["results"]) == 1
        for path, answer in checks:
            jsonschema.validate(answer, schema_of(described, path), cls=jsonschema.Draft202012Validator)


async def test_responses_to_evidence_match_the_openapi_document(start: Start) -> None:
    good, bad = {"submission_id": "abc", "attention_failed": 1}, {"submission_id": "def", "consented": 7}
    async with start(parts=Parts(web=True, worker=False)) as world:
        described = (await world.api("openapi.json"))["paths"]["/evidence/{source}"]["post"]["responses"]
        components = (await world.api("openapi.json"))["components"]
        for body, status, kind in [
            (good, "202", "application/json"),
            (good, "200", "application/json"),
            ([good, bad], "207", "application/json"),
            ([bad, bad], "422", "application/json"),
            (bad, "422", "application/problem+json"),
        ]:
            answer = await world.http.post("/evidence/survey", json=body, headers=bearer(EVIDENCE))
            assert (str(answer.status_code), answer.headers["content-type"]) == (status, kind)
            schema = described[status]["content"][kind]["schema"] | {"components": components}
            jsonschema.validate(answer.json(), schema, cls=jsonschema.Draft202012Validator)


def schema_of(described: dict[str, Any], path: str) -> dict[str, Any]:
    answer = described["paths"][path]["get"]["responses"]["200"]
    schema: dict[str, Any] = answer["content"]["application/json"]["schema"]
    return schema | {"components": described["components"]}
