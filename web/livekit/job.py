"""One call of a worker: a process that takes the call's lease, joins its room, runs coaching/call.py, and gives the call back.

The lease is taken before the room is joined, so of two dispatches for one call one never joins, and cannot put the
other out.
"""

import asyncio
import contextlib
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog

from voice.legs.livekit_room import RoomLeg
from web.bus import open_bus
from web.compose import Machine, detectors, open_claude
from web.database import StoreAway
from web.holding import Holder
from web.leases import Lease, TakenOver
from web.livekit import WHISPER
from web.livekit.server import Rooms, RoomsAway, RoomsRefused
from web.livekit.tether import Tether
from web.running import LiveCall, Running
from web.settings import Settings
from web.store import Store

logger = structlog.get_logger()
_MACHINE: Final = "machine"
_LOOK_S: Final = 0.5
_FINISH_S: Final = 4.0  # in which what was heard is read to its end before the call is given to another


def prepare(process: Any, settings: Settings, engine: Path) -> None:
    """In a process that waits for a call: what takes time and belongs to no call."""
    process.userdata[_MACHINE] = Machine.beside(settings, engine)
    detectors()


async def entry(context: Any, settings: Settings, jobs: Path) -> None:
    """What the framework runs when a dispatch has come."""
    told = json.loads(context.job.metadata)
    with structlog.contextvars.bound_contextvars(call=told["call"]):
        try:
            await _coach(context, settings, jobs, str(told["call"]), int(told["epoch"]))
        except StoreAway as away:
            logger.warning("the database is away; somebody else is asked when it is back", failure=type(away).__name__)
        finally:
            context.shutdown("done")


async def _coach(context: Any, settings: Settings, jobs: Path, call: str, seen: int) -> None:
    machine: Machine = context.proc.userdata[_MACHINE]
    async with contextlib.AsyncExitStack() as opened:
        store = await Store.open(settings.data, settings.database, migrate=False)
        opened.push_async_callback(store.close)
        bus = open_bus(settings.redis)
        opened.push_async_callback(bus.aclose)
        holder = Holder(store, bus, settings.lease_s)
        lease = await holder.leases.takeover(call, holder.name, seen)
        if lease is None:
            logger.info("another has taken this call")
            return
        tether = await Tether.to(jobs, lease)
        opened.push_async_callback(tether.over)
        rooms = Rooms(settings)
        opened.push_async_callback(rooms.aclose)
        await machine.models.start()  # type: ignore[union-attr]  # Machine.beside() makes a link
        opened.push_async_callback(machine.models.aclose)
        machine.claude = open_claude(settings, store)
        if machine.claude is not None:
            opened.push_async_callback(machine.claude.aclose)
        calls = Running(settings, store, machine, holder)
        opened.push_async_callback(calls.close)
        await _run(context, calls, lease, tether, rooms)


async def _run(context: Any, calls: Running, lease: Lease, tether: Tether, rooms: Rooms) -> None:
    heard: asyncio.Queue[tuple[str, ...]] = asyncio.Queue(100)
    legs: list[RoomLeg] = []

    def leg_for(began_at: float | None) -> RoomLeg:
        legs.append(RoomLeg(room=context.room, began_at=began_at, on_listeners=heard.put_nowait))
        return legs[0]

    try:
        live = await calls.take_up(lease, leg_for)
    except TakenOver:
        return
    if live is None:
        return
    assert live.task is not None
    telling = asyncio.create_task(_listeners(live, heard, rooms, context.job.room.name), name="who listens")
    pulled = asyncio.create_task(tether.pulled(), name="tether")
    try:
        await context.connect()
        legs[0].joined()
        await asyncio.wait({live.task, pulled}, return_when=asyncio.FIRST_COMPLETED)
        if pulled.done() and pulled.result():
            await live.call.hand_over()
            await asyncio.wait({live.task}, timeout=_FINISH_S)
    except Exception as failure:  # the SDK's errors of joining have no common kind; whatever it is, another worker may be luckier
        logger.warning("the room could not be joined", failure=type(failure).__name__)
    finally:
        for task in (telling, pulled):
            task.cancel()
        await asyncio.wait({telling, pulled})
    if not live.task.done():
        logger.info("given back")
        await calls.close()
    elif live.call.state.ended is not None:
        await calls.settled()
        await _close(rooms, context.job.room.name)


async def _listeners(live: LiveCall, heard: "asyncio.Queue[tuple[str, ...]]", rooms: Rooms, room: str) -> None:
    """The agent sees who listens in, and the log keeps it; when consent does not cover it any more they are sent out."""
    now: tuple[str, ...] = ()
    while True:
        with contextlib.suppress(TimeoutError):
            before, now = now, await asyncio.wait_for(heard.get(), _LOOK_S)
            if before and before != now:
                await live.call.notice("being_listened_to", clear=True)
            if now:
                await live.call.notice("being_listened_to", ", ".join(now))
        consent = live.call.state.consent
        if now and consent is not None and not consent.transcribe:
            with contextlib.suppress(RoomsAway, RoomsRefused):
                await rooms.send_out(room, "supervisor")
                await rooms.close(room + WHISPER)


async def _close(rooms: Rooms, room: str) -> None:
    """The call is over for everybody in the room; who is forgotten here is found by the web processes."""
    try:
        await rooms.close(room)
        await rooms.close(room + WHISPER)
    except (RoomsAway, RoomsRefused) as failure:
        logger.warning("the room could not be closed", failure=type(failure).__name__)


def entry_for(settings: Settings, jobs: Path) -> Callable[[Any], Any]:
    return functools.partial(entry, settings=settings, jobs=jobs)


def prepare_for(settings: Settings, engine: Path) -> Callable[[Any], None]:
    return functools.partial(prepare, settings=settings, engine=engine)
