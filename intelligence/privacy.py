"""Personal data out of words before they leave this machine, and names back into an answer where they may stand.

What goes is found by intelligence/identifiers.py; names of people are hidden here, because they are known or introduced.
What stays: prices, dates, sizes and towns, because advice needs them. In doubt something goes.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from intelligence.identifiers import FINDERS, Kind, Span

_MOST: Final = 400  # placeholders of one call that can be put back; what comes later is hidden for good
_PLACEHOLDER: Final = re.compile(r"\[(NAME|PHONE|EMAIL|CARD|SSN|NUMBER|ADDRESS|LINK)_(\d+)\]")
_COMMON_NAMES_WORDS: Final = (
    "will mark rich art may june april grant bill rose grace hope faith joy pat rob frank jack drew chase hunter cash price young long rice park hill wood "
    "miles page case dean dale glen heath iris ivy lane lily penny ray red ruby sky sunny van wade ward guy gene max sue bob don ken chip ace banks field "
    "fields ford free gold good home house king knight land law little love lord means moon more most north west east south noble rich small strong "
    "summer sweet top walls waters white black brown green gray grey wise wright so do day you an he"
)
_COMMON_NAMES: Final = frozenset(_COMMON_NAMES_WORDS.split())
_NOT_NAMES_WORDS: Final = (
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August September October November December "
    "Great Good Not The A An So I We You He She It They Just Really Very Because And But Or If What Why Who Where When How Going Looking Calling From With "
    "About Your My Our Their His Her Its Well Okay Ok Yes No Sorry Sure Fine Actually Still Also Realtor Agent Zillow Redfin Both That This There Here"
)
_NOT_NAMES: Final = frozenset(_NOT_NAMES_WORDS.split())
_CAPITAL: Final = r"([A-Z][a-z’'\-]+(?:\s+[A-Z][a-z’'\-]+)?)"
_INTRODUCED: Final = re.compile(
    rf"(?:\b(?i:my name is|my name's|the name's|name is|this is|i am|i'm|it's|speaking with|speak with|ask for|talk to|call me|named|called)\s+{_CAPITAL})"
    rf"|(?:\b(?i:mr|mrs|ms|miss|dr|doctor|mister)\.?\s+{_CAPITAL})"
    rf"|(?:\b(?i:my|our|his|her)\s+(?i:wife|husband|spouse|partner|fianc[ée]e?|girlfriend|boyfriend|mother|mom|father|dad|brother|sister|son|daughter|friend|boss|agent"
    rf"|realtor|lender|attorney|lawyer|neighbor|uncle|aunt|cousin|ex)(?:,|\s+is|'s name is|\s+named)?\s+{_CAPITAL})"
)


class PlaceholderRefused(ValueError):
    """An answer uses a placeholder that does not exist or may not be put back."""


@dataclass(slots=True)
class Pseudonyms:
    """One per call: the same thing has the same placeholder in every question. hide() before sending, restore() after."""

    names: list[str] = field(default_factory=list)  # people known before anybody spoke: contact, agent
    _of: dict[tuple[Kind, str], str] = field(default_factory=dict)
    _shown: dict[str, str] = field(default_factory=dict)
    _parts: dict[str, str] = field(default_factory=dict)  # lower-case name -> as it is written

    def __post_init__(self) -> None:
        for name in self.names:
            self._learn(name)

    def hide(self, text: str) -> str:
        """The text without personal data. Square brackets of the text itself become round: nobody can say a placeholder."""
        text = text.replace("[", "(").replace("]", ")")
        for match in _INTRODUCED.finditer(text):
            name = next(group for group in match.groups() if group)
            if name.split()[0] not in _NOT_NAMES:
                self._learn(name)
        for kind, spans in FINDERS:
            text = self._replaced(text, kind, spans(text))
        return self._hide_names(text)

    def restore(self, text: str, allowed: Iterable[Kind] = ("NAME",)) -> str:
        """The text with its placeholders filled in. Raises PlaceholderRefused."""
        kinds = frozenset(allowed)

        def back(match: re.Match[str]) -> str:
            if match[1] not in kinds or match[0] not in self._shown:
                raise PlaceholderRefused(f"a placeholder of kind {match[1]} may not stand here")
            return self._shown[match[0]]

        return _PLACEHOLDER.sub(back, text)

    def _learn(self, name: str) -> None:
        words = [w for w in re.findall(r"[^\W\d_][\w’'\-]*", name) if len(w) > 1]
        if not words or len(self._parts) > _MOST:
            return
        if len(words) > 1:
            self._parts.setdefault(" ".join(words).lower(), " ".join(words))
        for word in words:
            self._parts.setdefault(word.lower(), word)

    def _hide_names(self, text: str) -> str:
        for name in sorted(self._parts, key=len, reverse=True):
            flags = 0 if name in _COMMON_NAMES else re.I  # "will" is a word, "Will" a person
            written = self._parts[name] if name in _COMMON_NAMES else name
            spaced = r"\s+".join(re.escape(word) for word in written.split())
            pattern = re.compile(rf"(?<![\w\[]){spaced}(?![\w\]])", flags)
            text = self._replaced(text, "NAME", [m.span() for m in pattern.finditer(text)])
        return text

    def _replaced(self, text: str, kind: Kind, spans: Sequence[Span]) -> str:
        for start, end in sorted(spans, reverse=True):
            if not _PLACEHOLDER.search(text, start, end):
                text = text[:start] + self._placeholder(kind, text[start:end]) + text[end:]
        return text

    def _placeholder(self, kind: Kind, found: str) -> str:
        key = (kind, " ".join(found.lower().split()))
        if key not in self._of:
            number = min(len(self._of) + 1, _MOST)
            placeholder = f"[{kind}_{number}]"
            if number == _MOST:
                return placeholder
            self._of[key] = placeholder
            self._shown[placeholder] = self._parts.get(key[1], found) if kind == "NAME" else found
        return self._of[key]
