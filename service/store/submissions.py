"""Submissions and studies as last seen at Prolific."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.submission import CompletionCode, Status, Study, Submission
from service.store.tables import studies, submissions
from service.store.tallies import tallied

_PARENT = submissions.c.data["parent_study_id"].astext.label("parent_id")

# The parent of a study: the same in each of its submissions, but rows of an older version may lack it.
PARENT_OF = """(SELECT max(data ->> 'parent_study_id')
    FROM (SELECT data FROM submissions WHERE study_id = {study} LIMIT 100) AS part)"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What earlier looks add to the newest one."""

    first_seen_at: datetime
    ever_final: bool


async def see_submission(connection: AsyncConnection, submission: Submission, *, claimed: bool) -> Seen:
    """Keep the submission as just fetched; a final status once seen is never forgotten."""
    new = insert(submissions).values(row_of(submission, claimed=claimed))
    row = await connection.execute(
        new.on_conflict_do_update(
            index_elements=[submissions.c.id],
            set_={
                "study_id": new.excluded.study_id,
                "participant_id": new.excluded.participant_id,
                "status": new.excluded.status,
                "ever_final": submissions.c.ever_final | new.excluded.ever_final,
                "claimed": new.excluded.claimed,
                "seen_at": sa.func.now(),
                "data": new.excluded.data,
            },
        ).returning(submissions.c.first_seen_at, submissions.c.ever_final),
    )
    first_seen_at, ever_final = row.one()
    return Seen(first_seen_at, ever_final)


async def see_status(connection: AsyncConnection, submission: str, status: Status) -> None:
    """Prolific's answer to a transition tells the new status of a submission that was seen before."""
    await connection.execute(
        sa.update(submissions)
        .where(submissions.c.id == submission)
        .values(
            status=status.value,
            ever_final=submissions.c.ever_final | status.is_final,
            seen_at=sa.func.now(),
            data=submissions.c.data.concat(sa.cast({"status": status.value}, JSONB)),
        ),
    )


async def see_list(
    connection: AsyncConnection, rows: Sequence[Submission], *, claimed: bool, asked_at: datetime
) -> None:
    """Keep submissions as a list asked for at ``asked_at`` shows them.

    Of one that was fetched since then only a final status is learnt: it was seen, and is never forgotten.
    """
    if not rows:
        return
    new = insert(submissions).values(
        # In one order everywhere: two processes that read the same list must not wait for each other.
        [row_of(one, claimed=claimed) for _, one in sorted({one.id: one for one in rows}.items())]
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
    """The study's list was read to its end, and no row was missing."""
    await connection.execute(
        sa.update(studies).where(studies.c.id == study).values(listed_at=sa.func.now()),
    )


async def see_study(connection: AsyncConnection, study: Study) -> None:
    """Keep the study as just fetched."""
    new = insert(studies).values(id=study.id, data=_json(study))
    await connection.execute(
        new.on_conflict_do_update(
            index_elements=[studies.c.id], set_={"seen_at": sa.func.now(), "data": new.excluded.data}
        ),
    )


async def study_as_seen(connection: AsyncConnection, study: str) -> Study | None:
    """The study as it was fetched last; None if it never was."""
    data = await connection.scalar(sa.select(studies.c.data).where(studies.c.id == study))
    if data is None:
        return None
    codes = tuple(CompletionCode(**code) for code in data["completion_codes"])
    return Study(**data | {"completion_codes": codes})


async def study_of(connection: AsyncConnection, submission: str) -> str | None:
    """The study of a submission that was seen before."""
    found: str | None = await connection.scalar(
        sa.select(submissions.c.study_id).where(submissions.c.id == submission)
    )
    return found


async def study_and_parent(connection: AsyncConnection, submission: str) -> tuple[str | None, str | None]:
    """Return the study of a submission and that study's parent; None for what is not known."""
    rows = await connection.execute(
        sa.select(submissions.c.study_id, _PARENT).where(submissions.c.id == submission)
    )
    row = rows.one_or_none()
    return (row.study_id, row.parent_id) if row else (None, None)


# Each study by one look at an index, and by others whether it was fetched, awaited review or was decided on lately.
_STUDIES = sa.text(f"""
    WITH RECURSIVE seen (id) AS (
        SELECT min(study_id) FROM submissions
        UNION ALL
        SELECT (SELECT min(study_id) FROM submissions WHERE study_id > seen.id) FROM seen WHERE seen.id IS NOT NULL
    )
    SELECT seen.id, {PARENT_OF.format(study="seen.id")} AS parent_id FROM seen
    WHERE seen.id IS NOT NULL AND (
        CAST(:within AS interval) IS NULL
        OR EXISTS (SELECT FROM studies WHERE id = seen.id AND seen_at > now() - CAST(:within AS interval))
        OR EXISTS (SELECT FROM submissions WHERE study_id = seen.id AND status = 'AWAITING REVIEW'
                   AND seen_at > now() - CAST(:within AS interval))
        OR (SELECT decided_at FROM decisions WHERE study_id = seen.id ORDER BY id DESC LIMIT 1)
           > now() - CAST(:within AS interval))
""")  # noqa: S608 - nothing of it comes from outside


async def studies_with_parents(
    connection: AsyncConnection, *, within: timedelta | None = None
) -> dict[str, str | None]:
    """Return each study of which a submission was seen (``within``: and that was at work lately), with its parent."""
    rows = await connection.execute(_STUDIES, {"within": within})
    return {row.id: row.parent_id for row in rows}


async def seen_before(connection: AsyncConnection, submission: str) -> Seen | None:
    """What earlier looks at the submission tell, without looking again; None if there were none."""
    rows = await connection.execute(
        sa.select(submissions.c.first_seen_at, submissions.c.ever_final).where(submissions.c.id == submission)
    )
    row = rows.one_or_none()
    return Seen(*row) if row else None


async def submission_as_seen(connection: AsyncConnection, submission: str) -> dict[str, Any] | None:
    """A submission as the API gives it; None if it was never fetched."""
    rows = await connection.execute(
        sa.select(submissions.c.data, submissions.c.first_seen_at, submissions.c.seen_at).where(
            submissions.c.id == submission
        ),
    )
    row = rows.mappings().one_or_none()
    return {**row["data"], "first_seen_at": row["first_seen_at"], "seen_at": row["seen_at"]} if row else None


async def first_seen(connection: AsyncConnection, studies: Sequence[str]) -> datetime | None:
    """When the first submission of any of these studies was seen."""
    found: datetime | None = await connection.scalar(
        sa.select(sa.func.min(submissions.c.first_seen_at)).where(submissions.c.study_id.in_(studies))
    )
    return found


async def unclaimed_count(connection: AsyncConnection) -> int:
    """Submissions whose study no rule file names."""
    return (await tallied(connection, "unclaimed")).get((), 0)


def row_of(submission: Submission, *, claimed: bool) -> dict[str, Any]:
    """Return the row of a submission as it was fetched, without the times."""
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
