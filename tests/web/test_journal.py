"""The journal: what happens while PostgreSQL is away lies on the disk, is copied in order, each event once, by whoever can."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from coaching.events import CallEnded, CallStarted, ConsentChanged, Logged, OutcomeChosen, StageChanged, UtteranceFinal
from scripts.programs.services import Postgres
from tests.patience import PATIENCE
from tests.services import postgres  # noqa: F401  a fixture
from web.bus import Bus
from web.database import StoreAway
from web.holding import Holder
from web.journal import Journal, left_behind
from web.leases import TakenOver
from web.log import CallLog, Replaced, Viewer
from web.store import Store, new_id

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(60)]
LENGTH_S = 0.6 * PATIENCE


@pytest.fixture
async def holders(tmp_path: Path, postgres: Postgres) -> AsyncIterator[tuple[Holder, Holder]]:  # noqa: F811
    """Two machines with a folder each, and one database."""
    url = postgres.fresh()
    stores = [await Store.open(tmp_path / name, url) for name in ("one", "two")]
    yield Holder(stores[0], Bus(), LENGTH_S), Holder(stores[1], Bus(), LENGTH_S)
    for store in stores:
        await store.close()


def said(text: str, start_ms: int = 0) -> UtteranceFinal:
    return UtteranceFinal(
        utterance=f"a{start_ms}", speaker="agent", start_ms=start_ms, end_ms=start_ms + 900, text=text, spoken=text, words=(), model="m"
    )


async def begun(holder: Holder) -> CallLog:
    call = new_id()
    await holder.store.start_call(call, None, CallStarted(mode="sample"), holder=holder.name, lease_s=LENGTH_S)
    lease = await holder.leases.of(call)
    assert lease is not None
    log = holder.hold(lease).log
    await log.append([CallStarted(mode="sample")])
    return log


def texts(log: list[Logged]) -> list[str]:
    return [each.event.text for each in log if isinstance(each.event, UtteranceFinal)]


async def test_a_hanging_database_does_not_hold_the_call_up(holders: tuple[Holder, Holder], postgres: Postgres) -> None:  # noqa: F811
    """PostgreSQL frozen in mid-commit: the append returns within 3 s, marked as not saved, and each event is in the log once when
    it thaws, whether the commit that hung was done or not."""
    log = await begun(holders[0])
    viewer = Viewer()
    log.viewers.add(viewer)
    postgres.freeze()
    began = time.monotonic()
    (first,) = await log.append([said("one")])
    assert time.monotonic() - began < 3.0
    began = time.monotonic()
    await log.append([said("two", 1000)])
    assert time.monotonic() - began < 0.2  # nobody waits for it twice
    assert first.unsaved
    assert [(await viewer.next()).n for _ in range(2)] == [2, 3]  # type: ignore[union-attr]  # events only
    postgres.thaw()
    for _ in range(100):
        with contextlib.suppress(StoreAway):
            await log.settle()
            break
        await asyncio.sleep(0.1)
    await log.append([said("three", 2000)])
    kept = await holders[1].store.all_events(log.call)
    assert [e.n for e in kept] == [1, 2, 3, 4]
    assert texts(kept) == ["one", "two", "three"]
    assert not list(holders[0].journals.iterdir())
    await log.close()


_DIES = """
import asyncio, sys
from pathlib import Path
from coaching.events import EVENT, Logged
from web.journal import Journal

journal = Journal(Path(sys.argv[1]), sys.argv[2], 1)
for line in sys.stdin:
    journal.append([Logged.model_validate_json(line)])
    print("kept", flush=True)
"""


async def left_by_a_dead_process(folder: Path, call: str, new: list[Any]) -> None:
    """What a process that was killed had in its journal, from event 2 on."""
    command = [sys.executable, "-c", _DIES, str(folder), call]
    process = await asyncio.to_thread(
        subprocess.Popen, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for n, event in enumerate(new, 2):
        process.stdin.write(Logged(call=call, n=n, at=time.time(), event=event).model_dump_json() + "\n")
        process.stdin.flush()
        assert await asyncio.to_thread(process.stdout.readline) == "kept\n"
    with left_behind(folder) as left:
        assert left == []  # it lives, and nobody takes its journal
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


async def test_the_next_process_copies_what_a_dead_one_left(holders: tuple[Holder, Holder]) -> None:
    """When nobody took the call over, a dead process's journal goes into the log under the numbers that viewers have seen."""
    one, two = holders
    log = await begun(one)
    await left_by_a_dead_process(one.journals, log.call, [said("one"), StageChanged(stage="closing", why=""), said("two", 1000)])
    with next(one.journals.iterdir()).open("a") as file:
        file.write('{"call": "cut of')
    assert await one.recover() == 1
    assert [(e.n, e.event.type) for e in await two.store.all_events(log.call)][1:] == [
        (2, "utterance_final"),
        (3, "stage_changed"),
        (4, "utterance_final"),
    ]
    assert await one.recover() == 0
    await log.close()


