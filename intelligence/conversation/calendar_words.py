"""Days of the calendar as people name them: "mid September", "the 22nd of May", "school starts", "next spring" -> dates.

School terms, seasons (meteorological) and holidays are the usual ones of the United States.
"""

import functools
import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from intelligence.conversation.spoken_numbers import TEENS, TENS, UNITS

MONTHS: Final = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")
_MONTH: Final = rf"({'|'.join(MONTHS)}|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)"
DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TH: Final = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10,
    "eleventh": 11, "twelfth": 12, "thirteenth": 13, "fourteenth": 14, "fifteenth": 15, "sixteenth": 16, "seventeenth": 17,
    "eighteenth": 18, "nineteenth": 19, "twentieth": 20, "thirtieth": 30,
    **{f"{tens}{dash}{unit}": base + n for tens, base in (("twenty", 20), ("thirty", 30)) for dash in "- "
       for n, unit in enumerate(("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"), 1) if base + n < 32},
}  # fmt: skip
_NTH: Final = rf"(\d{{1,2}}(?:st|nd|rd|th)|{'|'.join(sorted(_TH, key=len, reverse=True))})"
_NO_DAY: Final = (
    r"(?! (?:one|time|thing|place|house|offer|floor|half|bed\w*|bath\w*|showing|home|agent|of|quarter|week|street|avenue|ave|person)\b)"
)
_DAY_NUMBER: Final = rf"(\d{{1,2}}(?:st|nd|rd|th)?|{'|'.join(sorted(_TH, key=len, reverse=True))})"
# "closing is february six": a recogniser's day, where no noun and no further number follows.
_CARDINALS: Final = {
    **{word: n for word, n in {**UNITS, **TEENS}.items() if n >= 2}, "twenty": 20, "thirty": 30, "thirty one": 31,
    **{f"twenty {unit}": 20 + n for unit, n in UNITS.items()},
}  # fmt: skip
_CARDINAL: Final = (
    rf"({'|'.join(sorted(_CARDINALS, key=len, reverse=True))})"
    r"(?=\s*(?:$|[.,?!;])|\s+(?:and|but|so|then|if|we|i|they|he|she|it|or|is|was|to|at|when|because|cause|on|with|which|that|works|would|our|my|please|maybe)\b)"
)
_REACH: Final = 120  # characters behind a date in which "the 27th" is of its month
_ALONE: Final = re.compile(  # behind these words any day, elsewhere a clear one where no noun follows
    r"(?:(?<=\bon )|(?<=\bby )|(?<=before )|(?<=until )|(?<=till )|(?<=after )|(?<=around )|(?<=till about )|(?<=up )|(?<=is )|(?<=than )"
    rf"|(?<=day )|(?<=day, )|(?<=booked for )|(?<=set for )|(?<=scheduled for ))the {_NTH}\b(?: of (the|this|next) month)?{_NO_DAY}"
    rf"|\bthe (\d{{1,2}}(?:st|nd|rd|th)|{'|'.join(sorted((w for w, n in _TH.items() if n > 5), key=len, reverse=True))})\b(?: of (the|this|next) month)?"
    r"(?=\s*(?:$|[.,?!;])|\s+(?:and|but|so|then|if|we|i|they|he|she|it|or|is|was|to|at|when|because|cause|works|would|our|my|please|maybe)\b)",
    re.I,
)
SEASONS: Final = {"spring": (3, 5), "summer": (6, 8), "fall": (9, 11), "autumn": (9, 11), "winter": (12, 2)}  # months
_EVENTS: Final[tuple[tuple[str, int, int], ...]] = (
    (r"(?:the )?(?:new )?school(?: year)? (?:starts?|begins?|starting)|(?<!after )the (?:new )?school year|(?:the |my |our )?(?:kids?|boys?|girls?|children|twins|son|daughter)(?: \w+)? (?:goes|go|starts?|starting|heads?|gets?) (?:back )?(?:to )?(?:school|kindergarten|first grade)|first day of school|school(?: is|'s)? back(?: in)?|(?:back to|start of) school", 8, 25),
    (r"school (?:ends|lets out|is out|gets out)|school's out|schools out|(?:the )?end of (?:the )?school(?: year)?|out of school|graduation|the school year (?:ends|is over)|(?<=after )the school year", 6, 10),
    (r"christmas|xmas|the holidays|hanukkah", 12, 25),
    (r"new year'?s?(?: day| eve)?|(?:the )?(?:first|start|beginning|turn) of the (?:new )?year|(?<!in )the new year", 1, 1),
    (r"(?:the )?fourth of july|july fourth|independence day", 7, 4),
    (r"halloween", 10, 31),
    (r"tax (?:season|day|time)|taxes are due", 4, 15),
    (r"valentine'?s(?: day)?", 2, 14),
    (r"(?:deer|hunting) season", 11, 30), (r"(?:the )?harvest", 10, 31),
    (r"(?:saint|st\.?) patrick'?s(?: day)?", 3, 17),
    (r"spring break", 3, 15),
    (r"cinco de mayo", 5, 5),
    (r"juneteenth", 6, 19),
    (r"(?:three kings|epiphany)(?: day)?", 1, 6),
    (r"(?:the )?ides of march", 3, 15),
    (r"veterans'? day", 11, 11),
    (r"the (?:first )?snow(?: flies| falls)?(?!'s gone|'s melted| is gone| melts| melted| clears)|it snows", 12, 1),
    (r"it (?:gets|turns|is|'s) (?:too )?cold|the cold(?: weather)?(?: hits| comes| sets in)?|winter (?:hits|sets in)", 11, 20),
    (r"(?<=weekend of )the (?:fourth|4th)(?! of)|(?<=day after )the (?:fourth|4th)(?! of)|(?<=week after )the (?:fourth|4th)(?! of)|(?<=weekend after )the (?:fourth|4th)(?! of)|(?<=before )the fourth(?=\s*(?:$|[.,?!]))", 7, 4),
)  # fmt: skip
_MOVABLE: Final = (  # name, month, weekday from Monday, which one of the month from 0 (-1: the last)
    ("(?:the )?(?:kentucky )?derby", 5, 5, 0), ("thanksgiving", 11, 3, 3), ("labor day", 9, 0, 0), ("memorial day", 5, 0, -1), (r"mother'?s day", 5, 6, 1), (r"father'?s day", 6, 6, 2), (r"patriots'? day", 4, 0, 2),
    ("(?:mlk|martin luther king)", 1, 0, 2), (r"presidents?'?s? day", 2, 0, 2), ("columbus day", 10, 0, 1), ("the super bowl", 2, 6, 1),
)  # fmt: skip
_QUALIFIED: Final = {"ear": (1, 10), "beg": (1, 10), "sta": (1, 10), "mid": (10, 20), "lat": (20, 31), "end": (25, 31)}  # days of a month
_YEAR: Final = r"(?:,? (?:of )?(next year|20[2-4]\d|'[23]\d\b|(?:twenty|two thousand(?: and)?) (?:twenty|thirty)[- ]?(?:one|two|three|four|five|six|seven|eight|nine)?|(?<=of )(?:twenty|thirty)[- ](?:one|two|three|four|five|six|seven|eight|nine)))?"

