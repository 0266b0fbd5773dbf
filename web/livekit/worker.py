"""`sottovoce agent`: takes calls in LiveKit rooms, one process each, with one engine for all of them. The only import of livekit.agents."""

import asyncio
import contextlib
import functools
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from voice.legs import RoomsMissing
from voice.models.process import EngineProcess
from web.compose import engine_settings
from web.database import StoreAway
from web.leases import Lease, Leases
from web.livekit import AGENT_NAME, COACH
from web.livekit.job import entry_for, prepare_for
from web.livekit.tether import Tethers
from web.settings import Settings
from web.store import Store

os.environ.setdefault("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "0")  # its own models; read when it is imported
try:
    from livekit.agents import AgentServer, JobRequest, WorkerPermissions
except ImportError as missing:
    raise RoomsMissing("Calls from LiveKit rooms need further packages: run scripts/setup --livekit.") from missing

logger = structlog.get_logger()
_PER_CORE: Final = 3
_WARM: Final = 3  # processes that wait for a call; each has loaded what belongs to none
_LEFT_S: Final = 20.0  # in which jobs have given their calls back


class Worker:
    """run() until stop(); then the calls end or are given to others."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings, self._say = settings, say
        self._limit = settings.agent_calls or _PER_CORE * (os.cpu_count() or 1)
        self._stop = asyncio.Event()

    def stop(self) -> None:
        self._stop.set()

    async def run(self) -> int:
        """Raises WeightsRefused, StoreAway, DatabaseRefused and what else a start may meet."""
        folder = Path(tempfile.mkdtemp(prefix="sottovoce-agent-"))  # short: a socket's path has 107 characters
        async with contextlib.AsyncExitStack() as opened:
            opened.callback(shutil.rmtree, folder, ignore_errors=True)
            store = await Store.open(self._settings.data, self._settings.database)
            opened.push_async_callback(store.close)
            leases = Leases(store, self._settings.lease_s)
            engine = EngineProcess(engine_settings(self._settings), folder / "engine.sock")
            await engine.start()
            opened.push_async_callback(engine.aclose)
            tethers = Tethers(folder / "jobs.sock", lambda lease: _give_back(leases, lease))
            await tethers.open()
            opened.push_async_callback(tethers.close)
            return await self._serve(self._server(folder, leases), tethers)

    def _server(self, folder: Path, leases: Leases) -> AgentServer:
        settings = self._settings
        server = AgentServer(
            ws_url=settings.livekit_url,
            api_key=settings.livekit_key,
            api_secret=settings.livekit_secret,
            host=settings.host,
            port=settings.agent_port,
            load_fnc=lambda server: min(len(server.active_jobs) / self._limit, 1.0),  # a busy CPU is no reason to leave a call alone
            load_threshold=1 - 0.5 / self._limit,
            num_idle_processes=min(_WARM, self._limit),
            initialize_process_timeout=60,
            shutdown_process_timeout=_LEFT_S,
            max_retry=1_000_000,  # a server that is away for long is no reason to end
            permissions=WorkerPermissions(can_publish=False, can_publish_data=False, can_update_metadata=False, hidden=True),
            setup_fnc=prepare_for(settings, folder / "engine.sock"),
            preload_modules=["web.livekit.job"],
            log_level="WARN",
        )
        server.rtc_session(entry_for(settings, folder / "jobs.sock"), agent_name=AGENT_NAME, on_request=functools.partial(_accept, leases))
        return server

    async def _serve(self, server: AgentServer, tethers: Tethers) -> int:
        server.on("worker_registered", lambda *_: self._say(f"Sottovoce's agent takes up to {self._limit} calls."))
        running = asyncio.create_task(server.run(), name="worker")
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await self._drain(server, tethers)
                await server.aclose()
            await running
        finally:
            stopping.cancel()
            if not running.done():
                running.cancel()
            await asyncio.wait({running, stopping})
        return 0

    async def _drain(self, server: AgentServer, tethers: Tethers) -> None:
        """No new call; those that run may end by themselves for a while, then others take them over."""
        draining = asyncio.create_task(server.drain(timeout=None), name="drain")
        try:
            done, _ = await asyncio.wait({draining}, timeout=self._settings.drain_s)
            if not done:
                logger.info("giving the calls to others", calls=len(tethers.calls))
                tethers.leave()
                await asyncio.wait({draining}, timeout=_LEFT_S)
        finally:
            draining.cancel()
            await asyncio.wait({draining})


async def _accept(leases: Leases, request: JobRequest) -> None:
    """A dispatch that comes too late, because another has the call by now, costs no process. Where the database is away the job finds out."""
    told = json.loads(request.job.metadata)
    with contextlib.suppress(StoreAway):
        if await leases.epoch(str(told["call"])) != told["epoch"]:
            await request.reject()
            return
    await request.accept(identity=COACH, name="Sottovoce")


async def _give_back(leases: Leases, lease: Lease) -> None:
    """For a job that died: others need not wait until its lease runs out. Where the database is away they wait."""
    with contextlib.suppress(StoreAway):
        await leases.release(lease)


async def agent(settings: Settings, say: Callable[[str], None]) -> int:
    worker = Worker(settings, say)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, worker.stop)
    return await worker.run()
