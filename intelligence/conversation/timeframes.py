"""Dates and spans in speech: "before school starts", "in a couple of months", "Saturday at ten" -> days from the call.

Spans are counted in days from the day of the call. A bound that the words do not give is None.
School terms, seasons and holidays are the usual ones of the United States.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

_NUMBER: Final = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "fifteen": 15, "eighteen": 18, "twenty": 20, "thirty": 30, "forty-five": 45, "forty five": 45,
    "sixty": 60, "ninety": 90, "couple": 2, "couple of": 2, "a couple": 2, "a couple of": 2, "few": 3, "a few": 3, "several": 4, "half a": 0.5,
}  # fmt: skip
_COUNT: Final = r"(?:\d+|forty[- ]five|a couple(?: of)?|couple(?: of)?|a few|few|several|half a|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|eighteen|twenty|thirty|sixty|ninety)"
_UNIT_DAYS: Final = {"day": 1, "week": 7, "month": 30, "year": 365}
_UNIT: Final = r"(days?|weeks?|months?|years?)"
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_MONTH: Final = (
    r"(january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)"
)
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKDAY: Final = r"(monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
_ORDINALS: Final = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10,
    "eleventh": 11, "twelfth": 12, "thirteenth": 13, "fourteenth": 14, "fifteenth": 15, "sixteenth": 16, "seventeenth": 17,
    "eighteenth": 18, "nineteenth": 19, "twentieth": 20, "twenty-first": 21, "twenty first": 21, "twenty-fifth": 25, "twenty fifth": 25,
    "thirtieth": 30, "thirty-first": 31, "thirty first": 31,
}  # fmt: skip
_ORDINAL: Final = (
    r"(\d{1,2}(?:st|nd|rd|th)?|twenty[- ](?:first|fifth)|thirty[- ]first|"
    + "|".join(k for k in _ORDINALS if " " not in k and "-" not in k)
    + ")"
)
# (first month, first day, last month, last day), meteorological seasons as people speak of them when they move
_SEASONS: Final = {
    "spring": (3, 1, 5, 31), "summer": (6, 1, 8, 31), "fall": (9, 1, 11, 30), "autumn": (9, 1, 11, 30), "winter": (12, 1, 2, 28),
}  # fmt: skip
_EVENTS: Final[tuple[tuple[str, int, int], ...]] = (
    (r"school (?:starts|begins|year (?:starts|begins))|the (?:new )?school year|first day of school|school(?: is)? back", 8, 25),
    (r"school (?:ends|lets out|is out|gets out)|end of the school year|graduation", 6, 10),
    (r"christmas|xmas|the holidays", 12, 25),
    (r"thanksgiving", 11, 25),
    (r"new year'?s?|the (?:first|start|beginning) of the year|the new year|january first", 1, 1),
    (r"labor day", 9, 3),
    (r"memorial day", 5, 27),
    (r"(?:the )?fourth of july|july fourth|independence day", 7, 4),
    (r"easter", 4, 10),
    (r"halloween", 10, 31),
    (r"tax (?:season|day|time)", 4, 15),
)  # fmt: skip
_BEFORE: Final = re.compile(
    r"\b(?:before|by|until|till|no later than|prior to|in time for|ahead of)\s+(?:the\s+|about\s+|like\s+|maybe\s+)*$",
    re.I,
)
_AFTER: Final = re.compile(
    r"\b(?:after|not (?:until|till|before)|once|past|since|from|starting(?: in)?|wait(?:ing)?(?: until| till)?)\s+(?:the\s+|about\s+|like\s+)*$",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Timeframe:
    """A span in days from the call, e.g. "by March" on 2 January: earliest 0, latest 58."""

    earliest_days: int | None
    latest_days: int | None
    quote: str
    start: int
    end: int


def timeframes_in(text: str, today: date) -> list[Timeframe]:
    """Every date or span in the text, in order, without overlaps (the longest reading of a place wins)."""
    found: list[Timeframe] = []
    for reader in (
        _spans,
        _month_days,
        _events,
        _lease_months,
        _months,
        _seasons,
        _weekdays,
        _years,
        _near,
        _now,
    ):
        found.extend(reader(text, today))
    found.sort(key=lambda t: (t.start, -(t.end - t.start)))
    kept: list[Timeframe] = []
    for frame in sorted(found, key=lambda t: -(t.end - t.start)):
        if all(frame.end <= other.start or frame.start >= other.end for other in kept):
            kept.append(frame)
    return sorted(kept, key=lambda t: t.start)


def _count(word: str) -> float:
    word = " ".join(word.lower().split())
    return float(word) if word.isdigit() else float(_NUMBER.get(word, _NUMBER.get(word.removesuffix(" of"), 1)))


def _bounded(text: str, start: int, end: int, first: int, last: int) -> Timeframe:
    """Turn "the thing lies in days first..last" into bounds by the word before it."""
    before = text[max(0, start - 40) : start]
    if (match := _AFTER.search(before)) is not None:
        return Timeframe(
            last if last > first + 45 else first,
            None,
            text[start - (len(before) - match.start()) : end].strip(),
            start - (len(before) - match.start()),
            end,
        )
    if (match := _BEFORE.search(before)) is not None:
        # "by March" may mean its last day in a looser ear; the usual reading is before it is over at the latest
        latest = first if re.match(r"\s*(?:before|prior)", match.group(), re.I) else last if last - first < 10 else first
        return Timeframe(
            0,
            max(latest, 0),
            text[start - (len(before) - match.start()) : end].strip(),
            start - (len(before) - match.start()),
            end,
        )
    return Timeframe(max(first, 0), max(last, 0), text[start:end].strip(), start, end)


def _spans(text: str, today: date) -> list[Timeframe]:  # noqa: ARG001  one signature for all readers
    """ "in two to three months", "within 60 days", "a couple of years from now", "six months out"."""
    found = []
    pattern = re.compile(
        rf"\b(?:(in|within|over|for|about|next|another|under|at least|maybe|probably)\s+(?:the\s+)?(?:next\s+|about\s+|maybe\s+|like\s+|probably\s+|another\s+|at least\s+)*)?"
        rf"({_COUNT})(?:\s*(?:to|or|-|–|maybe)\s*({_COUNT}))?\s+(?:more\s+|and a half\s+)?{_UNIT}\b(\s+(?:from now|out|away|or so|tops|max|at (?:the )?most|timeline|time frame|to (?:move|close|decide|find)))?",
        re.I,
    )
    for match in pattern.finditer(text):
        lead, low_word, high_word, unit, tail = match.groups()
        tail_word = (tail or "").strip().lower()
        if (
            not lead
            and not tail
            and not re.search(
                r"\b(?:lease|move|moving|sell|buy|close|closing|timeline|deadline|decide|be in|be out|wait)\b",
                text,
                re.I,
            )
        ):
            continue
        if re.match(
            r"\s*(?:ago|old|fixed|arm\b|mortgage|loan|term|of experience|in the business|back|'s?\s+(?:worth|rent))",
            text[match.end() :],
            re.I,
        ):
            continue
        if (
            re.search(
                r"\b(?:for|past|last|been|lived here|owned it)\s*(?:about |over |the past |the last )?$",
                text[max(0, match.start() - 25) : match.start()],
                re.I,
            )
            or (lead or "").lower() == "for"
        ):
            continue
        days = _UNIT_DAYS[unit.lower().rstrip("s")]
        low = _count(low_word) * days
        high = _count(high_word) * days if high_word else low
        lead_word = (lead or "").lower()
        if (
            lead_word in ("within", "next", "over", "under")
            or "next" in match.group().lower()
            or tail_word in ("tops", "max", "at most", "at the most")
        ):
            found.append(Timeframe(0, round(high), match.group().strip(), match.start(), match.end()))
        elif "at least" in match.group().lower():
            found.append(Timeframe(round(low), None, match.group().strip(), match.start(), match.end()))
        else:
            found.append(Timeframe(round(low), round(high), match.group().strip(), match.start(), match.end()))
    return found


def _month_number(word: str) -> int:
    return next(i for i, name in enumerate(_MONTHS, 1) if name.startswith(word.lower()[:3]))


def _next(today: date, month: int, day: int) -> date:
    day = min(day, monthrange(today.year, month)[1])
    candidate = date(today.year, month, day)
    return candidate if candidate >= today else date(today.year + 1, month, min(day, monthrange(today.year + 1, month)[1]))


def _ordinal(word: str) -> int | None:
    digits = re.match(r"\d+", word)
    value = int(digits.group()) if digits else _ORDINALS.get(word.lower())
    return value if value is not None and 1 <= value <= 31 else None


def _month_days(text: str, today: date) -> list[Timeframe]:
    """ "March 15th", "the fifteenth of March", "the 30th"."""
    found = []
    for match in re.finditer(rf"\b{_MONTH}\.?\s+(?:the\s+)?{_ORDINAL}\b(?!\s*(?:,?\s*\d{{3}}|k\b))", text, re.I):
        day = _ordinal(match[2])
        if day is not None and (match[1].lower() != "may" or match[1][0] == "M" or re.search(r"\d|th|st", match[2])):
            when = (_next(today, _month_number(match[1]), day) - today).days
            found.append(_bounded(text, match.start(), match.end(), when, when))
    for match in re.finditer(rf"\bthe\s+{_ORDINAL}\s+of\s+{_MONTH}\b", text, re.I):
        day = _ordinal(match[1])
        if day is not None:
            when = (_next(today, _month_number(match[2]), day) - today).days
            found.append(_bounded(text, match.start(), match.end(), when, when))
    for match in re.finditer(r"\b(?:on|by|before|until) the (\d{1,2})(?:st|nd|rd|th)\b", text, re.I):
        day = _ordinal(match[1])
        if day is not None:
            month = today.month if day >= today.day else today.month % 12 + 1
            when = (_next(today, month, day) - today).days
            start = match.start(1)
            found.append(_bounded(text, start, match.end(), when, when))
    return found


def _events(text: str, today: date) -> list[Timeframe]:
    found = []
    for pattern, month, day in _EVENTS:
        for match in re.finditer(rf"\b(?:{pattern})\b", text, re.I):
            when = (_next(today, month, day) - today).days
            found.append(_bounded(text, match.start(), match.end(), when, when))
    return found


def _lease_months(text: str, today: date) -> list[Timeframe]:
    """ "our lease is up in June", "till June", "end of March", "early May"."""
    found = []
    for match in re.finditer(
        rf"\b(early|beginning of|start of|first of|first week of|mid(?:dle of)?|late|end of|the end of)[- ]+{_MONTH}\b",
        text,
        re.I,
    ):
        month = _month_number(match[2])
        first, last = {
            "e": (1, 10),
            "b": (1, 10),
            "s": (1, 10),
            "f": (1, 7),
            "m": (10, 20),
            "l": (20, 31),
            "t": (20, 31),
        }[match[1][0].lower()]
        if match[1].lower().startswith("end"):
            first, last = 20, 31
        begin = _next(today, month, last)
        days = (begin - today).days
        found.append(_bounded(text, match.start(), match.end(), days - (begin.day - first), days))
    return found


def _months(text: str, today: date) -> list[Timeframe]:
    found = []
    for match in re.finditer(rf"\b(next |this )?{_MONTH}\b", text, re.I):
        word = match[2]
        if (
            word.lower() in ("may", "march", "mar")
            and not word[0].isupper()
            and not re.search(
                r"\b(?:in|by|before|until|till|after|of|for|this|next|around|through|since|or|and|to)\s+$",
                text[max(0, match.start(2) - 12) : match.start(2)],
                re.I,
            )
        ):
            continue  # "we may wait", "march over there"
        if word.lower() == "may" and re.search(
            r"\b(?:I|we|you|they|he|she|it|that|this)\s+$",
            text[max(0, match.start() - 8) : match.start()],
            re.I,
        ):
            continue
        month = _month_number(word)
        last = _next(today, month, monthrange(today.year, month)[1])
        days = (last - today).days
        if re.match(r"\s+(?:of\s+)?next year", text[match.end() :], re.I) and last.year == today.year:
            days += 365
        found.append(_bounded(text, match.start(2), match.end(), days - (last.day - 1), days))
    return found


def _seasons(text: str, today: date) -> list[Timeframe]:
    found = []
    for match in re.finditer(
        r"\b(early |mid[- ]?|late |end of (?:the )?|beginning of (?:the )?|start of (?:the )?)?(?:the )?(next |this )?(spring|summer|fall|autumn|winter)(?:time| market)?\b",
        text,
        re.I,
    ):
        if match[3].lower() == "fall" and re.match(
            r"\s+(?:through|apart|for|in love|behind|off|down|by)\b|\s+\d", text[match.end() :], re.I
        ):
            continue  # "prices fall", "the deal falls through"
        if match[3].lower() == "fall" and re.search(
            r"\b(?:will|could|might|would|to|can|prices|rates|going to)\s+$",
            text[max(0, match.start() - 12) : match.start()],
            re.I,
        ):
            continue
        first_month, first_day, last_month, last_day = _SEASONS[match[3].lower()]
        last = _next(today, last_month, last_day)
        first = date(last.year if first_month <= last_month else last.year - 1, first_month, first_day)
        low, high = (first - today).days, (last - today).days
        part = (match[1] or "").lower()
        third = (high - low) // 3
        if part.startswith(("early", "beginning", "start")):
            high = low + third
        elif part.startswith(("late", "end")):
            low = high - third
        elif part.startswith("mid"):
            low, high = low + third, high - third
        found.append(_bounded(text, match.start(), match.end(), low, high))
    return found


def _weekdays(text: str, today: date) -> list[Timeframe]:
    found = []
    for match in re.finditer(
        rf"\b(next |this |coming )?{_WEEKDAY}(?:s\b)?(?:\s+(?:morning|afternoon|evening|night))?\b",
        text,
        re.I,
    ):
        if match.group().lower().rstrip().endswith("s") and match.group().lower().endswith("ys") is not False:
            continue
        ahead = (_DAYS.index(match[2].lower()) - today.weekday()) % 7
        if (match[1] or "").lower().startswith("next") and ahead < 4:
            ahead += 7
        found.append(_bounded(text, match.start(), match.end(), ahead, ahead))
    return found


def _years(text: str, today: date) -> list[Timeframe]:
    found = []
    for match in re.finditer(
        r"\b(the end of (?:the|this) year|year[- ]end|next year|this year|later this year|early next year)\b",
        text,
        re.I,
    ):
        end_of_year = (date(today.year, 12, 31) - today).days
        phrase = match[1].lower()
        if phrase == "next year":
            low, high = end_of_year + 1, end_of_year + 365
        elif phrase == "early next year":
            low, high = end_of_year + 1, end_of_year + 90
        elif "end" in phrase:
            low, high = max(0, end_of_year - 30), end_of_year
        else:
            low, high = 0, end_of_year
        found.append(_bounded(text, match.start(), match.end(), low, high))
    return found


def _near(text: str, today: date) -> list[Timeframe]:
    month_end = (date(today.year, today.month, monthrange(today.year, today.month)[1]) - today).days
    after = month_end + 1
    next_month = today + timedelta(days=after)
    next_end = after + monthrange(next_month.year, next_month.month)[1] - 1
    week_end = 6 - today.weekday()
    table = {
        "today": (0, 0), "tonight": (0, 0), "tomorrow": (1, 1), "day after tomorrow": (2, 2), "this week": (0, week_end),
        "next week": (week_end + 1, week_end + 7), "this weekend": (max(0, 5 - today.weekday()), week_end), "the weekend": (max(0, 5 - today.weekday()), week_end),
        "next weekend": (max(0, 5 - today.weekday()) + 7, week_end + 7), "end of the week": (0, week_end), "end of the month": (max(0, month_end - 7), month_end),
        "the end of next month": (next_end - 7, next_end), "this month": (0, month_end), "next month": (after, next_end),
    }  # fmt: skip
    found = []
    for phrase, (low, high) in table.items():
        for match in re.finditer(rf"\b{phrase}\b", text, re.I):
            found.append(_bounded(text, match.start(), match.end(), low, high))
    return found


def _now(text: str, today: date) -> list[Timeframe]:  # noqa: ARG001  one signature for all readers
    pattern = r"\b(?:as soon as (?:possible|we can|i can)|asap|a\.s\.a\.p|right away|immediately|right now|yesterday if|ready to (?:go|move) now|the sooner the better|as quickly as possible)\b"
    return [Timeframe(0, 30, m.group(), m.start(), m.end()) for m in re.finditer(pattern, text, re.I)]
