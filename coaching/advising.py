"""transcripts -> log, findings, sheet, stage, cards: what one call's coach does with every word that was heard."""

import time
from collections.abc import Callable, Sequence

from coaching.coaches import Coaches
from coaching.events import (
    AnyEvent,
    Card,
    FindingNoted,
    NoticeRaised,
    SheetChanged,
    StageChanged,
    SuggestionChanged,
    SuggestionShown,
    TranscriptRevised,
    UtteranceFinal,
    WordHeard,
    WordsSettled,
)
from coaching.hearing import Tick
from coaching.pacing import unfinished
from coaching.record import Record
from coaching.state import CallState
from coaching.suggestions import SuggestionPolicy
from coaching.talk import Talk
from intelligence.conversation.qualification import QualificationSheet, Slot
from intelligence.conversation.stages import StageTracker
from intelligence.conversation.turns import Finding, Turn, TurnWord
from voice.transcripts import FinalTranscript, PartialTranscript, PausedTranscript, Transcript, TranscriptRevision, Word, as_written

_TAIL_MIN_WORDS = 4  # a partial turn shorter than this is not read by the modules


class Advising:
    """feed() every transcript and tick. ``ask`` gets each new card that Claude may make better."""

    def __init__(
        self,
        record: Record,
        coaches: Coaches,
        suggestions: SuggestionPolicy,
        sheet: QualificationSheet,
        stages: StageTracker,
        ask: Callable[[Card], None],
    ) -> None:
        self._record, self._coaches, self._suggestions = record, coaches, suggestions
        self._sheet, self._stages, self._ask = sheet, stages, ask
        self._talk = Talk()
        self._settled_of: dict[str, int] = {}  # words of an open utterance that are in the log already

    def remember(self, state: CallState) -> None:
        """A call that goes on: what was said before counts as said."""
        for line in state.transcript():
            turn = Turn(line.speaker, line.text, line.start_ms, line.end_ms, line.utterance)
            self._coaches.conversation.add(turn, [])
            self._suggestions.heard_turn(turn)
        for slot in state.sheet.values():
            self._sheet.restore(Slot(slot.slot, slot.value, slot.shown, slot.quote, slot.utterance, slot.confidence))
        self._stages.restore(state.stage)
        self._suggestions.restore(state.cards.values())

    async def feed(self, heard: Transcript | Tick) -> None:
        match heard:
            case PartialTranscript():
                await self._partial(heard)
            case PausedTranscript():
                await self._paused(heard)
            case FinalTranscript():
                await self._final(heard)
            case TranscriptRevision():
                await self._revised(heard.final)
            case Tick():
                await self._show(self._suggestions.tick(heard.audio_ms), {})

    async def _partial(self, partial: PartialTranscript) -> None:
        live = self._record.live
        fresh = partial.settled[self._settled_of.get(partial.utterance, 0) :]
        if fresh:
            self._settled_of[partial.utterance] = len(partial.settled)
            await self._record.log(
                WordsSettled(
                    utterance=partial.utterance, speaker=partial.speaker, start_ms=partial.start_ms, words=_heard(fresh),
                    audio_ms=partial.heard_ms, stamps=partial.stamps,
                )
            )  # fmt: skip
        live.open[partial.speaker] = " ".join(w.text for w in partial.open_tail)
        live.utterance[partial.speaker] = partial.utterance
        live.stamps = partial.stamps
        self._record.publish()
        if said := (*partial.settled, *partial.open_tail):
            self._spoke(partial.speaker, said[-1].end_ms, " ".join(w.text for w in said), open_=True)
        if fresh and len(partial.settled) >= _TAIL_MIN_WORDS:
            text = " ".join(w.text for w in partial.settled)
            words = _words(partial.settled)
            await self._early(Turn(partial.speaker, text, partial.start_ms, words[-1].end_ms, partial.utterance, True, words), partial)

    async def _paused(self, paused: PausedTranscript) -> None:
        """What the final will say if nothing more is said, judged as if it did: its card need not wait for the end."""
        text, _ = as_written(paused.words)
        words = _words(paused.words)
        await self._early(Turn(paused.speaker, text, paused.start_ms, words[-1].end_ms, paused.utterance, True, words, paused=True), paused)

    async def _early(self, turn: Turn, heard: PartialTranscript | PausedTranscript) -> None:
        """Cards for a turn that is not over; its final takes back what the rest turns round."""
        found = await self._coaches.feed(turn)
        await self._modules_off(found.off)
        # An objection may turn round while its phrase is unfinished; compliance and requests may not wait for its end.
        sure = [f for f in found.findings if f.family != "objection" or not unfinished(turn.text)]
        await self._show(self._suggestions.feed(sure, {}, heard.heard_ms, paused=turn.paused), heard.stamps)

    async def _final(self, final: FinalTranscript) -> None:
        live = self._record.live
        self._settled_of.pop(final.utterance, None)
        live.open.pop(final.speaker, None)
        await self._record.log(
            UtteranceFinal(
                utterance=final.utterance, speaker=final.speaker, start_ms=final.start_ms, end_ms=final.end_ms, text=final.text,
                spoken=final.spoken, words=_heard(final.words), model=final.model, audio_ms=final.end_ms, stamps=final.stamps,
            )
        )  # fmt: skip
        self._record.publish()
        self._spoke(final.speaker, final.end_ms, final.text, open_=False)
        if not final.text:
            return
        self._talk.feed(final)
        live.talk_share, live.pace_wpm = self._talk.share(), self._talk.pace()
        turn = Turn(final.speaker, final.text, final.start_ms, final.end_ms, final.utterance, words=_words(final.words))
        self._suggestions.heard_turn(turn)
        found = await self._coaches.feed(turn)
        await self._modules_off(found.off)
        await self._found(turn, found.findings, final.stamps)

    async def _revised(self, final: FinalTranscript) -> None:
        """A second pass read it better: the record says so; what was advised on the first reading stands."""
        await self._record.log(
            TranscriptRevised(
                utterance=final.utterance, text=final.text, spoken=final.spoken, words=_heard(final.words), model=final.model,
                audio_ms=final.end_ms, stamps=final.stamps,
            )
        )  # fmt: skip

    def _spoke(self, speaker: str, end_ms: int, text: str, *, open_: bool) -> None:
        """Who has the word is judged by recognised words, never by sound."""
        if speaker == "agent":
            self._suggestions.agent_said(end_ms, open_=open_, text=text)
        elif text:
            self._suggestions.prospect_said(end_ms)

    async def _found(self, turn: Turn, findings: list[Finding], stamps: dict[str, float]) -> None:
        now_ms = max(turn.end_ms, self._record.live.audio_ms)
        ids = {id(f): f"{turn.utterance}-{number}" for number, f in enumerate(findings) if f.speaker != "supervisor"}
        events: list[AnyEvent] = [_noted(f, ids[id(f)], turn) for f in findings if id(f) in ids]
        for change in self._sheet.changes():
            events.append(
                SheetChanged(
                    slot=change.slot, value=change.value, shown=change.shown, quote=change.quote, utterance=change.utterance,
                    confidence=change.confidence, audio_ms=turn.end_ms,
                )
            )  # fmt: skip
            self._suggestions.filled(change.slot, change.shown, now_ms)
        if (stage := self._stages.changed()) is not None:
            events.append(StageChanged(stage=stage[0], why=stage[1], audio_ms=turn.end_ms))
        await self._record.log(*events)
        await self._record.log(*self._suggestions.answered_by(turn, findings, now_ms))
        await self._record.log(*self._suggestions.retract(turn.utterance, findings, now_ms))
        await self._show(self._suggestions.feed(findings, ids, now_ms), stamps)
        asked = self._suggestions.ask(self._sheet.worth_asking(), turn, findings, self._stages.stage, now_ms)
        await self._show(asked, stamps)

    async def _show(self, events: Sequence[SuggestionShown | SuggestionChanged], stamps: dict[str, float]) -> None:
        coached = {**stamps, "coached": time.time()}
        await self._record.log(*[e.model_copy(update={"stamps": coached}) for e in events])
        for event in events:
            if isinstance(event, SuggestionShown):
                self._ask(event.card)

    async def _modules_off(self, off: list[tuple[str, str]]) -> None:
        for name, why in off:
            await self._record.log(NoticeRaised(notice="module_off", detail=f"{name} {why}", audio_ms=self._record.live.audio_ms))


def _noted(finding: Finding, number: str, turn: Turn) -> FindingNoted:
    return FindingNoted(
        finding=number, family=finding.family, label=finding.label, speaker=finding.speaker, quote=finding.quote,  # type: ignore[arg-type]  # no supervisor comes here
        start_ms=finding.start_ms, end_ms=finding.end_ms, confidence=round(finding.confidence, 3), why=finding.why, rule=finding.rule,
        source=finding.source, utterance=turn.utterance, values=dict(finding.values), audio_ms=turn.end_ms,
    )  # fmt: skip


def _heard(words: Sequence[Word]) -> list[WordHeard]:
    return [WordHeard(text=w.text, start_ms=w.start_ms, end_ms=w.end_ms, probability=round(w.probability, 3)) for w in words]


def _words(words: Sequence[Word]) -> tuple[TurnWord, ...]:
    return tuple(TurnWord(w.text, w.start_ms, w.end_ms, w.probability) for w in words)
