"""What questions to Claude have cost."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    counts = ("input_tokens", "output_tokens", "cache_write_tokens", "cache_read_tokens")
    op.create_table(
        "claude_spend",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("month", sa.String(7), nullable=False, index=True),
        sa.Column("user", sa.String(32), sa.ForeignKey("users.id", ondelete="SET NULL")),
        sa.Column("call", sa.String(32), sa.ForeignKey("calls.id", ondelete="SET NULL"), index=True),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        *[sa.Column(name, sa.Integer(), nullable=False) for name in counts],
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("usd", sa.Float()),
        sa.Column("outcome", sa.String(32), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("claude_spend")
