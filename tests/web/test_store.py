"""The store and the log: committed before sent, numbered without gaps, deleted for good."""

import asyncio
import datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from coaching.events import CallEnded, CallStarted, Card, Contact, SuggestionChanged, SuggestionShown, UtteranceFinal
from intelligence.claude_spend import Spent, Usage
from voice.frames import AudioFrame
from web.log import CallLog, TooSlow, Viewer
from web.recordings import Recorder, read_stereo
from web.store import Store
from web.tables import users


@pytest.fixture
async def store(tmp_path: Path):
    store = await Store.open(tmp_path)
    yield store
    await store.close()


def said(text: str, utterance: str = "a0") -> UtteranceFinal:
    return UtteranceFinal(utterance=utterance, speaker="agent", start_ms=0, end_ms=900, text=text)


async def begun(store: Store, call: str, contact: Contact | None = None) -> tuple[CallLog, CallStarted]:
    started = await store.start_call(call, None, CallStarted(mode="sample", contact=contact or Contact()))
    log = CallLog(store, call)
    await log.append([started])
    return log, started


async def test_appends_from_many_tasks_are_numbered_without_gaps(store: Store) -> None:
    """Events that many tasks append at once get the numbers 1, 2, 3, … in the order in which viewers get them."""
    log, _ = await begun(store, "c")
    viewer = Viewer()
    log.viewers.add(viewer)
    await asyncio.gather(*(log.append([said("one", f"a{i}"), said("two", f"b{i}")]) for i in range(20)))
    assert [each.n for each in await store.all_events("c")] == list(range(1, 42))
    assert [(await viewer.next()).n for _ in range(40)] == list(range(2, 42))  # type: ignore[union-attr]  # events only


async def test_a_sent_event_is_on_disk(store: Store, tmp_path: Path) -> None:
    """What a viewer has been given can be read by another process at that moment."""
    log, _ = await begun(store, "c")
    viewer = Viewer()
    log.viewers.add(viewer)
    appending = asyncio.create_task(log.append([said("hello")]))
    logged = await viewer.next()
    other = await Store.open(tmp_path)
    assert (await other.all_events("c"))[-1] == logged
    await other.close()
    await appending


async def test_a_cancelled_append_is_still_told(store: Store) -> None:
    """An append that is cancelled while it commits leaves no number that viewers were not told of."""
    log, _ = await begun(store, "c")
    appending = asyncio.create_task(log.append([said("hello")]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    appending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await appending
    assert log.last == len(await store.all_events("c"))


async def test_a_viewer_that_does_not_read_is_told_so(store: Store) -> None:
    """A viewer behind by more events than may wait is closed instead of growing."""
    log, _ = await begun(store, "c")
    viewer = Viewer()
    log.viewers.add(viewer)
    await log.append([said("word")] * 600)
    with pytest.raises(TooSlow):
        await viewer.next()


async def test_words_find_calls(store: Store) -> None:
    """A call is found by the beginning of a word that was said in it, and by nothing else."""
    for call, text in (("c1", "the townhouse in Lakewood"), ("c2", "a condo downtown")):
        log, _ = await begun(store, call)
        await log.append([said(text)])
    assert [row["id"] for row in await store.search("townh", None, 9)] == ["c1"]
    assert await store.search('"; DROP TABLE words; --', None, 9) == []


async def test_deleting_a_contact_leaves_nothing(store: Store) -> None:
    """After a contact is deleted no file holds its name, number, words or sound, in the table, index or journal."""
    log, started = await begun(store, "c", Contact(name="Zebulon", number="+13035550100"))
    other, _ = await begun(store, "other", Contact(name="Ottilie"))
    await other.append([said("marmalade")])
    await log.append([said("quixotic parallelogram"), CallEnded(reason="hung_up")])
    recorder = Recorder(store.folder / "audio" / "c.pcm")
    recorder.feed(AudioFrame("agent", 0, np.ones(320, np.int16)))
    recorder.close()

    def kept() -> bytes:
        return b"".join(file.read_bytes() for file in store.folder.rglob("*") if file.is_file())

    assert b"Zebulon" in kept()
    assert b"quixotic" in kept()
    assert started.contact.id
    await store.delete_contact(started.contact.id)
    for trace in (b"Zebulon", b"3035550100", b"quixotic", b"parallelogram"):
        assert trace not in kept(), trace
    assert not list((store.folder / "audio").iterdir())
    assert [row["id"] for row in await store.search("marmalade", None, 9)] == ["other"]


async def test_a_known_number_is_the_same_contact(store: Store) -> None:
    """A call to a number that was called before belongs to the same contact."""
    _, first = await begun(store, "c1", Contact(name="Marcus", number="+13035550100"))
    _, second = await begun(store, "c2", Contact(number="+13035550100"))
    assert second.contact.id == first.contact.id
    assert second.contact.name == "Marcus"


def test_a_recording_goes_on_after_a_restart(tmp_path: Path) -> None:
    """Sound of both sides lies where it was heard, also when a second recorder goes on in the same second."""
    file = tmp_path / "c.pcm"
    first, second = Recorder(file), Recorder(file)
    first.feed(AudioFrame("agent", 100, np.full(320, 5, np.int16)))
    first.close()
    second.feed(AudioFrame("prospect", 500, np.full(32_000, 7, np.int16)))
    second.close()
    sound = read_stereo(file, 0, 48_000)
    assert set(sound[1600:1920, 0]) == {5}
    assert set(sound[8000:40_000, 1]) == {7}
    assert np.count_nonzero(sound) == 320 + 32_000


async def test_spending_outlives_its_call(store: Store) -> None:
    """What Claude cost is kept by month and agent, priced or not, also when the call is deleted."""
    async with store.write() as connection:
        await connection.execute(sa.insert(users).values(id="u1", name="Tom", role="agent", created_at=0.0))
    await store.start_call("c", "u1", CallStarted(mode="sample"))
    for usd in (0.25, 0.5, None):
        await store.spend(Spent("c", "card", "m", Usage(input=10, output=5, cache_read=100), usd, "answered"))
    await store.spend(Spent("gone", "card", "m", Usage(input=1), 0.125, "TooSlow"))
    await store.delete_calls(["c"])
    month = f"{datetime.datetime.now(datetime.UTC):%Y-%m}"
    assert await store.spent_usd(month) == 0.875
    assert await store.spent_usd("2001-01") == 0.0
    lines = {row["user"]: row for row in await store.spending(month)}
    assert lines["u1"] == {"user": "u1", "name": "Tom", "questions": 3, "tokens": 345, "usd": 0.75, "unpriced": 1}
    assert lines[None]["usd"] == 0.125


async def test_practice_teaches_nothing(store: Store) -> None:
    """Only calls with somebody on the other side say what a card is worth."""
    card = Card(id="k1", moment="objection", kind="objection_response", title="t", say="s", why="w")
    for mode in ("sample", "phone"):
        await store.start_call(mode, None, CallStarted(mode=mode))
        log = CallLog(store, mode)
        await log.append([SuggestionShown(card=card), SuggestionChanged(card="k1", change="used")])
    assert [(e.call, e.event.type) for e in await store.card_events()] == [("phone", "suggestion_shown"), ("phone", "suggestion_changed")]
