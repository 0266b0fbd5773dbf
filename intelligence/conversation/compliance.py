"""What an agent must not say, heard in the agent's own words; and whether our own words would break the same rules.

Two things judge a sentence: precise rules (data/compliance_rules.toml), each enough on its own, and trained heads: a first
one over sentence vectors, hashed words, word classes and signs of the rules, and a second one whose sentence model was
trained with it and which decides where it is asked. Every finding is told by the rule it comes nearest to.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intelligence.conversation.card_head import margins_in
from intelligence.conversation.classifier import Head, load_head
from intelligence.conversation.compliance_rules import Rule, broken_rules, columns, declines, nearest_rule, neutral
from intelligence.conversation.second_head import MOST_DOUBTS, FirstWord, SecondHead, all_of_few, load_second_head, whole_turn
from intelligence.conversation.turns import Conversation, Finding, Reading, Turn, Vectors, texts_with_pairs, vectors_with_pairs
from voice.models.weights import COMPLIANCE

WEIGHTS: Final = Path(__file__).parent / "data" / "compliance.npz"
SECOND: Final = WEIGHTS.parent / "compliance_second.npz"
WORDS_WEIGHTS: Final = Path(__file__).parent / "data" / "compliance_own.npz"
PARTIAL_EXTRA: Final = 0.25  # half a sentence may still turn round, so it must be surer
_MOST_PARTIAL: Final = 0.9
# Margins of the model of whole turns. Below even odds nothing in a turn is a slip: of 40 slips in calls that it had not seen one had less.
_LAWFUL: Final = 0.0
_SLIP: Final = 1.3  # and a slip that no sentence says alone is one from here on
_SLIP_CONFIDENCE: Final = 0.85
_LIKELY: Final = 0.3  # while a turn is not over the second model is asked when the first head finds some kind this likely


def _lawful(reading: Reading) -> bool:
    """Whether a turn is no slip behind what the other side said, whatever its sentences sound like; False where nobody read that."""
    margins = margins_in(reading)
    return bool(margins) and margins["slip"] < _LAWFUL


class ComplianceDetector:
    """Hears slips in the agent's own words: at most one finding for each of the seven kinds in a turn."""

    name = "compliance"

    def __init__(self, head: Head | None = None, second: SecondHead | None = None) -> None:
        self._head = head if head is not None else load_head(WEIGHTS)
        self._second = second if second is not None else _second_head()
        self._first = FirstWord(self._judge)

    def at_once(self, turn: Turn, sentences: Sequence[str], *, in_context: bool) -> list[str]:
        """Of an agent's turn that is over, and has few sentences, the whole, all of them and their pairs; none where the context may tell
        that the turn is lawful, as most are.
        """
        if turn.speaker != "agent" or turn.growing or in_context:
            return []
        return all_of_few([*whole_turn(turn, sentences), *texts_with_pairs(sentences)])

    def doubts(self, reading: Reading) -> list[str]:
        """An agent's turn that is over, and its sentences, and pairs of them, likeliest first; none while it is not over and nothing in it
        is likely."""
        if reading.turn.speaker != "agent" or not reading.sentences or _lawful(reading):
            return []
        texts = texts_with_pairs(reading.sentences)
        doubtful = [texts[row] for row in self._first.doubtful(reading, _LIKELY)]
        return list(dict.fromkeys([*whole_turn(reading.turn, reading.sentences), *doubtful]))[:MOST_DOUBTS]

    def _judge(self, reading: Reading) -> NDArray[np.float32]:
        words = [neutral(text) for text in texts_with_pairs(reading.sentences)]  # a slip may need the sentence before it
        return _judged(self._head, words, vectors_with_pairs(reading))

    def feed(self, reading: Reading, so_far: Conversation) -> list[Finding]:  # noqa: ARG002 -- the seam carries it; a turn is judged alone
        turn = reading.turn
        if turn.speaker != "agent" or not reading.sentences or _lawful(reading):
            return []
        texts = texts_with_pairs(reading.sentences)
        words = [neutral(text) for text in texts]
        table = self._first.table(reading)
        bars = np.repeat(self._head.thresholds[None], len(texts), axis=0)
        asked = [row for row, text in enumerate(texts) if text in reading.second]
        if asked:
            answers = self._second.seen_in_turn([texts[row] for row in asked], whole_turn(turn, reading.sentences), reading)
            table[asked] = _unless_declined(self._second.labels, [words[row] for row in asked], answers)
            bars[asked] = self._second.thresholds
        outright = [broken_rules(w) for w in words[: len(reading.sentences)]]
        margins = margins_in(reading)
        found = []
        for column, label in enumerate(self._head.labels):
            if margins and margins[label] < _LAWFUL:
                continue  # a turn that is some slip is not every slip that one of its sentences sounds like
            best = int(np.argmax(table[:, column] - bars[:, column]))
            confidence, threshold = float(table[best, column]), float(bars[best, column])
            rule: Rule | None = None
            for row, broken in enumerate(outright):
                named = next((r for r in broken if r.label == label), None)
                if named is not None and max(confidence, float(table[row, column])) < max(threshold, RULE_CONFIDENCE):
                    best, rule, confidence = row, named, RULE_CONFIDENCE
            bar = min(threshold + PARTIAL_EXTRA, _MOST_PARTIAL) if turn.growing else threshold
            if confidence >= bar:
                found.append(_finding(turn, label, texts[best], confidence, rule or nearest_rule(words[best], label)))
        if not found and margins and margins["slip"] >= _SLIP and not turn.growing:
            # "It's sold by Thanksgiving, I'll put my name on that." is a promise where a sale is talked about, and none alone.
            column = max(range(len(self._head.labels)), key=lambda each: margins[self._head.labels[each]])
            label, best = self._head.labels[column], int(np.argmax(table[:, column]))
            found.append(_finding(turn, label, texts[best], _SLIP_CONFIDENCE, nearest_rule(words[best], label)))
        return sorted(found, key=lambda f: -f.confidence)


