"""Between a worker and its jobs: a Unix socket by which either knows at once that the other is gone.

The framework tells nobody when a job's process or the worker itself is killed, and leases take seconds to run out. So
each job holds a connection open and says which call it runs. When it breaks, the worker gives the dead job's call back;
and a job whose worker is gone, or wants to go, gives its call back itself. Others then take over without waiting.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import structlog

from web.leases import Lease

logger = structlog.get_logger()
_LEAVE: Final = b"leave\n"
_OVER: Final = b"over\n"


class Tethers:
    """The worker's end. ``died``: a job that held this lease is gone, and did not say that it was over."""

    def __init__(self, socket: Path, died: Callable[[Lease], Awaitable[None]]) -> None:
        self.socket, self._died = socket, died
        self._held: dict[asyncio.StreamWriter, Lease] = {}
        self._handling: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._connected, str(self.socket))
        self.socket.chmod(0o600)

    @property
    def calls(self) -> list[str]:
        return [lease.call for lease in self._held.values()]

    def leave(self) -> None:
        """Every job gives its call to whoever takes it."""
        for writer in self._held:
            writer.write(_LEAVE)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._handling):
            task.cancel()
        if self._handling:
            await asyncio.wait(self._handling)
        self.socket.unlink(missing_ok=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handling.add(task)
        try:
            said = b""
            with contextlib.suppress(ConnectionError):
                call, holder, epoch = json.loads(await reader.readline())
                self._held[writer] = Lease(call, holder, epoch)
                while line := await reader.readline():
                    said = line
            lease = self._held.pop(writer, None)
            if lease is not None and said != _OVER:
                logger.warning("the process of a call is gone", call=lease.call)
                await self._died(lease)
        finally:
            self._held.pop(writer, None)
            self._handling.discard(task)
            writer.close()


class Tether:
    """A job's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, socket: Path, lease: Lease) -> "Tether":
        """Raises OSError when the worker is gone already."""
        reader, writer = await asyncio.open_unix_connection(str(socket))
        writer.write(json.dumps([lease.call, lease.holder, lease.epoch]).encode() + b"\n")
        return cls(reader, writer)

    async def pulled(self) -> bool:
        """Returns when this job should give its call back: the worker says so, or (False) is gone and the engine with it."""
        with contextlib.suppress(ConnectionError):
            return await self._reader.readline() == _LEAVE
        return False

    async def over(self) -> None:
        """What was to be done with the lease is done."""
        with contextlib.suppress(ConnectionError):
            self._writer.write(_OVER)
            await self._writer.drain()
        self._writer.close()
