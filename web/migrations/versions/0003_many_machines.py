"""Who runs which call (leases), what is asked of whoever runs it (commands), and the search index on PostgreSQL."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    def call(*, key: bool = False) -> "sa.Column[str]":
        owner = sa.ForeignKey("calls.id", ondelete="CASCADE")
        return sa.Column("call", sa.String(32), owner, nullable=False, primary_key=key, index=None if key else True)

    op.create_table(
        "leases",
        call(key=True),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
    )
    op.create_table(
        "watches",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("back_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "commands",
        sa.Column("id", sa.String(32), primary_key=True),
        call(),
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("taken", sa.Boolean(), nullable=False),
        sa.Column("answer", sa.JSON(none_as_null=True)),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE INDEX words_said ON words USING gin (to_tsvector('simple', text))")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP INDEX words_said")
    for table in ("commands", "watches", "leases"):
        op.drop_table(table)
