"""When a card may come up: what weighs more goes first, an attention budget, never in the agent's mid-sentence. Pure.

Silent by default. Compliance is never held back. Everything else shares one card a minute and six in ten minutes, so a
light card (a question that is missing, a market cue, "let them talk") could take the minute of an objection that comes a
second later. Nobody can know what comes; so light cards keep to moments in which nothing weighty is likely: the call has
found its feet, nothing else was shown for a minute, two of the ten minutes' cards stay in reserve, and both are silent.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from coaching.playbook import Policy

# What weighs more goes first: slips and traps before everything.
PRIORITY: Final = (
    "slip", "trap_question", "do_not_call", "call_screening", "voicemail", "wrong_fact", "objection", "fear_or_pressure",
    "buying_signal", "document_cited", "thinking_aloud", "market_named", "missing_question",
)  # fmt: skip
UNPACED: Final = frozenset({"slip", "trap_question", "do_not_call"})
LIGHT: Final = frozenset({"thinking_aloud", "market_named", "missing_question"})

_STALE_MS: Final = 1200  # an open utterance without a newer word of the agent's for so long is a pause, noise or bleed
_TRAILING_MS: Final = 700  # a turn that ended without an end mark may go on
_WAITS_MS: Final = {"slip": 30_000, "trap_question": 8_000, "missing_question": 8_000, "market_named": 8_000, "thinking_aloud": 3_000}
_WAITS_ELSE_MS: Final = 12_000
_BACK_CHANNEL: Final = frozenset(
    {"yeah", "yes", "yep", "right", "sure", "okay", "ok", "mm", "mhm", "hm", "hmm", "uh", "huh", "um", "i", "see", "oh", "wow", "good", "great", "got", "it", "of", "course"}
)  # fmt: skip
# A sentence that breaks off behind one of these wants more words, and may turn round with them: "I don't sign without my".
_WANTS_MORE: Final = frozenset(
    {
        "a", "an", "and", "any", "are", "as", "at", "be", "because", "been", "but", "by", "can", "can't", "could", "did", "didn't", "do", "does", "doesn't",
        "don't", "for", "from", "had", "has", "have", "her", "his", "how", "i", "i'd", "i'm", "if", "in", "into", "is", "isn't", "it's", "just", "like", "my", "no", "not",
        "of", "on", "or", "our", "so", "some", "than", "that's", "the", "their", "these", "they", "they're", "this", "to", "um", "uh", "unless", "until", "was",
        "wasn't", "we", "we'd", "we're", "were", "what", "when", "where", "which", "who", "will", "with", "without", "won't", "would", "wouldn't", "you", "your",
    }
)  # fmt: skip


def unfinished(text: str) -> bool:
    """Whether words that were heard so far break off in the middle of a phrase."""
    last = text.lower().replace("’", "'").split()[-1:] or [""]
    return last[0].strip(",;") in _WANTS_MORE


def weight(moment: str) -> int:
    """The place in the queue, 0 first."""
    return PRIORITY.index(moment) if moment in PRIORITY else len(PRIORITY)


def waits_ms(moment: str) -> int:
    """How long a card of this moment is still worth showing after its words."""
    return _WAITS_MS.get(moment, _WAITS_ELSE_MS)


def back_channel(text: str) -> bool:
    """ "Mm-hm. Right, sure.": somebody listens, nobody takes the word."""
    words = [w.strip(".,?!") for w in text.lower().replace("-", " ").split()]
    return len(words) <= 4 and all(w in _BACK_CHANNEL for w in words)


@dataclass(slots=True)
class Talking:
    """Who has the word, by recognised words alone: sound in a microphone (bleed, typing, hold music) has none."""

    agent_ms: int = -10_000  # end of the agent's newest own word
    prospect_ms: int = -10_000
    _agent_open: bool = False
    _trailing: bool = False

    def agent(self, end_ms: int, *, open_: bool, text: str = "") -> None:
        """``open_``: the utterance goes on. Back-channels take no turn."""
        if text and back_channel(text):
            return
        self.agent_ms, self._agent_open = max(self.agent_ms, end_ms), open_
        self._trailing = not open_ and bool(text) and text.rstrip()[-1] not in ".?!"

    def prospect(self, end_ms: int) -> None:
        self.prospect_ms = max(self.prospect_ms, end_ms)

    def mid_sentence(self, now_ms: int) -> bool:
        since = now_ms - self.agent_ms
        return since < _STALE_MS if self._agent_open else (self._trailing and since < _TRAILING_MS)

    def silent_ms(self, now_ms: int) -> int:
        """How long nobody has said a word."""
        return now_ms - max(self.agent_ms, self.prospect_ms, 0)


@dataclass(slots=True)
class Budget:
    """What of the agent's attention is spent: times of cards, compliance apart."""

    _times: deque[int] = field(default_factory=deque)
    _light_ms: int = -(10**9)

    def spend(self, moment: str, now_ms: int) -> None:
        if moment not in UNPACED:
            self._times.append(now_ms)
        if moment in LIGHT:
            self._light_ms = now_ms

    def allows(self, moment: str, now_ms: int, policy: Policy) -> bool:
        if moment in UNPACED:
            return True
        while self._times and now_ms - self._times[0] >= 600_000:
            self._times.popleft()
        in_minute = sum(1 for t in self._times if now_ms - t < 60_000)
        if in_minute >= policy.cards_per_minute or len(self._times) >= policy.cards_per_ten_minutes:
            return False
        if moment not in LIGHT:
            return True
        reserve = len(self._times) + 2 < policy.cards_per_ten_minutes
        return reserve and not in_minute and now_ms - self._light_ms >= policy.light_every_s * 1000