# what lies behind or comes round every year: "last summer", "since, what, January", "back in May", "Mom passed in October"
_DID: Final = r"(?:(?:was|were)(?! \w+ing\b)|did|bought|moved|sold|listed|closed|redid|replaced|passed(?: away)?|died|fell|lost|retired|divorced|started|began|broke|hit|paid|refinanced|inherited|expired|r[au]n out|came (?:off|up|out|home)|signed|happened|quit|hired|filed|opened|dropped|reduced|(?:had|got) (?:\w+ ){1,3}(?:done|redone|replaced|painted|put in))"
_BEHIND: Final = re.compile(
    r"\b(?:(?<!one )last|past|all|since(?:,? (?:what|like|about|around|maybe|uh|um|sometime in),?)*|every|each|back in|back around|born (?:in|on))(?: the)?\s+$",
    re.I,
)
_HAPPENED: Final = re.compile(
    rf"\b{_DID}(?: [\w']+){{0,3}} (?:back )?(?:in|on|at|around)(?:,? (?:what|like|about|around),?)*(?: the)?\s+$", re.I
)
# "we want it sold in June", "could have it closed by then", "if he started in May": wished or supposed, not behind
_WISHED: Final = re.compile(
    r"\b(?:want\w*|need\w*|have|has|had|get|gets|getting|be|being|to|like|love|hop\w+|if|say|suppose|once|when|until|till|before|after|could|would|will|should|might|'d|'ll)\b[^.?!,;]{0,30}$",
    re.I,
)
_OF_LAST_YEAR: Final = re.compile(r",?\s*(?:of )?last year\b", re.I)
_SUPPOSED: Final = re.compile(
    r"\b(?:if|say|suppose|not|n't)\b[^.?!,]{0,30}$|\b(?:no(?:t|thing)?|never|n't) (?:\w+ ){0,4}past (?:the )?$", re.I
)


