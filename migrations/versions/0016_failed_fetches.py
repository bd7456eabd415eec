"""Requests to sources of evidence that failed lately are found by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("fetches_failed", "fetches", ["ended_at"], postgresql_where=sa.text("result = 'failed'"))
    op.execute("INSERT INTO schema_heads (head) VALUES ('0016')")


def downgrade() -> None:
    op.execute("DELETE FROM schema_heads WHERE head = '0016'")
    op.drop_index("fetches_failed", "fetches")
