"""When a study's list was last read; participants looked up; rule files and books kept as they were loaded."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NOW = sa.text("now()")


def moment(name: str, **options: object) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), **options)


def upgrade() -> None:
    op.add_column("studies", moment("listed_at"))
    op.create_index("submissions_participant_id", "submissions", ["participant_id"])
    # Only of the events that a participant's past is made of: each index costs the intake.
    ended = sa.text("upper(status) IN ('APPROVED', 'REJECTED', 'RETURNED')")
    op.create_index("inbox_participant_id", "inbox", ["participant_id"], postgresql_where=ended)
    op.create_table(
        "rule_files",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        moment("first_loaded_at", nullable=False, server_default=NOW),
    )
    op.create_table(
        "rule_books",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        moment("loaded_at", nullable=False, server_default=NOW),
        sa.Column("files", JSONB, nullable=False),
    )
    for table in ("rule_files", "rule_books"):
        op.execute(
            f"CREATE TRIGGER {table}_only_added BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION autoreview_only_added()",
        )


def downgrade() -> None:
    op.drop_table("rule_books")
    op.drop_table("rule_files")
    op.drop_index("inbox_participant_id", "inbox")
    op.drop_index("submissions_participant_id", "submissions")
    op.drop_column("studies", "listed_at")
