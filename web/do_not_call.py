"""Who asked not to be called: number, time and words, kept whatever becomes of the call, obeyed by every later one."""

import re
from typing import Any

import sqlalchemy as sa

from coaching.events import AnyEvent, FindingNoted, OutcomeChosen
from web.store import Store
from web.tables import calls, contacts, do_not_call


def plain(number: str) -> str:
    """The digits that two spellings of a US number share: "+1 (312) 555-0100" and "312.555.0100" are one."""
    digits = re.sub(r"\D", "", number)
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
