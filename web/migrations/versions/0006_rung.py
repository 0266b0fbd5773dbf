"""When the agent's telephone was rung for a caller in a room."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("rooms", sa.Column("rung_at", sa.Float(), nullable=True))


def downgrade() -> None:
    op.drop_column("rooms", "rung_at")
