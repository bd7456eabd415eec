"""Changes of what is known of a submission."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

_SIZE = sa.text("""
    SELECT (SELECT count(*) FROM inbox WHERE submission_id = :id)
         + (SELECT count(*) FROM evidence WHERE submission_id = :id)
         + (SELECT count(*) FROM planned_decisions WHERE submission_id = :id)
         + (SELECT count(*) FROM planned_decisions WHERE submission_id = :id AND ended_at IS NOT NULL)
         + (SELECT count(*) + count(a.id) + count(n.attempt_id)
            FROM decisions d LEFT JOIN attempts a ON a.decision_id = d.id LEFT JOIN answers n ON n.attempt_id = a.id
            WHERE d.submission_id = :id)
""")


async def story_size(connection: AsyncConnection, submission: str) -> int:
    """Return a number that grows with everything that is stored about the submission."""
    size: int = await connection.scalar(_SIZE, {"id": submission})
    return size
