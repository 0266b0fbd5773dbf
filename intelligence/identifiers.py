"""What identifies a person in words, written or spoken: phone and card numbers, e-mail and street addresses, codes, links.

Each finder gives spans of one kind. Prices, dates, times of day and towns are none of them.
"""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Final, Literal, TypeAlias

import phonenumbers

Kind: TypeAlias = Literal["NAME", "PHONE", "EMAIL", "CARD", "SSN", "NUMBER", "ADDRESS", "LINK"]
Span: TypeAlias = tuple[int, int]

_DIGIT: Final = {
    "zero": 1,
    "oh": 1,
    "o": 1,
    "one": 1,
    "two": 1,
    "three": 1,
    "four": 1,
    "five": 1,
    "six": 1,
    "seven": 1,
    "eight": 1,
    "nine": 1,
}
_PAIRS: Final = (
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety"
)
_PAIR: Final = dict.fromkeys(_PAIRS.split(), 2)
_SAID: Final = {**_DIGIT, **_PAIR}
_TOKEN: Final = re.compile(r"[A-Za-z]+(?:'[a-z]+)?|\d+")
_FILLERS: Final = frozenset({"um", "uh", "er", "hmm", "dash", "hyphen", "space", "then", "okay", "so"})
_LONG: Final = 7  # digits said in a row: nobody says a price that way
_CODED: Final = re.compile(
    r"\b(?:social(?: security)?(?: number)?|ssn|account|routing|card(?: number)?|pin|(?:gate|door|access|lock ?box|alarm|security|entry) code|code|combo|combination"
    r"|passcode|password|licen[sc]e(?: number)?|passport|policy number|loan number|file number|case number|last four(?: digits)?|cvv|cvc|security number"
    r"|ending in|ends in|extension|ext)\b[^.?!\d]{0,30}?$",
    re.I,
)
_MONEY_AFTER: Final = re.compile(
    r"^\s*(?:%|percent|per cent|dollars|bucks|thousand|grand|million|k\b|square|acres|bed|bath|days?|weeks?|months?|years?)", re.I
)

_EMAIL: Final = re.compile(r"[\w.+'-]+@[\w-]+(?:\.[\w-]+)+")
_LINK: Final = re.compile(r"\b(?:https?://|www\.)\S+", re.I)
_TLD: Final = r"(?:com|net|org|edu|gov|mil|io|co|us|biz|info|me|ca|uk|dev|app)"
_SPOKEN_HOST: Final = re.compile(rf"\bat\s+((?:[A-Za-z0-9-]+(?:\s+dot\s+|\.))+{_TLD})\b(?!\s+dot\b)", re.I)
_SITES: Final = re.compile(r"^(?:zillow|redfin|realtor|trulia|homes|opendoor|offerpad|craigslist)\b", re.I)
_BEFORE_MAIL_WORDS: Final = "at is it's its it email e-mail mail address to me my the that's and or reach use just send was be me's under via so well yeah yes sure contact write"
_BEFORE_MAIL: Final = frozenset(_BEFORE_MAIL_WORDS.split())
_GROUPED_MONEY: Final = re.compile(r"\$\s?\d[\d,]*(?:\.\d+)?|\b\d{1,3}(?:,\d{3})+(?:\.\d+)?\b")
_DATE: Final = re.compile(r"\b(?:19|20)\d\d-\d\d-\d\d\b|\b\d{1,2}/\d{1,2}(?:/\d{2,4})?\b|\b\d{1,2}:\d\d\b")
_DIGITS: Final = re.compile(r"(?<![\w$])\(?\+?\d(?:[\d\s().\-–/]*\d)?(?![\w%])")
_SSN: Final = re.compile(r"\b\d{3}[-. ]\d{2}[-. ]\d{4}\b")
_CARD: Final = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")
_LOCAL: Final = re.compile(r"(?<!\w)(?:\(?\d{3}\)?[-. ]{0,2})?\d{3}[-. ]\d{4}\b")

_STREET: Final = r"(?:street|st|avenue|ave|road|rd|lane|ln|court|ct|circle|cir|boulevard|blvd|terrace|ter|trail|trl|parkway|pkwy|highway|hwy|alley|crescent|cove)"
_STREET_OR_WORD: Final = (
    r"(?:drive|dr|place|pl|loop|square|sq|way|point|ridge|run|path|row|walk|plaza)"  # "two doors this way" is no address
)
_NO_STREET_WORD: Final = (
    r"(?!(?:on|a|an|the|of|in|near|from|to|at|with|for|and|or|but|is|are|was|were|it|that|this|no|not|too|so|way|than|more|less|dollars?|bucks|percent"
    r"|thousand|grand|million|hundred|k|m|beds?|bedrooms?|baths?|bathrooms?|minutes?|mins?|hours?|miles?|blocks?|houses?|homes?|doors?|days?|weeks?|months?"
    r"|years?|year|square|acres?|times?|people|kids|cars?|car|offers?|percent|units?|floors?|stor(?:y|ies)|feet|foot|ft|am|pm|o'clock|per|each|point|points)\b)"
)
_HOUSE: Final = rf"(?:\d{{1,6}}[A-Za-z]?|(?:(?:{'|'.join(_SAID)}|hundred)(?:[ -](?={'|'.join(_SAID)}|hundred)|\b)){{1,6}})"
_ADDRESS: Final = re.compile(
    rf"\b{_HOUSE},?\s+(?:(?:north|south|east|west|northeast|northwest|southeast|southwest|[NSEW]{{1,2}})\.?\s+)?(?:(?:{_NO_STREET_WORD}[A-Za-z0-9'’]+\s+){{1,3}}?{_STREET}|{_NO_STREET_WORD}[A-Za-z0-9'’]+\s+(?:(?-i:[A-Z])\w+\s+){{0,2}}{_STREET_OR_WORD})\b\.?"
    r"(?:,?\s+(?:apartment|apt|unit|suite|ste|number|#)\.?\s*#?\w+(?:\s+(?:oh|zero|one|two|three|four|five|six|seven|eight|nine))*)?",
    re.I,
)
_NAMED_STREET: Final = re.compile(
    r"\b(?!(?:Main|Wall)\b)(?:[A-Z][a-z’']+\s+){1,2}(?:Street|Avenue|Ave|Road|Lane|Drive|Court|Circle|Boulevard|Blvd|Terrace|Trail|Parkway|Alley|Crescent)\b"
)
_PO_BOX: Final = re.compile(r"\bP\.?\s?O\.?\s+box\s+(?:\d+|(?:(?:" + "|".join(_SAID) + r")\s?)+)", re.I)


