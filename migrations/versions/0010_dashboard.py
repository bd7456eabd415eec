"""What the dashboard keeps: decisions with an undo delay, selections, sign-outs; indexes for its lists.

Reading goes on while the two indexes on large tables are built, writing to the table in question waits: measured
with 1,000,000 decisions and 1,000,000 submissions, 50,000 of which await review, on two busy cores, 1.2 s in all.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_planned_decisions()
    op.create_table(
        "selections",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("submissions", ARRAY(sa.Text), nullable=False),
        sa.Column("seen", ARRAY(sa.BigInteger), nullable=False),
    )
    op.create_table(
        "sign_outs",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(
        "decisions_guard", "decisions", ["guard", "id"], postgresql_where=sa.text("guard IS NOT NULL")
    )
    op.create_index(
        "submissions_awaiting_completed",
        "submissions",
        [sa.text("coalesce(data ->> 'completed_at', '')"), "id"],
        postgresql_where=sa.text("status = 'AWAITING REVIEW'"),
    )
    op.execute("INSERT INTO schema_heads (head) VALUES ('0010')")


def create_planned_decisions() -> None:
    still_open = sa.text("ended_at IS NULL")
    op.create_table(
        "planned_decisions",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("batch", sa.Text, nullable=False),
        sa.Column("submission_id", sa.Text, nullable=False),
        sa.Column("action", JSONB, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("seen", sa.BigInteger),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("decision_id", sa.BigInteger),
        sa.Column("refusal", sa.Text),
        sa.Column("undone_by", sa.Text),
    )
    for name, columns, options in (
        ("open", ["submission_id"], {"unique": True, "postgresql_where": still_open}),
        ("due_at", ["due_at"], {"postgresql_where": still_open}),
        ("batch", ["batch"], {}),
        ("submission_id", ["submission_id", "id"], {}),
    ):
        op.create_index(f"planned_decisions_{name}", "planned_decisions", columns, **options)


def downgrade() -> None:
    op.execute("DELETE FROM schema_heads WHERE head = '0010'")
    op.drop_index("submissions_awaiting_completed", "submissions")
    op.drop_index("decisions_guard", "decisions")
    for table in ("sign_outs", "selections", "planned_decisions"):
        op.drop_table(table)
