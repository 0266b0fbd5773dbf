"""A call as a screenplay: write the scene, play it through the real call, look at its log.

    events = await heard([agent("Hi Marcus."), prospect("That's too much money."), silence(2000)])

play() sends sound: the words are laid out in time and only the recogniser is a double (it answers a window with the
script's words that lie in it). read_out() hands the words to the coach as transcripts, where sound does not matter.
Whoever reports a bug writes the scene.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from coaching.advising import Advising
from coaching.call import Call, CallParts
from coaching.coaches import Coaches
from coaching.consent import ConsentPolicy
from coaching.events import AnyEvent, CallStarted, Card, Logged, Speaker, SuggestionChanged, SuggestionShown
from coaching.hearing import Tick
from coaching.playbook import Playbook, load
from coaching.record import EventLog, MemoryLog, Record
from coaching.state import CallState
from coaching.suggestions import SuggestionPolicy
from intelligence.conversation.qualification import QualificationSheet
from intelligence.conversation.stages import StageTracker
from intelligence.conversation.turns import Conversation, Detector, Embed, Family, Finding, Json, Reading
from voice.frames import AudioFrame
from voice.legs import LegItem, LegJoined, LegLeft
from voice.listening import ListeningSettings, SpeakerListener
from voice.models import HeardWord, Hypothesis, Vectors, Window
from voice.transcripts import FinalTranscript, PartialTranscript, Word
from voice.vad import SpeechDetector

MS_PER_WORD: Final = 375  # 160 words a minute
_FRAME_MS: Final = 96
_BETWEEN_MS: Final = 500
_AFTER_MS: Final = 1500  # silence after the last line, so that it ends


@dataclass(frozen=True, slots=True)
class Said:
    """A line of the play. ``overlaps``: it begins so many ms before the line before it ends."""

    speaker: Speaker
    text: str
    overlaps: int = 0
    probability: float = 0.95


@dataclass(frozen=True, slots=True)
class Silence:
    ms: int


@dataclass(frozen=True, slots=True)
class Cue:
    """Something that a person does at this point of the call (sound only)."""

    do: Callable[[Call], object]


Scene: TypeAlias = Said | Silence | Cue


def agent(text: str, **more: float) -> Said:
    return Said("agent", text, **more)  # type: ignore[arg-type]  # the fields of Said


def prospect(text: str, **more: float) -> Said:
    return Said("prospect", text, **more)  # type: ignore[arg-type]  # the fields of Said


def silence(ms: int) -> Silence:
    return Silence(ms)


@dataclass(frozen=True, slots=True)
class Line:
    said: Said
    start_ms: int
    words: tuple[Word, ...]

    @property
    def end_ms(self) -> int:
        return self.words[-1].end_ms if self.words else self.start_ms


def laid_out(script: Sequence[Scene]) -> tuple[list[Line], list[tuple[int, Cue]], int]:
    """The lines with the time of each word, the cues with theirs, and the length in ms."""
    lines: list[Line] = []
    cues: list[tuple[int, Cue]] = []
    now = _BETWEEN_MS
    for scene in script:
        match scene:
            case Silence():
                now += scene.ms
            case Cue():
                cues.append((now, scene))
            case Said():
                start = max(0, now - _BETWEEN_MS - scene.overlaps) if scene.overlaps else now
                words = tuple(
                    Word(w, start + i * MS_PER_WORD, start + (i + 1) * MS_PER_WORD - 20, scene.probability)
                    for i, w in enumerate(scene.text.split())
                )
                lines.append(Line(scene, start, words))
                now = max(now, lines[-1].end_ms + _BETWEEN_MS)
    return lines, cues, now + _AFTER_MS


# ---- with sound


class ScriptedLeg:
    """Both sides of the play as frames: loud where somebody speaks. Fed as fast as the call takes it."""

    def __init__(self, lines: Sequence[Line], cues: Sequence[tuple[int, Cue]], length_ms: int) -> None:
        self._lines, self._cues, self._length_ms = lines, list(cues), length_ms
        self.ended = False
        self.call: Call | None = None

    async def __aiter__(self) -> AsyncIterator[LegItem]:
        speakers: tuple[Speaker, Speaker] = ("agent", "prospect")
        for speaker in speakers:
            yield LegJoined(speaker, 0)
        at_ms = 0
        while at_ms < self._length_ms and not self.ended:
            while self._cues and self._cues[0][0] <= at_ms and self.call is not None:
                done = self._cues.pop(0)[1].do(self.call)
                if asyncio.iscoroutine(done):
                    await done
            for speaker in speakers:
                yield AudioFrame(speaker=speaker, start_ms=at_ms, samples=self._sound(speaker, at_ms))
            at_ms += _FRAME_MS
        for speaker in speakers:
            yield LegLeft(speaker, at_ms, "ended" if self.ended else "hung_up")

    def _sound(self, speaker: Speaker, at_ms: int) -> NDArray[np.int16]:
        loud = any(line.said.speaker == speaker and line.start_ms < at_ms + _FRAME_MS and at_ms < line.end_ms for line in self._lines)
        return np.tile(np.array([6000, -6000] if loud else [0, 0], np.int16), _FRAME_MS * 8)

    async def end(self) -> None:
        self.ended = True

    async def play(self, file: Path) -> bool:
        return False


class Loudness:
    """A speech stream at the detector's seam: what is loud is speech."""

    def feed(self, chunk: NDArray[np.int16]) -> float:
        return 0.95 if np.abs(chunk.astype(np.int32)).mean() > 500 else 0.02

    def reset(self) -> None:
        pass