def hides_something(text: str) -> bool:
    """Whether the text holds a phone number, an address or anything else that hide() would take out, names apart."""
    return any(spans(text) for _, spans in FINDERS)


def _emails(text: str) -> list[Span]:
    found = [m.span() for m in _EMAIL.finditer(text)]
    for match in _SPOKEN_HOST.finditer(text):
        if _SITES.match(match[1]):
            continue
        start = _local_part(text, match.start())
        if start < match.start():
            found.append((start, match.end()))
    return _apart(found)


def _local_part(text: str, at: int) -> int:
    """Where the words before "at gmail dot com" begin that belong to the address."""
    start, words = at, 0
    for match in reversed(list(re.finditer(r"[\w.'-]+|[,?!;:]", text[:at]))):
        word = match.group().lower()
        if re.fullmatch(r"[,?!;:]", word) or word in _BEFORE_MAIL or (word.endswith(".") and words):
            break
        start = match.start()
        words += 0 if len(word) == 1 else 1
        if words >= 8:
            break
    return start


def _links(text: str) -> list[Span]:
    return [m.span() for m in _LINK.finditer(text)]


def _addresses(text: str) -> list[Span]:
    return _apart([m.span() for pattern in (_ADDRESS, _PO_BOX, _NAMED_STREET) for m in pattern.finditer(text)])


def _phones(text: str) -> list[Span]:
    kept = _kept(text)
    found = [(m.start, m.end) for m in phonenumbers.PhoneNumberMatcher(text, "US", leniency=phonenumbers.Leniency.VALID)]
    found += [m.span() for m in _LOCAL.finditer(text)]
    return _apart([span for span in found if not _within(span, kept)])


def _written(pattern: re.Pattern[str]) -> Callable[[str], list[Span]]:
    def spans(text: str) -> list[Span]:
        kept = _kept(text)
        return [m.span() for m in pattern.finditer(text) if not _within(m.span(), kept)]

    return spans


def _numbers(text: str) -> list[Span]:
    """Long runs of digits, said or written, and short ones behind a word such as "code" or "social"."""
    kept = _kept(text)
    found = [m.span() for m in _DIGITS.finditer(text) if sum(c.isdigit() for c in m.group()) >= _LONG and not _within(m.span(), kept)]
    for start, end, digits in _said_runs(text):
        money = _MONEY_AFTER.match(text, end) is not None
        if _within((start, end), kept) or (money and digits < 10):
            continue
        if digits >= _LONG or (digits >= 3 and _CODED.search(text, max(0, start - 60), start) and not text[:start].rstrip().endswith("$")):
            found.append((start, end))
    return _apart(found)


def _said_runs(text: str) -> list[tuple[int, int, int]]:
    """(start, end, digits) of each run of digit words, written digits and fillers between them."""
    tokens = list(_TOKEN.finditer(text))
    runs: list[tuple[int, int, int]] = []
    start = end = digits = 0
    times = 1
    for before, token in pairwise([None, *tokens]):
        assert token is not None  # only the first of a pair can be
        word = token.group().lower()
        gap = text[before.end() : token.start()] if before is not None else ""
        listed = before is not None and before.group().lower() == "hundred" and "," in gap  # prices one after the other
        if digits and (listed or not re.fullmatch(r"[\s.,()/–-]*", gap)):
            runs, digits = [*runs, (start, end, digits)], 0
        if word in ("double", "triple"):
            times = 2 if word == "double" else 3
            start = start if digits else token.start()
            continue
        count = len(word) if word.isdigit() else _SAID.get(word, 2 if word == "hundred" and digits else 0)
        if count:
            start = start if digits or times > 1 else token.start()
            digits, end, times = digits + count * times, token.end(), 1
        elif word not in _FILLERS:
            runs, digits, times = ([*runs, (start, end, digits)] if digits else runs), 0, 1
    return [*runs, (start, end, digits)] if digits else runs


def _kept(text: str) -> list[Span]:
    """Money, dates and times of day, which look like numbers of another kind."""
    return [m.span() for pattern in (_GROUPED_MONEY, _DATE) for m in pattern.finditer(text)]


def _within(span: Span, kept: list[Span]) -> bool:
    return any(start <= span[0] and span[1] <= end for start, end in kept)


def _apart(spans: list[Span]) -> list[Span]:
    """Overlapping spans as one."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


FINDERS: Final[tuple[tuple[Kind, Callable[[str], list[Span]]], ...]] = (
    ("EMAIL", _emails),
    ("LINK", _links),
    ("CARD", _written(_CARD)),
    ("SSN", _written(_SSN)),
    ("PHONE", _phones),
    ("ADDRESS", _addresses),
    ("NUMBER", _numbers),
)
