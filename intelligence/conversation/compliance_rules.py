"""What an agent must not say, rule by rule with its source, and the word classes that the trained heads weigh.

Everything is matched on plain words (lower case, no punctuation, no apostrophes), so that clean text and a recogniser's
are read the same way. Names and ordinary phrases that only look like a protected class (White Plains, family room) are
joined into one word first.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intelligence.conversation.objection_cues import plain

_DATA: Final = Path(__file__).parent / "data"
# A denial in the words just before a phrase turns it round: "I can't tell you it's a safe area".
_DENIAL: Final = re.compile(
    r"\b(cant|cannot|can not|wont|wouldnt|couldnt|dont|do not|never|nobody|no one|not (?:allowed|able|going|about|supposed|permitted|legal)"
    r"|unable|illegal|unlawful|prohibits?|against|refuse|decline|no way (?:of|to)|no idea|know what|instead of|rather than|isnt about|no such)\b(?: \w+){0,4} ?$"
)

# "I can't say whether it's safe": who declines to say, know or promise has not said it, unless a "but" takes it up again.
_DECLINES: Final = re.compile(
    r"^(?:(?:no|oh|well|um|so|sorry|honestly|yeah|and|you know|look|honey|hey) )*(?:i|we|im|were|nobody|no one|agents)(?: really| honestly| legally| just)* "
    r"(?:(?:cant|cannot|can not|couldnt|could not|am not able to|not able to|not allowed to|am not permitted to|not permitted to|have no way of|wouldnt want to)"
    r"(?: really| honestly| legally| possibly)* "
    r"(?:say|saying|tell|telling|promise|guarantee|speak|describe|rate|rank|predict|share|answer|advise|comment|judge|grade|characterize|reveal|interpret|know|knowing|limit"
    r"|give (?:you )?(?:legal|tax|advice|any))"
    r"|(?:dont|do not|never|wont|can|have never)(?: really| ever)* (?:promise|guarantee|rate|rank|predict|judge|steer|know (?:if|whether|what|how|anything)))\b"
)
_TAKEN_UP: Final = re.compile(
    r"\b(?:but|though|although|except|still|off the record|between (?:us|you and me)|if you (?:know|catch)|thats all)\b"
)


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule. ``says`` is enough on its own, ``signs`` are weighed; ``rephrase`` is sayable, at most 20 words."""

    id: str
    label: str
    source: str
    why: str
    rephrase: str
    says: tuple[re.Pattern[str], ...]
    signs: tuple[re.Pattern[str], ...]
    unless: tuple[re.Pattern[str], ...]

    def broken_by(self, words: str) -> re.Match[str] | None:
        """The phrase of ``words`` that breaks the rule on its own, unless it is denied or excused."""
        if any(p.search(words) for p in self.unless):
            return None
        found = (match for p in self.says for match in p.finditer(words))
        return next((match for match in found if not _DENIAL.search(words[: match.start()])), None)

    def signs_in(self, words: str) -> int:
        return sum(1 for p in self.signs if p.search(words))


@cache
def _classes() -> dict[str, str]:
    """Word class -> its alternatives as one group."""
    held = tomllib.loads((_DATA / "compliance_words.toml").read_text())["words"]
    return {name: "(?:" + "|".join(words) + ")" for name, words in held.items()}


@cache
def _ordinary() -> re.Pattern[str]:
    held = tomllib.loads((_DATA / "compliance_words.toml").read_text())["ordinary"]
    return re.compile(r"\b(?:" + "|".join([*held["places"], *held["things"]]) + r")\b")


@cache
def _class_patterns() -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(rf"\b{group}\b") for group in _classes().values())


@cache
def rules() -> tuple[Rule, ...]:
    """The rules of data/compliance_rules.toml, in its order."""

    def compiled(patterns: list[str]) -> tuple[re.Pattern[str], ...]:
        def filled(pattern: str) -> str:
            return re.sub(r"\{([a-z]\w*)\}", lambda m: _classes()[m.group(1)], pattern)

        return tuple(re.compile(rf"\b(?:{filled(p)})(?!\w)") for p in patterns)

    held = tomllib.loads((_DATA / "compliance_rules.toml").read_text())["rule"]
    return tuple(
        Rule(
            r["id"], r["label"], r["source"], r["why"], r["rephrase"],
            compiled(r.get("says", [])), compiled(r.get("signs", [])), compiled(r.get("unless", [])),
        )
        for r in held
    )  # fmt: skip


def neutral(text: str) -> str:
    """Plain words, with names and ordinary phrases run together: "family room" -> "familyroom"."""
    return _ordinary().sub(lambda m: m.group().replace(" ", ""), plain(text))


def declines(words: str) -> bool:
    """Whether the speaker declines to say something (and leaves it at that) instead of saying it."""
    return bool(_DECLINES.search(words)) and not _TAKEN_UP.search(words)


@lru_cache(maxsize=64)  # a turn's few spans are asked for twice
def broken_rules(words: str) -> tuple[Rule, ...]:
    """The rules that ``words`` (from ``neutral``) break on their own."""
    return tuple(rule for rule in rules() if rule.broken_by(words))


def nearest_rule(words: str, label: str) -> Rule:
    """The rule that a finding of the head is told by: one broken outright, else the one with most signs, else the first."""
    own = [rule for rule in rules() if rule.label == label]
    outright = next((rule for rule in own if rule.broken_by(words)), None)
    return outright or max(own, key=lambda rule: rule.signs_in(words) / max(1, len(rule.signs)))


def columns(words: Sequence[str]) -> NDArray[np.float32]:
    """float32, shape (n, c + c·(c-1)/2 + 2·rules): word classes, their pairs, and what each rule makes of the words.

    ``words`` as ``neutral`` gives them. A class is worth 0.5, a pair 0.35, a rule 1: the many pairs would otherwise
    outweigh the sentence vector, which has unit length.
    """
    here = np.array([[bool(p.search(w)) for p in _class_patterns()] for w in words], np.float32).reshape(len(words), len(_class_patterns()))
    left, right = np.triu_indices(here.shape[1], k=1)
    pairs = here[:, left] * here[:, right]
    broken = [broken_rules(w) for w in words]
    told = np.array(
        [[x for rule in rules() for x in (rule in broken[n], min(1.0, rule.signs_in(w) / 2))] for n, w in enumerate(words)], np.float32
    ).reshape(len(words), 2 * len(rules()))
    return np.concatenate((here * 0.5, pairs * 0.35, told), axis=1).astype(np.float32)
