"""How the prospect feels about it, read from their words only: sentiment, stress, urgency, motivation, who decides.

Never from a voice and never about the agent (EU AI Act, Art. 5(1)(f)). Levels are words, not scores, and each one shows
the sentences behind it; "unknown" when too little was said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np

from intelligence.conversation.classifier import Head, load_head
from intelligence.conversation.history import Heard
from intelligence.conversation.qualification import Slot
from intelligence.conversation.turns import Finding, Reading

SENTIMENT: Final = Path(__file__).parent / "data" / "sentiment.npz"
Level: TypeAlias = Literal["unknown", "low", "some", "high"]
Sentiment: TypeAlias = Literal["unknown", "negative", "mixed", "neutral", "positive"]
Stance: TypeAlias = Literal["for", "against", "unclear"]
_LEAST_SENTENCES: Final = 2
_PRONOUNS: Final = frozenset({"he", "she", "they", "he's", "she's", "they're", "he'd", "she'd", "they'd", "he'll", "she'll"})
_HALF_LIFE: Final = 6  # turns of the prospect after which a feeling counts half: what was said last weighs most


@dataclass(frozen=True, slots=True)
class Evidence:
    """The words behind a statement. ``turn`` counts the history's turns from 0."""

    quote: str
    turn: int


@dataclass(frozen=True, slots=True)
class DecisionMaker:
    """``stance``: what is known of this person's view, from the sentences that name them."""

    relation: str
    stance: Stance
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class EmotionalState:
    """The prospect's, with evidence; n is the number of the prospect's sentences it rests on."""

    sentiment: Sentiment
    sentiment_evidence: tuple[Evidence, ...]
    stress: Level
    stress_evidence: tuple[Evidence, ...]
    urgency: Level
    urgency_evidence: tuple[Evidence, ...]
    motivations: tuple[tuple[str, Evidence], ...]
    decision_makers: tuple[DecisionMaker, ...]
    n: int


@dataclass(frozen=True, slots=True)
class Felt:
    """One sentence's sentiment: probability of positive minus that of negative, in [-1, 1]."""

    turn: int
    quote: str
    value: float


class SentimentReader:
    """The trained head on sentence vectors; one per process serves all."""

    def __init__(self, head: Head | None = None) -> None:
        self._head = head if head is not None else load_head(SENTIMENT)

    def read(self, number: int, reading: Reading) -> list[Felt]:
        if not reading.sentences:
            return []
        table = self._head.probabilities(reading.sentences, reading.vectors)
        bars = self._head.thresholds
        out = []
        for sentence, (positive, negative) in zip(reading.sentences, table, strict=True):
            value = (positive if positive >= bars[0] else 0.0) - (negative if negative >= bars[1] else 0.0)
            out.append(Felt(number, sentence, float(value)))
        return out


def emotional_state(heard: Heard, reader: SentimentReader, answered: Slot | None = None) -> EmotionalState:
    """``answered``: the sheet's slot of decision makers, which also knows a bare answer to "who else decides?"."""
    numbered = [(i, r) for i, r in enumerate(heard.readings) if r.turn.speaker == "prospect"]
    felt = [f for number, reading in numbered for f in reader.read(number, reading)]
    places = {reading.turn.utterance: number for number, reading in numbered}
    theirs = [f for f in heard.findings if f.speaker == "prospect"]
    stress, urgency = _of(theirs, "stress", places), _of(theirs, "urgency", places)
    return EmotionalState(
        sentiment=_sentiment(felt, len(heard.readings)),
        sentiment_evidence=_strongest(felt),
        stress=_level(stress, len(felt)),
        stress_evidence=stress[:4],
        urgency=_level(urgency, len(felt)),
        urgency_evidence=urgency[:4],
        motivations=_motivations(theirs, places),
        decision_makers=_decision_makers(theirs, felt, places, answered),
        n=len(felt),
    )


def _sentiment(felt: Sequence[Felt], turns: int) -> Sentiment:
    if len(felt) < _LEAST_SENTENCES:
        return "unknown"
    weights = np.array([0.5 ** ((turns - f.turn) / (2 * _HALF_LIFE)) for f in felt])
    values = np.array([f.value for f in felt])
    good, bad = float(weights @ np.maximum(values, 0)), float(weights @ np.maximum(-values, 0))
    said = good + bad
    if said < 0.06 * float(weights.sum()) or said < 0.3:
        return "neutral"
    if min(good, bad) > 0.35 * said:
        return "mixed"
    return "positive" if good > bad else "negative"


def _strongest(felt: Sequence[Felt]) -> tuple[Evidence, ...]:
    strong = sorted((f for f in felt if f.value), key=lambda f: -abs(f.value))[:4]
    return tuple(Evidence(f.quote, f.turn) for f in sorted(strong, key=lambda f: f.turn))


def _of(findings: Sequence[Finding], label: str, places: dict[str, int]) -> tuple[Evidence, ...]:
    found = [f for f in findings if f.label == label and f.utterance in places]
    return tuple(Evidence(f.quote, places[f.utterance]) for f in found)


def _level(evidence: Sequence[Evidence], sentences: int) -> Level:
    if sentences < _LEAST_SENTENCES:
        return "unknown"
    return "low" if not evidence else "some" if len(evidence) < 3 else "high"


def _motivations(findings: Sequence[Finding], places: dict[str, int]) -> tuple[tuple[str, Evidence], ...]:
    found: dict[str, Evidence] = {}
    for finding in findings:
        reason = str(finding.values.get("reason") or "") if finding.label == "motivation" else ""
        if reason and finding.utterance in places:
            found.setdefault(reason, Evidence(finding.quote, places[finding.utterance]))
    return tuple(found.items())


def _decision_makers(
    findings: Sequence[Finding], felt: Sequence[Felt], places: dict[str, int], answered: Slot | None
) -> tuple[DecisionMaker, ...]:
    named: dict[str, Evidence] = {}
    for finding in (f for f in findings if f.label == "decision_makers" and f.utterance in places):
        relations = finding.values.get("relations") or finding.values.get("relation") or ()
        for relation in [relations] if isinstance(relations, str) else relations if isinstance(relations, Sequence) else ():
            named.setdefault(str(relation), Evidence(finding.quote, places[finding.utterance]))
    if answered is not None and answered.utterance in places and isinstance(answered.value, Sequence):
        for relation in answered.value:
            named.setdefault(str(relation), Evidence(answered.quote, places[answered.utterance]))
    against = {f.quote for f in findings if f.family == "objection" and f.label != "decision_maker"}
    return tuple(DecisionMaker(relation, _stance(relation, felt, against), evidence) for relation, evidence in named.items())


def _stance(relation: str, felt: Sequence[Felt], against: set[str]) -> Stance:
    """What is said of this person: by name, or as "he", "she", "they" right after; the newest that says anything decides."""
    stance: Stance = "unclear"
    speaking_of, turn = False, -1
    for sentence in felt:
        low = sentence.quote.lower()
        named = relation.lower() in low
        speaking_of = named or (speaking_of and turn == sentence.turn and low.split(" ", 1)[0] in _PRONOUNS)
        turn = sentence.turn
        if speaking_of and (sentence.value < 0 or (sentence.value == 0 and sentence.quote in against and not named)):
            stance = "against"
        elif speaking_of and sentence.value > 0:
            stance = "for"
    return stance
