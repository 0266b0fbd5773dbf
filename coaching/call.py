"""One live call: hear, transcribe, coach, ask; its bounds, its endings, and going on after a crash.

    leg -> hear -> windows -> transcribe -> transcripts -> coach -> log -> viewers

One task group per call. Only the leg, the engine seam and the log may end a call; a coaching module that fails is
switched off with a notice, and a lost engine means windows sent anew.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import numpy as np

from coaching.coaches import Coaches
from coaching.consent import ConsentPolicy
from coaching.events import (
    AnyEvent,
    CallEnded,
    CallResumed,
    CallStarted,
    Card,
    ClockChanged,
    ConsentChanged,
    ConsentState,
    FindingNoted,
    GapMarked,
    LegChanged,
    LiveState,
    Logged,
    Notice,
    NoticeCleared,
    NoticeRaised,
    OutcomeChosen,
    SheetChanged,
    Speaker,
    StageChanged,
    SuggestionChanged,
    SuggestionRefined,
    SuggestionShown,
    UtteranceFinal,
    WordHeard,
    WordsSettled,
)  # fmt: skip
from coaching.state import CallState
from coaching.suggestions import SuggestionPolicy
from coaching.summary import outcome_preset, summarise
from intelligence.conversation.qualification import QualificationSheet
from intelligence.conversation.stages import StageTracker
from intelligence.conversation.turns import Finding, Turn, TurnWord
from voice.frames import AudioFrame
from voice.legs import FramesDropped, Leg, LegHeld, LegJoined, LegLeft, LegLost, LegResumed
from voice.listening import SpeakerListener
from voice.models import Models, ModelsLost, Window
from voice.transcripts import FinalTranscript, PartialTranscript, Transcript, TranscriptRevision
from voice.windows import WindowQueue, WindowsClosed

_SLOW_MS: Final = 1500  # a final that comes so late is worth a notice
_TAIL_MIN_WORDS: Final = 4  # a partial turn shorter than this is not read by the modules
_STATE_EVERY_MS: Final = 200


class EventLog(Protocol):
    """Commits events, then sends them: what append() returned is never lost."""

    async def append(self, events: Sequence[AnyEvent]) -> list[Logged]: ...


class Advisor(Protocol):
    """Makes a card better (Claude). Bounded in time by the call; any failure leaves the local card."""

    async def refine(self, card: Card, state: CallState) -> Card | None: ...


class SoundSink(Protocol):
    """Keeps the sound of a call where consent allows it."""

    def feed(self, frame: AudioFrame) -> None: ...

    def erase(self) -> None: ...


@dataclass(slots=True)
class CallParts:
    """What a call is put together from; web/compose.py does it."""

    leg: Leg
    models: Models
    log: EventLog
    coaches: Coaches
    suggestions: SuggestionPolicy
    consent: ConsentPolicy
    listener: Callable[[Speaker], SpeakerListener]
    sheet: QualificationSheet
    stages: StageTracker
    advisor: Advisor | None = None
    sink: SoundSink | None = None
    on_state: Callable[[LiveState], None] = lambda _: None


class TranscriptQueue:
    """Between engine and coaching: 16 finals, then the engine's pump waits; one partial a speaker, the newest."""

    def __init__(self, limit: int = 16) -> None:
        self._finals: asyncio.Queue[Transcript | None] = asyncio.Queue(limit)
        self._partials: dict[str, PartialTranscript] = {}
        self._wake = asyncio.Event()

    async def put(self, transcript: Transcript) -> None:
        if isinstance(transcript, PartialTranscript):
            self._partials[transcript.speaker] = transcript
        else:
            await self._finals.put(transcript)
        self._wake.set()

    async def close(self) -> None:
        await self._finals.put(None)
        self._wake.set()

    async def get(self) -> Transcript | None:
        """Finals first; None at the end."""
        while True:
            if not self._finals.empty():
                return self._finals.get_nowait()
            if self._partials:
                return self._partials.pop(next(iter(self._partials)))
            self._wake.clear()
            await self._wake.wait()


@dataclass(slots=True)
class _Talk:
    """The agent's share and pace, from recognised words."""

    speech_ms: dict[Speaker, int] = field(default_factory=lambda: {"agent": 0, "prospect": 0})
    recent: list[tuple[int, int, int]] = field(default_factory=list)  # agent's finals: start, end, words

    def feed(self, final: FinalTranscript) -> None:
        self.speech_ms[final.speaker] += max(0, final.end_ms - final.start_ms)
        if final.speaker == "agent" and len(final.words) >= 4:
            self.recent = [*self.recent[-5:], (final.start_ms, final.end_ms, len(final.words))]

    def share(self) -> float | None:
        total = sum(self.speech_ms.values())
        return self.speech_ms["agent"] / total if total > 20_000 else None

    def pace(self) -> int | None:
        spoken = sum(end - start for start, end, _ in self.recent)
        return round(sum(n for *_, n in self.recent) * 60_000 / spoken) if spoken > 8_000 else None


