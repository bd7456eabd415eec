"""Submissions and studies as last fetched from Prolific."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.submission import CompletionCode, Study, Submission
from service.store.tables import studies, submissions
from service.store.tallies import Tallied

_PARENT = submissions.c.data["parent_study_id"].astext.label("parent_id")

# The parent of a study is the same in all its submissions, but rows of older versions may lack it.
PARENT_OF = """(SELECT max(data ->> 'parent_study_id')
    FROM (SELECT data FROM submissions WHERE study_id = {study} LIMIT 100) AS part)"""


# A final status is kept even if the submission is reopened.
SAVE_SUBMISSION = """
    INSERT INTO submissions AS s (id, study_id, participant_id, status, ever_final, claimed, data)
    SELECT id, study_id, participant_id, status, ever_final, claimed, data
    FROM jsonb_to_record(CAST(:seen AS jsonb)) AS new (
        id text, study_id text, participant_id text, status text, ever_final boolean, claimed boolean, data jsonb)
    ON CONFLICT (id) DO UPDATE SET
        study_id = excluded.study_id, participant_id = excluded.participant_id, status = excluded.status,
        ever_final = s.ever_final OR excluded.ever_final, claimed = excluded.claimed, seen_at = now(),
        data = excluded.data
    RETURNING first_seen_at, ever_final
"""


async def save_submission(connection: AsyncConnection, submission: Submission, *, claimed: bool) -> None:
    """Save a submission as just fetched."""
    seen = json.dumps(submission_row(submission, claimed=claimed))
    await connection.execute(sa.text(SAVE_SUBMISSION), {"seen": seen})


async def save_list(
    connection: AsyncConnection, rows: Sequence[Submission], *, claimed: bool, asked_at: datetime
) -> None:
    """Save submissions as a list shows them that was requested at ``asked_at``.

    A submission that was fetched after that keeps its status. Only a final status is added to what is known of it.
    """
    if not rows:
        return
    new = insert(submissions).values(
        # In the same order in each process: two that save the same list would otherwise deadlock.
        [submission_row(one, claimed=claimed) for _, one in sorted({one.id: one for one in rows}.items())]
    )
    newer = submissions.c.seen_at <= asked_at
    current = ("study_id", "participant_id", "status", "claimed", "data")
    await connection.execute(
        new.on_conflict_do_update(
            index_elements=[submissions.c.id],
            set_={
                **{name: sa.case((newer, new.excluded[name]), else_=submissions.c[name]) for name in current},
                "ever_final": submissions.c.ever_final | new.excluded.ever_final,
                "seen_at": sa.func.greatest(submissions.c.seen_at, asked_at),
            },
        ),
    )


async def mark_listed(connection: AsyncConnection, study: str) -> None:
    """Mark the study's list as read to its end, without missing rows."""
    await connection.execute(
        sa.update(studies).where(studies.c.id == study).values(listed_at=sa.func.now()),
    )


async def save_study(connection: AsyncConnection, study: Study) -> None:
    """Save a study as just fetched."""
    new = insert(studies).values(id=study.id, data=_json(study))
    await connection.execute(
        new.on_conflict_do_update(
            index_elements=[studies.c.id], set_={"seen_at": sa.func.now(), "data": new.excluded.data}
        ),
    )


async def load_study(connection: AsyncConnection, study: str) -> Study | None:
    """Return the study as last fetched, None if it never was."""
    data = await connection.scalar(sa.select(studies.c.data).where(studies.c.id == study))
    if data is None:
        return None
    codes = tuple(CompletionCode(**code) for code in data.get("completion_codes") or ())
    # What an older version saved may lack a field.
    known: dict[str, Any] = {field.name: data.get(field.name) for field in fields(Study)}
    texts = {name: known[name] or "" for name in ("name", "status")}
    return Study(**known | texts | {"id": study, "completion_codes": codes})


async def study_names(connection: AsyncConnection, wanted: Iterable[str | None]) -> dict[str, str]:
    """Return the names of these studies, by id; a study that was never fetched has none."""
    name = studies.c.data["name"].astext.label("name")
    ids = {one for one in wanted if one}
    if not ids:
        return {}
    rows = await connection.execute(sa.select(studies.c.id, name).where(studies.c.id.in_(ids)))
    return {row.id: row.name for row in rows if row.name}


