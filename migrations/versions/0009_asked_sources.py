"""Which sources are asked for evidence of a submission, when next, and what came of it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "fetches",
        sa.Column("submission_id", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("declaration", sa.Text, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("result", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
    )
    op.create_index(
        "fetches_due", "fetches", ["source", "due_at"], postgresql_where=sa.text("due_at IS NOT NULL")
    )
    op.execute("INSERT INTO schema_heads (head) VALUES ('0009')")


def downgrade() -> None:
    op.execute("DELETE FROM schema_heads WHERE head = '0009'")
    op.drop_table("fetches")
