"""Experiments: which call was coached how, when that first showed, and how the call ended."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "strategies",
        sa.Column("call", sa.String(32), sa.ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("experiment", sa.String(64), nullable=False, index=True),
        sa.Column("strategy", sa.String(32), nullable=False),
        sa.Column("unit", sa.String(32), nullable=False),
        sa.Column("assigned_at", sa.Float(), nullable=False),
        sa.Column("exposed_at", sa.Float(), nullable=True),
        sa.Column("outcome", sa.String(16), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("strategies")
