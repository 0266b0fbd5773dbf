"""Findings -> cards: few, well timed, at most one for one thing. Pure; times are media time in ms.

Silent by default. pacing.py says when a card may come up, fitting.py and uptake.py which words it has, figures.py that no
figure on it is without a source. A card that was readable is never removed: it greys, folds or is answered.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from coaching.events import Card, SuggestionChanged, SuggestionShown
from coaching.experiments import CHOSEN, preferred
from coaching.figures import FigureSources, figures_in
from coaching.fitting import Side, filled, slots_of
from coaching.pacing import LIGHT, UNPACED, Budget, Talking, waits_ms, weight
from coaching.playbook import MOST_WORDS, Answer, Playbook, Policy, Saying
from coaching.state import ShownCard
from coaching.uptake import Tally, Uptake
from intelligence.conversation.turns import Finding, Turn

KINDS: Final = {
    "objection": "objection_response", "trap_question": "neutral_answer", "slip": "compliance_warning", "fear_or_pressure": "empathy",
    "buying_signal": "close_now", "missing_question": "missing_question", "wrong_fact": "wrong_fact", "thinking_aloud": "let_them_talk",
    "market_named": "market_fact", "document_cited": "document_fact", "voicemail": "voicemail_message", "call_screening": "screening_answer",
    "do_not_call": "neutral_answer",
}  # fmt: skip
_SIGNALS: Final = {"do_not_call": "do_not_call", "stress": "fear_or_pressure", "buying_interest": "buying_signal"}
_DETECTORS: Final = frozenset({"slip", "trap_question", "wrong_fact"})  # their words come from a detector, not from the playbook
_ASKING_STAGES: Final = frozenset({"opening", "discovery", "presentation"})
_FEET_MS: Final = 45_000  # the call has found its feet
_STUCK_MS: Final = 40_000  # the sheet has not filled for so long
_AFTER_WEIGHTY_MS: Final = 20_000
_AGAIN_MS: Final = 30_000  # the same objection again so soon is the same objection, paced or not
# What must be this sure before it earns a glance, beside the policy's own least: docs/measurements.md.
_SURE: Final = {"objection": 0.6, "fear_or_pressure": 0.8, "buying_signal": 0.75}
_SURE_PARTIAL: Final = 0.75
_SURE_PARTIAL_WORDS: Final = 6  # "I'll call", "We listed": beginnings of so few words are the beginning of anything
# The chance that an objection that was heard is one to answer, where its detector says so; less while the turn grows, whose other
# sentences are not known yet.
_LEAST_CHANCE: Final = 0.6
_LEAST_CHANCE_PARTIAL: Final = 0.8
_TURNED_ROUND: Final = 0.25  # below this chance the rest of a sentence has turned an objection round
_LEAST_CHANCE_SIGNAL: Final = 0.5  # of stress and buying interest
_SURE_QUESTION: Final = 0.93  # "What do you charge?" is asked by people who have nothing against the answer
_SURE_SECOND: Final = 0.9  # a second objection in the same breath
_SURE_OWN_HOME: Final = 0.9  # a seller who finds fault with the stairs says why they move
_SURE_GOODBYE: Final = 0.8
_PLAIN_QUESTION: Final = re.compile(
    r"^(?:and |so |okay |ok |well |but |um |uh )*(?:what|how|when|where|who|which|do|does|did|is|are|can|could|will|would)\b[^.!]*\?$", re.I
)
_ROOM_MS: Final = 2500  # nobody has said a word for so long; a first word is recognised about a second after it begins
_MEETING_MS: Final = 120_000  # a time was just named: nobody asks for another one
_MOST_SHOWN: Final = 200

Changes: TypeAlias = list[SuggestionShown | SuggestionChanged]


@dataclass(slots=True)
class _Waiting:
    card: Card
    saying: str
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
    """feed() findings as they come, tick() as media time passes; both give events for the log.

    ``side``: buyer or seller when known from the start. ``paced=False`` shows all that is noticed (evaluation).
    ``strategy``: of the running experiment, which sayings come first (coaching/experiments.py).
    """

    playbook: Callable[[], Playbook]
    breaks_rule: Callable[[str], str | None]
    side: str = ""
    paced: bool = True
    strategy: str = ""
    heard: dict[str, str] = field(default_factory=dict)  # words for {name}, {price}, {place}, {relation}, {when}
    figures: FigureSources = field(default_factory=FigureSources)  # the number guard
    _talking: Talking = field(default_factory=Talking)
    _budget: Budget = field(default_factory=Budget)
    _uptake: Uptake = field(default_factory=Uptake)
    _side: Side = field(init=False)
    _waiting: list[_Waiting] = field(default_factory=list)  # bounded: one per thing, late ones go
    _shown: dict[str, _Shown] = field(default_factory=dict)
    _lawful: dict[str, bool] = field(default_factory=dict)  # as many as sayings and what fills them
    _count: int = 0
    _last_of: dict[str, int] = field(default_factory=dict)
    _weighty_ms: int = -_AFTER_WEIGHTY_MS
    _filled_ms: int = 0
    _meeting_ms: int = -_MEETING_MS

    def __post_init__(self) -> None:
        self._side = Side(self.side)

    def learn(self, past: dict[str, Tally]) -> None:
        """Before the call: what earlier calls say about the playbook's sayings."""
        self._uptake = Uptake(past)

    @property
    def _policy(self) -> Policy:
        return self.playbook().policy

    # ---- what was heard

    def agent_said(self, end_ms: int, *, open_: bool, text: str = "") -> None:
        """The agent's own words were recognised up to ``end_ms``, the end of the newest; ``open_``: the utterance goes on."""
        self._talking.agent(end_ms, open_=open_, text=text)
        self._no_room()

    def prospect_said(self, end_ms: int) -> None:
        self._talking.prospect(end_ms)
        self._no_room()

    def heard_turn(self, turn: Turn) -> None:
        """Figures that somebody said may stand on a card; words show the side of the table."""
        self.figures.hear(turn.text)
        self._side.hear(turn.text)

    def filled(self, slot: str, shown: str, now_ms: int) -> None:
        """A slot of the sheet was filled."""
        self.heard.update(slots_of(slot, shown))
        self.figures.hear(shown)
        self._filled_ms = now_ms
        if slot == "appointment":
            self._meeting_ms = now_ms

    def answered_by(self, turn: Turn, findings: Sequence[Finding], now_ms: int) -> list[SuggestionChanged]:
        """What a turn makes of the cards that stand: used by the agent's words, helpful by what the prospect then does."""
        if turn.speaker == "agent":
            events = self._uptake.agent_turn(turn.text, turn.end_ms, now_ms)
        else:
            events = self._uptake.prospect_turn(turn.text, findings, now_ms)
        for event in events:
            self.answered(event.card, event.change)
        return events

    def restore(self, cards: Iterable[ShownCard]) -> None:
        """A call that goes on: what was shown was shown, and counts."""
        for shown in cards:
            card, closed = shown.card, shown.state != "shown"
            self._count = max(self._count, int(card.id[1:]))
            self._shown[card.id] = _Shown(card, shown.shown_ms, partial=False, closed=closed)
            self._last_of[f"{card.moment}/{card.label}"] = shown.shown_ms
            self._budget.spend(card.moment, shown.shown_ms)

    # ---- findings and time become cards

    def feed(self, findings: Sequence[Finding], ids: Mapping[int, str], now_ms: int, *, paused: bool = False) -> Changes:
        """``ids``: id(finding) -> the finding's id in the log, for the card's trace. ``paused``: a turn that is not over may be, so that
        its findings need not be surer than those of a turn that is.

        Where a machine or a screener answers, nothing else in its words is meant for the agent.
        """
        door = [f for f in findings if f.label in ("voicemail", "call_screening", "do_not_call")]
        for finding in door or findings:
            self._consider(finding, ids.get(id(finding), ""), now_ms, growing=finding.partial and not paused)
        return self.tick(now_ms)

    def tick(self, now_ms: int) -> Changes:
        events: Changes = []
        for shown in self._shown.values():
            if not shown.closed and now_ms - shown.at_ms > self._policy.expires_s * 1000:
                shown.closed = True
                events.append(SuggestionChanged(card=shown.card.id, change="expired", audio_ms=now_ms))
        self._waiting = [w for w in self._waiting if now_ms - w.since_ms <= waits_ms(w.card.moment)]
        self._waiting.sort(key=lambda w: (weight(w.card.moment), -w.card.confidence))
        for waiting in list(self._waiting):
            if self._may_show(waiting, now_ms):
                self._waiting.remove(waiting)
                events.append(self._show(waiting, now_ms))
        return events

    def ask(self, slots: Sequence[str], turn: Turn, findings: Sequence[Finding], stage: str, now_ms: int) -> Changes:
        """After a turn: the question for one of the slots that are worth it, when nothing else is up and there is real room.

        The card then waits for a pause; a word of either side sooner than that takes the room away.
        """
        busy = turn.speaker != "prospect" or turn.text.rstrip().endswith("?") or stage not in _ASKING_STAGES or now_ms < _FEET_MS
        weighty = any(f.family in ("objection", "moment", "compliance") or f.label in (*_SIGNALS, "protected_question") for f in findings)
        recent = now_ms - self._weighty_ms < _AFTER_WEIGHTY_MS or now_ms - self._filled_ms < _STUCK_MS
        if busy or weighty or self.open_cards() or recent:
            return []
        questions = self.playbook().questions
        slot = next((s for s in slots if s in questions and f"missing_question/{s}" not in self._last_of), None)
        if slot is None:
            return []
        bridge = f"{self.playbook().bridges.get(slot, '')} {questions[slot]}".strip()
        say = bridge if len(bridge.split()) <= MOST_WORDS else questions[slot]
        answer = Answer(title="Good moment to ask", why=f"The sheet has no {slot.replace('_', ' ')} yet.", say=[Saying(text=say)])
        if not self._refuse(say):
            self._wait(self._card("missing_question", slot, answer, say, 0.7, rule=f"questions/{slot}"), say, now_ms, partial=False)
        return self.tick(now_ms)

    def retract(self, utterance: str, findings: Sequence[Finding], now_ms: int) -> list[SuggestionChanged]:
        """The final says otherwise than the partial: its cards grey to taken back, and count as false."""
        labels = {f.label for f in findings if not (isinstance(chance := f.values.get("chance"), float) and chance < _TURNED_ROUND)}
        events = []
        for shown in self._shown.values():
            if not shown.partial or shown.card.utterance != utterance:
                continue
            shown.partial = False
            if shown.card.label not in labels and not shown.closed:
                shown.closed = True
                why = "the rest of the sentence says otherwise"
                events.append(SuggestionChanged(card=shown.card.id, change="taken_back", why=why, audio_ms=now_ms))
        self._waiting = [w for w in self._waiting if not (w.partial and w.card.utterance == utterance and w.card.label not in labels)]
        return events

    def answered(self, card: str, change: str) -> None:
        """The agent dismissed a card, or words showed that it was used."""
        if card in self._shown and change in ("dismissed", "used"):
            self._shown[card].closed = True

    def open_cards(self) -> list[Card]:
        return [s.card for s in self._shown.values() if not s.closed]

    # ---- which card

    def _consider(self, finding: Finding, finding_id: str, now_ms: int, *, growing: bool) -> None:
        playbook = self.playbook()
        least = playbook.policy.least_confidence_partial if growing else playbook.policy.least_confidence
        made = self._answer(finding, playbook) if finding.confidence >= least else None
        if made is None:
            return
        moment, answer = made
        if moment == "buying_signal" and now_ms - self._meeting_ms < _MEETING_MS:
            return
        if not self._sure(moment, finding, now_ms, growing=growing):
            return
        if moment not in LIGHT:
            self._weighty_ms = now_ms
        saying, say = self._saying(answer, moment)
        if say is None or saying is None or (self.paced and moment == "thinking_aloud" and not finding.values.get("agent_broke_in")):
            return
        card = self._card(moment, finding.label, answer, say, finding.confidence, finding=finding, finding_id=finding_id)
        self._wait(card, saying, now_ms, partial=finding.partial, once=answer.once)

    def _sure(self, moment: str, finding: Finding, now_ms: int, *, growing: bool) -> bool:
        """Whether what was heard is sure enough for a glance; nothing is asked of compliance and of what a rule saw."""
        if finding.label == "do_not_call" and (growing or finding.confidence < _SURE_GOODBYE):
            return False  # "You're not calling ...": nobody is shown out in the middle of a sentence
        if moment not in _SURE:
            return True
        if growing and len(finding.quote.split()) < _SURE_PARTIAL_WORDS:
            return False
        least = max(_SURE[moment], _SURE_PARTIAL if growing else 0.0)
        beside = {c.label for c in self._of(finding.utterance)} - {finding.label}
        chance = finding.values.get("chance")
        judged = finding.values.get("in_context") is True  # behind what the agent said
        if isinstance(chance, float) and moment != "objection" and (chance < _LEAST_CHANCE_SIGNAL or judged):
            return chance >= _LEAST_CHANCE_SIGNAL
        if moment == "objection":
            # the next two rules are for words alone
            if _PLAIN_QUESTION.match(finding.quote) and not judged:
                least = max(least, _SURE_QUESTION)
            if finding.label in ("property", "location") and self._side.side == "seller" and not judged:
                least = max(least, _SURE_OWN_HOME)
            if isinstance(chance, float) and chance < (_LEAST_CHANCE_PARTIAL if growing else _LEAST_CHANCE):
                return False
            before = self._last_of.get(f"objection/{finding.label}")
            if before is not None and now_ms - before < _AGAIN_MS:
                return False
        return finding.confidence >= (max(least, _SURE_SECOND) if beside else least)

    def _of(self, utterance: str) -> list[Card]:
        """The cards about these words, shown or waiting, slips and traps apart."""
        cards = [*(s.card for s in self._shown.values()), *(w.card for w in self._waiting)]
        return [c for c in cards if utterance and c.utterance == utterance and c.moment in _SURE]

    def _answer(self, finding: Finding, playbook: Playbook) -> tuple[str, Answer] | None:
        """The moment that a finding is, and the answer to it; None when it is a reason to stay silent."""
        if finding.family == "objection":
            return ("objection", playbook.objections[finding.label]) if finding.label in playbook.objections else None
        if finding.family == "compliance":
            rephrase = str(finding.values.get("rephrase") or "Let me put that differently.")
            return "slip", Answer(title=f"Careful: {finding.label.replace('_', ' ')}", why=finding.why, say=[Saying(text=rephrase)])
        if finding.label == "protected_question":
            neutral = str(finding.values.get("answer") or "")
            return (
                ("trap_question", Answer(title="Answer without judging", why=finding.why, say=[Saying(text=neutral)])) if neutral else None
            )
        moment = finding.label if finding.family == "moment" else _SIGNALS.get(finding.label, "")
        if moment == "wrong_fact" and finding.values.get("say"):
            if finding.values.get("source") == "calendar":
                self.figures.hear(str(finding.values["say"]))  # the calendar is a source too
            return moment, Answer(title="Check that fact", why=finding.why, say=[Saying(text=str(finding.values["say"]))])
        return (moment, playbook.moments[moment]) if moment in playbook.moments else None

    def _saying(self, answer: Answer, moment: str) -> tuple[str | None, str | None]:
        """(saying, its words for this person): the right side of the table, every slot known, every figure sourced, no rule
        broken; of those that suit the experiment's strategy the one that is worth most so far."""
        own = moment not in _DETECTORS  # the playbook's, which is a source of its figures
        fit: dict[str, str] = {}
        for saying in answer.say:
            words = filled(saying.text, self.heard) if saying.when in ("", self._side.side) else None
            if words is not None and not self._refuse(words, saying.text if own else ""):
                fit[saying.text] = words
        best = self._uptake.best(preferred(list(fit), self.strategy) if moment in CHOSEN else list(fit))
        return best, fit.get(best or "")

    def _refuse(self, words: str, source: str = "") -> bool:
        """A rule is broken, or a figure was neither heard nor stands in ``source``."""
        if words not in self._lawful:  # milliseconds each, and a playbook's sayings come again and again
            self._lawful[words] = self.breaks_rule(words) is None
        new = " ".join(f.shown() for f in figures_in(words) if f not in figures_in(source))
        return not self._lawful[words] or self.figures.workings(new) != []

    def _card(
        self, moment: str, label: str, answer: Answer, say: str, confidence: float, *, finding: Finding | None = None,
        finding_id: str = "", rule: str = "",
    ) -> Card:  # fmt: skip
        self._count += 1
        return Card(
            id=f"k{self._count}", moment=moment, kind=KINDS[moment], label=label, title=answer.title, say=say, why=answer.why,
            quote=finding.quote if finding else "", quote_speaker=finding.speaker if finding and finding.speaker != "supervisor" else None,
            quote_ms=finding.start_ms if finding else None, source=(finding.source if finding else "") or "playbook",
            rule=finding.rule if finding else rule, confidence=round(confidence, 3), finding=finding_id,
            utterance=finding.utterance if finding else "",
        )  # fmt: skip

    # ---- when

    def _wait(self, card: Card, saying: str, now_ms: int, *, partial: bool, once: bool = False) -> None:
        """One card per thing: a slip or a trap once in its utterance, anything else once in its cooldown too."""
        before = self._last_of.get(f"{card.moment}/{card.label}")
        if before is not None and (
            once or (card.moment not in UNPACED and self.paced and now_ms - before < self._policy.cooldown_s * 1000)
        ):
            return
        if any(s.card.utterance == card.utterance != "" and s.card.label == card.label for s in self._shown.values()):
            return
        same = next((w for w in self._waiting if (w.card.moment, w.card.label) == (card.moment, card.label)), None)
        if same is not None:
            same.card, same.saying, same.since_ms, same.partial = card, saying, now_ms, partial and same.partial
            return
        self._waiting.append(_Waiting(card, saying, now_ms, partial))

    def _no_room(self) -> None:
        """Somebody spoke: a question that waited for room has none."""
        self._waiting = [w for w in self._waiting if w.card.moment != "missing_question"]

    def _may_show(self, waiting: _Waiting, now_ms: int) -> bool:
        moment = waiting.card.moment
        if moment == "missing_question" and self._talking.silent_ms(now_ms) < _ROOM_MS:
            return False  # room is part of the moment, paced or not
        if moment in UNPACED or not self.paced:
            return True
        return not self._talking.mid_sentence(now_ms) and self._budget.allows(moment, now_ms, self._policy)

    def _show(self, waiting: _Waiting, now_ms: int) -> SuggestionShown:
        card = waiting.card.model_copy(update={"expires_ms": now_ms + self._policy.expires_s * 1000})
        self._shown[card.id] = _Shown(card, now_ms, waiting.partial)
        if len(self._shown) > _MOST_SHOWN:  # bounded: the oldest cards need no more changes
            self._shown.pop(next(iter(self._shown)))
        self._last_of[f"{card.moment}/{card.label}"] = now_ms
        self._budget.spend(card.moment, now_ms)
        self._uptake.shown(card, waiting.saying, now_ms)
        return SuggestionShown(card=card, audio_ms=now_ms)
