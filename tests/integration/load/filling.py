"""Fills a database with submissions, decisions, events and evidence.

``python -m tests.integration.load.filling URL 500000 --waiting 100000``

Of a thousand submissions 930 were approved, 20 rejected, 30 are held, 15 asked to return, 4 failed, and 1 waits to be
sent. Of each there are three webhooks, or two while it awaits review, and one payload of evidence. ``--waiting`` adds
reviews that wait in the queue, each of a submission of which only a webhook is known.
"""

import argparse
import time

import psycopg

STUDIES = 40

# ``s`` is the submission's number, ``kind`` what became of it, and its last event came ``s`` seconds ago.
_SUBMISSIONS = """
    CREATE TEMP TABLE filled AS
    SELECT s, 'submission-' || s AS id, 'study-' || s %% {studies} AS study, 'participant-' || s / 5 AS participant,
           now() - s * interval '1 second' - interval '1 hour' AS at,
           CASE WHEN s %% 1000 < 930 THEN 'approve' WHEN s %% 1000 < 950 THEN 'reject' WHEN s %% 1000 < 980 THEN 'hold'
                WHEN s %% 1000 < 995 THEN 'request_return' WHEN s %% 1000 < 999 THEN 'failed' ELSE 'pending' END AS kind
    FROM generate_series(1, %(number)s) AS s
"""

_STEPS = (
    _SUBMISSIONS.replace("{studies}", str(STUDIES)),
    "ALTER TABLE filled ADD COLUMN status text",
    """UPDATE filled SET status = CASE kind WHEN 'approve' THEN 'APPROVED' WHEN 'reject' THEN 'REJECTED'
       ELSE 'AWAITING REVIEW' END""",
    """INSERT INTO studies (id, data) SELECT DISTINCT study, '{"status": "COMPLETED"}'::jsonb FROM filled""",
    """INSERT INTO submissions (id, study_id, participant_id, status, ever_final, claimed, first_seen_at, seen_at, data)
       SELECT id, study, participant, status, status <> 'AWAITING REVIEW', s % 100 > 0, at, at, jsonb_build_object(
              'status', status, 'time_taken', 600, 'completed_at', at, 'started_at', at - interval '10 minutes')
       FROM filled ORDER BY s DESC""",
    """INSERT INTO decisions (submission_id, study_id, participant_id, decided_at, trigger, outcome, proposed, rule,
                              rule_file, rules_hash, mode, action, reason, trace, facts, recheck_at)
       SELECT id, study, participant, at, 'webhook', outcome, outcome, 'rule ' || s % 7, 'rules.yaml', repeat('0', 64),
              'live', CASE WHEN outcome <> 'hold' THEN '{"endpoint": "transition", "body": {"action": "x"}}'::jsonb END,
              'Because.', jsonb_build_array(jsonb_build_object(
                  'rule', 'rule ' || s % 7, 'result', 'matched', 'values', jsonb_build_object('submission.pace', 1.0))),
              jsonb_build_object('submission', jsonb_build_object('id', id, 'status', status), 'study', jsonb_build_object(
                  'id', study, 'reward', 150)), CASE kind WHEN 'request_return' THEN now() + interval '3 days' END
       FROM (SELECT *, CASE WHEN kind IN ('failed', 'pending') THEN 'approve' ELSE kind END AS outcome FROM filled) AS f
       ORDER BY s DESC""",
    """INSERT INTO attempts (decision_id, at, request) SELECT id, decided_at, action FROM decisions
       WHERE action IS NOT NULL ORDER BY id""",
    """INSERT INTO answers (attempt_id, at, status, status_code, answer)
       SELECT a.id, a.at, CASE f.kind WHEN 'failed' THEN 'failed' ELSE 'applied' END,
              CASE f.kind WHEN 'failed' THEN 400 ELSE 200 END, '{"status": "x"}'
       FROM attempts a JOIN decisions d ON d.id = a.decision_id JOIN filled f ON f.id = d.submission_id
       WHERE f.kind <> 'pending' ORDER BY a.id""",
    """INSERT INTO inbox (event_id, received_at, sent_at, event_type, submission_id, participant_id, status, body,
                          readable, handled_at)
       SELECT 'event-' || s || '-' || place, at, (extract(epoch FROM at)::bigint + place)::text,
              'submission.status.change', id, participant, told,
              convert_to(jsonb_build_object('resource_id', id, 'status', told)::text, 'UTF8'), true, at
       FROM filled CROSS JOIN LATERAL unnest(ARRAY['ACTIVE', 'AWAITING REVIEW', nullif(status, 'AWAITING REVIEW')])
            WITH ORDINALITY AS event (told, place)
       WHERE told IS NOT NULL ORDER BY s DESC, place""",
    """INSERT INTO evidence (received_at, source, submission_id, payload, handled_at)
       SELECT at, 'survey', id, '{"attention_failed": 0}', at FROM filled ORDER BY s DESC""",
    """INSERT INTO reviews (submission_id, hour_began, in_hour) SELECT id, at, 1 FROM filled""",
    """INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args, scheduled_at)
       SELECT 'reviews', 'wake', NULL, 'timer:' || id, jsonb_build_object('submission_id', id), now() + interval '3 days'
       FROM filled WHERE kind = 'request_return'""",
    """INSERT INTO procrastinate_jobs (queue_name, task_name, args, status)
       SELECT 'reviews', 'of an old version', '{}', 'failed' FROM filled WHERE s % 5 = 0""",
    "DROP TABLE filled",
)

# As intake writes them: the event, and the job of its review.
_WAITING = (
    """INSERT INTO inbox (event_id, sent_at, event_type, submission_id, participant_id, status, body, readable)
       SELECT 'waiting-' || s, extract(epoch FROM now())::bigint::text, 'submission.status.change', 'waiting-' || s,
              'participant-' || s, 'AWAITING REVIEW', '{}', true
       FROM generate_series(1, %(number)s) AS s""",
    """INSERT INTO procrastinate_jobs (queue_name, task_name, lock, args)
       SELECT 'reviews', 'review', 'waiting-' || s, jsonb_build_object('submission_id', 'waiting-' || s, 'trigger', 'webhook')
       FROM generate_series(1, %(number)s) AS s""",
)


def fill(url: str, number: int, *, waiting: int = 0) -> None:
    """Add this many submissions and waiting reviews, and have the planner know of them."""
    with psycopg.connect(url) as connection:
        for steps, size in ((_STEPS, number), (_WAITING, waiting)):
            for step in steps:
                connection.execute(step.encode(), {"number": size} if "%(number)s" in step else None)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Fills a database with submissions and what belongs to them."
    )
    parser.add_argument("url")
    parser.add_argument("number", type=int, help="submissions with a decision each")
    parser.add_argument("--waiting", type=int, default=0, help="reviews that wait in the queue")
    given = parser.parse_args()
    began = time.monotonic()
    fill(given.url, given.number, waiting=given.waiting)
    print(f"filled in {time.monotonic() - began:.0f} s")