@dataclass(frozen=True, slots=True)
class Spot:
    """Words that name days: the first and the last of them. ``whole`` is a stretch such as a month, not a date."""

    start: int
    end: int
    first: date
    last: date

    @property
    def whole(self) -> bool:
        return (self.last - self.first).days > 10


def spots_in(text: str, today: date) -> list[Spot]:
    """Every day or stretch named, in order; where two readings overlap the longer one stands."""
    readers = (
        _month_days,
        _between_days,
        _beside,
        _numeric,
        _nth,
        _holidays,
        _parts_of_month,
        _halves,
        _months,
        _seasons,
        _quarters,
        _years,
        _parts_of_year,
        _weekdays,
        _near,
    )
    found = [s for reader in readers for s in reader(text, today) if not (_behind(text[: s.start]) or _OF_LAST_YEAR.match(text[s.end :]))]
    kept: list[Spot] = []
    for spot in sorted(found, key=lambda s: s.start - s.end):
        if all(spot.end <= other.start or spot.start >= other.end for other in kept):
            kept.append(spot)
    return sorted(kept, key=lambda s: s.start)


def _behind(before: str) -> bool:
    if _SUPPOSED.search(before) is not None:
        return False
    happened = _HAPPENED.search(before)
    return _BEHIND.search(before) is not None or (happened is not None and _WISHED.search(before[: happened.start()]) is None)


def _month_number(word: str) -> int:
    return next(i for i, name in enumerate(MONTHS, 1) if name.startswith(word.lower()[:3]))


def _day(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, monthrange(year, month)[1]))


def month_end(day: date) -> date:
    return _day(day.year, day.month, 31)


def _coming(today: date, month: int, day: int, year: str | None = None) -> date:
    """The next such day, or the one in the year named."""
    if year is not None:
        return _day(year_of(year, today), month, day)
    candidate = _day(today.year, month, day)
    return candidate if candidate >= today else _day(today.year + 1, month, day)


def nth_days(text: str) -> Iterator[tuple[re.Match[str], int]]:
    """ "the 15th", "eighteenth": each with its number, where a day of a month may be meant."""
    for match in re.finditer(rf"\b{_NTH}\b(?=\s+of {_MONTH})|\b{_NTH}\b{_NO_DAY}", text, re.I):
        if (day := _nth_day(match[1] or match[3])) is not None:
            yield match, day


def year_of(said: str, today: date) -> int:
    """ "2027", "'27", "next year", "twenty twenty-seven"."""
    if said.lstrip("'").isdigit():
        return int(said.lstrip("'")) + (2000 if said.startswith("'") else 0)
    if said.lower() == "next year":
        return today.year + 1
    words = re.split(r"[- ]", said.lower())
    if words[0] in ("twenty", "thirty") and words[1:2] and words[1] in UNITS:
        return 2000 + TENS[words[0]] + UNITS[words[1]]  # "march of twenty eight"
    return 2000 + sum({**TENS, **TEENS, **UNITS}.get(w, 0) for w in words[1:] if w not in ("thousand", "and"))


def _nth_day(word: str) -> int | None:
    digits = re.match(r"\d+", word)
    value = int(digits.group()) if digits else _TH.get(" ".join(word.lower().split()))
    return value if value is not None and 1 <= value <= 31 else None


def _spot(match: re.Match[str], first: date, last: date | None = None) -> Spot:
    return Spot(match.start(), match.end(), first, last or first)