class Call:
    """run() until the leg ends or end() is called."""

    def __init__(self, call_id: str, started: CallStarted, parts: CallParts, *, state: CallState | None = None) -> None:
        self.id = call_id
        self.started = started
        self.state = state or CallState(call=call_id)
        self.live = LiveState()
        self._parts = parts
        self._resumed = state is not None and state.last > 0
        self._listeners: dict[Speaker, SpeakerListener] = {}
        self._windows = WindowQueue()
        self._transcripts = TranscriptQueue()
        self._questions: asyncio.Queue[Card] = asyncio.Queue(1)
        self._settled_of: dict[str, int] = {}  # words of an open utterance that are in the log already
        self._judged_words: dict[str, int] = {}
        self._talk = _Talk()
        self._turn_lock = asyncio.Lock()
        self._end_reason = ""
        self._state_at = 0.0
        self._pumps = 2
        self.received_ms: dict[Speaker, int] = {"agent": 0, "prospect": 0}  # sound that passed the gate

    @classmethod
    def resume(cls, events: Sequence[Logged], parts: CallParts) -> "Call":
        """A call that goes on where its log ends: the same fold gives the same state."""
        state = CallState.of(events)
        if state.started is None:
            raise ValueError("this log does not begin with call_started")
        call = cls(state.call, state.started, parts, state=state)
        for line in state.transcript():
            call._parts.coaches.conversation.add(Turn(line.speaker, line.text, line.start_ms, line.end_ms, line.utterance), [])
            call._parts.suggestions.heard_turn(Turn(line.speaker, line.text))
        return call

    async def run(self) -> None:
        await self._begin()
        try:
            async with asyncio.TaskGroup() as call:
                call.create_task(self._hear(), name=f"hear {self.id}")
                call.create_task(self._transcribe(self._windows.final), name=f"finals {self.id}")
                call.create_task(self._transcribe(self._windows.partial), name=f"partials {self.id}")
                asking = call.create_task(self._ask(), name=f"ask {self.id}")
                await call.create_task(self._coach(), name=f"coach {self.id}")
                asking.cancel()
        finally:
            await self._parts.leg.end()
        await self._close()

    # ---- what people do

    async def consent(self, state: ConsentState, *, by: str, record: bool | None = None, claude: bool | None = None) -> None:
        """Somebody's word about consent. Raises ConsentRefused when that change is not possible."""
        assert self.state.consent is not None
        loud = ("on_loudspeaker", "prospect") in self.state.notices or ("on_loudspeaker", "agent") in self.state.notices
        now = self._parts.consent.change(
            self.state.consent, state, agent_state=self.started.agent_state, prospect_state=self.started.prospect_state,
            by=by, record=record, claude=claude, loudspeaker=loud,
        )  # fmt: skip
        await self._set_consent(now)

    async def card_change(self, card: str, change: str) -> None:
        """thumbs_up, thumbs_down or dismissed, by the agent. Raises KeyError for an unknown card."""
        if card not in self.state.cards:
            raise KeyError(card)
        self._parts.suggestions.answered(card, change)
        await self._log(SuggestionChanged(card=card, change=change, audio_ms=self.live.audio_ms))  # type: ignore[arg-type]  # checked by the model

    async def outcome(self, outcome: str) -> None:
        await self._log(OutcomeChosen(outcome=outcome))

    async def end(self, reason: str) -> None:
        """Hang up; run() then finishes what was heard, sums up and returns."""
        self._end_reason = self._end_reason or reason
        await self._parts.leg.end()

    async def notice(self, notice: Notice, detail: str = "", speaker: Speaker | None = None, *, clear: bool = False) -> None:
        """Raise a notice that does not stand yet, or clear one that does."""
        stands = (notice, speaker) in self.state.notices
        if clear and stands:
            await self._log(NoticeCleared(notice=notice, speaker=speaker, audio_ms=self.live.audio_ms))
        elif not clear and not stands:
            await self._log(NoticeRaised(notice=notice, speaker=speaker, detail=detail, audio_ms=self.live.audio_ms))

    # ---- hear

    async def _hear(self) -> None:
        try:
            async for item in self._parts.leg:
                match item:
                    case AudioFrame():
                        await self._frame(item)
                    case LegJoined():
                        await self._joined(item)
                    case LegHeld() | LegResumed() | LegLost():
                        await self._leg_changed(item)
                    case FramesDropped():
                        await self.notice("audio_lost", f"{item.lost_ms} ms were lost because this computer was too slow", item.speaker)
                    case LegLeft():
                        await self._log(LegChanged(speaker=item.speaker, state="left", reason=item.reason, audio_ms=item.at_ms))
                        await self._put(self._finish(item.speaker))
        finally:
            for speaker in list(self._listeners):
                await self._put(self._finish(speaker))
            await self._windows.close()

    async def _frame(self, frame: AudioFrame) -> None:
        speaker = frame.speaker
        self.live.audio_ms = max(self.live.audio_ms, frame.end_ms)
        consent = self.state.consent
        if consent is None or not (consent.transcribe or (consent.agent_only and speaker == "agent")):
            return  # the gate is shut: no recogniser hears this frame, nothing keeps it
        self.received_ms[speaker] += frame.duration_ms
        listener = self._listener(speaker)
        if consent.record and self._parts.sink is not None:
            self._parts.sink.feed(frame)
        for window in listener.feed(frame):
            await self._windows.put(window)
        for transcript in listener.settled():
            await self._transcripts.put(transcript)
        self._meter(frame)

    async def _joined(self, joined: LegJoined) -> None:
        speaker, gap_from = joined.speaker, self.live.audio_ms
        await self._log(
            LegChanged(speaker=speaker, state="joined", audio_ms=joined.offset_ms),
            ClockChanged(speaker=speaker, offset_ms=joined.offset_ms),
        )
        if (joined.rejoined or self._resumed) and joined.offset_ms - gap_from > 500:
            await self._log(GapMarked(start_ms=gap_from, end_ms=joined.offset_ms, why=f"the {speaker} was away"))
        await self.notice("audio_lost", speaker=speaker, clear=True)

    async def _leg_changed(self, item: LegHeld | LegResumed | LegLost) -> None:
        names = {LegHeld: "held", LegResumed: "resumed", LegLost: "lost"}
        await self._log(LegChanged(speaker=item.speaker, state=names[type(item)], audio_ms=item.at_ms))  # type: ignore[arg-type]  # one of the three
        await self.notice("audio_lost", "no sound arrives", item.speaker, clear=not isinstance(item, LegLost))

    def _finish(self, speaker: Speaker) -> list[Window]:
        listener = self._listeners.get(speaker)
        return listener.finish() if listener else []

    async def _put(self, windows: list[Window]) -> None:
        for window in windows:
            await self._windows.put(window)
        for listener in self._listeners.values():
            for transcript in listener.settled():
                await self._transcripts.put(transcript)

    def _listener(self, speaker: Speaker) -> SpeakerListener:
        if speaker not in self._listeners:
            self._listeners[speaker] = self._parts.listener(speaker)
        return self._listeners[speaker]

    # ---- transcribe

    async def _transcribe(self, next_window: Callable[[], "asyncio.Future[Window] | object"]) -> None:
        """One pump for finals, one for partials: a final never waits behind a partial of its own call."""
        try:
            while True:
                window: Window = await next_window()  # type: ignore[misc]  # one of WindowQueue's two coroutines
                await self._decode(replace(window, stamps={**window.stamps, "queued": time.time()}))
        except WindowsClosed:
            pass
        finally:
            self._pumps -= 1
            if self._pumps == 0:
                await self._transcripts.close()

    async def _decode(self, window: Window) -> None:
        listener = self._listeners[window.speaker]  # type: ignore[index]  # windows carry the speakers of our listeners
        try:
            hypothesis = await self._parts.models.transcribe(window)
        except ModelsLost:
            await self.notice("recogniser_restarted", "the recogniser stopped and is being started again")
            for again in listener.lost(window):
                await asyncio.sleep(0.1)
                await self._decode(again)
            return
        await self.notice("recogniser_restarted", clear=True)
        for transcript in listener.heard(window, hypothesis):
            await self._transcripts.put(transcript)
        if window.purpose != "partial":
            heard = window.stamps.get("heard")
            late_ms = (time.time() - heard) * 1000 if heard is not None else 0.0
            await self.notice("recogniser_slow", "captions come late on this computer", clear=late_ms < _SLOW_MS)
        else:
            self._thin_out(listener, hypothesis.decode_ms)

    def _thin_out(self, listener: SpeakerListener, decode_ms: float) -> None:
        """Under load partials come less often; finals never do."""
        listener.pace(decode_ms)
        self.live.partials_thinned = any(each.thinned for each in self._listeners.values())

    # ---- coach

    async def _coach(self) -> None:
        while (transcript := await self._transcripts.get()) is not None:
            async with self._turn_lock:  # consent's erasure waits for the words that are being logged
                if self.state.consent is None or not (self.state.consent.transcribe or self.state.consent.agent_only):
                    continue
                match transcript:
                    case PartialTranscript():
                        await self._partial(transcript)
                    case FinalTranscript():
                        await self._final(transcript)
                    case TranscriptRevision():
                        pass  # the second pass is logged by whoever runs it

    async def _partial(self, partial: PartialTranscript) -> None:
        known = self._settled_of.get(partial.utterance, 0)
        fresh = partial.settled[known:]
        if fresh:
            self._settled_of[partial.utterance] = len(partial.settled)
            words = [WordHeard(text=w.text, start_ms=w.start_ms, end_ms=w.end_ms, probability=round(w.probability, 3)) for w in fresh]
            await self._log(WordsSettled(utterance=partial.utterance, speaker=partial.speaker, start_ms=partial.start_ms, words=words,
                                         audio_ms=partial.heard_ms, stamps=partial.stamps))  # fmt: skip
        self.live.open[partial.speaker] = " ".join(w.text for w in partial.open_tail)
        self.live.utterance[partial.speaker] = partial.utterance
        self.live.stamps = partial.stamps
        self._publish()
        if partial.speaker == "agent" and (partial.settled or partial.open_tail):
            self._parts.suggestions.agent_said(partial.heard_ms, open_=True)
        if fresh and len(partial.settled) >= _TAIL_MIN_WORDS:
            turn = Turn(partial.speaker, " ".join(w.text for w in partial.settled), partial.start_ms, partial.settled[-1].end_ms,
                        partial.utterance, partial=True, words=_words(partial.settled))  # fmt: skip
            heard = await self._parts.coaches.feed(turn)
            await self._modules_off(heard.off)
            await self._cards(heard.findings, {}, partial.heard_ms, partial.stamps)

    async def _final(self, final: FinalTranscript) -> None:
        self._settled_of.pop(final.utterance, None)
        words = [WordHeard(text=w.text, start_ms=w.start_ms, end_ms=w.end_ms, probability=round(w.probability, 3)) for w in final.words]
        self.live.open.pop(final.speaker, None)
        await self._log(UtteranceFinal(utterance=final.utterance, speaker=final.speaker, start_ms=final.start_ms, end_ms=final.end_ms,
                                       text=final.text, spoken=final.spoken, words=words, model=final.model, audio_ms=final.end_ms,
                                       stamps=final.stamps))  # fmt: skip
        self._publish()
        if not final.text:
            return
        self._talk.feed(final)
        self.live.talk_share, self.live.pace_wpm = self._talk.share(), self._talk.pace()
        if final.speaker == "agent":
            self._parts.suggestions.agent_said(final.end_ms, open_=False)
        turn = Turn(final.speaker, final.text, final.start_ms, final.end_ms, final.utterance, words=_words(final.words))
        self._parts.suggestions.heard_turn(turn)
        heard = await self._parts.coaches.feed(turn)
        await self._modules_off(heard.off)
        await self._found(turn, heard.findings, final.stamps)

    async def _found(self, turn: Turn, findings: list[Finding], stamps: dict[str, float]) -> None:
        now_ms = max(turn.end_ms, self.live.audio_ms)
        events: list[AnyEvent] = []
        ids: dict[int, str] = {}
        for number, finding in enumerate(findings):
            if finding.speaker == "supervisor":
                continue
            ids[id(finding)] = f"{turn.utterance}-{number}"
            events.append(FindingNoted(
                finding=ids[id(finding)], family=finding.family, label=finding.label, speaker=finding.speaker, quote=finding.quote,
                start_ms=finding.start_ms, end_ms=finding.end_ms, confidence=round(finding.confidence, 3), why=finding.why, rule=finding.rule,
                source=finding.source, utterance=turn.utterance, values=dict(finding.values), audio_ms=turn.end_ms,
            ))  # fmt: skip
        for change in self._parts.sheet.changes():
            events.append(SheetChanged(slot=change.slot, value=change.value, shown=change.shown, quote=change.quote, utterance=change.utterance,
                                       confidence=change.confidence, audio_ms=turn.end_ms))  # fmt: skip
            self._parts.suggestions.heard.update(_slots(change.slot, change.shown))
        if (stage := self._parts.stages.changed()) is not None:
            events.append(StageChanged(stage=stage[0], why=stage[1], audio_ms=turn.end_ms))
        await self._log(*events)
        await self._log(*self._parts.suggestions.retract(turn.utterance, {f.label for f in findings}, now_ms))
        await self._cards(findings, ids, now_ms, stamps)
        if (
            turn.speaker == "prospect"
            and not findings
            and not self._parts.suggestions.open_cards()
            and (missing := self._parts.sheet.ask_next())
        ):
            await self._show(self._parts.suggestions.ask(missing, now_ms), stamps)

    async def _cards(self, findings: list[Finding], ids: dict[int, str], now_ms: int, stamps: dict[str, float]) -> None:
        await self._show(self._parts.suggestions.feed(findings, ids, now_ms), stamps)

    async def _show(self, events: Sequence[SuggestionShown | SuggestionChanged], stamps: dict[str, float]) -> None:
        coached = {**stamps, "coached": time.time()}
        await self._log(*[e.model_copy(update={"stamps": coached}) for e in events])
        for event in events:
            if isinstance(event, SuggestionShown) and self._parts.advisor and self.state.consent and self.state.consent.claude:
                with contextlib.suppress(asyncio.QueueEmpty):
                    self._questions.get_nowait()  # a newer question replaces the waiting one
                self._questions.put_nowait(event.card)

    async def _modules_off(self, off: list[tuple[str, str]]) -> None:
        for name, why in off:
            await self._log(NoticeRaised(notice="module_off", detail=f"{name} {why}", audio_ms=self.live.audio_ms))

    # ---- ask

    async def _ask(self) -> None:
        while True:
            card = await self._questions.get()
            advisor = self._parts.advisor
            if advisor is None:
                continue
            try:
                better = await asyncio.wait_for(advisor.refine(card, self.state), 6.0)
            except Exception as failure:  # the local card stands; the call goes on
                await self.notice("module_off", f"Claude: {type(failure).__name__}")
                continue
            if better is not None:
                await self._log(SuggestionRefined(card=better, audio_ms=self.live.audio_ms))

    # ---- begin, consent, log, end

    async def _begin(self) -> None:
        if self._resumed:
            last_ms = self.state.audio_ms
            self.live.audio_ms = last_ms
            await self._log(CallResumed(why="the server was started again", audio_ms=last_ms))
            return
        consent = self._parts.consent.begin(self.started.mode, self.started.agent_state, self.started.prospect_state)
        await self._log(self.started, consent)
        if not consent.transcribe:
            await self.notice("not_listening", "nobody has agreed yet")

    async def _set_consent(self, now: ConsentChanged) -> None:
        was = self.state.consent
        shut = was is not None and was.transcribe and not now.transcribe
        async with self._turn_lock:
            await self._log(now.model_copy(update={"audio_ms": self.live.audio_ms}))
            if shut:
                await self._windows.erase()
                for listener in self._listeners.values():
                    listener.erase()
                self.live.open.clear()
                if self._parts.sink is not None:
                    self._parts.sink.erase()
        await self.notice("not_listening", f"consent is {now.state}", clear=now.transcribe)
        self._publish()

    async def _log(self, *events: AnyEvent) -> None:
        if not events:
            return
        for logged in await self._parts.log.append(list(events)):
            self.state.apply(logged)

    def _meter(self, frame: AudioFrame) -> None:
        level = float(np.sqrt(np.mean(frame.samples.astype(np.float32) ** 2)) + 1e-3)
        self.live.level[frame.speaker] = round(20 * float(np.log10(level / 32768)), 1)
        now = time.monotonic() * 1000
        if now - self._state_at > _STATE_EVERY_MS:
            self._publish()

    def _publish(self) -> None:
        self._state_at = time.monotonic() * 1000
        self._parts.on_state(self.live.model_copy(deep=True))

    async def _close(self) -> None:
        if self.state.ended is not None:
            return
        outcome, why = outcome_preset(self.state)
        await self._log(
            CallEnded(reason=self._end_reason or "hung_up", outcome_preset=outcome, outcome_why=why, audio_ms=self.live.audio_ms)
        )
        await self._log(summarise(self.state))
        self.live.open.clear()
        self._publish()


def _words(words: Sequence[object]) -> tuple[TurnWord, ...]:
    return tuple(TurnWord(w.text, w.start_ms, w.end_ms, w.probability) for w in words)  # type: ignore[attr-defined]  # voice.transcripts.Word


def _slots(slot: str, shown: str) -> dict[str, str]:
    names = {"price": "price", "location": "place", "decision_makers": "relation", "timeframe": "when"}
    return {names[slot]: shown} if slot in names and "?" not in shown and len(shown.split()) <= 4 else {}


__all__ = ["Advisor", "Call", "CallParts", "EventLog", "SoundSink"]