async def no_vectors(sentences: list[str]) -> Vectors:
    """For scenes whose detectors look at words alone."""
    return np.zeros((len(sentences), 384), np.float32)


class ScriptedModels:
    """The one double: a recogniser that hears the script. ``windows`` counts what each side's recogniser received."""

    def __init__(self, lines: Sequence[Line], embed: Embed = no_vectors) -> None:
        self._lines, self._embed = lines, embed
        self.windows: dict[str, int] = {"agent": 0, "prospect": 0}

    async def transcribe(self, window: Window) -> Hypothesis:
        self.windows[window.speaker] += 1
        end_ms = window.start_ms + len(window.samples) // 16
        said = [w for line in self._lines if line.said.speaker == window.speaker for w in line.words]
        words = tuple(
            HeardWord(w.text, w.start_ms, w.end_ms, w.probability)
            for w in said
            if w.end_ms <= end_ms and (w.start_ms + w.end_ms) // 2 > window.start_ms
        )
        return Hypothesis(words, 0.0, -0.2, 1.0, "script", 5.0)

    async def embed(self, sentences: list[str]) -> Vectors:
        return await self._embed(sentences)

    async def aclose(self) -> None:
        pass


@dataclass(slots=True)
class Stage:
    """What a play needs besides its script; the defaults hear nothing and show what findings ask for."""

    detectors: list[Detector] = field(default_factory=list)
    playbook: Playbook = field(default_factory=load)
    embed: Embed = no_vectors
    started: CallStarted = field(default_factory=lambda: CallStarted(mode="replay", today="2026-03-02"))
    paced: bool = True
    breaks_rule: Callable[[str], str | None] = lambda _: None
    side: str = ""
    agent_alone: bool = False

    def policy(self) -> SuggestionPolicy:
        return SuggestionPolicy(lambda: self.playbook, self.breaks_rule, side=self.side, paced=self.paced)


@dataclass(slots=True)
class Played:
    call: Call
    models: ScriptedModels
    events: list[Logged]


def parts_of(stage: Stage, lines: Sequence[Line], leg: ScriptedLeg, log: EventLog) -> tuple[CallParts, ScriptedModels]:
    models = ScriptedModels(lines, stage.embed)
    sheet, stages = QualificationSheet(), StageTracker()
    coaches = Coaches([*stage.detectors, sheet, stages], models.embed, today=stage.started.today)

    def listener(speaker: Speaker) -> SpeakerListener:
        return SpeakerListener("scripted", speaker, ListeningSettings(), SpeechDetector(Loudness()))  # type: ignore[arg-type]  # its two methods

    consent = ConsentPolicy.load(agent_alone=stage.agent_alone)
    return CallParts(leg, models, log, coaches, stage.policy(), consent, listener, sheet, stages), models


async def play(script: Sequence[Scene], stage: Stage | None = None, *, after: Sequence[Logged] = ()) -> Played:
    """The script as sound through the real call. ``after``: the log of a call that goes on with this script."""
    stage = stage or Stage()
    lines, cues, length_ms = laid_out(script)
    leg, log = ScriptedLeg(lines, cues, length_ms), MemoryLog("scripted")
    log.events += after
    parts, models = parts_of(stage, lines, leg, log)
    call = Call.resume(after, parts) if after else Call("scripted", stage.started, parts)
    leg.call = call
    await call.run()
    return Played(call, models, log.events)


# ---- without sound


