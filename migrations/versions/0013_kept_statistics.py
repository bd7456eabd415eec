"""Statistics that are kept as submissions and evidence arrive, so that a review never reads a whole study.

Completion times are kept by a trigger, because every version writes submissions during a rolling upgrade: measured
with 500,000 submissions on two busy cores, filling the table takes 12 s, in which reviews wait.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# As service.review.facts.time_taken computes it: Prolific's own seconds unless 0, else between the two times.
FUNCTIONS = """
    CREATE FUNCTION autoreview_time_taken(status text, data jsonb) RETURNS integer LANGUAGE sql STABLE AS $$
        SELECT CASE
            WHEN status NOT IN ('AWAITING REVIEW', 'APPROVED', 'PARTIALLY APPROVED', 'REJECTED')
                OR data ->> 'completed_at' IS NULL THEN NULL
            WHEN CAST(data ->> 'time_taken' AS numeric) <> 0
                THEN CAST(least(CAST(data ->> 'time_taken' AS numeric), 2147483647) AS integer)
            WHEN data ->> 'started_at' IS NOT NULL
                THEN CAST(least(greatest(0, trunc(extract(epoch FROM CAST(data ->> 'completed_at' AS timestamptz)
                    - CAST(data ->> 'started_at' AS timestamptz)))), 2147483647) AS integer)
        END
    $$;

    CREATE FUNCTION autoreview_times_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE before integer; after integer;
    BEGIN
        IF TG_OP <> 'INSERT' AND OLD.study_id IS NOT NULL THEN
            before := autoreview_time_taken(OLD.status, OLD.data);
        END IF;
        IF TG_OP <> 'DELETE' AND NEW.study_id IS NOT NULL THEN
            after := autoreview_time_taken(NEW.status, NEW.data);
        END IF;
        IF TG_OP = 'UPDATE' AND before IS NOT DISTINCT FROM after AND OLD.study_id IS NOT DISTINCT FROM NEW.study_id THEN
            RETURN NULL;
        END IF;
        IF before IS NOT NULL THEN
            INSERT INTO study_times (study_id, seconds, number) VALUES (OLD.study_id, before, -1);
        END IF;
        IF after IS NOT NULL THEN
            INSERT INTO study_times (study_id, seconds, number) VALUES (NEW.study_id, after, 1);
        END IF;
        RETURN NULL;
    END $$;
"""


def upgrade() -> None:
    op.create_table(
        "study_times",
        sa.Column("study_id", sa.Text, nullable=False),
        sa.Column("seconds", sa.Integer, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("is_sum", sa.Boolean, nullable=False, server_default="false"),
    )
    op.execute(sa.text(FUNCTIONS))
    op.execute("LOCK TABLE submissions IN SHARE ROW EXCLUSIVE MODE")
    op.execute("""
        INSERT INTO study_times (study_id, seconds, number, is_sum)
        SELECT study_id, taken, count(*), true
        FROM (SELECT study_id, autoreview_time_taken(status, data) AS taken FROM submissions) AS times
        WHERE study_id IS NOT NULL AND taken IS NOT NULL GROUP BY study_id, taken
    """)
    op.create_index("study_times_study_id", "study_times", ["study_id", "seconds"])
    op.create_index(
        "study_times_changes", "study_times", ["study_id"], postgresql_where=sa.text("NOT is_sum")
    )
    op.execute("""
        CREATE TRIGGER submissions_timed AFTER INSERT OR UPDATE OR DELETE ON submissions
        FOR EACH ROW EXECUTE FUNCTION autoreview_times_changed()
    """)
    create_values()
    op.execute("INSERT INTO schema_heads (head) VALUES ('0013')")


def create_values() -> None:
    op.create_table(
        "study_salts",
        sa.Column("study_id", sa.Text, primary_key=True),
        sa.Column("salt", sa.LargeBinary, nullable=False),
    )
    place = ("study_id", "source", "field")
    op.create_table(
        "counted_values",
        *(sa.Column(name, sa.Text, primary_key=True) for name in place),
        sa.Column("submission_id", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
    )
    op.create_table(
        "value_counts",
        *(sa.Column(name, sa.Text, primary_key=True) for name in (*place, "key")),
        sa.Column("number", sa.Integer, nullable=False),
    )
    op.create_table(
        "text_signatures",
        *(sa.Column(name, sa.Text, primary_key=True) for name in place),
        sa.Column("submission_id", sa.Text, primary_key=True),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.Column("bands", sa.ARRAY(sa.BigInteger), nullable=False),
    )
    op.create_table(
        "text_bands",
        *(sa.Column(name, sa.Text, primary_key=True) for name in place),
        sa.Column("band", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("submission_id", sa.Text, primary_key=True),
    )


def downgrade() -> None:
    op.execute("DELETE FROM schema_heads WHERE head = '0013'")
    op.execute("DROP TRIGGER submissions_timed ON submissions")
    op.execute("DROP FUNCTION autoreview_times_changed")
    op.execute("DROP FUNCTION autoreview_time_taken")
    for table in (
        "text_bands",
        "text_signatures",
        "value_counts",
        "counted_values",
        "study_salts",
        "study_times",
    ):
        op.drop_table(table)
