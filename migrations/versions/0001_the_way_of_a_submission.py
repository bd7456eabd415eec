"""Inbox, evidence, submissions, studies, decisions, attempts; and Procrastinate's job tables."""

from pathlib import Path

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Kept here word for word, so that this migration means the same under any later Procrastinate.
JOBS = Path(__file__).parent.parent / "procrastinate-3.10.sql"

NOW = sa.text("now()")


def moment(name: str, **options: object) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), **options)


def identity() -> sa.Column:
    return sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True)


def upgrade() -> None:
    create_jobs()
    op.create_table(
        "inbox",
        sa.Column("event_id", sa.Text, primary_key=True),
        moment("received_at", nullable=False, server_default=NOW),
        sa.Column("sent_at", sa.Text),
        sa.Column("event_type", sa.Text),
        sa.Column("submission_id", sa.Text),
        sa.Column("participant_id", sa.Text),
        sa.Column("status", sa.Text),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("readable", sa.Boolean, nullable=False),
        moment("handled_at"),
    )
    op.create_index("inbox_received_at", "inbox", ["received_at"])
    op.create_index("inbox_submission_id", "inbox", ["submission_id", "received_at"])
    op.create_table(
        "evidence",
        identity(),
        moment("received_at", nullable=False, server_default=NOW),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("submission_id", sa.Text, nullable=False),
        sa.Column("payload", JSONB, nullable=False),
        moment("handled_at"),
    )
    op.create_index("evidence_submission_id", "evidence", ["submission_id", "source", "id"])
    op.create_table(
        "submissions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("study_id", sa.Text),
        sa.Column("participant_id", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("ever_final", sa.Boolean, nullable=False),
        sa.Column("claimed", sa.Boolean, nullable=False),
        moment("first_seen_at", nullable=False, server_default=NOW),
        moment("seen_at", nullable=False, server_default=NOW),
        sa.Column("data", JSONB, nullable=False),
    )
    op.create_index("submissions_study_id", "submissions", ["study_id", "status"])
    op.create_table(
        "studies",
        sa.Column("id", sa.Text, primary_key=True),
        moment("seen_at", nullable=False, server_default=NOW),
        sa.Column("data", JSONB, nullable=False),
    )
    op.create_table(
        "decisions",
        identity(),
        sa.Column("submission_id", sa.Text, nullable=False),
        sa.Column("study_id", sa.Text),
        sa.Column("participant_id", sa.Text),
        moment("decided_at", nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("proposed", sa.Text, nullable=False),
        sa.Column("guard", sa.Text),
        sa.Column("rule", sa.Text),
        sa.Column("rule_file", sa.Text),
        sa.Column("rules_hash", sa.Text),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("action", JSONB(none_as_null=True)),
        sa.Column("tag", sa.Text),
        sa.Column("by", sa.Text),
        sa.Column("note", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("trace", JSONB, nullable=False),
        sa.Column("facts", JSONB, nullable=False),
        moment("recheck_at"),
    )
    op.create_index("decisions_submission_id", "decisions", ["submission_id", "id"])
    op.create_index("decisions_study_id", "decisions", ["study_id", "id"])
    op.create_index("decisions_decided_at", "decisions", ["decided_at"])
    op.create_table(
        "attempts",
        identity(),
        sa.Column("decision_id", sa.BigInteger, sa.ForeignKey("decisions.id"), nullable=False),
        moment("at", nullable=False, server_default=NOW),
        sa.Column("request", JSONB(none_as_null=True)),
    )
    op.create_index("attempts_decision_id", "attempts", ["decision_id", "id"])
    op.create_table(
        "answers",
        sa.Column("attempt_id", sa.BigInteger, sa.ForeignKey("attempts.id"), primary_key=True),
        moment("at", nullable=False, server_default=NOW),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("status_code", sa.Integer),
        sa.Column("answer", JSONB(none_as_null=True)),
    )
    keep_only_adding("decisions", "attempts", "answers")


def create_jobs() -> None:
    sql = JOBS.read_text(encoding="utf-8")
    if context.is_offline_mode():
        op.execute(sa.text(sql.replace(":", r"\:")))
    else:
        # The raw cursor: no parameters, so neither % nor : mean anything in it.
        with op.get_bind().connection.cursor() as cursor:
            cursor.execute(sql)
    # Procrastinate looks for other jobs of the same lock at each fetch; with a backlog that needs an index.
    op.execute(
        "CREATE INDEX procrastinate_jobs_lock_waiting ON procrastinate_jobs (lock, priority, id) "
        "WHERE status IN ('todo', 'doing')",
    )


def keep_only_adding(*tables: str) -> None:
    op.execute("""
        CREATE FUNCTION autoreview_only_added() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME;
        END $$
    """)
    for table in tables:
        op.execute(
            f"CREATE TRIGGER {table}_only_added BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION autoreview_only_added()",
        )


def downgrade() -> None:
    for table in ("answers", "attempts", "decisions", "studies", "submissions", "evidence", "inbox"):
        op.drop_table(table)
    op.execute("DROP FUNCTION autoreview_only_added")
    op.execute(
        "DROP TABLE procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs, procrastinate_workers CASCADE"
    )
    op.execute("""
        DO $$ DECLARE found record; BEGIN
            FOR found IN SELECT oid::regprocedure AS name FROM pg_proc WHERE proname LIKE 'procrastinate\\_%' LOOP
                EXECUTE 'DROP FUNCTION ' || found.name || ' CASCADE';
            END LOOP;
            FOR found IN SELECT typname FROM pg_type WHERE typname LIKE 'procrastinate\\_%' AND typtype IN ('e', 'c') LOOP
                EXECUTE 'DROP TYPE IF EXISTS ' || found.typname || ' CASCADE';
            END LOOP;
        END $$
    """)
