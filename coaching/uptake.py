"""What became of a card: used when the agent's next words say it, helpful when the prospect then moves on. Pure.

Judged by words alone; a click is never a use. What was learnt chooses the next saying: not the one that was ignored
twice, rather the one that helped.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Final

from coaching.events import Card, Logged, SuggestionChanged, SuggestionShown
from intelligence.conversation.turns import Finding

_WITHIN_MS: Final = 30_000  # later words are no answer to the card any more
_LEAST_SHARE: Final = 0.4  # of the saying's content words
_LEAST_WORDS: Final = 3
_LEAST_RUN: Final = 6
_IGNORED_TURNS: Final = 2  # the agent took the word so often without saying it
_SETTLED_TURNS: Final = 2  # prospect's turns without the same objection
_OPEN_MOST: Final = 20
_SUBSTANTIAL: Final = 4  # words; "okay, right" is no answer
_SMALL_WORDS: Final = """
    a an and are as at be been but by can could d did do does doing don for from get go had has have he her here him his how i if in into is it its
    just let like ll m may me might more my need no not of ok okay on one or our out over own re s say see she should so some such t than that the their
    them then there these they think this to too up us ve very want was way we well were what when where which who why will with would yes you your"""
_SMALL: Final = frozenset(_SMALL_WORDS.split())
_AGREES: Final = re.compile(
    r"^\W*(?:yes|yeah|yep|sure|okay|ok|sounds good|that works|fair|true|perfect|great|absolutely|that helps|makes sense|good point)\b", re.I
)
_AGAINST: Final = frozenset({"commitment_refused", "do_not_call", "stress"})
_AHEAD: Final = frozenset({"buying_interest", "appointment"})


@dataclass(slots=True)
class Tally:
    """How often a saying was shown, said by the agent, followed by the prospect moving on, and passed over."""

    shown: int = 0
    used: int = 0
    helpful: int = 0
    ignored: int = 0

    def worth(self) -> float:
        """What speaks for offering it again: use and help, each smoothed so that one call decides nothing."""
        return (self.used + 2 * self.helpful + 1) / (self.shown + 2 * self.used + self.ignored + 2)


@dataclass(slots=True)
class _Open:
    card: Card
    saying: str
    until_ms: int
    turns: int = 0  # the agent's turns since it was shown
    used: bool = False
    settled: int = 0  # the prospect's turns since it was used


@dataclass(slots=True)
class Uptake:
    """shown() each card, then agent_turn() and prospect_turn(); ``tallies`` by saying, earlier calls' included."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    _open: list[_Open] = field(default_factory=list)
    _ignored: dict[str, int] = field(default_factory=dict)  # in this call

    def shown(self, card: Card, saying: str, now_ms: int) -> None:
        """``saying``: the playbook's sentence before its slots were filled."""
        self.tallies.setdefault(saying, Tally()).shown += 1
        self._open = [*self._open[-_OPEN_MOST + 1 :], _Open(card, saying, now_ms + _WITHIN_MS)]

    def agent_turn(self, text: str, end_ms: int, now_ms: int) -> list[SuggestionChanged]:
        events: list[SuggestionChanged] = []
        for each in [o for o in self._open if not o.used]:
            how = said(each.card, text) if end_ms <= each.until_ms else ""
            if how:
                each.used = True
                self.tallies[each.saying].used += 1
                events.append(_changed(each.card, "used", how, now_ms))
            elif len(text.split()) >= _SUBSTANTIAL:
                each.turns += 1
                if each.turns >= _IGNORED_TURNS or end_ms > each.until_ms:
                    self._open.remove(each)
                    self.tallies[each.saying].ignored += 1
                    self._ignored[each.saying] = self._ignored.get(each.saying, 0) + 1
        return events

    def prospect_turn(self, text: str, findings: Sequence[Finding], now_ms: int) -> list[SuggestionChanged]:
        labels = {f.label for f in findings}
        events: list[SuggestionChanged] = []
        for each in [o for o in self._open if o.used]:
            again = each.card.label in labels or "stall" in labels or labels & _AGAINST
            if again:
                self._open.remove(each)
                continue
            each.settled += len(text.split()) >= _SUBSTANTIAL
            if (
                labels & _AHEAD
                or (_AGREES.match(text) and not any(f.family == "objection" for f in findings))
                or each.settled >= _SETTLED_TURNS
            ):
                self._open.remove(each)
                self.tallies[each.saying].helpful += 1
                events.append(_changed(each.card, "helpful", "the prospect moved on", now_ms))
        return events

    def best(self, sayings: Sequence[str]) -> str | None:
        """Which of these to offer: never one that was ignored twice in this call; those not yet shown here first, then by worth."""
        fit = [s for s in sayings if self._ignored.get(s, 0) < 2]
        here = {o.saying for o in self._open} | set(self._ignored)
        return max(fit, key=lambda s: (s not in here, self.tallies.get(s, Tally()).worth(), -sayings.index(s)), default=None)


def said(card: Card, text: str) -> str:
    """How a turn says the card ("" when it does not): enough of its content words, or a run of its words as they stand.

    The prospect's own words count for nothing: an answer that only takes them up is no use of the card.
    """
    wanted = content(card.say) - content(card.quote)
    both = wanted & content(text)
    if len(both) >= _LEAST_WORDS and len(both) / len(wanted) >= _LEAST_SHARE:
        return f"the agent said {len(both)} of its {len(wanted)} content words"
    run = _longest_run(_plain(card.say), _plain(text))
    return f"the agent said {run} of its words in a row" if run >= _LEAST_RUN else ""


def _plain(text: str) -> list[str]:
    return re.findall(r"[a-z']+|\d+", text.lower().replace("’", "'"))


def _longest_run(first: list[str], second: list[str]) -> int:
    match = SequenceMatcher(None, first, second, autojunk=False).find_longest_match()
    return match.size


def content(text: str) -> set[str]:
    """The words that carry meaning, in a plain form: "comparing", "compared" -> "compar"."""
    words = re.findall(r"[a-z]+|\d+", text.lower().replace("’", "'").replace("'", " "))
    return {_stem(w) for w in words if w not in _SMALL and len(w) > 1}


def _stem(word: str) -> str:
    for end in ("ing", "ed", "es", "s", "e"):
        if word.endswith(end) and len(word) - len(end) >= 4:
            return word[: -len(end)]
    return word


def learnt(events: Iterable[Logged], sayings: Iterable[str]) -> dict[str, Tally]:
    """What the logs of earlier calls say about each saying of today's playbook, whatever its slots were filled with."""
    tallies = {saying: Tally() for saying in sayings}
    fitted = {saying: re.compile(re.sub(r"\\\{\w+\\\}", ".+", re.escape(saying))) for saying in tallies if "{" in saying}
    of_card: dict[tuple[str, str], Tally] = {}
    for logged in events:
        match logged.event:
            case SuggestionShown(card=card):
                own = card.say if card.say in tallies else next((s for s, form in fitted.items() if form.fullmatch(card.say)), None)
                if own is not None:
                    of_card[logged.call, card.id] = tallies[own]
                    tallies[own].shown += 1
            case SuggestionChanged(card=shown, change="used" | "helpful" as change) if (logged.call, shown) in of_card:
                tally = of_card[logged.call, shown]
                tally.used += change == "used"
                tally.helpful += change == "helpful"
            case _:
                pass
    return tallies


def _changed(card: Card, change: str, why: str, now_ms: int) -> SuggestionChanged:
    return SuggestionChanged(card=card.id, change=change, why=why, audio_ms=now_ms)  # type: ignore[arg-type]  # one of two, above
