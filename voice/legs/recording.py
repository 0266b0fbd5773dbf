"""A recording as a call: one channel per speaker, in real time or as fast as it goes."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from voice.frames import SAMPLE_RATE, AudioFrame, Speaker
from voice.legs import LegItem, LegJoined, LegLeft
from voice.legs.pcm import RecordingRefused, channels_of

FRAME_MS: Final = 20
_FRAME: Final = SAMPLE_RATE * FRAME_MS // 1000


def check_recording(file: Path) -> int:
    """The number of channels, 1 or 2. Raises RecordingRefused, so that a call need not begin to find out."""
    blocks = channels_of(file)
    try:
        first = next(blocks, None)
    finally:
        blocks.close()
    if first is None or first.shape[1] == 0:
        raise RecordingRefused("This file holds no sound.")
    return int(first.shape[0])


class RecordingLeg:
    """``agent``: which channel is the agent's. ``pace``: 1.0 is real time, 0 as fast as the consumer takes it.

    At a pace, frame k is handed over when its end is due, never earlier, and the times do not drift. A file with one
    channel is one speaker: the prospect, or the agent with ``agent="mono"``.
    """

    def __init__(self, file: Path, *, agent: Literal["left", "right", "mono"] = "left", pace: float = 0.0) -> None:
        if pace < 0:
            raise ValueError("pace cannot be negative")
        self._file, self._agent, self._pace = file, agent, pace
        self._ending = False

    async def end(self) -> None:
        self._ending = True

    async def play(self, file: Path) -> bool:  # noqa: ARG002  the seam's signature; a recording hears nothing
        return False

    async def __aiter__(self) -> AsyncIterator[LegItem]:
        blocks = channels_of(self._file)
        try:
            async with contextlib.aclosing(self._items(blocks)) as items:
                async for item in items:
                    yield item
        finally:
            with contextlib.suppress(ValueError):  # cancelled while a thread still reads: it closes the file when it is done
                blocks.close()

    async def _items(self, blocks: Generator[NDArray[np.int16], None, None]) -> AsyncGenerator[LegItem, None]:
        first = await asyncio.to_thread(next, blocks, None)
        if first is None:
            raise RecordingRefused("This file holds no sound.")
        speakers = self._speakers(first.shape[0])
        for speaker in speakers:
            yield LegJoined(speaker, 0)
        began, sent_ms = time.monotonic(), 0
        rest: NDArray[np.int16] = first
        while not self._ending:
            while rest.shape[1] < _FRAME:
                block = await asyncio.to_thread(next, blocks, None)
                if block is None:
                    break
                rest = np.concatenate((rest, block), axis=1)
            if rest.shape[1] == 0:
                break
            frame, rest = rest[:, :_FRAME], rest[:, _FRAME:]
            if self._pace:
                due = began + (sent_ms + FRAME_MS) / 1000 / self._pace
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            arrived = time.time() if self._pace else None
            for channel, speaker in enumerate(speakers):
                yield AudioFrame(speaker, sent_ms, np.ascontiguousarray(frame[channel]), arrived)
            sent_ms += FRAME_MS
            if not self._pace:
                await asyncio.sleep(0)
        for speaker in speakers:
            yield LegLeft(speaker, sent_ms, "ended" if self._ending else "hung_up")

    def _speakers(self, channels: int) -> list[Speaker]:
        if channels == 1:
            return ["agent" if self._agent == "mono" else "prospect"]
        return ["agent", "prospect"] if self._agent == "left" else ["prospect", "agent"]
