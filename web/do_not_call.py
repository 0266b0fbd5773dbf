"""Who asked not to be called: number, time and words, kept whatever becomes of the call, obeyed by every later one.

An entry may be false (a sentence misheard, a number mistyped): somebody with a name takes it off and says why, and that is kept.
"""

import re
import time
from typing import Any

import sqlalchemy as sa

from coaching.events import AnyEvent, FindingNoted, OutcomeChosen
from web.store import Store
from web.tables import calls, contacts, do_not_call, do_not_call_removed


def plain(number: str) -> str:
    """What two spellings of a number share: "+1 (312) 555-0100" and "312.555.0100" are one. A number from abroad keeps its "+", or
    +65 6123 4567 would be (656) 123-4567."""
    digits = re.sub(r"\D", "", number)
    if number.lstrip().startswith("+") and digits[:1] != "1":
        return f"+{digits}" if digits else ""
    return digits[1:] if len(digits) == 11 and digits[0] == "1" else digits


def request_in(event: AnyEvent) -> str | None:
    """The words of a request not to be called, or that the agent said so; None for any other event."""
    match event:
        case FindingNoted(label="do_not_call", speaker="prospect"):
            return event.quote
        case OutcomeChosen(outcome="do_not_call"):
            return "chosen as the outcome"
        case _:
            return None


async def keep_off(connection: Any, call: str, at: float, why: str) -> None:
    """Put the call's number on the list, in the transaction that commits the request; the first request stays."""
    wanted = sa.select(contacts.c.number).join(calls, calls.c.contact == contacts.c.id).where(calls.c.id == call)
    number = plain((await connection.execute(wanted)).scalar() or "")
    known = sa.select(do_not_call.c.number).where(do_not_call.c.number == number)
    if number and (await connection.execute(known)).scalar() is None:
        await connection.execute(sa.insert(do_not_call).values(number=number, at=at, why=why))


async def listed(store: Store, number: str) -> bool:
    """Whether whoever has this number asked not to be called."""
    digits = plain(number)
    return bool(digits) and await store.row(sa.select(do_not_call.c.number).where(do_not_call.c.number == digits)) is not None


async def entries(store: Store, digits: str = "", limit: int = 200) -> list[Any]:
    """The list, the newest first; those that hold these digits."""
    query = sa.select(do_not_call).where(do_not_call.c.number.contains(plain(digits), autoescape=True))
    return await store.rows(query.order_by(do_not_call.c.at.desc()).limit(limit))


async def removals(store: Store, limit: int = 200) -> list[Any]:
    """What was taken off, the newest first."""
    return await store.rows(sa.select(do_not_call_removed).order_by(do_not_call_removed.c.id.desc()).limit(limit))


async def put_on(store: Store, number: str, why: str) -> bool:
    """A request that came by another way than a call (a letter, a text message); False when the number was on the list."""
    digits = plain(number)
    async with store.write() as connection:
        await store.alone(connection)
        if (await connection.execute(sa.select(do_not_call.c.number).where(do_not_call.c.number == digits))).scalar() is not None:
            return False
        await connection.execute(sa.insert(do_not_call).values(number=digits, at=time.time(), why=why))
    return True


async def take_off(store: Store, number: str, *, by: str, why: str) -> bool:
    """False when the number was not on the list. A later request puts it on again."""
    async with store.write() as connection:
        await store.alone(connection)
        found = (await connection.execute(sa.select(do_not_call).where(do_not_call.c.number == plain(number)))).first()
        if found is None:
            return False
        kept = {"number": found.number, "listed_at": found.at, "listed_why": found.why, "at": time.time(), "by": by, "why": why}
        await connection.execute(sa.insert(do_not_call_removed).values(**kept))
        await connection.execute(sa.delete(do_not_call).where(do_not_call.c.number == found.number))
    return True
