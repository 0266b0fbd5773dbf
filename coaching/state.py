"""A call's state: a fold over its events, the same for a live call, a resumed one, a viewer and a summary."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, assert_never

from coaching.events import (
    AnyEvent,
    CallEnded,
    CallResumed,
    CallStarted,
    Card,
    ClockChanged,
    ConsentChanged,
    FindingNoted,
    GapMarked,
    LegChanged,
    Logged,
    NoticeCleared,
    NoticeRaised,
    OutcomeChosen,
    SheetChanged,
    Speaker,
    StageChanged,
    SuggestionChanged,
    SuggestionRefined,
    SuggestionShown,
    SummaryMade,
    TranscriptRevised,
    UtteranceFinal,
    WordHeard,
    WordsSettled,
)  # fmt: skip


@dataclass(slots=True)
class Line:
    """One utterance as it stands: settled words until it is final."""

    utterance: str
    speaker: Speaker
    start_ms: int
    end_ms: int
    text: str
    final: bool
    words: list[WordHeard] = field(default_factory=list)
    spoken: str | None = None
    model: str = ""


@dataclass(slots=True)
class ShownCard:
    card: Card
    shown_ms: int
    state: str = "shown"
    changes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class CallState:
    """apply() every logged event in order; view() is what REST answers and a viewer starts from."""

    call: str = ""
    last: int = 0
    audio_ms: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    started: CallStarted | None = None
    consent: ConsentChanged | None = None
    lines: dict[str, Line] = field(default_factory=dict)
    cards: dict[str, ShownCard] = field(default_factory=dict)
    sheet: dict[str, SheetChanged] = field(default_factory=dict)
    stage: str = "opening"
    notices: dict[tuple[str, str | None], NoticeRaised] = field(default_factory=dict)
    findings: list[FindingNoted] = field(default_factory=list)
    gaps: list[GapMarked] = field(default_factory=list)
    legs: dict[Speaker, str] = field(default_factory=dict)
    ended: CallEnded | None = None
    outcome: str = ""
    summary: SummaryMade | None = None

    @classmethod
    def of(cls, events: Iterable[Logged]) -> "CallState":
        state = cls()
        for event in events:
            state.apply(event)
        return state

    def apply(self, logged: Logged) -> None:
        """Raises ValueError when an event is missing: a fold over a log with a hole is no state."""
        if logged.n != self.last + 1:
            raise ValueError(f"event {logged.n} after {self.last}")
        self.call, self.last = logged.call, logged.n
        self.audio_ms = max(self.audio_ms, logged.event.audio_ms or 0)
        self._apply(logged.event, logged.at)

    def _apply(self, event: AnyEvent, at: float) -> None:
        match event:
            case CallStarted():
                self.started, self.started_at = event, at
            case ConsentChanged():
                self.consent = event
            case WordsSettled() | UtteranceFinal() | TranscriptRevised():
                self._words(event)
            case SuggestionShown() | SuggestionRefined() | SuggestionChanged():
                self._card(event)
            case FindingNoted():
                self.findings.append(event)
            case GapMarked():
                self.gaps.append(event)
            case SheetChanged():
                self.sheet[event.slot] = event
            case StageChanged():
                self.stage = event.stage
            case NoticeRaised():
                self.notices[(event.notice, event.speaker)] = event
            case NoticeCleared():
                self.notices.pop((event.notice, event.speaker), None)
            case LegChanged():
                self.legs[event.speaker] = event.state
            case CallEnded():
                self.ended, self.ended_at = event, at
            case OutcomeChosen():
                self.outcome = event.outcome
            case SummaryMade():
                self.summary = event
            case ClockChanged() | CallResumed():
                pass
            case _:
                assert_never(event)

    def _words(self, event: WordsSettled | UtteranceFinal | TranscriptRevised) -> None:
        match event:
            case WordsSettled():
                line = self.lines.get(event.utterance)
                if line is None:
                    line = Line(event.utterance, event.speaker, event.start_ms, event.start_ms, "", final=False)
                    self.lines[event.utterance] = line
                if not line.final:
                    line.words.extend(event.words)
                    line.text = " ".join(w.text for w in line.words)
                    line.end_ms = event.words[-1].end_ms if event.words else line.end_ms
            case UtteranceFinal():
                if not event.text:
                    self.lines.pop(event.utterance, None)  # it was no speech after all
                    return
                self.lines[event.utterance] = Line(
                    event.utterance, event.speaker, event.start_ms, event.end_ms, event.text, True, list(event.words), event.spoken, event.model
                )  # fmt: skip
            case TranscriptRevised():
                line = self.lines.get(event.utterance)
                if line is not None:
                    line.text, line.spoken, line.words, line.model = event.text, event.spoken, list(event.words), event.model

    def _card(self, event: SuggestionShown | SuggestionRefined | SuggestionChanged) -> None:
        match event:
            case SuggestionShown():
                self.cards[event.card.id] = ShownCard(event.card, event.audio_ms or 0)
            case SuggestionRefined():
                if event.card.id in self.cards:
                    self.cards[event.card.id].card = event.card
            case SuggestionChanged():
                shown = self.cards.get(event.card)
                if shown is not None:
                    shown.changes.append(event.change)
                    if not event.change.startswith("thumbs"):
                        shown.state = event.change

    def transcript(self) -> list[Line]:
        """The lines in the order in which they began."""
        return sorted(self.lines.values(), key=lambda line: (line.start_ms, line.speaker))

    def view(self, sentence: str = "") -> dict[str, Any]:
        """CallView of docs/protocol.md, JSON-ready."""
        consent = self.consent
        return {
            "id": self.call,
            "mode": self.started.mode if self.started else "",
            "state": "ended" if self.ended else "live",
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "contact": self.started.contact.model_dump() if self.started else None,
            "agent_name": self.started.agent_name if self.started else "",
            "line": self.started.line.model_dump() if self.started else None,
            "consent": {
                "state": consent.state if consent else "unknown",
                "transcribe": bool(consent and consent.transcribe),
                "record": bool(consent and consent.record),
                "claude": bool(consent and consent.claude),
                "rule": consent.rule if consent else "",
                "sentence": sentence,
            },
            "transcript": [
                {"utterance": line.utterance, "speaker": line.speaker, "start_ms": line.start_ms, "end_ms": line.end_ms, "text": line.text, "final": line.final}
                for line in self.transcript()
            ],
            "cards": [{**c.card.model_dump(mode="json"), "state": c.state, "changes": c.changes, "shown_ms": c.shown_ms} for c in self.cards.values()],
            "sheet": {
                slot: {"value": s.value, "shown": s.shown, "quote": s.quote, "utterance": s.utterance, "confidence": s.confidence}
                for slot, s in self.sheet.items()
            },
            "stage": self.stage,
            "notices": [{"notice": n.notice, "speaker": n.speaker, "detail": n.detail} for n in self.notices.values()],
            "findings": [f.model_dump(mode="json", exclude={"stamps"}) for f in self.findings],
            "gaps": [{"start_ms": g.start_ms, "end_ms": g.end_ms, "why": g.why} for g in self.gaps],
            "legs": dict(self.legs),
            "outcome": self.outcome,
            "outcome_preset": self.ended.outcome_preset if self.ended else "",
            "summary": self.summary.model_dump(mode="json", exclude={"type", "v", "audio_ms", "stamps"}) if self.summary else None,
            "last": self.last,
        }  # fmt: skip
