"""The brakes (pauses, and breakers that limits open), and what people are to be told."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NOW = sa.text("now()")


def moment(name: str, **options: object) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), **options)


def upgrade() -> None:
    op.create_table(
        "brakes",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        moment("at", nullable=False, server_default=NOW),
        sa.Column("study_id", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("guard", sa.Text),
        sa.Column("decision_id", sa.BigInteger),
        sa.Column("by", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.CheckConstraint("kind IN ('pause', 'resume', 'open')", name="brakes_kind"),
    )
    op.create_index("brakes_study_id", "brakes", ["study_id", "id"])
    op.execute(
        "CREATE TRIGGER brakes_only_added BEFORE UPDATE OR DELETE ON brakes "
        "FOR EACH ROW EXECUTE FUNCTION autoreview_only_added()",
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        moment("at", nullable=False, server_default=NOW),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        moment("due_at", nullable=False, server_default=NOW),
        moment("sent_at"),
    )
    op.create_index("notices_kind", "notices", ["kind", "key"], unique=True)
    op.create_index("notices_due", "notices", ["due_at"], postgresql_where=sa.text("sent_at IS NULL"))
    op.execute("INSERT INTO schema_heads (head) VALUES ('0004')")


def downgrade() -> None:
    op.execute("DELETE FROM schema_heads WHERE head = '0004'")
    op.drop_table("notices")
    op.drop_table("brakes")
