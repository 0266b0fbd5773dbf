"""Holding a call: the lease is kept whatever a command takes, and a command that ends the call is answered."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from coaching.events import CallStarted
from tests.patience import PATIENCE
from web.bus import Bus
from web.holding import Holder, Holding
from web.leases import Lease, TakenOver
from web.store import Store, new_id

LENGTH_S = 0.6 * PATIENCE


@pytest.fixture
async def holders(tmp_path: Path) -> AsyncIterator[tuple[Holder, Holder]]:
    """Two processes on one database."""
    stores = [await Store.open(tmp_path) for _ in range(2)]
    yield Holder(stores[0], Bus(), LENGTH_S), Holder(stores[1], Bus(), LENGTH_S)
    for store in stores:
        await store.close()


async def held(holder: Holder) -> Holding:
    call = new_id()
    await holder.store.start_call(call, None, CallStarted(mode="sample"), holder=holder.name, lease_s=LENGTH_S)
    return holder.hold(Lease(call, holder.name, 1))


async def silent(*_: Any, **__: Any) -> None:
    pass


@contextlib.asynccontextmanager
async def keeping(holding: Holding, obey: Any) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(holding.keep(obey, silent))
    yield task
    task.cancel()
    await asyncio.wait({task})


async def test_a_slow_command_costs_no_lease(holders: tuple[Holder, Holder]) -> None:
    """While a command takes longer than the lease, nobody finds the call vacant."""
    one, two = holders
    holding = await held(one)
    for _ in range(10):  # long enough for a look to count
        await two.leases.vacant()
        await asyncio.sleep(LENGTH_S / 6)

    async def slow(_name: str, _body: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(LENGTH_S * 2.5)
        return {"done": True}

    async with keeping(holding, slow):
        asked = asyncio.create_task(two.ask(holding.lease.call, "card", {}))
        await asyncio.sleep(LENGTH_S / 2)
        seen = []
        while not asked.done():
            seen += await two.leases.vacant()
            await asyncio.sleep(LENGTH_S / 8)
        assert await asked == {"done": True}
    assert seen == []
    await holding.done()


async def test_the_command_that_ends_a_call_is_answered(holders: tuple[Holder, Holder]) -> None:
    """A command during which the call ends, and keep() with it, still has its answer."""
    one, two = holders
    holding, ended = await held(one), asyncio.Event()

    async def end(_name: str, _body: dict[str, Any]) -> dict[str, Any]:
        ended.set()
        await asyncio.sleep(0.3)
        return {"ended": True}

    async with keeping(holding, end) as task:
        asked = asyncio.create_task(two.ask(holding.lease.call, "end", {}))
        await ended.wait()
        task.cancel()
        assert await asked == {"ended": True}
    await holding.done()


async def test_who_has_lost_the_call_is_told(holders: tuple[Holder, Holder]) -> None:
    """keep() raises TakenOver when another has the call."""
    one, two = holders
    holding = await held(one)
    assert await two.leases.takeover(holding.lease.call, two.name, 1) is not None
    with pytest.raises(ExceptionGroup) as raised:
        await holding.keep(silent, silent)  # type: ignore[arg-type]  # no command comes
    assert raised.group_contains(TakenOver)
    await holding.done()