def _month_days(text: str, today: date) -> Iterator[Spot]:
    """ "March 15th", "the fifteenth of March", "May the first"."""
    for match in re.finditer(
        rf"\b{_MONTH}\.?,? (?:the )?{_DAY_NUMBER}\b(?!\s*(?:,\d{{3}}|k\b|or \w+ months?|months?|weeks?|week of)){_YEAR}", text, re.I
    ):
        if (day := _nth_day(match[2])) is not None:
            yield _spot(match, _coming(today, _month_number(match[1]), day, match[3]))
    for match in re.finditer(rf"\b{_MONTH} {_CARDINAL}", text, re.I):
        yield _spot(match, _coming(today, _month_number(match[1]), _CARDINALS[match[2].lower()]))
    for match in re.finditer(rf"\b{_MONTH} one(?=\s*(?:$|[.,?!;]))", text, re.I):
        yield _spot(match, _coming(today, _month_number(match[1]), 1))
    days = "|".join((*DAYS, "weekend"))
    for match in re.finditer(rf"\b(?:the )?(first|second|third|fourth|last) ({days}) (?:in|of) {_MONTH}\b{_YEAR}", text, re.I):
        when, nth = (
            _coming(today, _month_number(match[3]), 31, match[4]),
            ("first", "second", "third", "fourth", "last").index(match[1].lower()),
        )
        weekend = match[2].lower() == "weekend"
        begins = _weekday_of(when.year, when.month, 5 if weekend else DAYS.index(match[2].lower()), -1 if nth == 4 else nth)
        yield _spot(match, begins, begins + timedelta(days=weekend))
    for match in re.finditer(rf"\b(?:the )?{_NTH} (?:day )?of {_MONTH}\b{_YEAR}", text, re.I):
        if (day := _nth_day(match[1])) is not None:
            yield _spot(match, _coming(today, _month_number(match[2]), day, match[3]))
    for match in re.finditer(rf"\b(?:the )?last day of {_MONTH}\b{_YEAR}", text, re.I):
        yield _spot(match, _coming(today, _month_number(match[1]), 31, match[2]))


def _numeric(text: str, today: date) -> Iterator[Spot]:
    for match in re.finditer(r"(?<![\d/$.])\b(1[0-2]|[1-9])/([12]\d|3[01]|[1-9])(?:/(?:20)?(2\d))?\b(?![/\d])", text):
        yield _spot(match, _coming(today, int(match[1]), int(match[2]), f"20{match[3]}" if match[3] else None))


def _nth(text: str, today: date) -> Iterator[Spot]:
    """ "by the fifteenth", "Thursday the 23rd": behind a date that was named its month, else this one, or the next when it is past."""
    alone = list(_ALONE.finditer(text))
    named = list(_month_days(text, today)) if alone else []
    for match in alone:
        if (day := _nth_day(match[1] or match[3])) is None:
            continue
        before = [spot for spot in named if spot.end <= match.start() <= spot.end + _REACH]
        since = max(before, key=lambda spot: spot.end).last if before else today
        shift = 1 if (match[2] or match[4] or "").lower() == "next" or day < since.day else 0
        month = (since.month - 1 + shift) % 12 + 1
        spot = _spot(match, _day(since.year + (since.month + shift > 12), month, day))
        named.append(spot)
        yield spot


def _holidays(text: str, today: date) -> Iterator[Spot]:
    for pattern, month, day in _EVENTS:
        for match in re.finditer(rf"\b(?:{pattern})\b(?: in {_MONTH})?", text, re.I):
            when = _coming(today, month, day)
            yield _spot(match, when, when + timedelta(days=7) if "holidays" in match.group().lower() else when)
    for name, month, weekday, nth in _MOVABLE:
        for match in re.finditer(rf"\b{name}(?: (?:weekend|week|day))?\b", text, re.I):
            yield _spot(match, _next(today, functools.partial(_weekday_of, month=month, weekday=weekday, nth=nth)))
    for match in re.finditer(r"\b(?:the )?election(?: day)?\b", text, re.I):
        yield _spot(match, _next(today, _election))
    for match in re.finditer(r"\b(?:mardi gras|fat tuesday)\b", text, re.I):
        yield _spot(match, _next(today, lambda year: _easter(year) - timedelta(days=47)))
    for match in re.finditer(r"\beaster\b", text, re.I):
        yield _spot(match, _next(today, _easter))