async def test_what_a_dead_process_left_is_added_behind(holders: tuple[Holder, Holder]) -> None:
    """When the call has been taken over and has ended, what was said and shown is added at its end, once; what was true only then is not."""
    one, two = holders
    log = await begun(one)
    lease = await two.leases.takeover(log.call, two.name, 1)
    assert lease is not None
    holding = two.hold(lease, 1)
    await holding.log.append([said("elsewhere", 5000), CallEnded(reason="hung_up")])
    await holding.done()
    await left_by_a_dead_process(
        one.journals, log.call, [said("one"), StageChanged(stage="closing", why=""), OutcomeChosen(outcome="lost")]
    )
    assert await one.recover() == 1
    kept = await two.store.all_events(log.call)
    assert [e.event.type for e in kept] == ["call_started", "utterance_final", "call_ended", "utterance_final", "outcome_chosen"]
    assert texts(kept) == ["elsewhere", "one"]
    assert [e.n for e in kept] == [1, 2, 3, 4, 5]
    await log.close()


async def test_who_has_the_call_is_given_what_a_dead_process_left(holders: tuple[Holder, Holder]) -> None:
    """When another process runs the call, it is told to adopt what was said and whether a yes was taken back; without an answer
    the journal stays."""
    one, two = holders
    log = await begun(one)
    lease = await two.leases.takeover(log.call, two.name, 1)
    assert lease is not None
    revoked = ConsentChanged(
        state="revoked", transcribe=False, record=False, claude=False, agent_only=False, by="prospect", rule="all-party"
    )
    await left_by_a_dead_process(one.journals, log.call, [said("one"), revoked])
    told: list[tuple[str, list[str]]] = []

    async def obey(name: str, body: dict[str, Any]) -> dict[str, Any]:
        told.append((name, [Logged.model_validate(each).event.type for each in body["events"]]))
        return {}

    async def serving() -> None:
        while not told:
            await two.commands.serve(log.call, obey)
            await asyncio.sleep(0.05)
        await two.commands.serve(log.call, obey)

    await asyncio.gather(one.recover(), serving())
    assert told == [("adopt", ["utterance_final", "consent_changed"])]
    assert not list(one.journals.iterdir())
    await log.close()


async def test_a_call_that_was_lost_makes_its_viewers_begin_anew(holders: tuple[Holder, Holder], postgres: Postgres) -> None:  # noqa: F811
    """Who was shown what its process could not save before it lost the call is told that others have those numbers."""
    one, two = holders
    log = await begun(one)
    assert log.lease is not None
    holding = one.hold(log.lease, 1)
    viewer = Viewer()
    holding.log.viewers.add(viewer)
    postgres.kill()
    await holding.log.append([said("one")])
    await asyncio.to_thread(postgres.start)
    for _ in range(50):
        with contextlib.suppress(StoreAway):
            assert await two.leases.takeover(log.call, two.name, 1) is not None
            break
        await asyncio.sleep(0.1)
    with pytest.raises(TakenOver):
        await holding.log.settle()
    await holding.done()
    with pytest.raises(Replaced):
        await viewer.next()
    assert [path.suffix for path in one.journals.iterdir()] == [".jsonl"]  # recover() brings it to whoever has the call
    await log.close()


def test_a_journal_that_was_cleared_is_gone(tmp_path: Path) -> None:
    """Nothing is made before the first event, and nothing stays after the last was copied."""
    journal = Journal(tmp_path, "c", 1)
    assert journal.read() == []
    journal.append([Logged(call="c", n=1, at=0.0, event=said("one"))])
    assert texts(journal.read()) == ["one"]
    assert journal.file.stat().st_mode & 0o777 == 0o600
    journal.clear()
    assert list(tmp_path.iterdir()) == []
    journal.append([Logged(call="c", n=2, at=0.0, event=said("two"))])
    assert texts(journal.read()) == ["two"]
    journal.close()
