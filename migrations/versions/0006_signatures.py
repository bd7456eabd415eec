"""The signature of each webhook event, so that a copy of one is known under whatever event id it comes."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inbox", sa.Column("signature", sa.LargeBinary))
    op.create_index("inbox_signature", "inbox", ["signature"], unique=True)
    op.execute("INSERT INTO schema_heads (head) VALUES ('0006')")


def downgrade() -> None:
    op.execute("DELETE FROM schema_heads WHERE head = '0006'")
    op.drop_index("inbox_signature", "inbox")
    op.drop_column("inbox", "signature")
