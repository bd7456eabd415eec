"""The state of the service, as ``/api/status`` and ``autoreview status`` show it."""

from dataclasses import asdict
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service import __version__
from service.domain.decision import Mode
from service.rulebook.current import RulesInForce
from service.rules import RuleBook
from service.store.audit import decision_counts, job_counts, observed_rules
from service.store.fetches import failed_lately
from service.store.inbox import inbox_counts
from service.store.overview import Waiting, waiting
from service.store.pauses import Scope, scopes
from service.store.refusals import refused_lately
from service.store.schedule import Run, last_run
from service.store.submissions import unclaimed_count
from service.store.tallies import tallied
from service.store.workers import highest_mode, workers_at_work


async def service_status(connection: AsyncConnection, rules: RulesInForce, mode: Mode) -> dict[str, Any]:
    """Return the state of the service. ``mode`` is reported where no worker recorded its own."""
    workers = await workers_at_work(connection)
    in_force = await scopes(connection)
    service = in_force.get(None) or Scope(None)
    kept = await tallied(connection)
    return {
        "version": __version__,
        "mode": (highest_mode(workers) or mode).value,
        "workers": [worker.as_dict() for worker in workers],
        "paused": service.pause is not None,
        "pauses": [one for scope in in_force.values() for one in scope.as_dicts() if one["kind"] == "pause"],
        "rules": rules_state(rules),
        "inbox": asdict(await inbox_counts(connection, kept)) | {"unclaimed": unclaimed_count(kept)},
        "jobs": asdict(await job_counts(connection)),
        "waiting": _waiting_state(await waiting(connection)),
        "decisions": decision_counts(kept),
        "observed_rules": [asdict(rule) for rule in observed_rules(kept)],
        "breakers": [breaker.as_dict() for scope in in_force.values() for breaker in scope.breakers],
        "evidence": {
            "refused": [asdict(row) for row in await refused_lately(connection)],
            "failed": [asdict(row) for row in await failed_lately(connection)],
        },
        **_sweep_state(await last_run(connection, "sweep")),
    }


def _waiting_state(found: Waiting) -> dict[str, Any]:
    """Return what awaits review: numbers by state, and the oldest submission of each group."""
    names = dict.fromkeys(group.state for group in found.groups)
    return {
        "by_state": {name: found.number(name) for name in names},
        "groups": [asdict(group) for group in found.groups],
        "next_deadline": found.next_deadline,
        "is_complete": found.is_complete,
    }


def _sweep_state(run: Run | None) -> dict[str, Any]:
    """Return the last sweep, and whether Prolific's subscription points here. None before the first."""
    result = dict(run.result or {}) if run else {}
    subscription = result.pop("subscription", None)
    times = {"began_at": run.began_at, "ended_at": run.ended_at} if run else {}
    return {"sweep": times | result if run else None, "subscription": subscription}


def rules_state(rules: RulesInForce) -> dict[str, Any]:
    """Return the rule files in force, with their errors and warnings."""
    book: RuleBook = rules.book
    return {
        "files": [
            {
                "file": file.path,
                "name": file.name,
                "hash": file.hash,
                "studies": list(file.studies) if file.studies is not None else "all",
                "mode": file.mode.value if file.mode else None,
                "rules": len(file.rules),
            }
            for file in book.files
        ],
        "loaded_at": rules.loaded_at,
        "errors": [str(finding) for finding in rules.errors if finding.severity == "error"],
        "warnings": [str(finding) for finding in book.warnings],
    }