# How often a precise rule is right on authored sentences that it was not written from: docs/measurements.md.
RULE_CONFIDENCE: Final = 0.9


def breaches(sentence: str) -> list[Finding]:
    """The rules that our own words (a card, a line of the playbook) would break if an agent said them; empty: none.

    Stricter than the ear: no vector and no context, precise rules and a head over the words alone; a wrong alarm
    costs one card.
    """
    words = neutral(sentence)
    if not words:
        return []
    turn = Turn("agent", sentence)
    found = {rule.label: _finding(turn, rule.label, sentence, RULE_CONFIDENCE, rule) for rule in broken_rules(words)}
    head = _own_head()
    row = _judged(head, [words], np.zeros((1, 384), np.float32))[0]
    for label, probability, bar in zip(head.labels, row, head.thresholds, strict=True):
        if probability >= bar and label not in found:
            found[label] = _finding(turn, label, sentence, float(probability), nearest_rule(words, label))
    return sorted(found.values(), key=lambda f: -f.confidence)


def _judged(head: Head, words: list[str], vectors: Vectors) -> NDArray[np.float32]:
    return _unless_declined(head.labels, words, head.probabilities(words, vectors, columns(words)))


def _unless_declined(labels: Sequence[str], words: list[str], table: NDArray[np.float32]) -> NDArray[np.float32]:
    """None but recording where the speaker only declines ("we never tell them" is no denial there)."""
    heard = np.array([label == "recording" for label in labels])
    for row, said in enumerate(words):
        if declines(said):
            table[row] = np.where(heard, table[row], 0.0)
    return table


@cache
def _second_head() -> SecondHead:
    return load_second_head(SECOND, COMPLIANCE)


@cache
def _own_head() -> Head:
    return load_head(WORDS_WEIGHTS)


def _finding(turn: Turn, label: str, quote: str, confidence: float, rule: Rule) -> Finding:
    return Finding(
        "compliance",
        label,
        turn.speaker,
        quote,
        turn.start_ms,
        turn.end_ms,
        round(confidence, 3),
        rule.why,
        rule.id,
        rule.source,
        turn.utterance,
        turn.partial,
        {"rephrase": rule.rephrase},
    )
