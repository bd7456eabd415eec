"""What is done beside a decision, each as an attempt that leaves the decision's status alone."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ALSO = "('add-to-group', 'remove-from-group', 'message')"

# As in 0007, but a decision's status comes from its transition's attempts alone.
FUNCTIONS = """
    CREATE OR REPLACE FUNCTION autoreview_attempt_added() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        {attempt}PERFORM autoreview_set_status(NEW.decision_id, NEW.id, 'pending');
        RETURN NULL;
    END $$;

    CREATE OR REPLACE FUNCTION autoreview_answer_added() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM autoreview_set_status(a.decision_id, a.id, NEW.status) FROM attempts a
        WHERE a.id = NEW.attempt_id{answer};
        RETURN NULL;
    END $$;
"""


def upgrade() -> None:
    op.create_table(
        "also_actions",
        sa.Column("decision_id", sa.BigInteger, sa.ForeignKey("decisions.id"), primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("request", JSONB, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()")),
    )
    op.create_index(
        "also_actions_due", "also_actions", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL")
    )
    op.execute(
        sa.text(
            FUNCTIONS.format(
                attempt=f"IF NEW.request ->> 'endpoint' IN {ALSO} THEN RETURN NULL; END IF;\n        ",
                answer=f" AND coalesce(a.request ->> 'endpoint', '') NOT IN {ALSO}",
            )
        )
    )
    op.execute("INSERT INTO schema_heads (head) VALUES ('0012')")


def downgrade() -> None:
    op.execute("DELETE FROM schema_heads WHERE head = '0012'")
    op.execute(sa.text(FUNCTIONS.format(attempt="", answer="")))
    op.drop_table("also_actions")