@dataclass(slots=True)
class Reader:
    """Hands lines to the coach as the transcripts that a recogniser would give."""

    stage: Stage = field(default_factory=Stage)
    log: MemoryLog = field(default_factory=lambda: MemoryLog("scripted"))
    asked: list[Card] = field(default_factory=list)
    at_ms: int = 0
    _advising: Advising | None = None
    _record: Record | None = None

    @property
    def advising(self) -> Advising:
        if self._advising is None:
            sheet, stages = QualificationSheet(), StageTracker()
            coaches = Coaches([*self.stage.detectors, sheet, stages], self.stage.embed, today=self.stage.started.today)
            self._record = Record(self.log, CallState(call="scripted"), lambda _: None)
            self._advising = Advising(self._record, coaches, self.stage.policy(), sheet, stages, self.asked.append)
        return self._advising

    async def read_out(self, script: Sequence[Scene], *, partials: bool = True) -> "Reader":
        """``partials``: each line is first heard in growing parts, as in a call."""
        lines, _, length_ms = laid_out(script)
        from_ms = self.at_ms
        if not self.log.events:
            advising = self.advising
            assert self._record is not None
            await self._record.log(self.stage.started)
            del advising
        for line in lines:
            await self._line(line, from_ms, partials=partials)
        await self._time_passes(from_ms + length_ms - _AFTER_MS)
        return self

    async def _line(self, line: Line, from_ms: int, *, partials: bool) -> None:
        words = tuple(Word(w.text, w.start_ms + from_ms, w.end_ms + from_ms, w.probability) for w in line.words)
        start_ms = line.start_ms + from_ms
        utterance = f"{line.said.speaker[0]}{start_ms}"
        await self._time_passes(start_ms)
        for count in range(2, len(words), 2) if partials else ():
            heard_ms = words[count - 1].end_ms + 200
            await self._time_passes(heard_ms)
            await self.advising.feed(PartialTranscript(utterance, line.said.speaker, start_ms, heard_ms, words[:count], ()))
        end_ms = words[-1].end_ms
        await self._time_passes(end_ms)
        await self.advising.feed(FinalTranscript(utterance, line.said.speaker, start_ms, end_ms, words, line.said.text, model="script"))

    async def _time_passes(self, to_ms: int) -> None:
        while self.at_ms < to_ms:
            self.at_ms = min(to_ms, self.at_ms + 250)
            self.advising  # noqa: B018  made on first use
            assert self._record is not None
            self._record.live.audio_ms = max(self._record.live.audio_ms, self.at_ms)
            await self.advising.feed(Tick(self.at_ms))

    @property
    def state(self) -> CallState:
        return CallState.of(self.log.events)


async def read_out(script: Sequence[Scene], stage: Stage | None = None, *, partials: bool = True) -> Reader:
    return await Reader(stage or Stage()).read_out(script, partials=partials)


# ---- looking at a log


def shown(events: Sequence[Logged]) -> list[Card]:
    return [e.event.card for e in events if isinstance(e.event, SuggestionShown)]


def changes(events: Sequence[Logged]) -> list[tuple[str, str]]:
    return [(e.event.card, e.event.change) for e in events if isinstance(e.event, SuggestionChanged)]


def times(events: Sequence[Logged]) -> list[int]:
    """Media time in ms at which each card came up."""
    return [e.event.audio_ms or 0 for e in events if isinstance(e.event, SuggestionShown)]


def of_type(events: Sequence[Logged], kind: type[AnyEvent]) -> list[AnyEvent]:  # type: ignore[valid-type]  # a union of event classes
    return [e.event for e in events if isinstance(e.event, kind)]


# ---- detectors whose findings the scene itself says


class Cued:
    """A detector that finds what the scene says: a phrase -> what is found in a sentence that holds it."""

    name = "cued"

    def __init__(
        self, cues: dict[str, tuple[Family, str]], *, confidence: float = 0.9, values: dict[str, dict[str, Json]] | None = None
    ) -> None:
        self._cues, self._confidence, self._values = cues, confidence, values or {}

    def feed(self, reading: Reading, so_far: Conversation) -> list[Finding]:
        turn = reading.turn
        return [
            Finding(
                family, label, turn.speaker, turn.text, turn.start_ms, turn.end_ms, self._confidence, "the scene says so", "scene/1",
                utterance=turn.utterance, partial=turn.partial, values=self._values.get(label, {}),
            )
            for phrase, (family, label) in self._cues.items()
            if phrase in turn.text and (turn.speaker == "agent") == (family == "compliance")
        ]  # fmt: skip