async def study_of(connection: AsyncConnection, submission: str) -> str | None:
    """Return the study of a submission that was fetched before."""
    found: str | None = await connection.scalar(
        sa.select(submissions.c.study_id).where(submissions.c.id == submission)
    )
    return found


async def study_and_parent(connection: AsyncConnection, submission: str) -> tuple[str | None, str | None]:
    """Return the study of a submission and that study's parent, None if unknown."""
    rows = await connection.execute(
        sa.select(submissions.c.study_id, _PARENT).where(submissions.c.id == submission)
    )
    row = rows.one_or_none()
    return (row.study_id, row.parent_id) if row else (None, None)


async def studies_and_parents(
    connection: AsyncConnection, wanted: Sequence[str]
) -> dict[str, tuple[str | None, str | None]]:
    """Return the study and its parent of each of these submissions that was seen."""
    rows = await connection.execute(
        sa.select(submissions.c.id, submissions.c.study_id, _PARENT).where(submissions.c.id.in_(wanted))
    )
    return {row.id: (row.study_id, row.parent_id) for row in rows}


# A recursive query finds the distinct studies by index lookups, where DISTINCT would scan all submissions.
_STUDIES = sa.text(f"""
    WITH RECURSIVE seen (id) AS (
        SELECT min(study_id) FROM submissions
        UNION ALL
        SELECT (SELECT min(study_id) FROM submissions WHERE study_id > seen.id) FROM seen WHERE seen.id IS NOT NULL
    )
    SELECT seen.id, {PARENT_OF.format(study="seen.id")} AS parent_id FROM seen
    WHERE seen.id IS NOT NULL AND (
        CAST(:within AS interval) IS NULL
        OR (SELECT max(first_seen_at) FROM submissions WHERE study_id = seen.id) > now() - CAST(:within AS interval)
        OR EXISTS (SELECT FROM submissions WHERE study_id = seen.id AND status = 'AWAITING REVIEW'
                   AND seen_at > now() - CAST(:within AS interval))
        OR (SELECT decided_at FROM decisions WHERE study_id = seen.id ORDER BY id DESC LIMIT 1)
           > now() - CAST(:within AS interval))
""")  # noqa: S608 - nothing of it comes from outside


async def studies_with_parents(
    connection: AsyncConnection, *, within: timedelta | None = None
) -> dict[str, str | None]:
    """Return each study of which a submission was seen, with its parent; ``within`` keeps those active lately."""
    rows = await connection.execute(_STUDIES, {"within": within})
    return {row.id: row.parent_id for row in rows}


async def load_submission(connection: AsyncConnection, submission: str) -> dict[str, Any] | None:
    """Return a submission as the API gives it, None if it was never fetched."""
    rows = await connection.execute(
        sa.select(submissions.c.data, submissions.c.first_seen_at, submissions.c.seen_at).where(
            submissions.c.id == submission
        ),
    )
    row = rows.mappings().one_or_none()
    return {**row["data"], "first_seen_at": row["first_seen_at"], "seen_at": row["seen_at"]} if row else None


async def first_seen(connection: AsyncConnection, studies: Sequence[str]) -> datetime | None:
    """Return when the first submission of these studies was seen."""
    found: datetime | None = await connection.scalar(
        sa.select(sa.func.min(submissions.c.first_seen_at)).where(submissions.c.study_id.in_(studies))
    )
    return found


def unclaimed_count(tallied: Tallied) -> int:
    """Count the submissions whose study no rule file names."""
    return tallied.get("unclaimed", {}).get((), 0)


def submission_row(submission: Submission, *, claimed: bool) -> dict[str, Any]:
    """Return the row of a fetched submission, without the times."""
    return {
        "id": submission.id,
        "study_id": submission.study_id,
        "participant_id": submission.participant_id,
        "status": submission.status.value,
        "ever_final": submission.status.is_final,
        "claimed": claimed,
        "data": _json(submission),
    }


def _json(seen: Submission | Study) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(seen).items()
    }
