"""Generated requests, with responses validated by the OpenAPI document."""

import asyncio
from collections.abc import Iterator
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from tests.conftest import Start
from tests.world import ADMIN, EVIDENCE, bearer, rules_text

EXAMPLES = 3  # of each route, valid and invalid, for known ids and for any
HOLD = "\n  - name: look\n    when: true\n    hold: Look at it.\n"

load_all_checks()


async def test_responses_to_generated_requests_match_the_openapi_document(start: Start) -> None:
    async with start(rules_text(HOLD)) as world:
        held = world.completed()
        decision = await world.reviewed(held)
        known = {
            "/api/decisions/{id}": {"id": decision["id"]},
            "/api/studies/{id}": {"id": held.study_id},
            "/api/submissions/{id}": {"id": held.id},
            "/api/submissions/{id}/resolve": {"id": held.id},
            "/evidence/{source}": {"source": "survey"},
            "/evidence/{source}/{submission_id}": {"source": "survey", "submission_id": held.id},
        }
        described = await world.api("openapi.json")
        # Schemathesis blocks while it waits for an answer, and the service answers in this thread.
        failures = await asyncio.to_thread(lambda: list(_failures(described, world.url, known)))
    assert not failures, "\n\n".join(failures)


def _failures(described: dict[str, Any], url: str, known: dict[str, dict[str, Any]]) -> Iterator[str]:
    schema = schemathesis.openapi.from_dict(described)
    schema.config.update(base_url=url)
    # Each request carries the right token. Other tests send wrong ones, which are limited.
    schema.config.generation.update(with_security_parameters=False)
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        takes_input = operation.body or operation.query
        modes = list(GenerationMode) if takes_input else [GenerationMode.POSITIVE]
        paths: list[dict[str, Any] | None] = [None]
        if operation.path in known:
            paths.append(known[operation.path])
        for mode in modes:
            for path in paths:
                try:
                    _check(operation, mode, path)
                except* Exception as group:
                    yield f"{operation.label}, {mode}, {path}: {group.exceptions}"


def _check(operation: Any, mode: GenerationMode, path: dict[str, Any] | None) -> None:
    is_evidence = operation.path.startswith("/evidence")
    headers = bearer(EVIDENCE if is_evidence else ADMIN)
    # Rule files declare the fields of evidence, so the description cannot.
    excluded = [ignored_auth, positive_data_acceptance] if is_evidence else [ignored_auth]

    @settings(
        max_examples=EXAMPLES,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode, path_parameters=path))
    def check(case: Any) -> None:
        case.call_and_validate(headers=headers, excluded_checks=excluded)

    check()
