"""Leases: one holder a call, by the database's clock; late appends refused; an absent database is nobody's death."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from coaching.events import CallEnded, CallStarted, OutcomeChosen
from scripts.programs.services import Postgres
from tests.patience import PATIENCE
from tests.services import postgres  # noqa: F401  a fixture
from web.database import StoreAway
from web.leases import Lease, Leases, TakenOver
from web.log import CallLog, append_late
from web.store import Store, new_id
from web.tables import leases

LENGTH_S = 0.6 * PATIENCE


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Store, Store]]:
    """One database, opened by two processes (here: twice)."""
    url = request.getfixturevalue("postgres").url if request.param == "postgresql" else ""
    one, two = await Store.open(tmp_path, url), await Store.open(tmp_path, url)
    yield one, two
    await two.close()
    await one.close()


async def begun(store: Store, holder: str = "A", mode: str = "sample") -> str:
    call = new_id()
    await store.start_call(call, None, CallStarted(mode=mode), holder=holder, lease_s=LENGTH_S)
    return call


async def seen(watcher: Leases, call: str, within_s: float = 5.0 * PATIENCE) -> float:
    """Seconds until this call is vacant."""
    began = time.monotonic()
    while call not in [v.call for v in await watcher.vacant()]:
        if time.monotonic() - began > within_s:
            raise AssertionError("nobody noticed")
        await asyncio.sleep(LENGTH_S / 8)
    return time.monotonic() - began


async def looking(watcher: Leases, for_s: float) -> None:
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        await watcher.vacant()
        await asyncio.sleep(LENGTH_S / 8)


async def test_a_living_holder_is_never_vacant(stores: tuple[Store, Store]) -> None:
    """A call whose holder renews is offered to nobody, and after its death to whoever looks, within a lease and a look."""
    one, two = Leases(stores[0], LENGTH_S), Leases(stores[1], LENGTH_S)
    await looking(two, LENGTH_S * 1.2)
    call = await begun(stores[0])
    held = Lease(call, "A", 1)
    for _ in range(12):
        await one.renew(held)
        assert call not in [v.call for v in await two.vacant()]
        await asyncio.sleep(LENGTH_S / 6)
    assert await seen(two, call) < LENGTH_S * 1.5


async def test_of_two_that_take_over_one_wins(stores: tuple[Store, Store]) -> None:
    """Two web processes that see the same vacant call: one gets it, with a higher epoch; the other gets nothing."""
    one, two = Leases(stores[0], LENGTH_S), Leases(stores[1], LENGTH_S)
    for _ in range(8):
        call = await begun(stores[0])
        won = await asyncio.gather(*(leases.takeover(call, name, 1) for leases, name in ((one, "A"), (two, "B")) for _ in range(3)))
        (lease,) = [each for each in won if each is not None]
        assert lease.epoch == 2
        assert await two.of(call) == lease


async def test_acquire_takes_only_what_is_free(stores: tuple[Store, Store]) -> None:
    """A held call cannot be acquired, alive or dead; one that was given back can, with a higher epoch."""
    one, two = Leases(stores[0], LENGTH_S), Leases(stores[1], LENGTH_S)
    call = await begun(stores[0])
    assert await two.acquire(call, "B") is None
    await one.release(Lease(call, "A", 1))
    assert await two.of(call) is None
    assert await two.acquire(call, "B") == Lease(call, "B", 3)
    await one.release(Lease(call, "A", 1))  # too late to give anything back
    assert await one.of(call) == Lease(call, "B", 3)


async def test_a_given_back_call_is_vacant_at_once(stores: tuple[Store, Store]) -> None:
    """A worker that drains gives its calls back, and whoever looks next may have them."""
    one, two = Leases(stores[0], LENGTH_S), Leases(stores[1], LENGTH_S)
    await looking(two, LENGTH_S * 1.2)
    call = await begun(stores[0], mode="livekit")
    await one.release(Lease(call, "A", 1))
    assert [(v.mode, v.epoch) for v in await two.vacant(("livekit",)) if v.call == call] == [("livekit", 2)]
    assert call not in [v.call for v in await two.vacant(("sample",))]
    assert call not in [v.call for v in await two.vacant(except_modes=("livekit",))]


async def test_an_append_of_an_older_epoch_is_refused(stores: tuple[Store, Store]) -> None:
    """After a take-over the older holder's append changes nothing and raises; the newer one's goes on with the next number."""
    one, two = Leases(stores[0], LENGTH_S), Leases(stores[1], LENGTH_S)
    call = await begun(stores[0])
    log = CallLog(stores[0], call, lease=Lease(call, "A", 1), leases=one)
    await log.append([CallStarted(mode="sample")])
    lease = await two.takeover(call, "B", 1)
    assert lease is not None
    with pytest.raises(TakenOver):
        await log.append([OutcomeChosen(outcome="lost")])
    with pytest.raises(TakenOver):
        await one.renew(Lease(call, "A", 1))
    later = CallLog(stores[1], call, 1, lease=lease, leases=two)
    await later.append([OutcomeChosen(outcome="next_step")])
    assert [(e.n, e.event.type) for e in await stores[0].all_events(call)] == [(1, "call_started"), (2, "outcome_chosen")]
    assert (await stores[0].all_events(call))[1].event == OutcomeChosen(outcome="next_step")


async def test_an_append_renews(stores: tuple[Store, Store]) -> None:
    """A holder that logs is alive."""
    one = Leases(stores[0], LENGTH_S)
    call = await begun(stores[0])
    log = CallLog(stores[0], call, lease=Lease(call, "A", 1), leases=one)
    await stores[0].rows(sa.select(leases))
    before = (await stores[0].rows(sa.select(leases.c.until).where(leases.c.call == call)))[0]["until"]
    await asyncio.sleep(0.1)
    await log.append([CallStarted(mode="sample")])
    assert (await stores[0].rows(sa.select(leases.c.until).where(leases.c.call == call)))[0]["until"] > before + 0.05


async def test_take_over_and_append_at_once(stores: tuple[Store, Store]) -> None:
    """However an append and a take-over fall together, either the append is in the log before it or it is refused."""
    one, two = Leases(stores[0], LENGTH_S), Leases(stores[1], LENGTH_S)
    for _ in range(15):
        call = await begun(stores[0])
        log = CallLog(stores[0], call, lease=Lease(call, "A", 1), leases=one)

        async def talk(log: CallLog = log) -> int:
            said = 0
            with contextlib.suppress(TakenOver):
                while True:
                    await log.append([OutcomeChosen(outcome="lost")])
                    said += 1
            return said

        async def take(call: str = call) -> int:
            await asyncio.sleep(0.01)
            assert await two.takeover(call, "B", 1) is not None
            return len(await stores[1].all_events(call))

        said, there = await asyncio.gather(talk(), take())
        assert said == there == len(await stores[0].all_events(call))


async def test_late_words_of_two_processes_are_numbered(stores: tuple[Store, Store]) -> None:
    """What is added to an ended call by two processes at once gets numbers without gaps, and nothing is lost."""
    call = await begun(stores[0])
    await CallLog(stores[0], call).append([CallStarted(mode="sample"), CallEnded(reason="hung_up")])
    await asyncio.gather(*(append_late(store, call, [OutcomeChosen(outcome="lost")]) for store in stores for _ in range(10)))
    assert [e.n for e in await stores[0].all_events(call)] == list(range(1, 23))


async def test_after_an_absence_one_lease_passes(stores: tuple[Store, Store]) -> None:
    """When nobody could look for half a lease, a whole one passes before anything is vacant: the holders renew first."""
    two = Leases(stores[1], LENGTH_S)
    await looking(two, LENGTH_S * 1.2)
    call = await begun(stores[0])
    await asyncio.sleep(LENGTH_S * 1.5)  # nobody reaches the database, neither holder nor watcher
    assert await two.vacant() == []
    began = time.monotonic()
    await Leases(stores[0], LENGTH_S).renew(Lease(call, "A", 1))  # it was alive all the time
    await looking(two, LENGTH_S * 0.8)
    assert call not in [v.call for v in await two.vacant()]
    assert await seen(two, call) + (time.monotonic() - began) > LENGTH_S


@pytest.mark.postgres
async def test_a_restarted_database_kills_nobody(postgres: Postgres, tmp_path: Path) -> None:  # noqa: F811
    """PostgreSQL killed and started again quickly: a lease that ran out meanwhile is not vacant until one more has passed."""
    store = await Store.open(tmp_path, postgres.url)
    watcher = Leases(store, LENGTH_S)
    try:
        await looking(watcher, LENGTH_S * 1.2)
        call = await begun(store)
        await asyncio.sleep(LENGTH_S * 0.9)
        await watcher.vacant()
        postgres.kill()
        await asyncio.to_thread(postgres.start)
        until = time.monotonic() + LENGTH_S * 0.6
        while time.monotonic() < until:
            assert call not in [v.call for v in await watcher.vacant()]
            await asyncio.sleep(LENGTH_S / 8)
        await watcher.renew(Lease(call, "A", 1))
        assert await seen(watcher, call) > LENGTH_S * 0.8  # it does die when it really is dead
    finally:
        await store.close()


_WORKER = """
import asyncio, sys, time
from pathlib import Path
from coaching.events import OutcomeChosen
from web.database import StoreAway
from web.leases import Lease, Leases, TakenOver
from web.log import CallLog
from web.store import Store

