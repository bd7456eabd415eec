"""Prolific's signed study links that were verified: each may write evidence of its submission for a day."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "study_links",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("submission_id", sa.Text, nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
    )
    op.execute("INSERT INTO schema_heads (head) VALUES ('0014')")


def downgrade() -> None:
    op.execute("DELETE FROM schema_heads WHERE head = '0014'")
    op.drop_table("study_links")
