"""Who asked not to be called is not called again."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from coaching.events import CallStarted, Contact, FindingNoted, OutcomeChosen
from web.do_not_call import listed, plain, put_on
from web.log import CallLog
from web.store import Store
from web.tables import do_not_call

ASKED = FindingNoted(
    finding="p0-0", family="signal", label="do_not_call", speaker="prospect", quote="Take me off your list.", start_ms=0, end_ms=900, confidence=0.9, why="w", rule="r",
)  # fmt: skip


@pytest.fixture
async def store(tmp_path: Path):
    store = await Store.open(tmp_path)
    yield store
    await store.close()


async def call_with(store: Store, number: str, call: str = "c") -> CallLog:
    started = await store.start_call(call, None, CallStarted(mode="phone", contact=Contact(name="Ann", number=number)))
    log = CallLog(store, call)
    await log.append([started])
    return log


async def test_a_request_puts_number_and_quote_on_the_list(store: Store) -> None:
    """What the prospect said stands beside the number, at the moment at which it was heard."""
    log = await call_with(store, "+1 (312) 555-0100")
    assert not await listed(store, "312 555 0100")
    (logged,) = await log.append([ASKED])
    (row,) = await store.rows(sa.select(do_not_call))
    assert (row["number"], row["why"], row["at"]) == ("3125550100", "Take me off your list.", logged.at)
    assert await listed(store, "312.555.0100")


async def test_the_first_request_stays(store: Store) -> None:
    """Asking twice, or an outcome after it, changes nothing on the list."""
    log = await call_with(store, "3125550100")
    await log.append([ASKED, ASKED.model_copy(update={"quote": "I said no."}), OutcomeChosen(outcome="do_not_call")])
    assert [row["why"] for row in await store.rows(sa.select(do_not_call))] == ["Take me off your list."]


async def test_the_outcome_alone_is_enough(store: Store) -> None:
    """An agent who heard it says so with one key."""
    await (await call_with(store, "3125550100")).append([OutcomeChosen(outcome="do_not_call")])
    assert await listed(store, "3125550100")


async def test_the_agents_words_are_no_request(store: Store) -> None:
    """ "I won't call you again", said by the agent, lists nobody."""
    await (await call_with(store, "3125550100")).append([ASKED.model_copy(update={"speaker": "agent"}), OutcomeChosen(outcome="lost")])
    assert not await listed(store, "3125550100")


async def test_a_deleted_call_leaves_the_request(store: Store) -> None:
    """The request holds though the call that it was made in is gone."""
    await (await call_with(store, "3125550100")).append([ASKED])
    await store.delete_calls(["c"])
    assert await listed(store, "3125550100")


async def test_a_call_without_a_number_lists_nobody(store: Store) -> None:
    """An unknown number is no number."""
    await (await call_with(store, "")).append([ASKED])
    assert await store.rows(sa.select(do_not_call)) == []
    assert not await listed(store, "")


@pytest.mark.parametrize("number", ["+13125550100", "1 312 555 0100", "(312) 555-0100", "312.555.0100"])
def test_one_number_has_many_spellings(number: str) -> None:
    """They are one entry of the list."""
    assert plain(number) == "3125550100"


async def test_a_number_from_abroad_is_not_the_us_number_of_the_same_digits(store: Store) -> None:
    """+65 6123 4567 asked not to be called; (656) 123-4567 did not."""
    await put_on(store, "+65 6123 4567", "a letter")
    assert await listed(store, "+6561234567")
    assert not await listed(store, "(656) 123-4567")
    assert not await listed(store, "+16561234567")
