"""The rule books that were loaded: each file by its hash, their sets, and the submissions to review for new rules."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Mode, Trigger
from service.store.decisions import STATUS_OF, newest_decision
from service.store.submissions import studies_with_parents
from service.store.tables import rule_books, rule_files

# The bytes of each file, by its name.
Book = dict[str, bytes]


async def save_book(
    connection: AsyncConnection, book: Mapping[str, bytes], hashes: Mapping[str, str]
) -> None:
    """Save each file by its hash, and the book as the last valid one."""
    key = sa.func.hashtextextended("autoreview:rule_books", 0)
    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))
    await save_files(connection, book, hashes)
    if await newest_hashes(connection) != dict(hashes):
        await connection.execute(sa.insert(rule_books).values(files=dict(hashes)))


async def save_files(
    connection: AsyncConnection, contents: Mapping[str, bytes], hashes: Mapping[str, str]
) -> None:
    """Save rule files by their hashes, in force or not."""
    rows = [
        {"hash": hashes[name], "file": name, "text": content.decode("utf-8")}
        for name, content in contents.items()
    ]
    await connection.execute(insert(rule_files).values(rows).on_conflict_do_nothing())


async def last_good_book(connection: AsyncConnection) -> Book | None:
    """Return the book that any process loaded last, None if none ever was."""
    hashes = await newest_hashes(connection)
    if hashes is None:
        return None
    rows = await connection.execute(
        sa.select(rule_files.c.hash, rule_files.c.text).where(rule_files.c.hash.in_(hashes.values()))
    )
    texts = {row.hash: row.text for row in rows}
    return {name: texts[found].encode() for name, found in hashes.items()}


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A rule file as it was in force."""

    name: str
    text: str


async def kept_file(connection: AsyncConnection, found: str) -> KeptFile | None:
    """Return the rule file of a hash; None if it was never in force here."""
    rows = await connection.execute(
        sa.select(rule_files.c.file, rule_files.c.text).where(rule_files.c.hash == found)
    )
    row = rows.one_or_none()
    return KeptFile(row.file, row.text) if row else None


async def newest_hashes(connection: AsyncConnection) -> dict[str, str] | None:
    """Return the name and hash of each file of the book that was loaded last, None if none ever was."""
    found: dict[str, str] | None = await connection.scalar(
        sa.select(rule_books.c.files).order_by(rule_books.c.id.desc()).limit(1)
    )
    return found


async def newest_loaded_at(connection: AsyncConnection) -> datetime | None:
    """Return when the book that was loaded last was loaded first, None if none ever was."""
    found: datetime | None = await connection.scalar(sa.select(sa.func.max(rule_books.c.loaded_at)))
    return found


@dataclass(frozen=True, slots=True)
class RulesVersion:
    """What decides submissions of a study: the hash of a rule file, and the mode that it and the service allow."""

    rules_hash: str
    mode: Mode


_OTHER_RULES = sa.text(f"""
    WITH version AS (
        SELECT * FROM jsonb_to_recordset(CAST(:versions AS jsonb)) AS t (study text, hash text, lower text[])
    )
    SELECT s.id
    FROM submissions s
    JOIN version ON version.study = s.study_id
    LEFT JOIN LATERAL {newest_decision("s.id")} d ON true
    WHERE s.status = 'AWAITING REVIEW'
      AND CASE WHEN d.id IS NULL THEN NOT s.claimed
               ELSE d.trigger <> :person
                    AND {STATUS_OF} IN ('held', 'observed')
                    AND (d.rules_hash IS DISTINCT FROM version.hash OR d.mode = ANY(version.lower))
          END
      AND NOT EXISTS (
          SELECT FROM procrastinate_jobs j
          WHERE j.lock = s.id AND j.status = 'todo' AND j.args ->> 'trigger' = :rules
      )
    ORDER BY d.id NULLS LAST, s.id
""")  # noqa: S608 - nothing of it comes from outside


async def decided_under_other_rules(
    connection: AsyncConnection, version_of: Callable[[str, str | None], RulesVersion | None]
) -> list[str]:
    """Return submissions that other rules or a lower mode held or observed, and those that no file claimed before.

    Submissions that a person holds, and those whose review for new rules is queued, are left out. ``version_of``
    takes a study and its parent. Requires the lock of ``save_book``, so that only one process enqueues reviews.
    """
    studies = await studies_with_parents(connection)
    versions = [
        {"study": study, "hash": found.rules_hash, "lower": _lower(found.mode)}
        for study, parent in studies.items()
        if (found := version_of(study, parent))
    ]
    rows = await connection.execute(
        _OTHER_RULES,
        {
            "versions": json.dumps(versions),
            "person": Trigger.PERSON.value,
            "rules": Trigger.RULES.value,
        },
    )
    return list(rows.scalars())


def _lower(mode: Mode) -> list[str]:
    return [lower.value for lower in Mode if lower.at_most(mode) is lower and lower is not mode]
