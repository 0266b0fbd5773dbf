"""What is read from and written to the database; and what deletes a call or a contact for good."""

import datetime
import time
import unicodedata
import uuid
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from coaching.events import EVENT, CallStarted, Contact, Logged
from coaching.experiments import Outcome, assigned
from intelligence.claude_spend import Spent
from web.database import Database
from web.tables import calls, claude_spend, contacts, events, leases, links, recordings, rooms, strategies, users

PAGE: Final = 500
_HELD_BY_WORDS: Final = {
    "sqlite": "words MATCH :terms",
    "postgresql": "to_tsvector('simple', text) @@ to_tsquery('simple', :terms)",
}
_NOT_TRIED: Final = frozenset({"sample", "replay"})  # nobody is there to be won


def new_id() -> str:
    return uuid.uuid4().hex


def folded(text: str) -> str:
    """Letters and digits without accents and capitals, a blank between words: what the search index holds on any database."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join("".join(c if c.isalnum() else " " for c in plain.casefold()).split())


class Store(Database):
    """One per process."""

    # ---- calls

    async def start_call(
        self, call: str, user: str | None, started: CallStarted, *, holder: str = "", lease_s: float = 0.0, room: str = "",
        experiment: str = "",
    ) -> CallStarted:  # fmt: skip
        """Enters the call and its contact; the answer names the contact by id. With ``holder`` its lease (epoch 1) begins too,
        with ``room`` it is held in that LiveKit room; in an ``experiment`` the answer names the strategy of this call."""
        now = time.time()
        async with self.write() as connection:
            contact = await self._contact(connection, started.contact, now)
            await connection.execute(
                sa.insert(calls).values(
                    id=call, user=user, contact=contact.id, mode=started.mode, agent_name=started.agent_name, started_at=now, outcome=""
                )
            )
            if holder:  # in the same transaction, so that no watcher ever finds a live call that nobody holds
                await connection.execute(sa.insert(leases).values(call=call, holder=holder, epoch=1, until=self.now + lease_s))
            if experiment and started.mode not in _NOT_TRIED:
                unit = contact.id or call
                started = started.model_copy(update={"strategy": assigned(experiment, unit)})
                tried = {
                    "call": call,
                    "experiment": experiment,
                    "strategy": started.strategy,
                    "unit": unit,
                    "assigned_at": now,
                    "outcome": "",
                }
                await connection.execute(sa.insert(strategies).values(**tried))
            if room:
                await connection.execute(sa.insert(rooms).values(call=call, room=room))
        return started.model_copy(update={"contact": contact})

    async def _contact(self, connection: AsyncConnection, contact: Contact, now: float) -> Contact:
        """The known contact (by id, number or lead), else a new one; a call with nobody's name has none."""
        await self.alone(connection)
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

    async def experiment_outcomes(self, experiment: str) -> list[Outcome]:
        """The ended calls of an experiment, in the order in which they ended."""
        query = sa.select(strategies).join(calls, calls.c.id == strategies.c.call).order_by(calls.c.ended_at, calls.c.id)
        rows = await self.rows(query.where(strategies.c.experiment == experiment, calls.c.ended_at.is_not(None)))
        return [Outcome(r["strategy"], r["unit"], r["exposed_at"] is not None, r["outcome"]) for r in rows]

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
        # Whoever opens a call that is listed finds it: between its row and its first event there are some milliseconds.
        query = query.where(sa.exists().where(events.c.call == calls.c.id))
        if words.split():
            like = "%" + words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            named = contacts.c.name.ilike(like, escape="\\") | contacts.c.number.ilike(like, escape="\\")
            if terms := [term for word in words.split() if (term := folded(word))]:
                said: Any = sa.select(sa.column("call")).select_from(sa.table("words"))
                said = said.where(sa.text(_HELD_BY_WORDS[self.engine.dialect.name]))
                named |= calls.c.id.in_(said)
                query = query.params(terms=_terms(terms, sqlite=self.sqlite))
            query = query.where(named)
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
            if which and self.sqlite:  # the index only marks what is deleted until it is merged
                await connection.execute(sa.text("INSERT INTO words(words) VALUES('optimize')"))
        for call in which:
            for file in (*(self.folder / "audio").glob(f"{call}.*"), *(self.folder / "journal").glob(f"{call}.*")):
                file.unlink(missing_ok=True)
        await self.sweep("events", "words", "consents", "links", "recordings", "calls")

    async def delete_contact(self, contact: str) -> None:
        await self.delete_calls([row["id"] for row in await self.rows(sa.select(calls.c.id).where(calls.c.contact == contact))])
        async with self.write() as connection:
            await connection.execute(sa.delete(contacts).where(contacts.c.id == contact))
        await self.sweep("contacts")


def _terms(terms: Sequence[str], *, sqlite: bool) -> str:
    """All of these in one utterance, each as the beginning of a word; what was one word to the searcher stays together."""
    if sqlite:
        return " ".join(f'"{term}"*' for term in terms)
    return " & ".join(f"({' <-> '.join(term.split())}:*)" for term in terms)
