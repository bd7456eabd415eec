"""The settings that each worker was started with, so that commands report the service's and not their own."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "worker_settings",
        sa.Column("worker_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("settings", JSONB, nullable=False),
    )
    op.execute("INSERT INTO schema_heads (head) VALUES ('0008')")


def downgrade() -> None:
    op.execute("DELETE FROM schema_heads WHERE head = '0008'")
    op.drop_table("worker_settings")
