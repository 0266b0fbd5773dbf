"""Numbers as they are said and written: "three eighty nine nine", "a million two", "mid six hundreds", "450k" -> values.

Americans say prices in groups ("four fifty", "twenty-two fifty", "six oh five"), so a run of number words is read group
by group. What a value counts (dollars, feet, o'clock) is for the reader of the words around it.
"""

import itertools
import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Form: TypeAlias = Literal["plain", "scaled", "band", "point", "part"]
"""plain "four fifty" 450; scaled "450 thousand"; band "mid fours"; point "one point two" 1.2; part "three and a half" 3.5."""

UNITS: Final = {
    "one": 1, "fou": 4, "tw": 2, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
}  # fmt: skip
TEENS: Final = {
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19,
}  # fmt: skip
TENS: Final = {
    "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_SCALES: Final = {
    "thousand": 1e3, "thousands": 1e3, "grand": 1e3, "k": 1e3, "million": 1e6, "millions": 1e6, "mil": 1e6, "mill": 1e6, "m": 1e6,
}  # fmt: skip
_DECADES: Final = {
    "ones": 100, "twos": 200, "threes": 300, "fours": 400, "fives": 500, "sixes": 600, "sevens": 700, "eights": 800, "nines": 900,
}  # fmt: skip
# parts of a hundred thousand as people mean them: where they begin and how wide they are, in thousands
_PARTS: Final = {"low": (0, 30), "lower": (0, 30), "mid": (40, 20), "middle": (40, 20), "high": (70, 29), "upper": (70, 29)}
_TOKEN: Final = re.compile(r"\$?\d[\d,]*(?:\.\d+)?(?:k|m|mil|s)?\b|[A-Za-z]+(?:'(?!s\b)[a-z]+)?", re.I)
_DIGITS: Final = re.compile(r"\$?(\d[\d,]*(?:\.\d+)?)(k|mil|m)?", re.I)
# A recogniser's spelling of "four" and "two" before tens, read at the same length so that places in the text stay.
_TENS_NEXT: Final = r"(?= (?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred)\b)"
_BEFORE_A_PRICE: Final = (
    "is",
    "was",
    "at",
    "about",
    "under",
    "over",
    "around",
    "below",
    "than",
    "got",
    "spend",
    "like",
    "of",
    "be",
    "say",
    "max",
    "price",
    "ceiling",
)
_MISHEARD: Final = re.compile("|".join(rf"(?<=\b{word} )(?:for|to|too){_TENS_NEXT}" for word in _BEFORE_A_PRICE), re.I)
# "four fiftyish", "650-ish", "four hundred ish": about so much, read as so much
_ISH: Final = re.compile(
    r"(?<=\d)-?ish\b|(?<=ty)-?ish\b|(?<=hundred|million)-?ish\b|(?<=thousand)-?ish\b|(?<=\d )ish\b|(?<=ty )ish\b|(?<=hundred )ish\b", re.I
)
_SPELT: Final = {"for": "fou", "to": "tw", "too": "two"}
SINGLE: Final = frozenset({*UNITS, "oh", "zero"})
_FROM_TEN: Final = frozenset({*TENS, *TEENS})
_MORE_NUMBER: Final = frozenset({*SINGLE, *_FROM_TEN, *_SCALES, "hundred", "point"})  # behind three single digits: they are no number alone
_JOINS: Final = re.compile(r"[\s-]*")
_PHONE: Final = 5  # so many single digits in a row are a telephone number, not a price


@dataclass(frozen=True, slots=True)
class Number:
    """``value`` in units, or dollars when "scaled" or "band"; ``wide`` dollars is how far a band reaches."""

    value: float
    start: int
    end: int
    form: Form
    wide: int = 0


class _Words:
    """The tokens of a text, read from the left; a token beyond a comma or a full stop is out of reach."""

    def __init__(self, text: str) -> None:
        self.tokens = list(_TOKEN.finditer(text))
        self.at = 0
        self.first = 0  # where the number being read began
        self._said = [token.group().lower() for token in self.tokens]
        self._clause = [0]  # which clause each token stands in
        for one, other in itertools.pairwise(self.tokens):
            self._clause.append(self._clause[-1] + (not _JOINS.fullmatch(text, one.end(), other.start())))

    def word(self, ahead: int = 0) -> str:
        """The word so many tokens ahead, "" where another clause or the end comes first."""
        index = self.at + ahead
        if index >= len(self._said) or self._clause[index] != self._clause[min(self.first, self.at, index)]:
            return ""
        return self._said[index]

    def words(self, count: int) -> list[str]:
        return [self.word(i) for i in range(count)]


