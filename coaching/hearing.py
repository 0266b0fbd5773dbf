"""leg -> hear -> windows -> decode -> transcripts: how a call hears both sides. Nothing here judges what was said."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from coaching.earshot import Doubt, Earshot
from coaching.events import ClockChanged, GapMarked, LegChanged, Speaker
from coaching.record import Record
from voice.bleed import BleedGuard
from voice.frames import SAMPLES_PER_MS, AudioFrame
from voice.legs import FramesDropped, Leg, LegHeld, LegItem, LegJoined, LegLeft, LegLost, LegResumed
from voice.listening import SpeakerListener
from voice.models import Hypothesis, Models, ModelsLost, Window
from voice.models.whisper import RecogniserFailed
from voice.transcripts import FinalTranscript, PartialTranscript, PausedTranscript, Transcript, TranscriptRevision, of_words
from voice.windows import WindowQueue, WindowsClosed

_SLOW_MS: Final = 1500  # a final that comes so late is worth a notice
_GAP_MS: Final = 500  # a shorter absence is no gap in what was said
_TICK_MS: Final = 250
_AGAIN_S: Final = 0.1
_NOTHING: Final = Hypothesis(words=(), no_speech=1.0, average_logprob=0.0, compression=0.0, model="", decode_ms=0.0)


@dataclass(frozen=True, slots=True)
class Tick:
    """Media time went on to ``audio_ms`` though perhaps nothing was said: cards that wait or expire want to know."""

    audio_ms: int


class TranscriptQueue:
    """Between engine and coaching: 16 finals, then the engine's pump waits; of a speaker's partial and pause, and of the ticks,
    only the newest."""

    def __init__(self, limit: int = 16) -> None:
        self._finals: asyncio.Queue[FinalTranscript | TranscriptRevision | None] = asyncio.Queue(limit)
        self._partials: dict[str, PartialTranscript] = {}
        self._paused: dict[str, PausedTranscript] = {}
        self._tick: Tick | None = None
        self._wake, self._drained = asyncio.Event(), asyncio.Event()

    async def put(self, transcript: Transcript) -> None:
        match transcript:
            case PartialTranscript():
                self._partials[transcript.speaker] = transcript
            case PausedTranscript():
                self._paused[transcript.speaker] = transcript
            case FinalTranscript():
                self._overtaken(transcript)
                await self._finals.put(transcript)
            case TranscriptRevision():
                await self._finals.put(transcript)
        self._wake.set()

    def tick(self, audio_ms: int) -> None:
        self._tick = Tick(audio_ms)
        self._wake.set()

    async def close(self) -> None:
        await self._finals.put(None)
        self._wake.set()

    async def get(self) -> Transcript | Tick | None:
        """Finals first, then pauses, then partials, then the tick; None at the end."""
        while True:
            if not self._finals.empty():
                return self._finals.get_nowait()
            if self._paused:
                return self._paused.pop(next(iter(self._paused)))
            if self._partials:
                return self._partials.pop(next(iter(self._partials)))
            if self._tick is not None:
                tick, self._tick = self._tick, None
                return tick
            self._wake.clear()
            self._drained.set()
            await self._wake.wait()

    def _overtaken(self, final: FinalTranscript) -> None:
        """What was known of the utterance before its end need not be read any more."""
        for waiting in (self._partials, self._paused):
            open_ = waiting.get(final.speaker)
            if open_ is not None and open_.utterance == final.utterance:
                del waiting[final.speaker]

    async def drained(self) -> None:
        """Until everything put so far was taken and worked on, and more is asked for."""
        if self._wake.is_set():
            self._drained.clear()
            await self._drained.wait()


class Hearing:
    """hear() carries the leg's frames through the gate to the listeners; decode() is the engine's pumps, one for each kind
    of window, so that a final never waits behind a partial of its own call, and no word behind a second reading."""

    def __init__(
        self,
        record: Record,
        models: Models,
        listener: Callable[[Speaker], SpeakerListener],
        transcripts: TranscriptQueue,
        keep: Callable[[AudioFrame], None],
        *,
        resumed: bool,
    ) -> None:
        self._record, self._models, self._new_listener, self._keep = record, models, listener, keep
        self._resumed = resumed
        self.transcripts = transcripts
        self._windows = WindowQueue()
        self._listeners: dict[Speaker, SpeakerListener] = {}
        self._bleed = BleedGuard()
        self._earshot = Earshot()
        self._leaked: set[str] = set()  # utterances that were the other side's voice
        self._ticked_ms = 0

    async def hear(self, leg: Leg) -> None:
        try:
            async for item in leg:
                await self._item(item)
        finally:
            for speaker in list(self._listeners):
                await self._finish(speaker)
            await self._windows.close()

    async def decode(self) -> None:
        """Until the sound has ended and everything was read; then the transcripts are closed."""
        windows = self._windows
        try:
            async with asyncio.TaskGroup() as pumps:
                for name, following in (
                    ("finals", windows.final),
                    ("tails", windows.tail),
                    ("partials", windows.partial),
                    ("rereads", windows.second),
                ):
                    pumps.create_task(self._pump(following), name=f"decode {name}")
        finally:
            await self.transcripts.close()

    async def erase(self) -> None:
        """Consent is gone: no sound that waits, no open utterance."""
        await self._windows.erase()
        self._bleed.erase()
        self._earshot.erase()
        for listener in self._listeners.values():
            listener.erase()

    # ---- from the leg

    async def _item(self, item: LegItem) -> None:
        match item:
            case AudioFrame():
                await self._frame(item)
            case LegJoined():
                await self._joined(item)
            case LegHeld() | LegResumed() | LegLost():
                await self._changed(item)
            case FramesDropped():
                detail = f"{item.lost_ms} ms were lost because this computer was too slow"
                await self._record.notice("audio_lost", detail, item.speaker)
            case LegLeft():
                await self._record.log(LegChanged(speaker=item.speaker, state="left", reason=item.reason, audio_ms=item.at_ms))
                await self._finish(item.speaker)

    async def _frame(self, frame: AudioFrame) -> None:
        live, speaker = self._record.live, frame.speaker
        live.audio_ms = max(live.audio_ms, frame.end_ms)
        if live.audio_ms - self._ticked_ms >= _TICK_MS:
            self._ticked_ms = live.audio_ms
            self.transcripts.tick(live.audio_ms)
            if self._record.listening_to("agent"):
                await self._doubt(self._earshot.tick(live.audio_ms))
        if not self._record.listening_to(speaker):
            return  # the gate is shut: no recogniser hears this frame, nothing keeps it
        self._keep(frame)
        windows = self._listener(speaker).feed(frame)
        if frame.arrived_at is None:
            await self._at_once(windows)
        else:
            await self._put(windows)
        level = float(np.sqrt(np.mean(frame.samples.astype(np.float32) ** 2)) + 1e-3)
        live.level[speaker] = round(20 * float(np.log10(level / 32768)), 1)
        self._record.publish(meters=True)

    async def _joined(self, joined: LegJoined) -> None:
        speaker, away_from = joined.speaker, self._record.live.audio_ms
        await self._record.log(
            LegChanged(speaker=speaker, state="joined", audio_ms=joined.offset_ms),
            ClockChanged(speaker=speaker, offset_ms=joined.offset_ms),
        )
        if (joined.rejoined or self._resumed) and joined.offset_ms - away_from > _GAP_MS:
            await self._record.log(GapMarked(start_ms=away_from, end_ms=joined.offset_ms, why=f"the {speaker} was away"))
        await self._record.notice("audio_lost", speaker=speaker, clear=True)

    async def _changed(self, item: LegHeld | LegResumed | LegLost) -> None:
        names = {LegHeld: "held", LegResumed: "resumed", LegLost: "lost"}
        await self._record.log(LegChanged(speaker=item.speaker, state=names[type(item)], audio_ms=item.at_ms))  # type: ignore[arg-type]  # one of the three
        await self._record.notice("audio_lost", "no sound arrives", item.speaker, clear=not isinstance(item, LegLost))

    async def _finish(self, speaker: Speaker) -> None:
        if speaker in self._listeners:
            await self._put(self._listeners[speaker].finish())

    async def _put(self, windows: list[Window]) -> None:
        for window in windows:
            await self._windows.put(window)
        for listener in self._listeners.values():
            for transcript in listener.settled():
                await self._tell(transcript)
            for window in listener.rereads():
                await self._windows.put(window)

    async def _at_once(self, windows: list[Window]) -> None:
        """A recording that is fed as fast as it goes has no clock to keep: each window is decoded, and coached, before
        the next frame is heard, so that media time never runs ahead of the words."""
        for window in windows:
            await self._decode(window)
        await self._put([])
        await self.transcripts.drained()

    def _listener(self, speaker: Speaker) -> SpeakerListener:
        if speaker not in self._listeners:
            self._listeners[speaker] = self._new_listener(speaker)
        return self._listeners[speaker]

    # ---- from the engine

    async def _pump(self, next_window: Callable[[], Awaitable[Window]]) -> None:
        try:
            while True:
                window = await next_window()
                await self._decode(replace(window, stamps={**window.stamps, "queued": time.time()}))
        except WindowsClosed:
            pass

    async def _decode(self, window: Window) -> None:
        listener = self._listeners[window.speaker]  # type: ignore[index]  # windows carry the speakers of our listeners
        began = time.perf_counter()
        hypothesis = await self._hypothesis(listener, window)
        if hypothesis is None:
            return
        for transcript in listener.heard(window, hypothesis):
            await self._tell(transcript)
        for again in listener.rereads():
            await self._windows.put(again)
        if window.purpose in ("partial", "settle"):
            listener.pace((time.perf_counter() - began) * 1000)  # under load partials come less often; finals never do
            self._record.live.partials_thinned = any(each.thinned for each in self._listeners.values())
        elif window.purpose in ("speculative", "final") and (heard := window.stamps.get("heard")) is not None:
            late_ms = (time.time() - heard) * 1000
            await self._record.notice("recogniser_slow", "captions come late on this computer", clear=late_ms < _SLOW_MS)

    async def _tell(self, transcript: Transcript) -> None:
        """To coaching, without the other side's voice that leaked into this microphone."""
        match transcript:
            case PartialTranscript():
                self._bleed.overheard(transcript)
            case PausedTranscript():
                own, _ = self._bleed.own(transcript.speaker, transcript.words)
                if not own:
                    return
                transcript = replace(transcript, words=own)
            case FinalTranscript():
                judgement = self._bleed.feed(transcript)
                if judgement.on_loudspeaker:
                    await self._record.notice("on_loudspeaker", "the other side's voice reaches this microphone", transcript.speaker)
                if judgement.bleed:
                    self._leaked.add(transcript.utterance)
                    transcript = of_words(transcript, judgement.kept)
                else:
                    await self._doubt(self._earshot.feed(transcript))
            case TranscriptRevision() if transcript.final.utterance in self._leaked:
                return
        await self.transcripts.put(transcript)

    async def _doubt(self, doubts: list[Doubt]) -> None:
        for doubt in doubts:
            await self._record.notice(doubt.notice, speaker=doubt.speaker, clear=not doubt.stands)

    async def _hypothesis(self, listener: SpeakerListener, window: Window) -> Hypothesis | None:
        """The engine's answer, asked again when it died meanwhile; None when nobody waits for it any more."""
        while True:
            try:
                hypothesis = await self._models.transcribe(window)
            except ModelsLost:
                await self._record.notice("recogniser_restarted", "the recogniser stopped and is being started again")
                if not listener.lost(window):
                    return None
                await asyncio.sleep(_AGAIN_S)
            except RecogniserFailed:
                # One window that cannot be decoded must not end the call: its place in the transcript says so.
                if window.purpose in ("speculative", "final"):
                    end_ms = window.start_ms + len(window.samples) // SAMPLES_PER_MS
                    await self._record.log(GapMarked(start_ms=window.start_ms, end_ms=end_ms, why="these words could not be recognised"))
                return _NOTHING
            else:
                await self._record.notice("recogniser_restarted", clear=True)
                return hypothesis