def _next(today: date, day_in: Callable[[int], date]) -> date:
    """This year's such day, or the next year's when it is past."""
    this = day_in(today.year)
    return this if this >= today else day_in(today.year + 1)


def _election(year: int) -> date:
    """The Tuesday after the first Monday of November."""
    return _weekday_of(year, 11, 0, 0) + timedelta(days=1)


def _between_days(text: str, today: date) -> Iterator[Spot]:
    """ "between the tenth and the twentieth of October", "from June 1st to the 15th"."""
    for match in re.finditer(rf"\b(?:between|from) the {_NTH} (?:and|to|through|or) (?:the )?{_NTH} of {_MONTH}\b", text, re.I):
        first, last = _nth_day(match[1]), _nth_day(match[2])
        if first is not None and last is not None and first < last:
            end = _coming(today, _month_number(match[3]), last)
            yield _spot(match, _day(end.year, end.month, first), end)
    for match in re.finditer(r"\b(?:over |during )?(?:the )?(?:christmas|winter|holiday) break\b", text, re.I):
        begins = _coming(today, 12, 20)
        yield _spot(match, begins, begins + timedelta(days=14))


def _beside(text: str, today: date) -> Iterator[Spot]:
    """ "the Monday after Thanksgiving", "the weekend before Labor Day"."""
    for spot in _holidays(text, today):
        lead = re.search(rf"\b(?:the )?({'|'.join(DAYS)}|weekend) (after|following|before) $", text[: spot.start], re.I)
        if lead is None:
            continue
        weekday = 5 if lead[1].lower() == "weekend" else DAYS.index(lead[1].lower())
        before = lead[2].lower() == "before"
        ahead = -((spot.first.weekday() - weekday - 1) % 7 + 1) if before else (weekday - spot.last.weekday() - 1) % 7 + 1
        first = (spot.first if before else spot.last) + timedelta(days=ahead)
        yield Spot(lead.start(), spot.end, first, first + timedelta(days=lead[1].lower() == "weekend"))


def _weekday_of(year: int, month: int, weekday: int, nth: int) -> date:
    """The nth (from 0; -1: last) Monday, Tuesday... of a month."""
    days = [date(year, month, d) for d in range(1, monthrange(year, month)[1] + 1)]
    return [d for d in days if d.weekday() == weekday][nth]


def _easter(year: int) -> date:
    """The anonymous Gregorian algorithm (Meeus 1991)."""
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    i = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * i) // 451
    month, day = divmod(h + i - 7 * m + 114, 31)
    return date(year, month, day + 1)


def _parts_of_month(text: str, today: date) -> Iterator[Spot]:
    """ "early April", "end of May", "the first week of June"."""
    pattern = rf"\b(?:the )?(early|beginning of|start of|first part of|mid(?:dle of)?|late|end of|last (?:week|part) of|first week of|second week of|third week of)[- ]+(?:the month of )?{_MONTH}\b{_YEAR}"
    for match in re.finditer(pattern, text, re.I):
        word, month = match[1].lower(), _month_number(match[2])
        first, last = _QUALIFIED.get(word[:3], (24, 31))
        if "week" in word and not word.startswith("last"):
            number = ("first", "second", "third").index(word.split()[0])
            first, last = 1 + 7 * number, 7 + 7 * number
        elif word.startswith("first"):
            first, last = 1, 10
        end = _coming(today, month, last, match[3])
        yield _spot(match, end.replace(day=first), end)