def numbers_in(text: str) -> list[Number]:
    """Every number of the text in order; single digits in a row (a telephone number) are left out."""
    text = _MISHEARD.sub(lambda m: _SPELT[m.group().lower()], text)
    text = _ISH.sub(lambda m: " " * len(m.group()), text)
    words = _Words(text)
    found: list[Number] = []
    while words.at < len(words.tokens):
        words.first = words.at
        digits = next(i for i in range(len(words.tokens) + 1) if words.word(i) not in SINGLE)
        if digits >= _PHONE:
            words.at += digits
            continue
        words.first = start = words.at
        read = _band(words) or _share(words) or _run(words)
        if read is None:
            words.at = start + 1
            continue
        value, form, wide = read
        found.append(Number(value, words.tokens[start].start(), words.tokens[words.at - 1].end(), form, wide))
    return found


_Read: TypeAlias = "tuple[float, Form, int] | None"


def _band(words: _Words) -> _Read:
    """ "low fives", "the mid 400s", "upper three hundreds", "in the fours"."""
    low, wide = _PARTS.get(words.word(), (0, 99))
    ahead = 1 if words.word() in _PARTS else 0
    if ahead and words.word(1) in ("to", "or", "and") and words.word(2) in _PARTS:  # "low to mid fives"
        upper, reach = _PARTS[words.word(2)]
        wide, ahead = upper + reach - low, 3
    head = words.word(ahead)
    if head == "one" and words.word(ahead + 1) in _DECADES:  # "in the low one twos": millions
        tenth = _DECADES[words.word(ahead + 1)] / 1000
        words.at += ahead + 2
        return (1 + tenth + low / 1000) * 1e6, "band", wide * 1000
    if head in UNITS and words.word(ahead + 1) == "hundred" and words.word(ahead + 2) in ("something", "some"):
        words.at += ahead + 3
        return UNITS[head] * 1e5, "band", 99_000
    if head in _DECADES and (ahead or (words.at and words.tokens[words.at - 1].group().lower() == "the")):
        hundreds, used = _DECADES[head], ahead + 1
    elif head in UNITS and words.word(ahead + 1) == "hundreds":
        hundreds, used = UNITS[head] * 100, ahead + 2
    elif (match := re.fullmatch(r"\$?([1-9]00)(?:,000)?s", head)) or (ahead and (match := re.fullmatch(r"\$?([1-9]00)(?:,000)?", head))):
        hundreds, used = int(match[1]), ahead + 1
    else:
        return None
    words.at += used
    return (hundreds + low) * 1e3, "band", wide * 1000


def _share(words: _Words) -> _Read:
    """ "half a million", "three quarters of a million", "a couple hundred thousand", "a few grand"."""
    said = " ".join(words.words(6))
    match = re.match(
        r"(?:a )?half (?:a |of a )?(?:million|mil)\b|(?:a |one )?quarter (?:of a |of |a )?million\b|three quarters? (?:of a |of )?(?:a )?million\b",
        said,
    )
    if match is not None:
        words.at += len(match.group().split())
        share = 0.75 if said.startswith("three") else 0.25 if "quarter" in match.group() else 0.5
        return share * 1e6, "scaled", 0
    match = re.match(r"(?:a )?(couple|few)(?: of)? (hundred )?(thousand|grand|million|k)\b", said)
    if match is None:
        return None
    words.at += len(match.group().split())
    return (2 if match[1] == "couple" else 3) * (100 if match[2] else 1) * _SCALES[match[3]], "scaled", 0


