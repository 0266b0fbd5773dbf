"""Findings -> cards: few, well timed, at most one for one thing. Pure; times are media time in ms.

Silent by default. Compliance comes first and is never held back; everything else waits until the agent is not in
mid-sentence (judged by the agent's own words), within a budget of attention.
"""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from coaching.events import Card, SuggestionChanged, SuggestionShown
from coaching.playbook import Answer, Playbook, Saying
from intelligence.conversation.turns import Finding, Turn

# What weighs more goes first: the moments of the taxonomy, slips and traps before everything.
PRIORITY: Final = (
    "slip",
    "trap_question",
    "do_not_call",
    "objection",
    "fear_or_pressure",
    "buying_signal",
    "wrong_fact",
    "missing_question",
    "thinking_aloud",
)
KINDS: Final = {
    "objection": "objection_response", "trap_question": "neutral_answer", "slip": "compliance_warning", "fear_or_pressure": "empathy",
    "buying_signal": "close_now", "missing_question": "missing_question", "wrong_fact": "wrong_fact", "thinking_aloud": "let_them_talk",
    "market_named": "market_fact", "document_cited": "document_fact", "voicemail": "voicemail_message", "call_screening": "screening_answer",
    "do_not_call": "neutral_answer",
}  # fmt: skip
_UNPACED: Final = frozenset({"slip", "trap_question", "do_not_call"})
_MID_SENTENCE_MS: Final = 700  # after the agent's last own word the turn is taken to be open for so long
_FIGURE: Final = re.compile(r"\d[\d,.]*")


@dataclass(slots=True)
class _Waiting:
    card: Card
    moment: str
    since_ms: int
    partial: bool


@dataclass(slots=True)
class _Shown:
    card: Card
    at_ms: int
    partial: bool
    closed: bool = False