def _halves(text: str, today: date) -> Iterator[Spot]:
    """ "the first half of May", "the back half of the year", "the first two weeks of June"."""
    half = r"\b(?:the )?(?:(first|front|second|back|last) (?:half|two weeks|couple(?: of)? weeks|part))(?: of| in)?(?: the)? "
    for match in re.finditer(rf"{half}{_MONTH}\b{_YEAR}", text, re.I):
        end = _coming(today, _month_number(match[2]), 31, match[3])
        early = match[1].lower() in ("first", "front")
        yield _spot(match, end.replace(day=1 if early else 16), end.replace(day=15) if early else end)
    for match in re.finditer(rf"{half}(next year|this year|year|(?<!\d)20[2-4]\d)\b", text, re.I):
        early, named = match[1].lower() in ("first", "front"), match[2].lower()
        year = today.year if named in ("this year", "year") else year_of(named, today)
        first, last = (date(year, 1, 1), date(year, 6, 30)) if early else (date(year, 7, 1), date(year, 12, 31))
        yield _spot(match, max(first, today), max(last, today))


def _is_month(text: str, match: re.Match[str]) -> bool:
    """Whether "may" or "march" is the month: a word that a month follows, a capital, or "May or June"."""
    before, after = text[: match.start()], text[match.end() :]
    if re.match(r"\s*(?:(?:or|and) )?(?:june|july|april)\b", after, re.I):
        return True
    if re.search(r"\b(?:i|we|you|they|he|she|it|that|this|which|rates|prices|there|who)\s+$", before, re.I):
        return False
    if re.search(
        r"\b(?:in|by|before|until|till|after|of|for|around|through|since|or|and|to|between|from|maybe|say|like|early|late|mid|next|last|(?:early|soon|late) as)\s+$",
        before,
        re.I,
    ):
        return True
    if re.match(
        r"\s*(?:(?:or|and|through|to) (?:june|july|april)\b|,|\.|!|\?|$|(?:works|would|ideally|sometime|is (?:good|fine|best|when|our))\b)",
        after,
        re.I,
    ):
        return True
    return match[1][0].isupper() and (bool(before.strip()) or match[1].lower() != "may")


def _months(text: str, today: date) -> Iterator[Spot]:
    for match in re.finditer(rf"\b(?:next |this )?{_MONTH}\b{_YEAR}", text, re.I):
        word, _before = match[1], text[: match.start()]
        if word.lower() in ("may", "march", "mar") and not match[2] and not _is_month(text, match):
            continue  # "we may wait", "march over there"
        month = _month_number(word)
        last = _coming(today, month, 31, match[2])
        if match.group().lower().startswith("next ") and 0 <= (last.year - today.year) * 12 + last.month - today.month <= 1:
            last = _day(last.year + 1, month, 31)  # said in March, next March and next April are not those at hand
        if (next_but_one := re.match(r" after next\b", text[match.end() :], re.I)) is not None:
            last = _day(last.year + 1, month, 31)
            yield Spot(match.start(), match.end() + next_but_one.end(), last.replace(day=1), last)
            continue
        yield _spot(match, last.replace(day=1), last)


def _seasons(text: str, today: date) -> Iterator[Spot]:
    pattern = rf"\b(?:(early|mid(?:dle of)?|late|end of|beginning of|start of|first of|first half of|second half of|last half of|back half of)[- ]?(?: the)? ?)?(?:the )?(next |this |coming )?(?:(early|late) )?(spring|summer|fall|autumn|winter)(?:time| market)?\b('s end)?(?! break){_YEAR}"
    for match in re.finditer(pattern, text, re.I):
        after, before = text[match.end() :], text[: match.start()]
        fall = match[4].lower() == "fall"
        if re.search(r"(?<!before )\b(?:another|one more) $", before, re.I):
            continue  # "one more winter of this"
        if (
            fall
            and match[2] is None
            and (
                re.match(r"\s+(?:through|apart|for|in love|behind|off|down|by|out|into|back)\b|\s+\d", after, re.I)
                or re.search(r"\b(?:will|could|might|would|to|can|prices|rates|values|a|her|his|bad|they|deal)\s+$", before, re.I)
            )
        ):
            continue  # "prices fall", "the deal falls through", "after her fall"
        first, last = _season(match[4].lower(), today, match[6], (match[2] or "").strip().lower() == "next")
        if (next_but_one := re.match(r" after next\b", after, re.I)) is not None:
            first, last = first.replace(year=first.year + 1), _day(last.year + 1, last.month, 31)
            yield Spot(match.start(), match.end() + next_but_one.end(), first, last)
            continue
        third, part = (last - first) // 3, (match[1] or match[3] or ("end" if match[5] else "")).lower()[:3]
        if "half" in (match[1] or ""):
            middle = first + (last - first) // 2
            first, last = (first, middle) if part == "fir" else (middle, last)
        elif part in ("ear", "beg", "sta", "fir"):
            last = first + third
        elif part in ("lat", "end"):
            first = last - third
        elif part == "mid":
            first, last = first + third, last - third
        yield _spot(match, first, last)