def _run(words: _Words) -> _Read:
    """One number: a group, perhaps a fraction, perhaps a scale, perhaps more after a million."""
    word = words.word()
    if word[:1].isdigit() or word[:1] == "$":
        return _written(words)
    if word == "buck" and words.word(1) in _FROM_TEN:
        return _scaled(words, _hundreds(words, 1), "plain")  # "a buck ninety"
    if word == "thousand" and words.at and words.tokens[words.at - 1].group().lower() in ("extra", "another"):
        words.at += 1
        return 1000.0, "scaled", 0
    if word == "a" and words.word(1) in ("cool", "whole", "full") and words.word(2) == "million":
        words.at += 2
        return _scaled(words, 1.0, "plain")
    bare = word == "hundred" and words.word(1) in _FROM_TEN  # "a hundred fifty, hundred sixty"
    if bare or (word == "a" and words.word(1) in ("million", "hundred", "thousand")):
        words.at += not bare
        value: float | None = 1.0 if words.word() != "hundred" else _hundreds(words, 1)
    else:
        value = _group(words)
    if value is None:
        return None
    form: Form = "plain"
    if (fraction := _fraction(words)) is not None:
        value, form = value + fraction, "part"
    elif (decimals := _decimals(words)) is not None:
        value, form = value + decimals, "point"
    elif value == 1 and words.word() in UNITS and words.word(1) not in TENS and words.word(1) not in ("hundred", *_SCALES):
        value, form = 1 + UNITS[words.word()] / 10, "point"  # "one two" is one point two, if anything
        words.at += 1
    return _scaled(words, value, form)


def _scaled(words: _Words, value: float, form: Form) -> _Read:
    scale = _SCALES.get(words.word()) if words.word() != "m" else None
    if scale is None:
        return _nine_hundred(words, value, form)
    words.at += 1
    value *= scale
    if (fraction := _fraction(words)) is not None:
        return value + fraction * scale, "scaled", 0  # "a million and a half"
    before = words.at
    if words.word() == "and" and scale >= 1e6:
        words.at += 1
    rest = _group(words) if words.word()[:1].isalpha() else None
    if rest is None:
        words.at = before
    elif scale >= 1e6:
        if words.word() in ("thousand", "grand", "k"):
            words.at += 1
            value += rest * 1e3
        else:
            value += rest * (1e5 if rest < 10 else 1e4 if rest < 100 and rest % 10 else 1e3)  # "a million two", "two fifty"
    elif rest >= 100 or (value < 10_000 and rest >= (40 if value == 2000 else 10)):
        value += rest  # "three hundred eighty nine thousand nine hundred", "two thousand eighty" (and no year)
    else:
        words.at = before
    return value, "scaled", 0


def _nine_hundred(words: _Words, value: float, form: Form) -> _Read:
    """ "three eighty nine nine", "six ninety nine nine hundred": three digits, then hundreds of dollars."""
    if form == "plain" and 100 <= value < 1000 and value % 10 and words.word() in UNITS:
        tail = UNITS[words.word()] * 100
        if words.word(1) in TENS and words.word(2) not in ("hundred", *_SCALES):
            tail += TENS[words.word(1)]
            words.at += 2
            return value * 1000 + tail, "scaled", 0  # "four sixty nine nine fifty"
        if words.word(1) == "hundred" and words.word(2) not in _SCALES:
            words.at += 2
            return value * 1000 + tail, "scaled", 0
        if words.word(1) not in {**UNITS, **TENS, **TEENS, "hundred": 100} and words.word(1) not in _SCALES and tail >= 500:
            words.at += 1
            return value * 1000 + tail, "scaled", 0
    if form == "plain" and value >= 1100 and words.at and "hundred" in (t.group().lower() for t in words.tokens[words.at - 3 : words.at]):
        return value, "scaled", 0  # "thirty five hundred" are dollars, if anything
    return value, form, 0


def _group(words: _Words) -> float | None:
    """Up to four digits: "four", "four fifty", "two oh five", "twenty two fifty", "thirty five hundred", "four hundred and ten"."""
    word = words.word()
    if word in UNITS:
        return _from_unit(words)
    if word in TENS or word in TEENS:
        value = _two_digits(words)
        assert value is not None
        if words.word() == "hundred":
            words.at += 1
            return _hundreds(words, 0) + value * 100  # "thirty five hundred"
        mark = words.at
        more = _two_digits(words)
        if more is not None and more >= 10 and words.word() not in ("hundred", *_SCALES):
            return value * 100 + more  # "eighteen fifty"
        words.at = mark
        return value
    return None


