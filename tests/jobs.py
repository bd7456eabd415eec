"""Jobs whose time has not come yet, made due by tests."""

import psycopg

REVIEWS = ("review", "retry")

# Workers hear of it as of a new job; without that they look once a second.
MAKE_DUE = """
    WITH due AS (
        UPDATE procrastinate_jobs SET scheduled_at = now()
        WHERE status = 'todo' AND scheduled_at IS NOT NULL AND task_name = ANY(%(tasks)s)
            AND (%(submission)s::text IS NULL OR args ->> 'submission_id' = %(submission)s)
        RETURNING id, queue_name
    )
    SELECT pg_notify('procrastinate_queue_v1#' || queue_name,
                     json_build_object('type', 'job_inserted', 'job_id', id)::text) FROM due
"""


async def make_due(url: str, *tasks: str, submission: str | None = None) -> int:
    """Make retries due, or jobs of the given tasks, such as ``wake`` for timers; return how many.

    ``submission`` is the id of the only one whose jobs become due.
    """
    parameters = {"tasks": list(tasks or REVIEWS), "submission": submission}
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return (await connection.execute(MAKE_DUE, parameters)).rowcount
