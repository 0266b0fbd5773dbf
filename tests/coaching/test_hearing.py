"""How a call hears: the queue of transcripts, and sound that is fed as fast as it goes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from coaching.events import CallStarted, ConsentChanged, GapMarked, UtteranceFinal
from coaching.hearing import Hearing, Tick, TranscriptQueue
from coaching.record import MemoryLog, Record
from coaching.state import CallState
from voice.frames import AudioFrame, Speaker
from voice.legs import LegItem, LegJoined, LegLeft
from voice.listening import ListeningSettings, SpeakerListener
from voice.models import HeardWord, Hypothesis, ModelsLost, Vectors, Window
from voice.models.whisper import RecogniserFailed
from voice.transcripts import FinalTranscript, PartialTranscript, PausedTranscript
from voice.vad import SpeechDetector


def partial(speaker: Speaker, heard_ms: int) -> PartialTranscript:
    return PartialTranscript("u", speaker, 0, heard_ms, (), ())


def final(number: int) -> FinalTranscript:
    return FinalTranscript(f"u{number}", "prospect", number, number + 1, (), "yes")


async def test_finals_come_before_partials() -> None:
    """A final that came later is given out before a partial and before the tick."""
    queue = TranscriptQueue()
    queue.tick(10)
    await queue.put(partial("agent", 1))
    await queue.put(final(1))
    assert isinstance(await queue.get(), FinalTranscript)
    assert isinstance(await queue.get(), PartialTranscript)
    assert await queue.get() == Tick(10)


async def test_of_partials_the_newest_waits() -> None:
    """A newer partial of a speaker replaces the waiting one, the other speaker's stays."""
    queue = TranscriptQueue()
    for heard_ms in (1, 2, 3):
        await queue.put(partial("agent", heard_ms))
    await queue.put(partial("prospect", 9))
    got = [await queue.get(), await queue.get()]
    assert [(p.speaker, p.heard_ms) for p in got if isinstance(p, PartialTranscript)] == [("agent", 3), ("prospect", 9)]


async def test_a_final_overtakes_what_was_known_before() -> None:
    """A pause and a partial of the same utterance that still wait are not read after its final; others are."""
    queue = TranscriptQueue()
    await queue.put(PartialTranscript("u1", "prospect", 0, 900, (), ()))
    await queue.put(PausedTranscript("u1", "prospect", 0, 1300, ()))
    await queue.put(PausedTranscript("u0", "agent", 0, 1300, ()))
    await queue.put(final(1))
    queue.tick(10)
    assert [type(await queue.get()) for _ in range(3)] == [FinalTranscript, PausedTranscript, Tick]


async def test_finals_wait_when_coaching_is_behind() -> None:
    """The 17th final waits for room; none is dropped."""
    queue = TranscriptQueue(16)
    for number in range(16):
        await queue.put(final(number))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.put(final(16)), 0.05)
    assert len([await queue.get() for _ in range(16)]) == 16


class Scene:
    """A leg: loud sound is speech, in frames of 20 ms without a wall clock."""

    def __init__(self, *stretches: tuple[int, int]) -> None:
        self._stretches = stretches

    async def end(self) -> None: ...

    async def play(self, file: Path) -> bool:
        return False

    async def __aiter__(self) -> AsyncIterator[LegItem]:
        yield LegJoined("prospect", 0)
        at = 0
        for level, ms in self._stretches:
            for _ in range(ms // 20):
                yield AudioFrame("prospect", at, np.tile(np.array([level, -level], np.int16), 160))
                at += 20
        yield LegLeft("prospect", at, "hung_up")


class Loudness:
    def feed(self, chunk: NDArray[np.int16]) -> float:
        return 0.95 if np.abs(chunk.astype(np.int32)).mean() > 500 else 0.02

    def reset(self) -> None: ...


class Recogniser:
    """A double at the Models seam: says "well then" for each window, unless told what to raise for a final."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.decoded: list[Window] = []

    async def transcribe(self, window: Window) -> Hypothesis:
        if window.purpose != "partial" and self._failures:
            raise self._failures.pop(0)
        self.decoded.append(window)
        end = window.start_ms + len(window.samples) // 16
        words = (HeardWord("well", window.start_ms, end - 200, 0.9), HeardWord("then.", end - 200, end, 0.9))
        return Hypothesis(words, 0.0, -0.2, 1.0, "double", 5.0)

    async def embed(self, sentences: list[str]) -> Vectors:
        return np.zeros((len(sentences), 384), np.float32)

    async def aclose(self) -> None: ...


async def heard(scene: Scene, models: Recogniser, consent: ConsentChanged) -> tuple[MemoryLog, list[FinalTranscript]]:
    log = MemoryLog("c")
    record = Record(log, CallState(call="c"), lambda _: None)
    await record.log(CallStarted(mode="replay"), consent)

    def listener(speaker: Speaker) -> SpeakerListener:
        return SpeakerListener("c", speaker, ListeningSettings(), SpeechDetector(Loudness()))  # type: ignore[arg-type]  # the two methods it calls

    queue = TranscriptQueue()
    hearing = Hearing(record, models, listener, queue, lambda _: None, resumed=False)
    finals: list[FinalTranscript] = []

    async def consume() -> None:
        while (item := await queue.get()) is not None:
            if isinstance(item, FinalTranscript):
                assert record.live.audio_ms - item.end_ms < 1500, "media time ran ahead of the words"
                finals.append(item)

    async with asyncio.TaskGroup() as group:
        group.create_task(hearing.hear(scene))
        group.create_task(hearing.decode())
        group.create_task(consume())
    return log, finals


OPEN = ConsentChanged(state="granted", transcribe=True, record=False, claude=False)
SHUT = ConsentChanged(state="refused", transcribe=False, record=False, claude=False)
TALK = Scene((0, 400), (6000, 1500), (0, 1000), (6000, 1200), (0, 1000))


async def test_fast_sound_never_runs_ahead_of_the_words() -> None:
    """Each utterance of a recording fed as fast as it goes is final before a second and a half more is heard."""
    _, finals = await heard(TALK, Recogniser(), OPEN)
    assert [f.text for f in finals] == ["well then.", "well then."]


async def test_a_shut_gate_lets_nothing_through() -> None:
    """Without consent no window is made."""
    models = Recogniser()
    _, finals = await heard(TALK, models, SHUT)
    assert not models.decoded
    assert not finals


async def test_a_lost_engine_is_asked_again() -> None:
    """A final that the engine died with is decoded by the next one, and the notice goes."""
    log, finals = await heard(TALK, Recogniser(ModelsLost("gone")), OPEN)
    assert [f.text for f in finals] == ["well then.", "well then."]
    kinds = [e.event.type for e in log.events]
    assert kinds.index("notice_raised") < kinds.index("notice_cleared")


async def test_a_window_that_cannot_be_decoded_is_a_gap() -> None:
    """Its place is marked, and the next utterance is heard."""
    log, finals = await heard(TALK, Recogniser(RecogniserFailed("no")), OPEN)
    assert [e for e in log.events if isinstance(e.event, GapMarked)]
    assert finals[-1].text == "well then."
    assert not [e for e in log.events if isinstance(e.event, UtteranceFinal)]  # that is the coach's to log
