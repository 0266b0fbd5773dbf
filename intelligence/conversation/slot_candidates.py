"""What a turn might put on the qualification sheet, each find with what tells whether it belongs there.

"Two fifteen" may be what the sellers ask, what a neighbour got, or a water bill. Readers of amounts, times, places, people and
meetings say what stands in a turn of either side; the words around it, what was said just before and whether it was said already
are for the head (slot_head.py) to judge.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal, TypeAlias

import numpy as np

from intelligence.conversation.amounts import Amount, amounts_in
from intelligence.conversation.answers import asked_for, lives_now, lives_there
from intelligence.conversation.appointments import Meeting, agreed, meeting_in
from intelligence.conversation.people import COUPLE, decision_makers_in, relations_named
from intelligence.conversation.places import home_in, places_in
from intelligence.conversation.spans import Timeframe
from intelligence.conversation.timeframes import timeframes_in
from intelligence.conversation.turns import Json, Reading, Turn, Vectors, surety

Found: TypeAlias = Literal["told", "timeframe", "location", "price", "decision_makers", "appointment"]
"""told: a whole turn, which may tell why they move, how they pay, or whether another agent is in it."""

CUES: Final = 24
_LEAST_PRICE: Final = 20_000  # dollars; what is less buys no home
_SAME_PRICE: Final = 0.02
_OPENING: Final = (6, 16)  # turns
_SHORT: Final = 6  # words
_MASK: Final = "xx"  # stands for the value, so that the words around it are what is learnt
_BUDGET: Final = 2.0  # what buyers say they can pay comes before other amounts: right in 230 of 385 calls left out, in 224 without this
_YOUNG: Final = frozenset({"kids", "children", "family", "son", "daughter", "ex"})
_DISTANT: Final = frozenset({"cousin", "nephew", "neighbor", "uncle", "aunt"})
_STREET: Final = re.compile(r"\b(?:street|st|court|lane|road|drive|avenue|way|terrace|circle|hill|ridge|pike)\b", re.I)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """``said``: the sentence, with a mark for the value; what is told the whole turn, and no value. ``before``: the last sentence of
    the turn before. Vectors are unit vectors, shape (384,); ``cues`` are CUES numbers; ``sure`` the recognition of the value's words.
    """

    slot: Found
    value: Json
    shown: str
    said: str
    vector: Vectors
    before: str
    before_vector: Vectors
    cues: tuple[float, ...]
    sure: float
    prior: float = 0.0  # log odds, on top of what the head learnt


@dataclass(slots=True)
class Candidates:
    """Fed every turn of a call that is over, of both sides in their order; gives what each might put on the sheet."""

    _turns: int = 0
    _before: tuple[str, Vectors] = field(default_factory=lambda: ("", np.zeros(384, np.float32)))
    _asked: str | None = None  # the slot that the agent asked for last
    _lived: bool = False  # the agent asked where they live now
    _proposed: Meeting | None = None  # what the agent offered last
    _named: dict[str, list[tuple[Json, bool]]] = field(default_factory=dict)  # what was a candidate before, and whether the agent said it

    def feed(self, reading: Reading, today: str) -> list[Candidate]:
        """``today``: the ISO date of the call, or "" (times are then left out)."""
        turn = reading.turn
        if not reading.sentences:
            return []
        found = [self._candidate(reading, *each) for each in self._finds(turn, today)]
        words = len(turn.text.split())
        self._turns += 1
        self._before = (_plain(reading.sentences[-1]), reading.vectors[-1])
        if turn.speaker == "agent":
            self._asked, self._lived = asked_for(turn.text), lives_now(turn.text)
        elif words > 2:
            self._asked, self._lived = None, False
        return found

    def _finds(self, turn: Turn, today: str) -> "Iterator[_Find]":
        text, agent = _plain(turn.text), turn.speaker == "agent"
        yield "told", None, "", None, ()
        amounts = [a for a in amounts_in(text) if _dollars(a) >= _LEAST_PRICE]
        for amount in amounts:
            yield "price", _dollars(amount), money(amount), (amount.start, amount.end), _of_amount(amount, len(amounts))
        frames = timeframes_in(text, date.fromisoformat(today)) if today else []
        for frame in frames:
            value: Json = {"said": frame.quote, "earliest_days": frame.earliest_days, "latest_days": frame.latest_days}
            yield "timeframe", value, frame.quote, (frame.start, frame.end), _of_frame(frame, len(frames))
        meeting = meeting_in(text)
        if not agent:
            meeting = agreed(meeting, self._proposed)
        elif meeting is not None and (meeting.day or meeting.clock):
            self._proposed = meeting
        if meeting is not None and (meeting.day or meeting.clock):
            cues = (bool(meeting.day), bool(meeting.clock), not agent, meeting.agrees)
            yield "appointment", str(meeting), str(meeting), None, cues
        deciding = {each.relation for each in decision_makers_in(text)}
        for relation, start, end in relations_named(text):
            yield (
                "decision_makers",
                relation,
                relation,
                (start, end),
                (relation in COUPLE, relation in deciding, relation in _YOUNG, relation in _DISTANT),
            )
        places, home = [(p.name, p.start, p.end) for p in places_in(text)], home_in(text)
        if home and all(name != home for name, _, _ in places):
            places.append((home, text.index(home), text.index(home) + len(home)))
        leaves = self._lived or lives_there(text)
        for name, start, end in places:
            yield "location", name, name, (start, end), (name == home, len(places) > 1, bool(_STREET.search(name)), leaves)

    def _candidate(
        self, reading: Reading, slot: Found, value: Json, shown: str, at: tuple[int, int] | None, cues: tuple[bool, ...]
    ) -> Candidate:
        turn = reading.turn
        said, vector = _sentence(reading, at) if slot != "told" else (_plain(turn.text), _mean(reading.vectors))
        agent, early = turn.speaker == "agent", [slot == "told" and self._turns < n for n in _OPENING]  # a value may be said at any time
        around = (agent, self._asked == slot, *early, len(turn.text.split()) < _SHORT)
        numbers = [float(each) for each in (*around, *cues)]
        numbers += self._said_before(slot, value, agent=agent) if slot != "told" else []
        numbers += [0.0] * (CUES - len(numbers))
        sure = surety(turn, turn.text[at[0] : at[1]]) if at is not None else surety(turn, turn.text) if shown else 1.0
        prior = _BUDGET if slot == "price" and not agent and cues[0] else 0.0
        return Candidate(slot, value, shown, said, vector, *self._before, tuple(numbers), sure, prior)

    def _said_before(self, slot: Found, value: Json, *, agent: bool) -> list[float]:
        """How often the same was said before, whether by both sides, whether it is the first, and where an amount stands among the others."""
        named = self._named.setdefault(slot, [])
        alike = _alike_of(slot)
        same = [by for each, by in named if alike(each, value)]
        cues = [float(min(3, len(same))), float(not named), float(len({*same, agent}) > 1), min(len(named), 6) / 3]
        if slot == "price" and isinstance(value, int):
            dollars = [each for each, _ in named if isinstance(each, int)] or [value]
            middle = float(np.median(dollars))
            cues += [float(value < middle / 2), float(value > middle * 2), float(value > max(dollars)), float(value < min(dollars))]
        named.append((value, agent))
        return cues


_Find: TypeAlias = "tuple[Found, Json, str, tuple[int, int] | None, tuple[bool, ...]]"


def money(amount: Amount) -> str:
    """ "$420,000", "up to $420,000", "$400,000–$450,000"."""
    low, high = amount.usd_min, amount.usd_max
    if low is not None and high is not None:
        return f"${low:,}" if low == high else f"${low:,}–${high:,}"
    return f"up to ${high:,}" if high is not None else f"from ${low:,}" if low is not None else ""


def _dollars(amount: Amount) -> int:
    return amount.usd_max or amount.usd_min or 0


def _of_amount(amount: Amount, count: int) -> tuple[bool, ...]:
    size = min(4, max(0, int(np.log2(_dollars(amount) / 50_000) + 1)))
    return (*(amount.role == role for role in ("budget", "asking", "offer", "payment")), count > 1, *(size == n for n in range(5)))


def _of_frame(frame: Timeframe, count: int) -> tuple[bool, ...]:
    latest, earliest = frame.latest_days, frame.earliest_days
    spans = (latest is not None and low <= latest < high for low, high in ((-(10**6), 10), (10, 40), (40, 200), (500, 10**6)))
    return (latest is None, *spans, earliest == 0, earliest == latest, count > 1)


def _alike_of(slot: Found) -> Callable[[Json, Json], bool]:
    if slot == "price":
        return lambda a, b: isinstance(a, int) and isinstance(b, int) and abs(a - b) <= _SAME_PRICE * b
    if slot == "timeframe":
        return lambda a, b: isinstance(a, dict) and isinstance(b, dict) and str(a["said"]).lower() == str(b["said"]).lower()
    if slot == "decision_makers":
        return lambda a, b: a == b
    return lambda a, b: str(a).lower() in str(b).lower() or str(b).lower() in str(a).lower()


def _sentence(reading: Reading, at: tuple[int, int] | None) -> tuple[str, Vectors]:
    """The sentence in which a value begins, with a mark for it, and its vector; without a place the first."""
    if at is None:
        return _plain(reading.sentences[0]), reading.vectors[0]
    start = end = 0
    for row, sentence in enumerate(reading.sentences):
        start = reading.turn.text.index(sentence, end)
        end = start + len(sentence)
        if at[0] < end or row == len(reading.sentences) - 1:
            break
    begin = max(0, at[0] - start)
    plain = _plain(sentence)
    return f"{plain[:begin]} {_MASK} {plain[begin + at[1] - at[0] :]}", reading.vectors[row]


def _mean(vectors: Vectors) -> Vectors:
    mean = vectors.mean(axis=0)
    unit: Vectors = (mean / max(float(np.linalg.norm(mean)), 1e-9)).astype(np.float32)
    return unit


def _plain(text: str) -> str:
    return text.replace("’", "'")
