"""The number guard: which figures somebody said or the playbook holds, and what plain arithmetic on two of them gives. Pure.

A figure on a card needs a source. The result of a percentage, a sum, a difference, or months to years is a source too, when both
figures are known and the working is shown: 0.5 % of $450,000 = $2,250.
"""

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from intelligence.conversation.amounts import amounts_in
from voice.numerals import written

Unit: TypeAlias = Literal["usd", "percent", "number"]

_MOST: Final = 200  # figures of one call that may stand on a card; the oldest go
_OPERANDS: Final = 24  # of these the newest are calculated with, so that no figure comes out by chance
_FIGURE: Final = re.compile(
    r"(\$)?\s?(\d[\d,]*(?:\.\d+)?)\s?(million|billion|thousand|k\b|m\b)?\s?(%|percent\b|per cent\b|dollars\b|bucks\b)?", re.I
)
_SCALE: Final = {"million": 1e6, "m": 1e6, "billion": 1e9, "thousand": 1e3, "k": 1e3}
_FRACTIONS: Final = (
    (re.compile(r"\b(\w+) and a half (percent|million)\b", re.I), r"\1.5 \2"),
    (re.compile(r"\b(?:one |a )?half (?:of )?(?:a |one )?percent\b", re.I), "0.5%"),
    (re.compile(r"\b(?:one |a )?quarter (?:of )?(?:a |one )?percent\b", re.I), "0.25%"),
    (re.compile(r"\bhalf a million\b", re.I), "$500,000"),
    (re.compile(r"\ba quarter (?:of a )?million\b", re.I), "$250,000"),
)
_SMALL: Final = {w: str(n) for n, w in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])}
_MONTHLY: Final = re.compile(r"\bmonth|\byear|\bannual", re.I)


@dataclass(frozen=True, slots=True)
class Figure:
    value: float
    unit: Unit

    def shown(self) -> str:
        plain = f"{self.value:,.2f}".rstrip("0").rstrip(".")
        return f"${plain}" if self.unit == "usd" else f"{plain} %" if self.unit == "percent" else plain


def figures_in(text: str) -> list[Figure]:
    """Every figure of a text, in digits or in words; "one of them" and the like are no figures."""
    for pattern, plain in _FRACTIONS:
        text = pattern.sub(plain, text)
    text = re.sub(r"\b(zero|one|two|three|four|five|six|seven|eight|nine)(?=\.5\b)", lambda m: _SMALL[m[1].lower()], text, flags=re.I)
    found = []
    for sign, digits, scale, unit in _FIGURE.findall(written(text)):
        value = float(digits.replace(",", "")) * _SCALE.get(scale.lower(), 1.0)
        money = sign or unit.lower() in ("dollars", "bucks")
        found.append(Figure(value, "usd" if money else "percent" if unit else "number"))
    return found


@dataclass(slots=True)
class FigureSources:
    """hear() what is a source; then workings() says whether a sentence holds nothing else."""

    _known: deque[Figure] = field(default_factory=lambda: deque(maxlen=_MOST))

    def hear(self, text: str) -> None:
        for figure in figures_in(text):
            self._add(figure)
        for amount in amounts_in(text):  # "four fifty" is $450,000 where homes are talked about
            for usd in (amount.usd_min, amount.usd_max):
                if usd is not None:
                    self._add(Figure(float(usd), "usd"))

    def workings(self, sentence: str) -> list[str] | None:
        """None: a figure has no source. Else the arithmetic behind those that nobody said, as it is to be shown."""
        shown: list[str] = []
        for figure in figures_in(sentence):
            if self._holds(figure):
                continue
            working = self._worked(figure, monthly=_MONTHLY.search(sentence) is not None)
            if working is None:
                return None
            shown.append(working)
        return shown

    def _add(self, figure: Figure) -> None:
        if figure in self._known:
            self._known.remove(figure)
        self._known.append(figure)

    def _holds(self, figure: Figure) -> bool:
        return any(k.value == figure.value and (k.unit == figure.unit or "number" in (k.unit, figure.unit)) for k in self._known)

    def _worked(self, figure: Figure, *, monthly: bool) -> str | None:
        """The working whose result this figure is, to the dollar."""
        if figure.unit != "usd":
            return None
        newest = list(self._known)[-_OPERANDS:]
        amounts = [k for k in newest if k.unit == "usd"]
        workings = [(p.value / 100 * a.value, f"{p.shown()} of {a.shown()}") for p in newest if p.unit == "percent" for a in amounts]
        workings += [(a.value - b.value, f"{a.shown()} − {b.shown()}") for a in amounts for b in amounts if a.value > b.value]
        workings += [(a.value + b.value, f"{a.shown()} + {b.shown()}") for i, a in enumerate(amounts) for b in amounts[i + 1 :]]
        if monthly:
            workings += [(a.value * 12, f"12 × {a.shown()}") for a in amounts] + [(a.value / 12, f"{a.shown()} ÷ 12") for a in amounts]
        return next((f"{text} = {figure.shown()}" for result, text in workings if abs(result - figure.value) < 0.5), None)
