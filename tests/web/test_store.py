"""The store and the log: committed before sent, numbered without gaps, deleted for good."""

import asyncio
import datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from coaching.events import (
    CallEnded,
    CallStarted,
    Card,
    Contact,
    OutcomeChosen,
    SuggestionChanged,
    SuggestionShown,
    TranscriptRevised,
    UtteranceFinal,
)
from coaching.experiments import Outcome, assigned
from intelligence.claude_spend import Spent, Usage
from scripts.programs.services import Postgres
from tests.services import database, postgres  # noqa: F401  fixtures
from voice.frames import AudioFrame
from web.auth import Doors
from web.database import DatabaseRefused, StoreAway
from web.log import CallLog, TooSlow, Viewer, append_late
from web.recordings import Recorder, read_stereo
from web.store import Store
from web.tables import users


@pytest.fixture
async def store(tmp_path: Path, database: str):  # noqa: F811
    store = await Store.open(tmp_path, database)
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


async def test_a_sent_event_is_on_disk(store: Store, tmp_path: Path, database: str) -> None:  # noqa: F811
    """What a viewer has been given can be read by another process at that moment."""
    log, _ = await begun(store, "c")
    viewer = Viewer()
    log.viewers.add(viewer)
    appending = asyncio.create_task(log.append([said("hello")]))
    logged = await viewer.next()
    other = await Store.open(tmp_path, database)
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
    assert [row["id"] for row in await store.search("LAKEWOOD the", None, 9)] == ["c1"]
    assert await store.search('"; DROP TABLE words; --', None, 9) == []
    assert await store.search("';:*&|!", None, 9) == []


async def test_a_call_is_listed_once_it_has_begun(store: Store) -> None:
    """Between its row and its first event nobody finds it, so whoever opens a call that is listed sees it."""
    started = await store.start_call("c1", None, CallStarted(mode="sample"))
    assert await store.search("", None, 9) == []
    await CallLog(store, "c1").append([started])
    assert [row["id"] for row in await store.search("", None, 9)] == ["c1"]


async def test_accents_and_signs_do_not_hide_words(store: Store) -> None:
    """What was said with an accent, a hyphen or an apostrophe is found with or without it, and in one utterance only."""
    log, _ = await begun(store, "c1", Contact(name="Zoë Núñez"))
    await log.append([said("a café with a walk-in closet, it's 12.5 percent"), said("by the lake", "a1")])
    for words in ("cafe", "café", "walk-in", "walk in", "it's", "12.5", "zoë"):
        assert [row["id"] for row in await store.search(words, None, 9)] == ["c1"], words
    assert await store.search("walk-lake", None, 9) == []
    assert await store.search("cafe lake", None, 9) == []


async def test_a_revised_word_is_found_and_the_old_one_is_not(store: Store) -> None:
    """The index follows a second reading, and deletion."""
    log, _ = await begun(store, "c1")
    await log.append([said("the tall house")])
    await log.append([TranscriptRevised(utterance="a0", text="the town house")])
    assert await store.search("tall", None, 9) == []
    assert [row["id"] for row in await store.search("town", None, 9)] == ["c1"]
    await store.delete_calls(["c1"])
    assert await store.search("town", None, 9) == []


async def test_two_servers_enter_one_owner(store: Store, tmp_path: Path, database: str) -> None:  # noqa: F811
    """Servers that start at once on an empty database agree on its owner and open it side by side."""
    others = await asyncio.gather(*(Store.open(tmp_path, database) for _ in range(3)))
    await asyncio.gather(*(Doors(each).sign_in_token() for each in (store, *others)))
    for each in others:
        await each.close()
    assert len(await store.rows(sa.select(users))) == 1


@pytest.mark.postgres
async def test_an_absent_postgres_is_said(postgres: Postgres, tmp_path: Path) -> None:  # noqa: F811
    """While PostgreSQL is dead whatever is asked of the store raises StoreAway within seconds, and works again after its return."""
    store = await Store.open(tmp_path, postgres.fresh())
    try:
        log, _ = await begun(store, "c")
        postgres.kill()
        for asked in (store.all_events("c"), log.append([said("one")]), store.search("one", None, 1)):
            with pytest.raises(StoreAway):
                await asyncio.wait_for(asked, 5)
        with pytest.raises(StoreAway):
            await Store.open(tmp_path, postgres.url)
        await asyncio.to_thread(postgres.start)
        await log.append([said("two")])
        assert [e.n for e in await store.all_events("c")] == [1, 2]
    finally:
        await store.close()


async def test_a_refused_url_is_said(tmp_path: Path) -> None:
    """A URL of another database is refused by a sentence without its password."""
    with pytest.raises(DatabaseRefused, match="postgresql://") as refused:
        await Store.open(tmp_path, "mysql://somebody:secret@host/db")
    assert "secret" not in str(refused.value)


async def test_deleting_a_contact_leaves_nothing(store: Store, database: str, request: pytest.FixtureRequest) -> None:  # noqa: F811
    """After a contact is deleted no file of SQLite (no row of PostgreSQL) holds its name, number, words or sound, and no folder its sound."""
    log, started = await begun(store, "c", Contact(name="Zebulon", number="+13035550100"))
    other, _ = await begun(store, "other", Contact(name="Ottilie"))
    await other.append([said("marmalade")])
    await log.append([said("quixotic parallelogram"), CallEnded(reason="hung_up")])
    recorder = Recorder(store.folder / "audio" / "c.pcm")
    recorder.feed(AudioFrame("agent", 0, np.ones(320, np.int16)))
    recorder.close()

    def kept() -> bytes:
        if database:  # what its files and its write-ahead log still hold is PostgreSQL's affair: docs/scale.md says so
            return str(request.getfixturevalue("postgres").dump(database)).encode()
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


async def test_an_experiments_call_is_assigned_exposed_and_over(store: Store) -> None:
    """A call of an experiment holds its strategy, the first card that it could choose, and its outcome; practice has none."""
    card = Card(id="k1", moment="objection", kind="objection_response", title="t", say="s", why="w")
    for call, mode, shown in (("real", "phone", [card]), ("quiet", "browser", []), ("practice", "sample", [card])):
        started = await store.start_call(call, None, CallStarted(mode=mode), experiment="spring")
        assert started.strategy == ("" if mode == "sample" else assigned("spring", call))
        log = CallLog(store, call)
        await log.append([started, *(SuggestionShown(card=each) for each in shown), CallEnded(reason="over")])
        await append_late(store, call, [OutcomeChosen(outcome="appointment")])
    assert await store.experiment_outcomes("spring") == [
        Outcome(assigned("spring", "real"), "real", True, "appointment"),
        Outcome(assigned("spring", "quiet"), "quiet", False, "appointment"),
    ]
    assert await store.experiment_outcomes("autumn") == []


async def test_without_an_experiment_no_call_has_a_strategy(store: Store) -> None:
    """The default is the playbook as written, and nothing is entered."""
    assert (await begun(store, "c"))[1].strategy == ""
    assert await store.experiment_outcomes("") == []
