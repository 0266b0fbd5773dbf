"""The tables. Events are the truth of a call; calls, contacts and the search index are found from them."""

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Integer, MetaData, String, Table, Text

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", String(8), nullable=False),  # owner, lead, agent
    Column("created_at", Float, nullable=False),
)
sign_ins = Table(  # one-time links; only hashes are kept
    "sign_ins",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("user", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", Float, nullable=False),
)
sessions = Table(
    "sessions",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("user", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", Float, nullable=False),
)
contacts = Table(
    "contacts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("number", Text, nullable=False, index=True),
    Column("lead_id", Text, nullable=False, index=True),
    Column("created_at", Float, nullable=False),
)
calls = Table(
    "calls",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user", ForeignKey("users.id"), nullable=True),
    Column("contact", ForeignKey("contacts.id"), nullable=True, index=True),
    Column("mode", String(16), nullable=False),
    Column("agent_name", Text, nullable=False),
    Column("started_at", Float, nullable=False, index=True),
    Column("ended_at", Float, nullable=True),
    Column("outcome", String(16), nullable=False),
)
events = Table(
    "events",
    metadata,
    Column("call", ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("type", String(32), nullable=False),
    Column("v", Integer, nullable=False),
    Column("body", JSON, nullable=False),
)
consents = Table(  # who agreed to what and when: what is left to show after the words are gone
    "consents",
    metadata,
    Column("call", ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("state", String(16), nullable=False),
    Column("by", String(32), nullable=False),
    Column("rule", Text, nullable=False),
)
links = Table(  # a prospect's way in; only hashes are kept
    "links",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("call", ForeignKey("calls.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("expires_at", Float, nullable=False),
)
recordings = Table(
    "recordings",
    metadata,
    Column("call", ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column("file", Text, nullable=False),
    Column("created_at", Float, nullable=False),
)
do_not_call = Table(
    "do_not_call",
    metadata,
    Column("number", Text, primary_key=True),
    Column("at", Float, nullable=False),
    Column("why", Text, nullable=False),
)
do_not_call_removed = Table(  # what was taken off the list, by whom and why; the proof that it was there stays
    "do_not_call_removed",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("number", Text, nullable=False, index=True),
    Column("listed_at", Float, nullable=False),
    Column("listed_why", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("by", Text, nullable=False),
    Column("why", Text, nullable=False),
)
claude_spend = Table(  # one line per question; it outlives its call, because money was spent
    "claude_spend",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("month", String(7), nullable=False, index=True),  # YYYY-MM, UTC
    Column("user", ForeignKey("users.id", ondelete="SET NULL"), nullable=True),
    Column("call", ForeignKey("calls.id", ondelete="SET NULL"), nullable=True, index=True),
    Column("purpose", String(16), nullable=False),
    Column("model", Text, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("cache_write_tokens", Integer, nullable=False),
    Column("cache_read_tokens", Integer, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("usd", Float, nullable=True),  # unknown for a model without a price
    Column("outcome", String(32), nullable=False),
)
leases = Table(  # who runs a call; the epoch rises whenever it changes hands, and an append with an older one is refused
    "leases",
    metadata,
    Column("call", ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column("holder", Text, nullable=False),  # empty: given back
    Column("epoch", Integer, nullable=False),
    Column("until", Float, nullable=False),  # by the database's clock
)
watches = Table(  # when somebody last looked for dead holders, and when the database last came back from being away
    "watches",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("at", Float, nullable=False),
    Column("back_at", Float, nullable=False),
)
strategies = Table(  # which call was coached how in an experiment, when that first showed, and how the call ended
    "strategies",
    metadata,
    Column("call", ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column("experiment", String(64), nullable=False, index=True),
    Column("strategy", String(32), nullable=False),
    Column("unit", String(32), nullable=False),  # the contact, or the call where nobody is known
    Column("assigned_at", Float, nullable=False),
    Column("exposed_at", Float, nullable=True),  # the first card whose words the strategy could choose
    Column("outcome", String(16), nullable=False),
)
commands = Table(  # what another process asks of whoever runs a call
    "commands",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("call", ForeignKey("calls.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(16), nullable=False),
    Column("body", JSON, nullable=False),
    Column("at", Float, nullable=False),
    Column("taken", Boolean, nullable=False),
    Column("answer", JSON(none_as_null=True), nullable=True),
)
rooms = Table(  # the LiveKit room of a call
    "rooms",
    metadata,
    Column("call", ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column("room", Text, nullable=False, unique=True),
    Column("rung_at", Float, nullable=True),  # when the agent's telephone was last rung, by the database's clock
)
