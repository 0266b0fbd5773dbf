"""An agent without a headset: the prospect's voice is in both microphones, and is transcribed once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coaching.events import CallStarted, ConsentChanged, Logged, NoticeRaised
from coaching.hearing import Hearing, TranscriptQueue
from coaching.record import MemoryLog, Record
from coaching.state import CallState
from voice.agreement import plain
from voice.frames import AudioFrame, Speaker
from voice.legs import LegItem, LegJoined, LegLeft
from voice.legs.pcm import channels_of
from voice.listening import ListeningSettings, SpeakerListener
from voice.models.engine import EngineSettings
from voice.models.onnx import SpeechModel
from voice.models.process import open_models
from voice.models.weights import SILERO, file_of
from voice.transcripts import FinalTranscript
from voice.vad import SpeechDetector

SAMPLE = Path(__file__).parents[2] / "web" / "sample" / "call.flac"
SECONDS = 27
DELAY = 120 * 16  # samples: loudspeaker and room
SOFTER = 0.15  # about -16 dB


class TwoMicrophones:
    """A leg with both sides of a recording, without a wall clock."""

    def __init__(self, agent: NDArray[np.int16], prospect: NDArray[np.int16]) -> None:
        self._sides: dict[Speaker, NDArray[np.int16]] = {"agent": agent, "prospect": prospect}

    async def end(self) -> None: ...

    async def play(self, file: Path) -> bool:
        return False

    async def __aiter__(self) -> AsyncIterator[LegItem]:
        for speaker in self._sides:
            yield LegJoined(speaker, 0)
        length = len(self._sides["agent"])
        for at in range(0, length - 319, 320):
            for speaker, sound in self._sides.items():
                yield AudioFrame(speaker, at // 16, sound[at : at + 320])
        for speaker in self._sides:
            yield LegLeft(speaker, length // 16, "hung_up")


async def words_of(agent: NDArray[np.int16], prospect: NDArray[np.int16], cache: Path) -> tuple[dict[Speaker, list[str]], list[Logged]]:
    """What was final for each side, and the call's log."""
    log = MemoryLog("c")
    record = Record(log, CallState(call="c"), lambda _: None)
    await record.log(CallStarted(mode="replay"), ConsentChanged(state="granted", transcribe=True, record=False, claude=False))
    models = await open_models(EngineSettings(cache=str(cache)), process=False)
    speech = SpeechModel(file_of(SILERO, "silero_vad.onnx", folder=None, cache=cache))
    queue = TranscriptQueue()

    def listener(speaker: Speaker) -> SpeakerListener:
        return SpeakerListener("c", speaker, ListeningSettings(), SpeechDetector(speech.stream()))

    hearing = Hearing(record, models, listener, queue, lambda _: None, resumed=False)
    said: dict[Speaker, list[str]] = {"agent": [], "prospect": []}

    async def consume() -> None:
        while (item := await queue.get()) is not None:
            if isinstance(item, FinalTranscript):
                said[item.speaker] += [plain(w.text) for w in item.words]

    async with asyncio.TaskGroup() as group:
        group.create_task(hearing.hear(TwoMicrophones(agent, prospect)))
        group.create_task(hearing.decode())
        group.create_task(consume())
    await models.aclose()
    return said, log.events


async def test_the_other_side_on_a_loudspeaker_is_transcribed_once(tmp_path: Path) -> None:
    """What leaks into the agent's microphone is no word of the agent, the agent's own words stay, and the overlay is told."""
    sound = np.concatenate(list(channels_of(SAMPLE)), axis=1)[:, : SECONDS * 16_000].astype(np.float32)
    echo = np.concatenate((np.zeros(DELAY, np.float32), sound[1][:-DELAY])) * SOFTER
    leaky = (sound[0] + echo).clip(-32768, 32767).astype(np.int16)
    said, events = await words_of(leaky, sound[1].astype(np.int16), tmp_path)
    assert {"marcus", "record", "townhouse", "number", "comfortable"} <= set(said["agent"])
    assert {"fine", "liked", "probably", "closer"} <= set(said["prospect"])
    leaked = [w for w in said["agent"] if w in {"fine", "liked", "just", "past", "mind", "probably", "closer"}]
    assert len(leaked) <= 2, leaked  # without the guard: 7
    raised = [e.event for e in events if isinstance(e.event, NoticeRaised)]
    assert [(n.notice, n.speaker) for n in raised if n.notice == "on_loudspeaker"] == [("on_loudspeaker", "agent")]
