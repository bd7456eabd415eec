"""Each decision's status and the counts of all, kept by triggers; indexes for what is listed and looked for.

Everything is in one transaction. What exists is counted and indexed under SHARE ROW EXCLUSIVE locks: reading goes
on, writing waits. Decisions are locked first and the inbox last, so that webhooks wait for their own table only:
measured with 500,000 decisions and 1,450,000 events on two busy cores, 15 s in all.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

LISTED = ("participant_id", "outcome", "rule", "trigger")  # what decisions are listed by, newest first

TRIGGERS = {
    "decisions": "AFTER INSERT ON decisions FOR EACH ROW EXECUTE FUNCTION autoreview_decision_added()",
    "attempts": "AFTER INSERT ON attempts FOR EACH ROW EXECUTE FUNCTION autoreview_attempt_added()",
    "answers": "AFTER INSERT ON answers FOR EACH ROW EXECUTE FUNCTION autoreview_answer_added()",
    "inbox": "AFTER INSERT ON inbox REFERENCING NEW TABLE AS added FOR EACH STATEMENT "
    "EXECUTE FUNCTION autoreview_events_added()",
}

FIRST_STATUS = """CASE WHEN {row}.mode = 'observe' AND {row}.trigger <> 'person' THEN 'observed'
                 WHEN {row}.outcome = 'hold' THEN 'held' ELSE 'pending' END"""

# The versions before this one write decisions too while they are replaced, so nothing but a trigger sees all.
FUNCTIONS = f"""
    CREATE FUNCTION autoreview_decision_added() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE first text := {FIRST_STATUS.format(row="NEW")};
    BEGIN
        INSERT INTO decision_states (decision_id, outcome, status) VALUES (NEW.id, NEW.outcome, first);
        INSERT INTO tallies (key, number) VALUES (ARRAY['decisions', NEW.outcome, first], 1);
        IF NEW.trace @> '[{{"observe"\\: true}}]' THEN
            WITH added AS (
                INSERT INTO observations (rule_file, rule, would, submission_id)
                SELECT DISTINCT coalesce(NEW.rule_file, ''), entry ->> 'rule', entry ->> 'would', NEW.submission_id
                FROM jsonb_array_elements(NEW.trace) AS entry
                WHERE entry ->> 'rule' IS NOT NULL AND entry ->> 'would' IS NOT NULL
                ON CONFLICT DO NOTHING RETURNING rule_file, rule, would
            )
            INSERT INTO tallies (key, number) SELECT ARRAY['observed', rule_file, rule, would], 1 FROM added;
        END IF;
        RETURN NULL;
    END $$;

    CREATE FUNCTION autoreview_set_status(decision bigint, attempt bigint, new_status text) RETURNS void
    LANGUAGE plpgsql AS $$
    DECLARE before decision_states;
    BEGIN
        -- The lock makes an answer to an earlier attempt and a new attempt see each other.
        SELECT * INTO before FROM decision_states WHERE decision_id = decision FOR NO KEY UPDATE;
        IF before.attempt_id > attempt THEN RETURN; END IF;
        UPDATE decision_states SET status = new_status, attempt_id = attempt WHERE decision_id = decision;
        IF before.status <> new_status THEN
            INSERT INTO tallies (key, number)
            VALUES (ARRAY['decisions', before.outcome, before.status], -1),
                   (ARRAY['decisions', before.outcome, new_status], 1);
        END IF;
    END $$;

    CREATE FUNCTION autoreview_attempt_added() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM autoreview_set_status(NEW.decision_id, NEW.id, 'pending');
        RETURN NULL;
    END $$;

    CREATE FUNCTION autoreview_answer_added() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM autoreview_set_status(a.decision_id, a.id, NEW.status) FROM attempts a WHERE a.id = NEW.attempt_id;
        RETURN NULL;
    END $$;

    CREATE FUNCTION autoreview_events_added() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO tallies (key, number)
        SELECT ARRAY['events', CASE WHEN readable THEN 'readable' ELSE 'unreadable' END], count(*)
        FROM added GROUP BY readable;
        RETURN NULL;
    END $$;

    CREATE FUNCTION autoreview_claim_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO tallies (key, number) VALUES (ARRAY['unclaimed'], CASE WHEN NEW.claimed THEN -1 ELSE 1 END);
        RETURN NULL;
    END $$;
"""

STATES = f"""
    INSERT INTO decision_states (decision_id, outcome, status, attempt_id)
    SELECT d.id, d.outcome, CASE WHEN a.id IS NULL THEN {FIRST_STATUS.format(row="d")}
                                 ELSE coalesce(n.status, 'pending') END, a.id
    FROM decisions d
    LEFT JOIN (SELECT decision_id, max(id) AS id FROM attempts GROUP BY decision_id) a ON a.decision_id = d.id
    LEFT JOIN answers n ON n.attempt_id = a.id
