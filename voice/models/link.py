"""The engine of another process of this machine: the same models, reached through its socket, owned by whoever started it."""

import asyncio
from pathlib import Path

from voice.models.engine import EngineSettings
from voice.models.process import EngineProcess


class EngineLink(EngineProcess):
    """As EngineProcess, without the child: when the engine is gone, what it held raises ModelsLost, and this waits for the next."""

    def __init__(self, settings: EngineSettings, socket: Path) -> None:
        super().__init__(settings, socket)

    async def _spawn(self) -> None:
        """Raises OSError while nobody listens."""
        reader, self._writer = await asyncio.open_unix_connection(str(self._socket))
        self._reading = asyncio.create_task(self._read(reader), name="engine reader")
        self._ready.set()
