"""Alerts: what people are notified of, found in the database. Any process may check, any number of times.

The key of a notification makes it unique. A key that contains the id of the notification about the end of the last
failure of its kind allows the same failure to be reported again after that.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from sqlalchemy.ext.asyncio import AsyncConnection

from service.notify import wording
from service.notify.wording import TITLES, Kind
from service.postgres.database import database_now
from service.rules import Finding, RuleBook
from service.store.fetches import failed_lately
from service.store.holds import HeldSubmission, HoldCount, count_holds, list_holds
from service.store.notifications import (
    add_notification,
    newest_of,
    unclaimed_studies,
    unreported_failures,
    unreported_pauses,
)
from service.store.refusals import refused_lately
from service.store.schedule import claim, finish, last_result, last_run

HOUR = timedelta(hours=1)
DIGEST_EVERY = timedelta(hours=24)
NEAR_DEADLINE = timedelta(days=3)
NEAR_DEADLINE_EVERY = timedelta(hours=6)
NEAR_DEADLINE_CHECK = timedelta(seconds=30)
UNCLAIMED_FOR = timedelta(minutes=10)  # rule files may be deployed shortly after the study
UNCLAIMED_CHECK = timedelta(minutes=1)
RULES_VALID_AFTER = timedelta(minutes=1)  # without errors found by any process
HOLDS_RUN = "notify.queue"
BROKEN_RULES_RUN = "notify.rules"
# The old name is stored in databases, so that renaming the key would send one more digest.
NOTIFIED = "told"  # the key in stored results of earlier versions

# Check one condition, and write its notifications.
Alert = Callable[[AsyncConnection], Awaitable[None]]


async def notify(
    connection: AsyncConnection, kind: Kind, key: object, text: str, *, every: timedelta = timedelta(0)
) -> None:
    await add_notification(connection, kind.value, str(key), TITLES[kind], text, every=every)


async def pauses_and_breakers(connection: AsyncConnection) -> None:
    """Notify of each breaker that opened, each pause and its end."""
    for row in await unreported_pauses(connection):
        kind, text = wording.pause_or_breaker(row)
        await notify(connection, kind, row.id, text)


async def failed_decisions(connection: AsyncConnection) -> None:
    """Notify of each decision that could not be applied, collected for an hour."""
    for row in await unreported_failures(connection):
        await notify(connection, Kind.FAILED, row.attempt_id, wording.failure(row), every=HOUR)


async def held_submissions(connection: AsyncConnection) -> None:
    """Notify of the first hold of an empty queue, at most once an hour, then send a digest once a day.

    A hold by a breaker or a pause is no first hold: these have notifications of their own.
    """
    counts = await count_holds(connection)
    # The state is stored, because any replica may run the next check.
    _, state = await last_result(connection, HOLDS_RUN)
    is_known = bool(state.get(NOTIFIED))
    # An empty queue ends the digests, and the next hold is a first one again.
    if not counts:
        if is_known:
            await _remember(connection, notified=False)
        return
    now = await database_now(connection)
    last, at = await newest_of(connection, Kind.FIRST_HOLD, Kind.DIGEST)
    quiet = now - at if at else DIGEST_EVERY
    is_old = now - min(row.oldest for row in counts) >= DIGEST_EVERY
    if quiet >= DIGEST_EVERY and (is_known or is_old):
        await notify(connection, Kind.DIGEST, last, wording.digest(counts, now))
        await _remember(connection, notified=True)
    elif quiet >= HOUR and not is_known and (hold := await _first(connection, counts, now)):
        await notify(connection, Kind.FIRST_HOLD, hold.decision_id, wording.first_hold(hold))
        await _remember(connection, notified=True)


async def _first(
    connection: AsyncConnection, counts: Sequence[HoldCount], now: datetime
) -> HeldSubmission | None:
    """Return the oldest hold that no breaker and no pause causes."""
    if all(_by_pause_or_breaker(row.guard) for row in counts):
        return None
    held = await list_holds(connection, now, limit=None)
    others = (hold for hold in held if not _by_pause_or_breaker(hold.guard))
    return min(others, key=lambda hold: hold.since, default=None)


def _by_pause_or_breaker(guard: str | None) -> bool:
    return guard == "paused" or (guard or "").startswith("limit.")


async def _remember(connection: AsyncConnection, *, notified: bool) -> None:
    await claim(connection, HOLDS_RUN, timedelta(0))
    await finish(connection, HOLDS_RUN, {NOTIFIED: notified})


async def near_deadlines(connection: AsyncConnection) -> None:
    """Notify of each hold that Prolific ends within three days, collected for six hours."""
    # Reading every hold is expensive, and deadlines are days away.
    if not await claim(connection, "notify.deadlines", NEAR_DEADLINE_CHECK):
        return
    now = await database_now(connection)
    for hold in await list_holds(connection, now, limit=None):
        if hold.deadline - now <= NEAR_DEADLINE:
            text = wording.near_deadline(hold)
            await notify(connection, Kind.DEADLINE, hold.submission_id, text, every=NEAR_DEADLINE_EVERY)


async def subscription(connection: AsyncConnection) -> None:
    """Notify if the state of Prolific's subscription changed, as the last sweep found it."""
    _, result = await last_result(connection, "sweep")
    state = result.get("subscription", {}).get("state")
    lost, _ = await newest_of(connection, Kind.SUBSCRIPTION_LOST)
    back, _ = await newest_of(connection, Kind.SUBSCRIPTION_BACK)
    # An unknown state changes nothing: Prolific did not answer.
    if state in {"disabled", "missing"}:
        text = wording.subscription_lost(state)
        await notify(connection, Kind.SUBSCRIPTION_LOST, f"{back}:{state}", text)
    elif state == "enabled" and lost > back:
        await notify(connection, Kind.SUBSCRIPTION_BACK, lost, "The subscription is enabled.")


