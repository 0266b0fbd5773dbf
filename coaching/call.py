"""One live call: hear, transcribe, coach, ask; its bounds, its endings, and going on after a crash.

    leg -> hear -> windows -> decode -> transcripts -> coach -> log -> viewers

One task group per call. Only the leg, the engine seam and the log may end a call; a coaching module that fails is
switched off with a notice, and a lost engine means windows sent anew.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from coaching.advising import Advising
from coaching.asking import Advisor, Asking
from coaching.coaches import Coaches
from coaching.consent import ConsentPolicy
from coaching.events import (
    AnyEvent,
    CallEnded,
    CallResumed,
    CallStarted,
    ConsentChanged,
    ConsentState,
    LiveState,
    Logged,
    Notice,
    OutcomeChosen,
    Speaker,
    SuggestionChanged,
)
from coaching.hearing import Hearing, Tick, TranscriptQueue
from coaching.record import EventLog, Record
from coaching.state import CallState
from coaching.suggestions import SuggestionPolicy
from coaching.summary import outcome_preset, summarise
from intelligence.conversation.qualification import QualificationSheet
from intelligence.conversation.stages import StageTracker
from voice.frames import AudioFrame
from voice.legs import Leg
from voice.listening import SpeakerListener
from voice.models import Models
from voice.transcripts import Transcript, TranscriptRevision


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


class Call:
    """run() until the leg ends or end() is called."""

    def __init__(self, call_id: str, started: CallStarted, parts: CallParts, *, state: CallState | None = None, resumed: str = "") -> None:
        """``resumed``: why the call goes on here after another had run it; empty: nobody had."""
        self.id, self.started, self._parts = call_id, started, parts
        self._resumed = resumed
        self._record = Record(parts.log, state or CallState(call=call_id), parts.on_state)
        self._asking = Asking(self._record, parts.advisor)
        self._transcripts = TranscriptQueue()
        self._hearing = Hearing(self._record, parts.models, parts.listener, self._transcripts, self._keep, resumed=bool(resumed))
        self._advising = Advising(self._record, parts.coaches, parts.suggestions, parts.sheet, parts.stages, self._asking.ask)
        if started.contact.name:
            parts.suggestions.heard["name"] = started.contact.name.split()[0]
        self._turn_lock = asyncio.Lock()
        self._end_reason, self._handed_over = "", False

    @classmethod
    def resume(cls, events: Sequence[Logged], parts: CallParts, why: str = "the server was started again") -> "Call":
        """A call that goes on where its log ends: the same fold gives the same state. ``why`` empty: it was entered by one
        process to be run by another, and this is its beginning."""
        state = CallState.of(events)
        if state.started is None:
            raise ValueError("this log does not begin with call_started")
        call = cls(state.call, state.started, parts, state=state, resumed=why)
        call._advising.remember(state)
        return call

    @property
    def state(self) -> CallState:
        return self._record.state

    @property
    def advisor(self) -> Advisor | None:
        return self._parts.advisor

    @property
    def live(self) -> LiveState:
        return self._record.live

    async def run(self) -> None:
        await self._begin()
        try:
            async with asyncio.TaskGroup() as call:
                call.create_task(self._hearing.hear(self._parts.leg), name=f"hear {self.id}")
                call.create_task(self._hearing.decode(), name=f"decode {self.id}")
                asking = call.create_task(self._asking.run(), name=f"ask {self.id}")
                await call.create_task(self._coach(), name=f"coach {self.id}")
                asking.cancel()
        finally:
            await self._parts.leg.end()
        await self._close()

    # ---- what people do

    async def consent(
        self, state: ConsentState, *, by: str, record: bool | None = None, claude: bool | None = None, told: str = ""
    ) -> None:
        """Somebody's word about consent; ``told``: what a machine told the other side, word for word, for the record.

        Raises ConsentRefused when that change is not possible."""
        now = self.state.consent
        if now is None:
            raise ValueError("the call has not begun")
        loud = any(notice == "on_loudspeaker" for notice, _ in self.state.notices)
        places = {"agent_state": self.started.agent_state, "prospect_state": self.started.prospect_state}
        changed = self._parts.consent.change(now, state, **places, by=by, record=record, claude=claude, loudspeaker=loud, told=told)
        await self._set_consent(changed)

    async def card_change(self, card: str, change: str) -> None:
        """thumbs_up, thumbs_down or dismissed, by the agent. Raises KeyError for an unknown card."""
        if card not in self.state.cards:
            raise KeyError(card)
        self._parts.suggestions.answered(card, change)
        await self._record.log(SuggestionChanged(card=card, change=change, audio_ms=self._record.live.audio_ms))  # type: ignore[arg-type]  # checked by the model

    async def outcome(self, outcome: str) -> None:
        await self._record.log(OutcomeChosen(outcome=outcome))

    async def adopt(self, event: AnyEvent) -> None:
        """What another process heard or showed in this call and could not log before it died."""
        await self._record.log(event)

    async def notice(self, notice: Notice, detail: str = "", speaker: Speaker | None = None, *, clear: bool = False) -> None:
        await self._record.notice(notice, detail, speaker, clear=clear)

    async def end(self, reason: str) -> None:
        """Hang up; run() then finishes what was heard, sums up and returns."""
        self._end_reason = self._end_reason or reason
        await self._parts.leg.end()

    async def hand_over(self) -> None:
        """Somebody else goes on with this call: run() finishes what was heard and returns; the log is not ended."""
        self._handed_over = True
        await self._parts.leg.end()

    # ---- coach

    async def _coach(self) -> None:
        while (heard := await self._transcripts.get()) is not None:
            async with self._turn_lock:  # consent's erasure waits for the words that are being logged
                if isinstance(heard, Tick) or self._record.listening_to(_speaker(heard)):
                    await self._advising.feed(heard)

    # ---- begin, consent, end

    def _keep(self, frame: AudioFrame) -> None:
        if self._parts.sink is not None and self.state.consent is not None and self.state.consent.record:
            self._parts.sink.feed(frame)

    async def _begin(self) -> None:
        if self._resumed:
            await self._record.log(CallResumed(why=self._resumed, audio_ms=self.state.audio_ms))
            return
        consent = self.state.consent
        if consent is None:
            consent = self._parts.consent.begin(self.started.mode, self.started.agent_state, self.started.prospect_state)
            await self._record.log(self.started, consent)
        if not consent.transcribe:
            await self._record.notice("not_listening", "nobody has agreed yet")

    async def _set_consent(self, now: ConsentChanged) -> None:
        was = self.state.consent
        async with self._turn_lock:
            await self._record.log(now.model_copy(update={"audio_ms": self._record.live.audio_ms}))
            if not now.claude:
                self._asking.drop()
            if was is not None and was.transcribe and not now.transcribe:
                await self._hearing.erase()
                self._record.live.open.clear()
                if self._parts.sink is not None:
                    self._parts.sink.erase()
        await self._record.notice("not_listening", f"consent is {now.state}", clear=now.transcribe)
        self._record.publish()

    async def _close(self) -> None:
        if self.state.ended is not None or (self._handed_over and not self._end_reason):
            return
        outcome, why = outcome_preset(self.state)
        reason = self._end_reason or "hung_up"
        await self._record.log(CallEnded(reason=reason, outcome_preset=outcome, outcome_why=why, audio_ms=self._record.live.audio_ms))
        await self._record.log(summarise(self.state))
        self._record.live.open.clear()
        self._record.publish()


def _speaker(heard: Transcript) -> Speaker:
    return heard.final.speaker if isinstance(heard, TranscriptRevision) else heard.speaker
