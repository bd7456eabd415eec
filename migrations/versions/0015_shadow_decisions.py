"""What a second rule folder would have decided, beside the decisions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shadow_decisions",
        sa.Column("decision_id", sa.BigInteger, sa.ForeignKey("decisions.id"), primary_key=True),
        sa.Column("submission_id", sa.Text, nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("rules_hash", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("rule", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("trace", JSONB, nullable=False, server_default=sa.text("'[]'::jsonb")),
    )
    op.create_index("shadow_decisions_submission_id", "shadow_decisions", ["submission_id", "decision_id"])
    op.execute("INSERT INTO schema_heads (head) VALUES ('0015')")


def downgrade() -> None:
    op.execute("DELETE FROM schema_heads WHERE head = '0015'")
    op.drop_table("shadow_decisions")