async def broken_rules(connection: AsyncConnection, findings: Sequence[Finding]) -> None:
    """Notify of the errors that this process found in the rule files. Others may find different ones."""
    text = wording.broken([one for one in findings if one.severity == "error"])
    mended, _ = await newest_of(connection, Kind.RULES_MENDED)
    await notify(connection, Kind.RULES_BROKEN, f"{mended}:{sha256(text.encode()).hexdigest()}", text)
    await claim(connection, BROKEN_RULES_RUN, timedelta(0))


async def mended_rules(connection: AsyncConnection) -> None:
    """Notify that no process finds errors in the rule files any more."""
    broken, _ = await newest_of(connection, Kind.RULES_BROKEN)
    mended, _ = await newest_of(connection, Kind.RULES_MENDED)
    found = await last_run(connection, BROKEN_RULES_RUN)
    if broken > mended and found and await database_now(connection) - found.began_at > RULES_VALID_AFTER:
        await notify(connection, Kind.RULES_MENDED, broken, "The rule files have no errors any more.")


async def studies_without_rules(connection: AsyncConnection, book: RuleBook) -> None:
    """Notify once of each study without rules whose submissions await review."""
    if not await claim(connection, "notify.unclaimed", UNCLAIMED_CHECK):
        return
    for row in await unclaimed_studies(connection, UNCLAIMED_FOR):
        if book.files and book.file_for(row.id, row.parent_id) is None:
            await notify(connection, Kind.UNCLAIMED, row.id, wording.unclaimed(row))


async def refused_evidence(connection: AsyncConnection) -> None:
    """Report each source whose deliveries were refused, once an hour."""
    hour = (await database_now(connection)).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    rows = await refused_lately(connection, HOUR)
    for source in sorted({row.source for row in rows if row.last_at >= hour}):
        own = [row for row in rows if row.source == source]
        text = wording.refused_evidence(source, sum(row.number for row in own), [row.reason for row in own])
        await notify(connection, Kind.EVIDENCE_REFUSED, f"{source}/{hour.isoformat()}", text)


async def failed_evidence(connection: AsyncConnection) -> None:
    """Report each source that could not be asked, once an hour."""
    hour = (await database_now(connection)).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    for row in await failed_lately(connection, HOUR):
        if row.last_at >= hour:
            text = wording.failed_evidence(row.source, row.number)
            await notify(connection, Kind.EVIDENCE_FAILED, f"{row.source}/{hour.isoformat()}", text)


ALERTS: tuple[Alert, ...] = (
    pauses_and_breakers,
    failed_decisions,
    held_submissions,
    near_deadlines,
    subscription,
    mended_rules,
    refused_evidence,
    failed_evidence,
)