def _season(name: str, today: date, year: str | None, after_this: bool) -> tuple[date, date]:
    first_month, last_month = SEASONS[name]
    turns = first_month > last_month
    last = _coming(today, last_month, 31, year)
    if after_this and year is None and last.year == today.year and not turns:
        last = _day(today.year + 1, last_month, 31)  # said in March, next summer is not the one at hand
    return date(last.year - turns, first_month, 1), last


def _quarters(text: str, today: date) -> Iterator[Spot]:
    for match in re.finditer(
        rf"\b(?:the )?(?:(first|second|third|fourth|last) quarter|q([1-4])|quarter (one|two|three|four))\b{_YEAR}", text, re.I
    ):
        word = (match[1] or match[3] or "").lower()
        number = int(match[2]) if match[2] else UNITS.get(word) or {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": 4}[word]
        last = _coming(today, 3 * int(number), 31, match[4])
        begins = date(last.year, 3 * int(number) - 2, 1)
        yield _spot(match, last - timedelta(days=10) if re.search(r"\bend of (?:the )?$", text[: match.start()], re.I) else begins, last)
    this = _coming(today, (today.month - 1) // 3 * 3 + 3, 31)
    after = this + timedelta(days=1)
    for match in re.finditer(r"\b(?:the )?(end of )?(?:the |this )(?:current )?quarter\b", text, re.I):
        yield _spot(match, this - timedelta(days=7) if match[1] else today, this)
    for match in re.finditer(r"\bnext quarter\b", text, re.I):
        yield _spot(match, after, _coming(after, (after.month - 1) // 3 * 3 + 3, 31))


def _years(text: str, today: date) -> Iterator[Spot]:
    pattern = r"\b(?:(the )?((?:end of (?:the|this|next)(?: calendar)? year|(?:the )?year'?s? (?:is out|is over|ends)|(?:the )?year's (?:out|over))|(?:the )?(?:calendar )?year(?:'s)?[- ]end)|((?:early |late |later |sometime |middle of |beginning of |start of |first thing )?(?:in )?(?:next year(?!'s)|this year))|(?:(?<=in )|(?<=until )|(?<=till )|(?<=til )|(?<=before )|(?<=maybe )(?=20)|(?<=probably )(?=20)|(?<=around )(?=20)|(?<=sometime )(?=20))(20[2-4]\d(?! (?:sq|feet|foot))|two thousand(?: and)? (?:twenty|thirty)[- ]?\w*|twenty (?:twenty|thirty)(?:[- ]?(?:six|seven|eight|nine|one|two|three|four|five))?))\b"
    for match in re.finditer(pattern, text, re.I):
        phrase = match.group().lower()
        if (
            re.search(
                r"\b(?:this time|or|later|(?<=in )the|(?<=over )the|(?<=within )the|(?<=during )the)\s+$", text[: match.start()], re.I
            )
            and "next" in phrase
        ):
            continue  # spans say it: "this time next year", "the next year or two", "in the next year"
        if re.match(r"\s+or (?:two|so)\b", text[match.end() :], re.I):
            continue
        year = today.year + ("next" in phrase) if match[4] is None else year_of(match[4], today)
        first, last = _part_of_year("end" if "end of" in phrase else phrase.split()[0], year)
        if re.search(r" (?:out|over|ends)$", phrase):
            first = last
        elif "end" in phrase and "end of" not in phrase:
            first = date(year, 12, 22)
        yield _spot(match, max(first, today), last)


def _part_of_year(word: str, year: int) -> tuple[date, date]:
    """The days of a year that its part means ("early", "middle", "late", "end"); of another word all of them."""
    match word:
        case "early" | "beginning" | "start" | "first":
            return date(year, 1, 1), date(year, 3, 31)
        case "mid" | "middle":
            return date(year, 5, 15), date(year, 8, 15)
        case "late":
            return date(year, 10, 1), date(year, 12, 31)
        case "end":
            return date(year, 12, 1), date(year, 12, 31)
    return date(year, 1, 1), date(year, 12, 31)


def _parts_of_year(text: str, today: date) -> Iterator[Spot]:
    """ "Early 2027", "the end of twenty-seven"."""
    named = r"(20[2-4]\d|twenty(?:[- ]twenty)?[- ](?:five|six|seven|eight|nine)|twenty[- ]thirty)"
    for match in re.finditer(rf"\b(?:the )?(early|mid|middle of|late|end of|start of|beginning of)[ -]{named}\b", text, re.I):
        year, part = year_of(match[2], today), match[1].lower().split()[0]
        if year < today.year or (
            match[2].lower().startswith("twenty")
            and re.match(r"\s*(?:days?|weeks?|months?|years?|thousand|hundred)\b", text[match.end() :], re.I)
        ):
            continue
        first, last = _part_of_year(part, year)
        yield _spot(match, max(first, today), max(last, today))


def _weekdays(text: str, today: date) -> Iterator[Spot]:
    for match in re.finditer(rf"\b(next |this |coming )?({'|'.join(DAYS)})(?:\s+(?:morning|afternoon|evening|night))?\b", text, re.I):
        ahead = (DAYS.index(match[2].lower()) - today.weekday()) % 7
        if (match[1] or "").lower().startswith("next") and ahead < 4:
            ahead += 7
        if re.match(r"\s+week\b", text[match.end() :], re.I):
            ahead += 7  # "Friday week"
        yield _spot(match, today + timedelta(days=ahead))


def _near(text: str, today: date) -> Iterator[Spot]:
    this_end = month_end(today)
    next_first = this_end + timedelta(days=1)
    next_end = month_end(next_first)
    after_next = next_end + timedelta(days=1)
    week_end = today + timedelta(days=6 - today.weekday())
    saturday, day = max(today, week_end - timedelta(days=1)), timedelta(days=1)
    table = {
        r"today|tonight": (today, today), r"(?<!day after )tomorrow": (today + day, today + day), "(?:the )?day after tomorrow": (today + 2 * day, today + 2 * day),
        "(?:the )?week after next": (week_end + 8 * day, week_end + 14 * day), "(?:the )?weekend after next": (week_end + 13 * day, week_end + 14 * day),
        "(?:early|beginning of|start of) next week": (week_end + day, week_end + 3 * day), "(?:late|later|end of) next week": (week_end + 4 * day, week_end + 7 * day),
        "(?:later|late) this week": (today + 2 * day, week_end), "(?:early|beginning of) next month": (next_first, next_first + 9 * day),
        "late next month": (next_end - 9 * day, next_end), "(?:late|later) this month": (max(today, this_end - 12 * day), this_end),
        "(?<=in )the new year": (date(today.year + 1, 1, 1), date(today.year + 1, 2, 28)),
        "this week": (today, week_end), "next week": (week_end + day, week_end + 7 * day), "(?:this|the|this coming) weekend": (saturday, week_end),
        "next weekend": (week_end + 6 * day, week_end + 7 * day), "(?:the )?end of (?:the|this) week": (week_end - 2 * day, week_end),
        "(?:the )?end of (?:the|this) month": (this_end - 5 * day, this_end), "(?:the )?end of next month": (next_end - 5 * day, next_end),
        "(?:the )?month after next": (after_next, month_end(after_next)), "(?:the )?end of the month after next": (month_end(after_next) - 5 * day, month_end(after_next)),
        "(?:the )?(?:first|beginning|start) of (?:next|the) month": (next_first, next_first), "this month": (today, this_end), "(?:the )?(?:middle of|mid) next month": (next_first + 9 * day, next_first + 19 * day), "(?<!the )next month": (next_first, next_end),
    }  # fmt: skip
    for phrase, (first, last) in table.items():
        for match in re.finditer(rf"\b(?:{phrase})\b", text, re.I):
            yield _spot(match, first, last)