def _from_unit(words: _Words) -> float:
    value = float(UNITS[words.word()])
    words.at += 1
    digit, last = (UNITS.get(w, 0 if w in ("oh", "zero") else None) for w in words.words(2))
    if digit is not None and last is not None and words.word(2) not in _MORE_NUMBER:
        words.at += 2
        return value * 100 + digit * 10 + last  # "two nine five"
    if re.fullmatch(r"[1-9][05]", words.word()) and words.word(1) not in ("year", "day", "minute", "month", "percent"):
        words.at += 1
        return value * 100 + int(words.tokens[words.at - 1].group())  # "three 15"
    if words.word() == "hundred":
        return _hundreds(words, int(value))
    if words.word() in ("oh", "o", "zero") and words.word(1) in UNITS:
        words.at += 2
        return value * 100 + UNITS[words.tokens[words.at - 1].group().lower()]
    mark = words.at
    more = _two_digits(words)
    if more is None or more < 10:
        words.at = mark
        return value
    if more % 10 and more > 20 and (words.word() == "hundred" or (words.word() in TENS and value <= more % 10 <= value + 1)):
        words.at -= 1  # "four fifty five hundred": 450, then 500; "one eighty one ninety": 180, then 190
        more -= more % 10
    return value * 100 + more


def _hundreds(words: _Words, value: int) -> float:
    """After a digit, at "hundred": its tens too; with 0 the hundred has been read."""
    total = value * 100.0
    if value:
        words.at += 1
    mark = words.at
    if words.word() == "and":
        words.at += 1
    more = _two_digits(words)
    another = more is not None and more < 10 and words.word() in {**TENS, **TEENS, "hundred": 100}
    if more is None or another or words.word() == "hundred":
        words.at = mark  # "four hundred four twenty five": 400, then 425
        return total
    return total + more


def _two_digits(words: _Words) -> float | None:
    word = words.word()
    if word in TENS:
        words.at += 1
        if words.word() in UNITS:
            words.at += 1
            return TENS[word] + UNITS[words.tokens[words.at - 1].group().lower()]
        return TENS[word]
    value = TEENS.get(word) or UNITS.get(word)
    if value is not None:
        words.at += 1
    return value


def _fraction(words: _Words) -> float | None:
    for said, share in (
        (("and", "a", "half"), 0.5),
        (("and", "a", "quarter"), 0.25),
        (("and", "three", "quarters"), 0.75),
        (("and", "half"), 0.5),
    ):
        if words.words(len(said)) == list(said):
            words.at += len(said)
            return share
    return None


def _decimals(words: _Words) -> float | None:
    if words.word() != "point" or words.word(1) not in {**UNITS, **TENS, **TEENS, "oh": 0, "zero": 0}:
        return None
    words.at += 1
    said = ""
    while (word := words.word()) in {**UNITS, **TENS, **TEENS, "oh": 0, "zero": 0}:
        said += str({**UNITS, **TENS, **TEENS, "oh": 0, "zero": 0}[word])
        words.at += 1
    return float(f"0.{said}")


def _written(words: _Words) -> _Read:
    """ "450", "$450,000", "450k", "1.2 million", "450 thousand"."""
    match = _DIGITS.fullmatch(words.word())
    if match is None:
        return None
    value, suffix = float(match[1].replace(",", "")), (match[2] or "").lower()
    words.at += 1
    if not suffix and 1 <= value <= 9 and match[1].isdigit() and re.fullmatch(r"[1-9]\d", words.word()):
        value = value * 100 + int(words.word())  # "4 50", as some recognisers write "four fifty"
        words.at += 1
    if suffix:
        return value * _SCALES[suffix], "scaled", 0
    if value < 1000 and words.word() == "000":
        words.at += 1
        return value * 1000, "scaled", 0  # "700 000"
    hundreds = re.fullmatch(r"[1-9]00|950|999", words.word())
    if (
        100 <= value < 1000
        and hundreds
        and match.group().isdigit()
        and (value % 10 in (4, 9) or not value < int(hundreds[0]) < value * 1.4)
    ):
        words.at += 1
        return value * 1000 + int(words.tokens[words.at - 1].group()), "scaled", 0  # "214 900"
    if 100 <= value < 1000 and value == int(value) and value % 10 in (4, 9) and words.word() in ("5", "9"):
        words.at += 1
        return value * 1000 + 100 * int(words.tokens[words.at - 1].group()), "scaled", 0  # "289 9"
    if words.word() == "hundred" and value < 100:
        words.at += 1
        value *= 100  # "5 hundred thousand"
    form: Form = "point" if value != int(value) else "plain"
    if (fraction := _fraction(words)) is not None:
        value, form = value + fraction, "part"
    elif words.word() == "point" and words.word(1).isdigit():
        value, form = float(f"{match[1]}.{words.word(1)}"), "point"
        words.at += 2
    return _scaled(words, value, form)
