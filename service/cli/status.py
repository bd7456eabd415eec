"""``autoreview status``: shows the state of the service on one screen."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from service.console.output import Json, echo, plain, print_json
from service.domain import moment

STATES = {
    "held": "wait for a person: autoreview holds",
    "data": "wait for evidence",
    "failed": "failed: autoreview retry --all",
    "queued": "wait for their review",
    "unclaimed": "are of a study that no rule file names",
    "sending": "are on the way to Prolific",
    "asked": "are asked to return",
    "observed": "are decided and not sent: the mode only observes",
    "ended": "are decided, and Prolific does not show it yet",
}
WIDTH = 10  # of the names before the values


def status(as_json: Json = False) -> None:
    """Show the state of the service: mode, rules, queue, holds, pauses and what waits for evidence."""
    origin, found = _status()
    if as_json:
        print_json(found)
        return
    now = datetime.now(UTC)
    for name, lines in _screen(found, origin, now):
        first, *rest = [*lines] or ["none"]
        echo(f"{name:{WIDTH}}{first}", *(f"{'':{WIDTH}}{line}" for line in rest))


def _status() -> tuple[str, dict[str, Any]]:
    """Return whose mode and rules these are, and the state as ``/api/status`` has it."""
    from sqlalchemy.ext.asyncio import AsyncConnection

    from service.cli.database import ask
    from service.ops.status import service_status
    from service.rulebook.at_work import at_work
    from service.rulebook.current import RulesInForce
    from service.settings import Settings
    from service.store.rulebooks import newest_loaded_at

    settings = Settings.from_environment()

    async def question(connection: AsyncConnection) -> tuple[str, dict[str, Any]]:
        found = await at_work(connection, settings)
        loaded_at = await newest_loaded_at(connection) or datetime.now(UTC)
        rules = RulesInForce(found.book, loaded_at)
        state: dict[str, Any] = plain(await service_status(connection, rules, found.settings.mode))
        return found.origin, state

    return ask(question)


def _screen(state: Mapping[str, Any], origin: str, now: datetime) -> Iterator[tuple[str, Iterable[str]]]:
    inbox, jobs = state["inbox"], state["jobs"]
    yield "mode", [f"{state['mode']} ({origin})"]
    yield "workers", [f"{len(state['workers'])} at work, version {state['version']}"]
    yield "rules", _rules(state["rules"], now)
    last = f"the last {_ago(inbox['last_at'], now)}" if inbox["last_at"] else "none arrived yet"
    yield "webhooks", [f"{inbox['events']} received, {last}, {inbox['unreadable']} unreadable"]
    due = f", the oldest {_ago(jobs['oldest'], now)}" if jobs["oldest"] else ""
    yield "queue", [f"{jobs['queued']} jobs due{due}"]
    yield "waiting", _waiting(state["waiting"], now)
    yield (
        "paused",
        [
            f"{_scope(one)} by {one['by']} {_ago(one['since'], now)}: {one['reason']}"
            for one in state["pauses"]
        ],
    )
    yield (
        "breakers",
        [f"{_scope(one)} {one['limit']}, opened {_ago(one['since'], now)}" for one in state["breakers"]],
    )
    yield "refused", [_refused(one) for one in state["evidence"]["refused"]]
    yield "fetches", [_failed_fetches(one) for one in state["evidence"].get("failed", ())]
    yield "sweep", _sweep(state, now)


def _rules(rules: Mapping[str, Any], now: datetime) -> Iterator[str]:
    for file in rules["files"]:
        studies = file["studies"] if isinstance(file["studies"], str) else ", ".join(file["studies"])
        mode = f", mode {file['mode']}" if file["mode"] else ""
        yield f"{file['file']}: {file['name']}, {file['rules']} rules, studies: {studies}{mode}"
    if rules["files"]:
        yield f"loaded {_ago(rules['loaded_at'], now)}"
    yield from rules["errors"]


def _waiting(waiting: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """Yield one line for each state, with its oldest submission. For evidence also name the source."""
    for name, number in waiting["by_state"].items():
        groups = [group for group in waiting["groups"] if group["state"] == name]
        oldest = min(groups, key=lambda group: str(group["oldest"]))
        # Only the part that names the source: the rest may quote what a source answered.
        why = f": {oldest['reason'].partition(':')[0]}" if name == "data" and oldest["reason"] else ""
        yield f"{number} {STATES[name]} (oldest {oldest['submission']}, {_ago(oldest['oldest'], now)}{why})"
    if waiting["next_deadline"]:
        yield f"Prolific approves the first held one {_moment(waiting['next_deadline'])}"
    if not waiting["is_complete"]:
        yield "Only the oldest are counted."


def _refused(refused: Mapping[str, Any]) -> str:
    return f"{refused['number']} deliveries of {refused['source']}, {refused['reason']}: {refused['last_message']}"


def _failed_fetches(failed: Mapping[str, Any]) -> str:
    return f"{failed['number']} failed at {failed['source']}: {failed['last_reason']}"


def _sweep(state: Mapping[str, Any], now: datetime) -> list[str]:
    sweep, subscription = state["sweep"], state["subscription"]
    if not sweep:
        return ["none yet"]
    points = f", subscription {subscription['state']}" if subscription else ""
    return [f"{_ago(sweep['ended_at'] or sweep['began_at'], now)}{points}"]


def _scope(one: Mapping[str, Any]) -> str:
    return f"study {one['study']}" if one["study"] else "the whole service"


def _moment(text: str) -> str:
    at = moment.parse(text)
    return f"at {at:%Y-%m-%d %H:%M} UTC" if at else text


def _ago(text: str, now: datetime) -> str:
    from service.cli.holds import length

    at = moment.parse(text)
    return f"{length(max(int((now - at).total_seconds()), 0))} ago" if at else text
