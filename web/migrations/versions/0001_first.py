"""The first tables, and the search index over what was said."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    text, moment = sa.Text(), sa.Float()

    def call() -> "sa.Column[str]":
        return sa.Column("call", sa.String(32), sa.ForeignKey("calls.id", ondelete="CASCADE"), nullable=False)

    op.create_table(
        "users",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", text, nullable=False),
        sa.Column("role", sa.String(8), nullable=False),
        sa.Column("created_at", moment, nullable=False),
    )
    for name in ("sign_ins", "sessions"):
        op.create_table(
            name,
            sa.Column("token", sa.String(64), primary_key=True),
            sa.Column("user", sa.String(32), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
            sa.Column("expires_at", moment, nullable=False),
        )
    op.create_table(
        "contacts",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", text, nullable=False),
        sa.Column("number", text, nullable=False, index=True),
        sa.Column("lead_id", text, nullable=False, index=True),
        sa.Column("created_at", moment, nullable=False),
    )
    op.create_table(
        "calls",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("user", sa.String(32), sa.ForeignKey("users.id")),
        sa.Column("contact", sa.String(32), sa.ForeignKey("contacts.id"), index=True),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("agent_name", text, nullable=False),
        sa.Column("started_at", moment, nullable=False, index=True),
        sa.Column("ended_at", moment),
        sa.Column("outcome", sa.String(16), nullable=False),
    )
    op.create_table(
        "events",
        call(),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("v", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("call", "n"),
    )
    op.create_table(
        "consents",
        call(),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("by", sa.String(32), nullable=False),
        sa.Column("rule", text, nullable=False),
        sa.PrimaryKeyConstraint("call", "n"),
    )
    op.create_table(
        "links",
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("call", sa.String(32), sa.ForeignKey("calls.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("expires_at", moment, nullable=False),
    )
    op.create_table(
        "recordings",
        call(),
        sa.Column("file", text, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("call"),
    )
    op.create_table(
        "do_not_call",
        sa.Column("number", text, primary_key=True),
        sa.Column("at", moment, nullable=False),
        sa.Column("why", text, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE words USING fts5(call UNINDEXED, utterance UNINDEXED, text, tokenize='unicode61 remove_diacritics 2')"
        )
    else:
        op.create_table("words", sa.Column("call", sa.String(32), index=True), sa.Column("utterance", text), sa.Column("text", text))


def downgrade() -> None:
    raise NotImplementedError("the first version has nothing before it")
