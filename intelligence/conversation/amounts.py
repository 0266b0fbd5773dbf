"""Amounts of money in speech: "four fifty", "$450,000", "mid six hundreds", "up to 2,700 a month" -> dollars with a role.

In talk about homes a bare "four fifty" means 450,000 dollars; beside "a month" it means 450. Which one is meant follows
from the words around it, so a reading without any such words gives nothing.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Role: TypeAlias = Literal["budget", "asking", "offer", "payment"]

_UNITS: Final = {
    "zero": 0, "oh": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS: Final = {
    "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_SCALES: Final = {
    "thousand": 1_000,
    "grand": 1_000,
    "k": 1_000,
    "million": 1_000_000,
    "mil": 1_000_000,
    "m": 1_000_000,
}
_TOKEN: Final = re.compile(r"\$?\d[\d,]*(?:\.\d+)?(?:k|m|mil|K|M)?\b|[A-Za-z]+(?:'[a-z]+)?|%|\$")
_DECADES: Final = {
    "hundreds": 100, "ones": 100, "twos": 200, "threes": 300, "fours": 400, "fives": 500, "sixes": 600,
    "sevens": 700, "eights": 800, "nines": 900,
}  # fmt: skip

_NOT_MONEY_AFTER: Final = re.compile(
    r"^\s*(?:%|percent|per cent|points?\b|square|sq|feet|foot|ft|beds?\b|bedrooms?|baths?\b|bathrooms?|acres?|miles?|minutes?|hours?|days?"
    r"|weeks?|months?\b|years?|year-old|o'?clock|am\b|pm\b|a\.m|p\.m|times|people|houses|homes|kids|of (?:us|them)|street|avenue|road|lane|drive"
    r"|st\b|ave\b|north|south|east|west|nd\b|rd\b|th\b|in the (?:morning|afternoon|evening)|things?|offers|units?|car\b|story|stories|agents?"
    r"|showings|questions|schools?|blocks?|steps)",
    re.I,
)
_NOT_MONEY_BEFORE: Final = re.compile(
    r"(?:\bat|number|suite|apartment|apt|unit|route|highway|in (?:19|20)|since|year|call me at|zip|built in|until|till|after|before|by|lot)\s*$",
    re.I,
)
_MONEY_CONTEXT: Final = re.compile(
    r"\b(?:budget|afford|spend|price[ds]?|pricing|asking|list(?:ed|ing)?|offer(?:ed|ing)?|worth|pay(?:ing|ment)?|paid|cost|approv\w+|cash"
    r"|stay (?:under|below|at)|go (?:up|over|higher|above)|over|under|up to|max(?:imum)?|tops|at most|no more than|less than|more than|at least|minimum"
    r"|range|between|around|about|roughly|somewhere|ballpark|comfortable|loan|borrow|qualif\w+|sell(?:ing)? (?:it )?for|sold for|get for|went for"
    r"|apprais\w+|zestimate|zillow|valu\w+|estimate|down payment|number|figure|ceiling|limit|cap|home|house|place|condo|bedrooms?|want|wants|need)\b",
    re.I,
)
_MONTHLY: Final = re.compile(r"^\s*(?:dollars\s*)?(?:a|per|each|every|/)\s*(?:month|mo)\b|^\s*monthly|^\s*(?:dollars )?in rent", re.I)
_MONTHLY_BEFORE: Final = re.compile(r"\b(?:monthly|payments?|mortgage|rent|a month)\b[^.?!]{0,40}$", re.I)
_MAX: Final = re.compile(
    r"\b(?:up to|under|below|no more than|not more than|less than|max(?:imum)?(?: of| is)?|at most|can'?t go (?:over|above|past)|cannot go (?:over|above)"
    r"|don'?t want to (?:go|spend) (?:over|above|past|more than)|won'?t (?:go|spend|pay) (?:over|above|past|more than)"
    r"|nothing (?:over|above)|not (?:over|above)|never (?:over|above)|cap(?:ped)?(?: is)?(?: at)?|ceiling(?: is)?(?: of)?|limit(?: is)?(?: of)?|tops out at)\s*(?:about |around |like )?$",
    re.I,
)
_MAX_AFTER: Final = re.compile(
    r"^\s*(?:dollars\s*)?(?:max\b|maximum|tops\b|at most|or (?:less|under|below)|is (?:our|my|the) (?:max|ceiling|limit|top)|and not a (?:penny|dollar) more)",
    re.I,
)
_MIN: Final = re.compile(
    r"\b(?:at least|over|above|more than|minimum(?: of)?|not less than|no less than|nothing (?:under|below|less than)|north of|upwards? of"
    r"|won'?t (?:take|go|accept) (?:less than|below|under)|not (?:under|below)|can'?t (?:take|go|accept) (?:less than|below|under))\s*(?:about |around |like )?$",
    re.I,
)
_MIN_AFTER: Final = re.compile(r"^\s*(?:dollars\s*)?(?:at least|minimum|or (?:more|better|higher|above)|plus\b)", re.I)
_ROLES: Final[tuple[tuple[Role, re.Pattern[str]], ...]] = (
    ("payment", re.compile(r"\b(?:monthly|a month|per month|payments?|mortgage payment|rent)\b", re.I)),
    ("offer", re.compile(r"\b(?:offer(?:ed|ing|s)?|bid|put in|come in at|counter(?:ed)?|write it (?:up )?(?:at|for))\b", re.I)),
    ("budget", re.compile(
        r"\b(?:budget|afford|spend|stay (?:under|below|at|around)|go (?:up to|over|above|higher|past)|approved|qualif\w+|max(?:imum)?|tops|comfortable"
        r"|ceiling|limit|up to|cap|under|price range|our range|have to work with|looking (?:at|to spend|in)|cash)\b", re.I)),
    ("asking", re.compile(
        r"\b(?:ask(?:ing)?|list(?:ed|ing)?(?: (?:it|at|for))?|priced?|want(?:s|ing)? for|they want|sell(?:ing)? (?:it )?for|worth|get for|valu\w+|apprais\w+"
        r"|zestimate|zillow says|not (?:selling|taking)|take less|net)\b", re.I)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Amount:
    """Dollars. An exact amount has both bounds equal, "up to" only the upper one. ``start``/``end`` index the text."""

    usd_min: int | None
    usd_max: int | None
    role: Role | None
    quote: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Number:
    value: float
    start: int
    end: int
    scaled: bool  # a scale word or a $ sign said that this is money at full size
    spread: float = 0.0  # "mid six hundreds" is a band


@dataclass(slots=True)
class _Token:
    text: str
    start: int
    end: int


def amounts_in(text: str) -> list[Amount]:
    """Every amount of money in the text, in order; percentages, sizes, times and house numbers are not money."""
    numbers = [n for n in _numbers(text) if n.value > 0]
    found: list[Amount] = []
    index = 0
    while index < len(numbers):
        first = numbers[index]
        second = numbers[index + 1] if index + 1 < len(numbers) else None
        if second is not None and _joined(text, first, second):
            amount = _range(text, first, second)
            if amount is not None:
                found.append(amount)
                index += 2
                continue
        amount = _single(text, first)
        if amount is not None:
            found.append(amount)
        index += 1
    return found


def _joined(text: str, first: _Number, second: _Number) -> bool:
    between = text[first.end : second.start].lower()
    before = text[max(0, first.start - 30) : first.start].lower()
    if re.fullmatch(r"\s*(?:to|-|–|or|maybe)\s*(?:maybe |like )?\$?", between):
        return True
    return bool(re.fullmatch(r"\s*and\s*\$?", between) and re.search(r"between\s*(?:like |maybe |about )?\$?$", before))


def _range(text: str, first: _Number, second: _Number) -> Amount | None:
    high = _dollars(text, second)
    if high is None:
        return None
    low = _dollars(text, first, like=high)
    if low is None or low > high:
        return None
    return _amount(text, low, high, first.start, second.end)


def _single(text: str, number: _Number) -> Amount | None:
    dollars = _dollars(text, number)
    if dollars is None:
        return None
    if number.spread:
        return _amount(text, dollars, dollars + round(number.spread * 1000), number.start, number.end)
    before, after = text[: number.start].rstrip("$ ") + " ", text[number.end :]
    before = before.rstrip() + " "
    if _MIN.search(before.rstrip()) and not _MAX.search(before.rstrip()):
        return _amount(text, dollars, None, number.start, number.end)
    if _MAX.search(before.rstrip()) or _MAX_AFTER.search(after):
        return _amount(text, None, dollars, number.start, number.end)
    if _MIN_AFTER.search(after):
        return _amount(text, dollars, None, number.start, number.end)
    return _amount(text, dollars, dollars, number.start, number.end)


def _amount(text: str, low: int | None, high: int | None, start: int, end: int) -> Amount:
    return Amount(low, high, _role(text, start, end, high or low or 0), text[start:end].strip(), start, end)


def _role(text: str, start: int, end: int, dollars: int) -> Role | None:
    after = text[end : end + 30]
    if _MONTHLY.search(after):
        return "payment"
    near = text[max(0, start - 60) : end + 40]
    best: tuple[int, Role] | None = None
    for role, pattern in _ROLES:
        for match in pattern.finditer(near):
            distance = min(abs(match.end() - min(60, start)), abs(match.start() - min(60, start) - (end - start)))
            if role == "payment" and dollars > 20_000:
                continue
            if best is None or distance < best[0]:
                best = (distance, role)
    return best[1] if best else None


def _dollars(text: str, number: _Number, like: int | None = None) -> int | None:
    """The dollars that a number means here, or None when it is not money."""
    before, after = text[: number.start], text[number.end :]
    sign = before.rstrip().endswith("$") or text[number.start] == "$"
    if _NOT_MONEY_AFTER.match(after) and not _MONTHLY.match(after):
        return None
    if (
        not sign
        and _NOT_MONEY_BEFORE.search(before)
        and not number.scaled
        and not re.search(r"(?:offer|list|priced|asking|in|start)\w* (?:it )?at\s*$", before, re.I)
    ):
        return None
    value = number.value
    monthly = bool(_MONTHLY.match(after) or (_MONTHLY_BEFORE.search(before) and value < 20_000))
    if number.scaled or (sign and value >= 1000) or value >= 20_000:
        return round(value)
    if like is not None and like >= 20_000 and not sign:
        if value < 20 and like >= 1_000_000:
            return round(value * 1_000_000)
        return round(value * 1000) if value < 2000 else round(value)
    if monthly or re.match(r"\s*(?:dollars|bucks)", after, re.I):
        return round(value)
    if sign:
        return (
            round(value * 1000)
            if 100 <= value <= 999 and _MONEY_CONTEXT.search(text) and not _MONTHLY_BEFORE.search(before)
            else round(value)
        )
    if not _MONEY_CONTEXT.search(text):
        return None
    if 75 <= value <= 1999 and value == int(value):
        return round(value * 1000)
    if 1 < value < 10 and value != int(value) and re.search(r"\b(?:price|list|asking|budget|worth|offer)", text, re.I):
        return round(value * 1_000_000)  # "they are asking one point two"
    return None


def _numbers(text: str) -> list[_Number]:
    tokens = [_Token(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(text)]
    numbers: list[_Number] = []
    index = 0
    while index < len(tokens):
        number, used = _band(tokens, index)
        if number is None:
            number, used = _run(tokens, index)
        if number is not None:
            numbers.append(number)
        index += max(used, 1)
    return numbers


def _band(tokens: list[_Token], at: int) -> tuple[_Number | None, int]:
    """ "mid six hundreds", "low fives", "high four hundreds": a third of a hundred thousand each."""
    word = tokens[at].text.lower()
    part = {"low": (0, 33), "mid": (33, 34), "middle": (33, 34), "high": (66, 33), "upper": (66, 33)}.get(word)
    if part is None or at + 1 >= len(tokens):
        return None, 0
    nxt = tokens[at + 1].text.lower()
    if nxt in _DECADES and nxt != "hundreds":
        return _Number((_DECADES[nxt] + part[0]) * 1000, tokens[at].start, tokens[at + 1].end, True, part[1]), 2
    if at + 2 < len(tokens) and tokens[at + 2].text.lower() == "hundreds" and nxt in _UNITS:
        return _Number((_UNITS[nxt] * 100 + part[0]) * 1000, tokens[at].start, tokens[at + 2].end, True, part[1]), 3
    return None, 0


def _run(tokens: list[_Token], at: int) -> tuple[_Number | None, int]:
    """One number beginning at a token: digits with an optional scale, or number words said in any common way."""
    token = tokens[at]
    lower = token.text.lower()
    if lower[0].isdigit() or lower[0] == "$":
        return _digits(tokens, at)
    if lower == "half" and _words(tokens, at + 1, 2) == ["a", "million"]:
        return _Number(500_000, token.start, tokens[at + 2].end, True), 3
    if lower in ("a", "quarter") and _words(tokens, at, 3)[-2:] == ["quarter", "million"]:
        return _Number(250_000, token.start, tokens[at + 2].end, True), 3
    if lower == "a" and _words(tokens, at + 1, 1) and _words(tokens, at + 1, 1)[0] in ("million", "hundred", "thousand"):
        inner, used = _spoken(tokens, at + 1, leading_one=True)
        return (None, 1) if inner is None else (_Number(inner.value, token.start, inner.end, inner.scaled), used + 1)
    if lower in _UNITS or lower in _TENS:
        return _spoken(tokens, at, leading_one=False)
    return None, 1


def _words(tokens: list[_Token], at: int, count: int) -> list[str]:
    return [t.text.lower() for t in tokens[at : at + count]]


def _digits(tokens: list[_Token], at: int) -> tuple[_Number | None, int]:
    token = tokens[at]
    match = re.fullmatch(r"(\$?)([\d,]*\d(?:\.\d+)?|\d)(k|m|mil)?", token.text, re.I)
    if match is None:
        return None, 1
    value, suffix = float(match[2].replace(",", "")), (match[3] or "").lower()
    if suffix:
        return _Number(value * _SCALES[suffix], token.start, token.end, True), 1
    following = _words(tokens, at + 1, 1)
    if following and following[0] in _SCALES and following[0] not in ("m", "k"):
        return _Number(value * _SCALES[following[0]], token.start, tokens[at + 1].end, True), 2
    return _Number(value, token.start, token.end, False), 1


def _spoken(tokens: list[_Token], at: int, *, leading_one: bool) -> tuple[_Number | None, int]:
    groups: list[int] = [1] if leading_one else []  # numbers under 100 and hundreds, as said
    total = 0.0
    scaled = False
    index = at
    fraction = ""
    while index < len(tokens):
        word = tokens[index].text.lower()
        if word == "and" and index > at and index + 1 < len(tokens) and (groups or total):
            following = tokens[index + 1].text.lower()
            if following == "a" and _words(tokens, index + 2, 1) == ["half"]:
                fraction = "5"
                index += 3
                continue
            if groups and following in {**_UNITS, **_TENS} and groups[-1] >= 100 and groups[-1] % 100 == 0:
                index += 1
                continue
            break
        if word == "point" and index + 1 < len(tokens) and tokens[index + 1].text.lower() in _UNITS:
            index += 1
            while index < len(tokens) and tokens[index].text.lower() in {**_UNITS, **_TENS}:
                said = tokens[index].text.lower()
                fraction += str(_UNITS[said] if said in _UNITS else _TENS[said])
                index += 1
            continue
        if not _take(word, groups):
            if word in _SCALES and word not in ("k", "m") and (groups or fraction):
                value = _join(groups) + (float(f"0.{fraction}") if fraction else 0.0)
                total += value * _SCALES[word]
                groups, fraction, scaled = [], "", True
                index += 1
                continue
            break
        index += 1
    used = index - at
    if not groups and not total and not fraction:
        return None, max(used, 1)
    rest = _join(groups) + (float(f"0.{fraction}") if fraction else 0.0)
    if scaled and total >= 1_000_000 and 0 < rest < 10:
        rest *= 100_000  # "a million two" is 1,200,000
    elif scaled and total >= 1_000_000 and 10 <= rest < 1000:
        rest *= 1000  # "one million two fifty"
    elif scaled and 1000 <= total < 1_000_000 and rest and rest < 10 and len(groups) == 1:
        total, index, used, rest = (
            total,
            index - 1,
            used - 1,
            0.0,
        )  # "ten thousand. Two bedrooms": another number begins
    return _Number(total + rest, tokens[at].start, tokens[index - 1].end, scaled), used


def _take(word: str, groups: list[int]) -> bool:
    """Add a number word to the groups said so far; False when it is none."""
    if word in _TENS:
        groups.append(_TENS[word])
    elif word in _UNITS:
        if groups and groups[-1] in _TENS.values() and _UNITS[word] < 10 and word != "oh":
            groups[-1] += _UNITS[word]
        else:
            groups.append(_UNITS[word])
    elif word == "hundred" and groups and groups[-1] < 100:
        groups[-1] *= 100
    else:
        return False
    return True


def _join(groups: list[int]) -> float:
    """ "four hundred fifty" adds up; "four fifty" and "six oh five" are said digit group by digit group."""
    value = 0
    for group in groups:
        if (value and value % 100 == 0 and group < 100 and value >= 100) or (
            value and group < 10 and value < 100 and value % 10 == 0 and value >= 20
        ):
            value += group
        elif value and value < 10 and group == 0:
            value *= 10
        elif value and value % 10 == 0 and 10 <= value < 100 and value // 10 < 10 and group < 10:
            value += group
        elif value and value < 100 and 10 <= group < 100:
            value = value * 100 + group
        elif value:
            value = value * 10 + group
        else:
            value = group
    return float(value)
