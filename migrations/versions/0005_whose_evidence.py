"""Evidence says whom it is about."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("evidence", sa.Column("participant_id", sa.Text))
    op.execute("INSERT INTO schema_heads (head) VALUES ('0005')")


def downgrade() -> None:
    op.execute("DELETE FROM schema_heads WHERE head = '0005'")
    op.drop_column("evidence", "participant_id")