"""

OBSERVATIONS = """
    INSERT INTO observations (rule_file, rule, would, submission_id)
    SELECT DISTINCT coalesce(d.rule_file, ''), entry ->> 'rule', entry ->> 'would', d.submission_id
    FROM decisions d CROSS JOIN LATERAL jsonb_array_elements(d.trace) AS entry
    WHERE d.trace @> '[{"observe"\\: true}]' AND entry ->> 'rule' IS NOT NULL AND entry ->> 'would' IS NOT NULL
"""


def upgrade() -> None:
    create_tables()
    op.execute(sa.text(FUNCTIONS))
    # Reviews take this lock first of all: without them nothing holds one of the tables and waits for another.
    op.execute("SELECT pg_advisory_xact_lock(hashtextextended('autoreview:decisions', 0))")
    op.execute("LOCK TABLE decisions, attempts, answers, submissions IN SHARE ROW EXCLUSIVE MODE")
    op.execute(sa.text(STATES))
    op.execute(sa.text(OBSERVATIONS))
    op.execute("""
        INSERT INTO tallies (key, number)
        SELECT ARRAY['decisions', outcome, status], count(*) FROM decision_states GROUP BY outcome, status
        UNION ALL SELECT ARRAY['observed', rule_file, rule, would], count(*) FROM observations GROUP BY 1
        UNION ALL SELECT ARRAY['unclaimed'], count(*) FROM submissions WHERE NOT claimed
    """)
    op.create_index("decision_states_status", "decision_states", ["status", "decision_id"])
    for column in LISTED:
        op.create_index(f"decisions_{column}", "decisions", [column, "id"])
    op.create_index(
        "decisions_recheck_at",
        "decisions",
        ["recheck_at"],
        postgresql_where=sa.text("recheck_at IS NOT NULL"),
    )
    op.create_index(
        "submissions_awaiting",
        "submissions",
        ["study_id"],
        postgresql_where=sa.text("status = 'AWAITING REVIEW'"),
    )
    keep("decisions", "attempts", "answers")
    for event, when in (("INSERT", "NOT NEW.claimed"), ("UPDATE OF claimed", "OLD.claimed <> NEW.claimed")):
        op.execute(
            f"CREATE TRIGGER submissions_tallied_{event[:6].lower()} AFTER {event} ON submissions FOR EACH ROW "
            f"WHEN ({when}) EXECUTE FUNCTION autoreview_claim_changed()"
        )
    take_in_inbox()
    op.execute("INSERT INTO schema_heads (head) VALUES ('0007')")


def create_tables() -> None:
    op.create_table(
        "decision_states",
        sa.Column("decision_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempt_id", sa.BigInteger),
    )
    op.create_table(
        "tallies",
        sa.Column("key", ARRAY(sa.Text), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "observations",
        sa.Column("rule_file", sa.Text, primary_key=True),
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("would", sa.Text, primary_key=True),
        sa.Column("submission_id", sa.Text, primary_key=True),
    )


def take_in_inbox() -> None:
    op.execute("LOCK TABLE inbox, evidence IN SHARE ROW EXCLUSIVE MODE")
    op.execute("""
        INSERT INTO tallies (key, number)
        SELECT ARRAY['events', CASE WHEN readable THEN 'readable' ELSE 'unreadable' END], count(*)
        FROM inbox GROUP BY readable
    """)
    unhandled = sa.text("handled_at IS NULL")
    op.create_index("inbox_unhandled", "inbox", ["submission_id"], postgresql_where=unhandled)
    op.create_index("evidence_unhandled", "evidence", ["submission_id"], postgresql_where=unhandled)
    op.create_index(
        "inbox_handled_at", "inbox", ["handled_at"], postgresql_where=sa.text("handled_at IS NOT NULL")
    )
    keep("inbox")


def keep(*tables: str) -> None:
    for table in tables:
        op.execute(f"CREATE TRIGGER {table}_tallied {TRIGGERS[table]}")


def downgrade() -> None:
    op.execute("DELETE FROM schema_heads WHERE head = '0007'")
    for table in TRIGGERS:
        op.execute(f"DROP TRIGGER {table}_tallied ON {table}")
    for event in ("insert", "update"):
        op.execute(f"DROP TRIGGER submissions_tallied_{event} ON submissions")
    for name, table in (
        ("inbox_handled_at", "inbox"),
        ("evidence_unhandled", "evidence"),
        ("inbox_unhandled", "inbox"),
        ("submissions_awaiting", "submissions"),
        ("decisions_recheck_at", "decisions"),
        *((f"decisions_{column}", "decisions") for column in reversed(LISTED)),
    ):
        op.drop_index(name, table)
    for function in ("decision_added", "attempt_added", "answer_added", "events_added", "claim_changed"):
        op.execute(f"DROP FUNCTION autoreview_{function}")
    op.execute("DROP FUNCTION autoreview_set_status")
    for table in ("observations", "tallies", "decision_states"):
        op.drop_table(table)