@dataclass(slots=True)
class SuggestionPolicy:
    """feed() findings as they come, tick() as media time passes; both give events for the log."""

    playbook: Callable[[], Playbook]
    breaks_rule: Callable[[str], str | None]
    side: str = ""  # buyer or seller, when known
    paced: bool = True
    heard: dict[str, str] = field(default_factory=dict)  # slot -> words for {price}, {place}, {relation}, {when}
    figures: set[str] = field(default_factory=set)  # every figure that somebody said: the number guard's source
    _waiting: list[_Waiting] = field(default_factory=list)  # bounded: one per thing, expired ones go
    _shown: dict[str, _Shown] = field(default_factory=dict)
    _times: deque[int] = field(default_factory=deque)
    _said_ms: int = -10_000  # end of the agent's newest own word
    _said_open: bool = False
    _count: int = 0
    _last_of: dict[str, int] = field(default_factory=dict)
    _uses: dict[str, int] = field(default_factory=dict)

    def agent_said(self, end_ms: int, *, open_: bool) -> None:
        """The agent's own words were recognised up to ``end_ms``; ``open_``: the utterance goes on."""
        self._said_ms, self._said_open = max(self._said_ms, end_ms), open_

    def heard_turn(self, turn: Turn) -> None:
        """Figures that somebody said may stand on a card."""
        self.figures.update(_digits(turn.text))

    def feed(self, findings: list[Finding], ids: dict[int, str], now_ms: int) -> list[SuggestionShown | SuggestionChanged]:
        """``ids``: id(finding) -> the finding's id in the log, for the card's trace."""
        for finding in findings:
            self._consider(finding, ids.get(id(finding), ""), now_ms)
        return self.tick(now_ms)

    def tick(self, now_ms: int) -> list[SuggestionShown | SuggestionChanged]:
        policy = self.playbook().policy
        events: list[SuggestionShown | SuggestionChanged] = []
        for shown in self._shown.values():
            if not shown.closed and now_ms - shown.at_ms > policy.expires_s * 1000:
                shown.closed = True
                events.append(SuggestionChanged(card=shown.card.id, change="expired", audio_ms=now_ms))
        self._waiting = [w for w in self._waiting if now_ms - w.since_ms <= (12_000 if w.moment != "slip" else 30_000)]
        self._waiting.sort(key=lambda w: (PRIORITY.index(w.moment) if w.moment in PRIORITY else len(PRIORITY), -w.card.confidence))
        while self._waiting and self._may_show(self._waiting[0], now_ms):
            waiting = self._waiting.pop(0)
            self._show(waiting, now_ms, events)
        return events

    def ask(self, slot: str, now_ms: int) -> list[SuggestionShown | SuggestionChanged]:
        """A missing slot of the sheet, when there is room for a question."""
        question = self.playbook().questions.get(slot)
        if question is None or f"missing_question/{slot}" in self._last_of:
            return []
        bridge = self.playbook().bridges.get(slot, "")
        say = f"{bridge} {question}".strip()
        card = self._card("missing_question", slot, "Good moment to ask", say if len(say.split()) <= 20 else question,
                          f"The sheet has no {slot.replace('_', ' ')} yet.", 0.7, rule=f"questions/{slot}", source="playbook")  # fmt: skip
        self._wait(card, "missing_question", now_ms, partial=False)
        return self.tick(now_ms)

    def retract(self, utterance: str, labels: set[str], now_ms: int) -> list[SuggestionChanged]:
        """The final says otherwise than the partial: its cards grey to taken back, and count as false."""
        events = []
        for shown in self._shown.values():
            if shown.partial and not shown.closed and shown.card.utterance == utterance:
                if shown.card.label in labels:
                    shown.partial = False  # confirmed
                else:
                    shown.closed = True
                    events.append(
                        SuggestionChanged(
                            card=shown.card.id, change="taken_back", why="the rest of the sentence says otherwise", audio_ms=now_ms
                        )
                    )
        self._waiting = [w for w in self._waiting if not (w.partial and w.card.utterance == utterance and w.card.label not in labels)]
        return events

    def answered(self, card: str, change: str) -> None:
        """The agent dismissed or used a card."""
        if card in self._shown and change in ("dismissed", "used"):
            self._shown[card].closed = True

    def open_cards(self) -> list[Card]:
        return [s.card for s in self._shown.values() if not s.closed]

    # ---- which card

    def _consider(self, finding: Finding, finding_id: str, now_ms: int) -> None:
        playbook = self.playbook()
        least = playbook.policy.least_confidence_partial if finding.partial else playbook.policy.least_confidence
        if finding.confidence < least:
            return
        made = self._made(finding, playbook)
        if made is None:
            return
        moment, answer, say = made
        if say is None or self.breaks_rule(say) is not None or not self._figures_known(say):
            return
        source = finding.source or "playbook"
        card = self._card(
            moment, finding.label, answer.title, say, answer.why, finding.confidence, finding=finding, finding_id=finding_id, source=source
        )
        self._wait(card, moment, now_ms, partial=finding.partial)

    def _made(self, finding: Finding, playbook: Playbook) -> tuple[str, Answer, str | None] | None:
        if finding.family == "objection" and finding.label in playbook.objections:
            answer = playbook.objections[finding.label]
            return "objection", answer, self._saying(finding.label, answer)
        if finding.family == "compliance":
            rephrase = str(finding.values.get("rephrase") or "Let me put that differently.")
            return (
                "slip",
                Answer(title=f"Careful: {finding.label.replace('_', ' ')}", why=finding.why, say=[Saying(text=rephrase)]),
                rephrase,
            )
        if finding.label == "protected_question":
            neutral = str(finding.values.get("answer") or "")
            return (
                ("trap_question", Answer(title="Answer without judging", why=finding.why, say=[Saying(text=neutral)]), neutral)
                if neutral
                else None
            )
        moment = {"do_not_call": "do_not_call", "stress": "fear_or_pressure", "buying_interest": "buying_signal"}.get(finding.label)
        if finding.family == "signal" and moment in playbook.moments:
            answer = playbook.moments[moment]
            return moment, answer, self._saying(moment, answer)
        return None

    def _saying(self, label: str, answer: Answer) -> str | None:
        """The next saying that fits: the right side of the table, every slot known, not the one said last."""
        fitting = [s.text for s in answer.say if s.when in ("", self.side)]
        filled = [t for t in (_filled(text, self.heard) for text in fitting) if t is not None]
        if not filled:
            return None
        turn = self._uses.get(label, 0)
        return filled[turn % len(filled)]

    def _figures_known(self, say: str) -> bool:
        return all(figure in self.figures for figure in _digits(say))

    def _card(
        self, moment: str, label: str, title: str, say: str, why: str, confidence: float, *, finding: Finding | None = None,
        finding_id: str = "", rule: str = "", source: str = "",
    ) -> Card:  # fmt: skip
        self._count += 1
        return Card(
            id=f"k{self._count}", moment=moment, kind=KINDS[moment], label=label, title=title, say=say, why=why,
            quote=finding.quote if finding else "", quote_speaker=finding.speaker if finding and finding.speaker != "supervisor" else None,
            quote_ms=finding.start_ms if finding else None, source=source, rule=finding.rule if finding else rule,
            confidence=round(confidence, 3), finding=finding_id, utterance=finding.utterance if finding else "",
        )  # fmt: skip

    # ---- when

    def _wait(self, card: Card, moment: str, now_ms: int, *, partial: bool) -> None:
        key = f"{moment}/{card.label}"
        cooldown = self.playbook().policy.cooldown_s * 1000
        if now_ms - self._last_of.get(key, -(10**9)) < cooldown:
            return
        same = next((w for w in self._waiting if (w.moment, w.card.label) == (moment, card.label)), None)
        if same is not None:
            same.card, same.partial = card, partial and same.partial
            return
        self._waiting.append(_Waiting(card, moment, now_ms, partial))

    def _may_show(self, waiting: _Waiting, now_ms: int) -> bool:
        if waiting.moment in _UNPACED or not self.paced:
            return True
        policy = self.playbook().policy
        if self._said_open or (now_ms - self._said_ms < _MID_SENTENCE_MS and waiting.moment == "missing_question"):
            return False
        while self._times and now_ms - self._times[0] > 600_000:
            self._times.popleft()
        in_minute = sum(1 for t in self._times if now_ms - t < 60_000)
        return in_minute < policy.cards_per_minute and len(self._times) < policy.cards_per_ten_minutes

    def _show(self, waiting: _Waiting, now_ms: int, events: list[SuggestionShown | SuggestionChanged]) -> None:
        policy = self.playbook().policy
        card = waiting.card.model_copy(update={"expires_ms": now_ms + policy.expires_s * 1000})
        self._shown[card.id] = _Shown(card, now_ms, waiting.partial)
        if len(self._shown) > 200:  # bounded: the oldest cards need no more changes
            self._shown.pop(next(iter(self._shown)))
        self._last_of[f"{waiting.moment}/{card.label}"] = now_ms
        self._uses[card.label] = self._uses.get(card.label, 0) + 1
        if waiting.moment not in _UNPACED:
            self._times.append(now_ms)
        events.append(SuggestionShown(card=card, audio_ms=now_ms))


def _filled(text: str, heard: dict[str, str]) -> str | None:
    """The saying with its slots filled; None when one of them was not heard."""
    for slot in re.findall(r"\{(\w+)\}", text):
        if not heard.get(slot):
            return None
        text = text.replace("{" + slot + "}", heard[slot])
    return text


def _digits(text: str) -> set[str]:
    return {m.group().strip(".,").replace(",", "") for m in _FIGURE.finditer(text)}
