"""The database: opened, migrated, read and written; and what deletes a call or a contact for good.

SQLite in WAL with synchronous=NORMAL: a commit costs about 0.4 ms and survives a killed process. ``secure_delete``
overwrites what is deleted; a truncating checkpoint then empties the journal that may still hold it.
"""

import asyncio
import contextlib
import datetime
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import alembic.command
import alembic.config
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from coaching.events import EVENT, CallStarted, Contact, Logged
from intelligence.claude_spend import Spent
from web.tables import calls, claude_spend, contacts, events, links, recordings, users

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
PAGE: Final = 500


def new_id() -> str:
    return uuid.uuid4().hex


class Store:
    """One per process. Writes go one at a time (SQLite has one writer; a queue of ours is fairer than its busy wait)."""

    def __init__(self, folder: Path, engine: AsyncEngine) -> None:
        self.folder, self.engine = folder, engine
        self._writing = asyncio.Lock()

    @classmethod
    async def open(cls, folder: Path) -> "Store":
        """Creates the folder and runs the migrations that are due."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "audio").mkdir(exist_ok=True)
        file = folder / "sottovoce.sqlite3"
        await asyncio.to_thread(_migrate, file)
        engine = create_async_engine(f"sqlite+aiosqlite:///{file}", pool_size=5)
        sa.event.listen(engine.sync_engine, "connect", _pragmas)
        return cls(folder, engine)

    async def close(self) -> None:
        await self.engine.dispose()

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, committed when the block is left."""
        async with self._writing, self.engine.begin() as connection:
            yield connection

    async def rows(self, query: Any) -> list[Any]:
        async with self.engine.connect() as connection:
            return [row._mapping for row in await connection.execute(query)]

    async def row(self, query: Any) -> Any | None:
        return next(iter(await self.rows(query.limit(1))), None)

    # ---- calls

    async def start_call(self, call: str, user: str | None, started: CallStarted) -> CallStarted:
        """Enters the call and its contact; the answer names the contact by id."""
        now = time.time()
        async with self.write() as connection:
            contact = await self._contact(connection, started.contact, now)
            await connection.execute(
                sa.insert(calls).values(
                    id=call, user=user, contact=contact.id, mode=started.mode, agent_name=started.agent_name, started_at=now, outcome=""
                )
            )
        return started.model_copy(update={"contact": contact})

    async def _contact(self, connection: AsyncConnection, contact: Contact, now: float) -> Contact:
        """The known contact (by id, number or lead), else a new one; a call with nobody's name has none."""
        for column, value in ((contacts.c.id, contact.id), (contacts.c.number, contact.number), (contacts.c.lead_id, contact.lead_id)):
            if value:
                found = (await connection.execute(sa.select(contacts).where(column == value))).first()
                if found is not None:
                    return Contact(id=found.id, name=contact.name or found.name, number=found.number, lead_id=found.lead_id)
        if not (contact.name or contact.number or contact.lead_id):
            return Contact()
        made = Contact(id=new_id(), name=contact.name, number=contact.number, lead_id=contact.lead_id)
        await connection.execute(sa.insert(contacts).values(**made.model_dump(), created_at=now))
        return made

    async def live_calls(self) -> list[str]:
        """Calls that no event has ended: at start, those that a crash cut off."""
        return [row["id"] for row in await self.rows(sa.select(calls.c.id).where(calls.c.ended_at.is_(None)))]

    async def events(self, call: str, after: int = 0, limit: int = PAGE) -> list[Logged]:
        query = sa.select(events).where(events.c.call == call, events.c.n > after).order_by(events.c.n).limit(limit)
        return [
            Logged(call=row["call"], n=row["n"], at=row["at"], event=EVENT.validate_python(row["body"])) for row in await self.rows(query)
        ]

    async def all_events(self, call: str) -> list[Logged]:
        return await self.events(call, limit=1_000_000)

    async def card_events(self, latest: int = 200) -> list[Logged]:
        """What became of the cards of the latest calls with somebody on the other side; practice and recordings teach nothing."""
        real = (
            sa.select(calls.c.id)
            .where(calls.c.mode.not_in(("sample", "microphone", "replay")))
            .order_by(calls.c.started_at.desc())
            .limit(latest)
        )
        wanted = events.c.type.in_(("suggestion_shown", "suggestion_changed")) & events.c.call.in_(real)
        rows = await self.rows(sa.select(events).where(wanted).order_by(events.c.call, events.c.n))
        return [Logged(call=r["call"], n=r["n"], at=r["at"], event=EVENT.validate_python(r["body"])) for r in rows]

    async def search(self, words: str, before: float | None, limit: int) -> list[Any]:
        """Calls in which all these words were said, or whose contact is called so; the newest first."""
        query = sa.select(calls, contacts.c.name, contacts.c.number).outerjoin(contacts, calls.c.contact == contacts.c.id)
        if terms := words.split():
            said: Any = sa.select(sa.column("call")).select_from(sa.table("words")).where(sa.text("words MATCH :terms"))
            like = "%" + words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            query = query.where(
                calls.c.id.in_(said) | contacts.c.name.like(like, escape="\\") | contacts.c.number.like(like, escape="\\")
            ).params(terms=" ".join('"' + term.replace('"', '""') + '"*' for term in terms))
        if before is not None:
            query = query.where(calls.c.started_at < before)
        return await self.rows(query.order_by(calls.c.started_at.desc()).limit(limit))

    # ---- what Claude has cost

    async def spend(self, spent: Spent) -> None:
        """A line of the ledger, on the account of the call's agent."""
        now, usage = time.time(), spent.usage
        async with self.write() as connection:
            call = (await connection.execute(sa.select(calls.c.id, calls.c.user).where(calls.c.id == spent.call))).first()
            await connection.execute(
                sa.insert(claude_spend).values(
                    at=now, month=f"{datetime.datetime.fromtimestamp(now, datetime.UTC):%Y-%m}", user=call and call.user, call=call and call.id,
                    purpose=spent.purpose, model=spent.model, input_tokens=usage.input, output_tokens=usage.output,
                    cache_write_tokens=usage.cache_write, cache_read_tokens=usage.cache_read, estimated=usage.estimated, usd=spent.usd,
                    outcome=spent.outcome,
                )
            )  # fmt: skip

    async def spent_usd(self, month: str) -> float:
        """Dollars of a month (YYYY-MM), as far as prices are known."""
        row = await self.row(sa.select(sa.func.sum(claude_spend.c.usd).label("usd")).where(claude_spend.c.month == month))
        return float(row["usd"] or 0.0) if row is not None else 0.0

    async def spending(self, month: str) -> list[Any]:
        """A row per agent: user, name, questions, tokens, usd, and how many questions have no known price."""
        tokens = (
            claude_spend.c.input_tokens
            + claude_spend.c.output_tokens
            + claude_spend.c.cache_write_tokens
            + claude_spend.c.cache_read_tokens
        )
        query = (
            sa.select(
                claude_spend.c.user, users.c.name, sa.func.count().label("questions"), sa.func.sum(tokens).label("tokens"),
                sa.func.sum(claude_spend.c.usd).label("usd"), sa.func.sum(sa.case((claude_spend.c.usd.is_(None), 1), else_=0)).label("unpriced"),
            )
            .outerjoin(users, claude_spend.c.user == users.c.id)
            .where(claude_spend.c.month == month)
            .group_by(claude_spend.c.user, users.c.name)
        )  # fmt: skip
        return [dict(row) for row in await self.rows(query)]

    # ---- deletion

    async def delete_calls(self, which: Sequence[str]) -> None:
        """Events, consents, links, words, sound: all of it, and nothing of it left in the file."""
        async with self.write() as connection:
            for call in which:
                await connection.execute(sa.text("DELETE FROM words WHERE call = :call"), {"call": call})
                for table in (events, links, recordings):
                    await connection.execute(sa.delete(table).where(table.c.call == call))
                await connection.execute(sa.delete(calls).where(calls.c.id == call))  # consents go by cascade
            if which and self.engine.dialect.name == "sqlite":  # the index only marks what is deleted until it is merged
                await connection.execute(sa.text("INSERT INTO words(words) VALUES('optimize')"))
        for call in which:
            for file in (self.folder / "audio").glob(f"{call}.*"):
                file.unlink(missing_ok=True)
        await self._checkpoint()

    async def delete_contact(self, contact: str) -> None:
        await self.delete_calls([row["id"] for row in await self.rows(sa.select(calls.c.id).where(calls.c.contact == contact))])
        async with self.write() as connection:
            await connection.execute(sa.delete(contacts).where(contacts.c.id == contact))
        await self._checkpoint()

    async def _checkpoint(self) -> None:
        async with self._writing, self.engine.connect() as connection:
            await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _migrate(file: Path) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    engine = sa.create_engine(f"sqlite:///{file}")
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, "head")
    finally:
        engine.dispose()
    file.chmod(0o600)
