"""The LiveKit room of a call."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "rooms",
        sa.Column("call", sa.String(32), sa.ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("room", sa.Text(), nullable=False, unique=True),
    )


def downgrade() -> None:
    op.drop_table("rooms")
