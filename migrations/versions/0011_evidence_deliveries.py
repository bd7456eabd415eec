"""How evidence arrived, what could not be understood of it, and the deliveries that were refused."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A constant default is no rewrite of the table. Versions before this one insert without it.
    op.add_column("evidence", sa.Column("origin", sa.Text, nullable=False, server_default="push"))
    op.add_column("evidence", sa.Column("readings", JSONB(none_as_null=True)))
    op.add_column("evidence", sa.Column("remarks", JSONB(none_as_null=True)))
    op.create_table(
        "evidence_refusals",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("submission_id", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
    )
    op.create_index("evidence_refusals_at", "evidence_refusals", ["at"])
    op.execute("INSERT INTO schema_heads (head) VALUES ('0011')")


def downgrade() -> None:
    op.execute("DELETE FROM schema_heads WHERE head = '0011'")
    op.drop_table("evidence_refusals")
    for column in ("remarks", "readings", "origin"):
        op.drop_column("evidence", column)
