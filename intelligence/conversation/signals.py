"""What else is heard in a prospect's words: the signals of the taxonomy, with their values.

A trained head says which signals a sentence carries; readers of amounts, dates, places and people give the values, and
the head has their finds as columns. Only the prospect's words are signals. What the agent says is used for one thing: a
time that the agent proposed is the time that "that works" agrees to. (Asking for a verdict on safety, schools or people,
the signal protected_question, is heard by the compliance module, which has the rules.)
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from intelligence.conversation.amount_roles import with_roles
from intelligence.conversation.amounts import Amount
from intelligence.conversation.appointments import Meeting, agreed, meeting_in
from intelligence.conversation.card_head import chance_of, margins_in
from intelligence.conversation.classifier import Head, load_head
from intelligence.conversation.people import relations_in
from intelligence.conversation.signal_cues import Values, columns, values_of_sentences
from intelligence.conversation.spans import Timeframe
from intelligence.conversation.turns import Conversation, Finding, Json, Reading, Turn, surety

WEIGHTS: Final = Path(__file__).parent / "data" / "signals.npz"
REASON: Final = "motivation:"  # the head's names of the motivations
_PARTIAL_EXTRA: Final = 0.15  # half a sentence may still turn round, so it must be surer
_ON_PARTIALS: Final = frozenset({"do_not_call", "stress", "buying_interest"})  # the others raise no card: they wait for the end
# "Okay, got it.": somebody listens. It may agree to a time, and says nothing else.
_LISTENS: Final = re.compile(
    r"(?:\W*\b(?:okay|ok|yeah|yes|yep|right|sure|alright|all right|got it|gotcha|i see|uh[- ]huh|mm+[- ]?h?mm*|mhm|oh|ah|great|good|makes sense|fair enough))+\W*",
    re.I,
)
_READ_BAR: Final = 0.1  # a price or a date weeks ahead that was read is one, unless the head is sure that it is not
_NEAR_DAYS: Final = 14  # what lies nearer is more often a time to meet than the time of the move
_BY: Final = re.compile(r"(?:by|before|no later than|within)\b", re.I)
_AGENT_KINDS: Final = ("agent", "realtor", "broker", "license", "real estate")
_NO_DATE: Final = date(2000, 1, 1)  # spans can be counted without knowing the day of the call; such values are left out

_CARDS: Final = {"stress": "empathy", "buying_interest": "close_now"}

_WHY: Final = {
    "buying_interest": "leans forward: asks about or takes the next step",
    "appointment": "agrees to or proposes a time",
    "urgency": "must act by a date or because of an event",
    "motivation": "says why",
    "decision_makers": "names somebody else in the decision",
    "stress": "words of worry, pressure or frustration",
    "price_named": "names an amount",
    "timeframe_named": "names a date or span for the move or the sale",
    "location_named": "names a place",
    "competitor_named": "names another agent, brokerage, platform or buyer",
    "question": "asks something that needs an answer",
    "commitment_refused": "turns a proposed step down",
    "do_not_call": "asks not to be called or written to again",
}


class SignalDetector:
    """Hears signals in the prospect's turns: one finding for each label, for motivation one for each reason."""

    name = "signals"

    def __init__(self, head: Head | None = None) -> None:
        self._head = head if head is not None else load_head(WEIGHTS)
        self._rule = f"signals-model@{self._head.digest[:8]}"
        self._proposed: Meeting | None = None  # what the agent offered last

    def feed(self, reading: Reading, so_far: Conversation) -> list[Finding]:
        turn = reading.turn
        if turn.speaker == "agent" and not turn.partial:
            self._proposed = meeting_in(turn.text) or self._proposed
        if turn.speaker != "prospect" or not reading.sentences:
            return []
        listens = _LISTENS.fullmatch(turn.text) is not None
        today = date.fromisoformat(so_far.today) if so_far.today else None
        values = values_of_sentences(turn.text, reading.sentences, today or _NO_DATE)
        table = self._head.probabilities(reading.sentences, reading.vectors, columns(reading.sentences, values))
        margins = margins_in(reading)
        found: list[Finding] = []
        for column, name in enumerate(self._head.labels):
            label = "motivation" if name.startswith(REASON) else name
            if (turn.growing and label not in _ON_PARTIALS) or (listens and label != "appointment"):
                continue
            best = int(np.argmax(table[:, column]))
            confidence = float(table[best, column])
            bar = float(self._head.thresholds[column]) + (_PARTIAL_EXTRA if turn.growing else 0.0)
            if _read(label, values):
                bar = min(bar, _READ_BAR)
            if confidence < min(bar, 0.95):
                continue
            said = {"reason": name.removeprefix(REASON)} if label == "motivation" else self._values(label, reading, values, today)
            if said is None:
                continue  # an amount or a date that nobody can point at is none
            if margins and label in _CARDS:
                said = {**said, "chance": round(chance_of(_CARDS[label], margins[_CARDS[label]]), 3)}
            found.append(
                Finding(
                    "signal", label, turn.speaker, reading.sentences[best], turn.start_ms, turn.end_ms, round(confidence, 3),
                    _WHY[label], self._rule, utterance=turn.utterance, partial=turn.partial, values=said,
                )
            )  # fmt: skip
        return sorted(found, key=lambda f: -f.confidence)

    def _values(self, label: str, reading: Reading, values: Sequence[Values], today: date | None) -> Mapping[str, Json] | None:
        """The values of a signal in this turn, JSON-ready; None where the signal needs one and none was found."""
        turn = reading.turn
        match label:
            case "price_named":
                there = [(a, vector) for v, vector in zip(values, reading.vectors, strict=True) for a in v.amounts]
                amounts = with_roles(turn.text, [a for a, _ in there], [vector for _, vector in there])
                return {"amounts": [_amount(a, turn) for a in amounts]} if amounts else None
            case "timeframe_named":
                frames = [_timeframe(f, turn) for v in values for f in v.timeframes]
                return ({"timeframes": frames} if today else {}) if frames else None
            case "location_named":
                places = list(dict.fromkeys(p.name for v in values for p in v.places))
                return {"places": places, "sure": surety(turn, " ".join(places))} if places else {}
            case "decision_makers":
                relations = list(dict.fromkeys(p.relation for v in values for p in v.people))
                return {"relations": relations or relations_in(turn.text)}
            case "competitor_named":
                names = list(dict.fromkeys(c.name for v in values for c in v.competitors))
                return {"names": names, "is_agent": any(kind in name.lower() for name in names for kind in _AGENT_KINDS)}
            case "appointment":
                meeting = agreed(meeting_in(turn.text), self._proposed)
                return {"when": str(meeting), "sure": surety(turn, turn.text)} if meeting else {}
            case _:
                return {}


def _read(label: str, values: Sequence[Values]) -> bool:
    """Whether the values of a signal were read, so clearly that the words around them matter less."""
    match label:
        case "price_named":
            return any(v.amounts for v in values)
        case "timeframe_named":
            return any(f.latest_days is None or f.latest_days >= _NEAR_DAYS or _is_deadline(f) for v in values for f in v.timeframes)
        case _:
            return False


def _is_deadline(frame: Timeframe) -> bool:
    """ "By Saturday": what is near and the last day of something is seldom a time to meet."""
    return frame.earliest_days == 0 and bool(frame.latest_days) and _BY.match(frame.quote) is not None


def _amount(amount: Amount, turn: Turn) -> Mapping[str, Json]:
    return {
        "usd_min": amount.usd_min,
        "usd_max": amount.usd_max,
        "role": amount.role,
        "quote": amount.quote,
        "sure": surety(turn, amount.quote),
    }


def _timeframe(frame: Timeframe, turn: Turn) -> Mapping[str, Json]:
    return {
        "earliest_days": frame.earliest_days,
        "latest_days": frame.latest_days,
        "quote": frame.quote,
        "sure": surety(turn, frame.quote),
    }
