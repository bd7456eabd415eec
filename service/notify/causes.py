"""What people should be told of, found by looking at the database: whoever looks, and however often, it is told once.

That is what a notice's key is for. ``after`` in a key is the notice that ended the last trouble of this sort: the
same trouble is told again only after its end was.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy.ext.asyncio import AsyncConnection

from service.notify import sentences
from service.notify.sentences import TITLES, Kind
from service.postgres.database import database_now
from service.rules import Finding, RuleBook
from service.store.holds import HeldSubmission, HoldCount, count_holds, list_holds
from service.store.notifications import (
    add_notification,
    newest_of,
    unclaimed_studies,
    unreported_brakes,
    unreported_failures,
)
from service.store.schedule import claim, finish, last_result, last_run

HOUR = timedelta(hours=1)
DIGEST_EVERY = timedelta(hours=24)
NEAR = timedelta(days=3)
NEAR_EVERY = timedelta(hours=6)
NEAR_LOOK = timedelta(seconds=30)
UNCLAIMED_FOR = timedelta(minutes=10)  # rule files may be deployed a little after the study
UNCLAIMED_LOOK = timedelta(minutes=1)
SURELY = timedelta(minutes=1)  # rules that no process has found broken for this long are mended
QUEUE = "notify.queue"
BROKEN = "notify.rules"

Look = Callable[[AsyncConnection], Awaitable[None]]


async def tell(
    connection: AsyncConnection, kind: Kind, key: object, text: str, *, every: timedelta = timedelta(0)
) -> None:
    await add_notification(connection, kind.value, str(key), TITLES[kind], text, every=every)


async def brakes(connection: AsyncConnection) -> None:
    """Each breaker that opened, each pause and its end."""
    for row in await unreported_brakes(connection):
        kind, text = sentences.brake(row)
        await tell(connection, kind, row.id, text)


async def failures(connection: AsyncConnection) -> None:
    """Each application that failed for good, gathered for an hour."""
    for row in await unreported_failures(connection):
        await tell(connection, Kind.FAILED, row.attempt_id, sentences.failure(row), every=HOUR)


async def queue(connection: AsyncConnection) -> None:
    """The first hold of a queue that was empty, at most once an hour; then a digest each day while there are any.

    What a breaker or a pause holds is told by their own notices, and in the digest.
    """
    counts = await count_holds(connection)
    _, said = await last_result(connection, QUEUE)
    is_known = bool(said.get("told"))
    if not counts:
        if is_known:
            await _remember(connection, told=False)
        return
    now = await database_now(connection)
    last, at = await newest_of(connection, Kind.FIRST_HOLD, Kind.DIGEST)
    quiet = now - at if at else DIGEST_EVERY
    is_old = now - min(row.oldest for row in counts) >= DIGEST_EVERY
    if quiet >= DIGEST_EVERY and (is_known or is_old):
        await tell(connection, Kind.DIGEST, last, sentences.digest(counts, now))
        await _remember(connection, told=True)
    elif quiet >= HOUR and not is_known and (hold := await _first(connection, counts, now)):
        await tell(connection, Kind.FIRST_HOLD, hold.decision_id, sentences.first_hold(hold))
        await _remember(connection, told=True)


async def _first(
    connection: AsyncConnection, counts: Sequence[HoldCount], now: datetime
) -> HeldSubmission | None:
    """The longest held of those that no breaker and no pause holds."""
    if all(_by_brake(row.guard) for row in counts):
        return None
    held = await list_holds(connection, now, limit=None)
    others = (hold for hold in held if not _by_brake(hold.guard))
    return min(others, key=lambda hold: hold.since, default=None)


def _by_brake(guard: str | None) -> bool:
    return guard == "paused" or (guard or "").startswith("limit.")


async def _remember(connection: AsyncConnection, *, told: bool) -> None:
    await claim(connection, QUEUE, timedelta(0))
    await finish(connection, QUEUE, {"told": told})


async def deadlines(connection: AsyncConnection) -> None:
    """Each hold that Prolific will end within three days, gathered for six hours."""
    if not await claim(connection, "notify.deadlines", NEAR_LOOK):
        return
    now = await database_now(connection)
    for hold in await list_holds(connection, now, limit=None):
        if hold.deadline - now <= NEAR:
            text = sentences.near_deadline(hold)
            await tell(connection, Kind.DEADLINE, hold.submission_id, text, every=NEAR_EVERY)


async def subscription(connection: AsyncConnection) -> None:
    """What the last sweep found of Prolific's subscription, if that has changed."""
    _, said = await last_result(connection, "sweep")
    state = said.get("subscription", {}).get("state")
    lost, _ = await newest_of(connection, Kind.SUBSCRIPTION_LOST)
    back, _ = await newest_of(connection, Kind.SUBSCRIPTION_BACK)
    if state in {"disabled", "missing"}:
        text = sentences.subscription_lost(state)
        await tell(connection, Kind.SUBSCRIPTION_LOST, f"{back}:{state}", text)
    elif state == "enabled" and lost > back:
        await tell(connection, Kind.SUBSCRIPTION_BACK, lost, "The subscription is enabled.")


async def broken_rules(connection: AsyncConnection, findings: Sequence[Finding]) -> None:
    """What this process found wrong with the rule files; each other may find something else."""
    text = sentences.broken([one for one in findings if one.severity == "error"])
    mended, _ = await newest_of(connection, Kind.RULES_MENDED)
    await tell(connection, Kind.RULES_BROKEN, f"{mended}:{sha256(text.encode()).hexdigest()}", text)
    await claim(connection, BROKEN, timedelta(0))


async def mended_rules(connection: AsyncConnection) -> None:
    """The rules were told to be broken, and no process finds them so any more."""
    broken, _ = await newest_of(connection, Kind.RULES_BROKEN)
    mended, _ = await newest_of(connection, Kind.RULES_MENDED)
    found = await last_run(connection, BROKEN)
    if broken > mended and found and await database_now(connection) - found.began_at > SURELY:
        await tell(connection, Kind.RULES_MENDED, broken, "No file has errors any more.")


async def unclaimed(connection: AsyncConnection, book: RuleBook) -> None:
    """Each study without rules whose submissions stay undecided, once: they wait until Prolific pays on day 21."""
    if not await claim(connection, "notify.unclaimed", UNCLAIMED_LOOK):
        return
    for row in await unclaimed_studies(connection, UNCLAIMED_FOR):
        if book.files and book.file_for(row.id, row.parent_id) is None:
            await tell(connection, Kind.UNCLAIMED, row.id, sentences.unclaimed(row))


LOOKS: tuple[Look, ...] = (brakes, failures, queue, deadlines, subscription, mended_rules)