async def main(folder, url, call, length_s):
    store = await Store.open(Path(folder), url)
    log = CallLog(store, call, lease=Lease(call, "A", 1), leases=Leases(store, float(length_s)))
    try:
        while True:
            await log.append([OutcomeChosen(outcome="lost")])
            print(log.last, flush=True)
            await asyncio.sleep(0.25)
    except TakenOver:
        print("taken over", flush=True)
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_stopped_worker_comes_back_too_late(stores: tuple[Store, Store], request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A process stopped past its lease and continued: what it still appends is refused, and nothing of it is in the log."""
    url = stores[0].engine.url.render_as_string(hide_password=False) if not stores[0].sqlite else ""
    call, watcher = await begun(stores[0]), Leases(stores[1], LENGTH_S)
    command = [sys.executable, "-c", _WORKER, str(tmp_path), url, call, str(LENGTH_S)]
    worker = await asyncio.to_thread(subprocess.Popen, command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert worker.stdout is not None
    lines: list[str] = []
    reading = asyncio.create_task(asyncio.to_thread(lambda: lines.extend(iter(worker.stdout.readline, ""))))  # type: ignore[union-attr]
    try:
        while len(lines) < 5:  # noqa: ASYNC110  a line has no event
            await asyncio.sleep(0.01)
        await looking(watcher, LENGTH_S * 1.2)
        said = len(lines)
        while len(lines) == said:  # noqa: ASYNC110  a line has no event
            await asyncio.sleep(0.002)
        os.kill(worker.pid, signal.SIGSTOP)  # it has just committed; what a stop in mid-transaction does is another test's
        await seen(watcher, call)
        lease = await watcher.takeover(call, "B", 1)
        assert lease is not None
        there: list[Any] = await stores[1].all_events(call)
        ours = CallLog(stores[1], call, there[-1].n, lease=lease, leases=watcher)
        await ours.append([OutcomeChosen(outcome="next_step")])
        os.kill(worker.pid, signal.SIGCONT)
        await reading
        assert lines[-1].strip() == "taken over"
        assert await stores[1].all_events(call) == [*there, *(await stores[1].events(call, there[-1].n))]
        assert (await stores[1].all_events(call))[-1].event == OutcomeChosen(outcome="next_step")
    finally:
        worker.kill()
        worker.wait()
        await reading
        worker.stdout.close()


@pytest.mark.postgres
async def test_a_worker_stopped_in_a_transaction_keeps_no_row(postgres: Postgres, tmp_path: Path) -> None:  # noqa: F811
    """A holder that stands still between its fence and its commit has the lease's row locked: PostgreSQL ends that transaction, the
    call is taken over, and what the holder would have committed is refused."""
    one, two = await Store.open(tmp_path, postgres.url), await Store.open(tmp_path, postgres.url)
    holder, watcher = Leases(one, LENGTH_S), Leases(two, LENGTH_S)
    try:
        await looking(watcher, LENGTH_S * 1.2)
        call, began = await begun(one), time.monotonic()
        with pytest.raises(StoreAway):  # noqa: PT012  the last statement raises, or the commit does
            async with one.write() as connection:
                await holder.fence(connection, Lease(call, "A", 1))
                await seen(watcher, call)
                assert await watcher.takeover(call, "B", 1) is not None
                assert time.monotonic() - began < 5 * PATIENCE
                await holder.fence(connection, Lease(call, "A", 1))
        assert await watcher.of(call) == Lease(call, "B", 2)
        with pytest.raises(TakenOver):
            await holder.renew(Lease(call, "A", 1))
    finally:
        await one.close()
        await two.close()


async def test_of_two_that_look_for_a_holder_one_claims(stores: tuple[Store, Store]) -> None:
    """Two web processes that would ask a worker: one may, for a while; of the workers that were asked for one epoch one takes the call."""
    one, two = Leases(stores[0], LENGTH_S), Leases(stores[1], LENGTH_S)
    call = await begun(stores[0])
    assert not await one.claim(call, 1, 1.0)  # its holder lives
    await seen(two, call)
    claims = await asyncio.gather(*(each.claim(call, 1, LENGTH_S) for each in (one, two)))
    assert sorted(claims) == [False, True]
    assert call not in [v.call for v in await two.vacant()]
    await seen(two, call)  # nobody came: it is asked again
    taken = await asyncio.gather(one.takeover(call, "B", 1), two.takeover(call, "C", 1))
    assert sorted(lease is not None for lease in taken) == [False, True]
