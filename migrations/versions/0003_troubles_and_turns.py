"""How reviews fare, whose turn periodic work is, and which versions of the service work on this schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NOW = sa.text("now()")


def moment(name: str, **options: object) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), **options)


def upgrade() -> None:
    op.create_table(
        "reviews",
        sa.Column("submission_id", sa.Text, primary_key=True),
        moment("hour_began", nullable=False, server_default=NOW),
        sa.Column("in_hour", sa.Integer, nullable=False, server_default="0"),
        sa.Column("outages", sa.Integer, nullable=False, server_default="0"),
        sa.Column("refusals", sa.Integer, nullable=False, server_default="0"),
        moment("troubled_since"),
    )
    op.create_table(
        "turns",
        sa.Column("name", sa.Text, primary_key=True),
        moment("began_at", nullable=False, server_default=NOW),
        moment("ended_at"),
        sa.Column("said", JSONB),
    )
    op.create_table(
        "schema_heads",
        sa.Column("head", sa.Text, primary_key=True),
        moment("since", nullable=False, server_default=NOW),
    )
    op.execute("INSERT INTO schema_heads (head) VALUES ('0003')")


def downgrade() -> None:
    for table in ("schema_heads", "turns", "reviews"):
        op.drop_table(table)
