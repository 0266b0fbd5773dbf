"""Times told by a time named before in the same breath: "the week after", "two weeks later", "that weekend", "a month before that"."""

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Final

from intelligence.conversation.calendar_words import DAYS, MONTHS, SEASONS, month_end
from intelligence.conversation.spans import COUNT, UNIT_DAYS, Timeframe, counted

_REACH: Final = 140  # characters in which the time that is meant must have been named
_NO_NOUN: Final = r"(?=\s*(?:$|[.,?!;])|\s+(?:that|then|and|so|but|or|maybe|at|is|would|works|works?|probably|if)\b)"
_UNIT: Final = r"(day|weekend|week|month|year)"
_BEHIND: Final = re.compile(
    rf"\b(?:(the|{COUNT}) {_UNIT}s? (after|later|before|earlier|ahead|early|past)(?: of)?(?: (?:that|then|time))?{_NO_NOUN}|the following {_UNIT}\b"
    rf"|(?:the|that) ({'|'.join(DAYS)}) (?:after|following){_NO_NOUN}|({COUNT}) {_UNIT}s? (?:later|earlier|ahead|(?:before|after|past) (?:that|then))\b)",
    re.I,
)
_WITHIN: Final = re.compile(r"\b(?:(?:the )?(end|beginning|start|middle) of )?that (same )?(weekend|week|month)\b", re.I)
_NTH_WEEK: Final = re.compile(r"\bthe (first|second|third|fourth) week\b(?! (?:of|in) )", re.I)
_FROM_CLOSING: Final = re.compile(rf"\b({COUNT}) (day|week|month|year)s? (after|before) (?:the |we |they )?clos(?:e|es|ing)\b", re.I)
_CLOSES: Final = re.compile(r"\bclos(?:e|es|ing)\b", re.I)
_BY: Final = re.compile(r"\b(?:by|before|no later than)(?: about| maybe)?\s+$", re.I)
_AT_LEAST: Final = re.compile(r"\b(?:at least|minimum)\s+$", re.I)
_BE_DONE: Final = re.compile(r"\b(?:wanna|want to|need to|have to|gotta|got to|like to) (?:be|have)\b[^.?!]*$", re.I)
_ONE_AFTER: Final = re.compile(
    r"\b(?:the (?:one|year) after(?: (?:that|next))?(?=\s*(?:$|[.,?!;])|\s+(?:my|our|the|we|i|and|but|so)\b))", re.I
)
_SEASON: Final = re.compile(rf"\b(?:{'|'.join((*SEASONS, *MONTHS))})\b", re.I)
_EITHER: Final = re.compile(r"^\W*(?:ish\W*)?(?:or |maybe |or maybe |possibly )+$", re.I)


def relative_in(text: str, named: Sequence[Timeframe], today: date) -> list[Timeframe]:
    """What the words say about the time before them; ``named`` are the times that stand in the text, in order."""
    return [
        *_behind(text, named, today),
        *_within(text, named, today),
        *_nth_week(text, named, today),
        *_from_closing(text, named),
        *_one_after(text, named),
    ]


def _meant(named: Sequence[Timeframe], start: int) -> tuple[Timeframe, int, int] | None:
    """The time before this place, with its first and last day."""
    before = [frame for frame in named if frame.end <= start <= frame.end + _REACH]
    if not before:
        return None
    first, last = before[-1].earliest_days, before[-1].latest_days
    if last is None:
        return None if first is None else (before[-1], first, first)
    return before[-1], first if first else last, last  # "by the tenth" means the tenth here


def _behind(text: str, named: Sequence[Timeframe], today: date) -> Iterator[Timeframe]:
    for match in _BEHIND.finditer(text):
        if (meant := _meant(named, match.start())) is None:
            continue
        frame, first, last = meant
        begins, ends = _shifted(match, first, last, today)
        between = text[frame.end : match.start()]
        if _EITHER.search(between) or (last - first >= 6 and between.strip() == ","):
            begins = min(first, begins)  # "Labor Day, maybe the week after"
        elif _BY.search(text[: match.start()]) or (_AT_LEAST.search(text[: match.start()]) and ends < first):
            begins = 0
        elif ends < first and _BE_DONE.search(text[frame.end : match.start()]):
            begins = 0  # "we want to be painted and everything a month before that"
        yield Timeframe(max(0, begins), max(0, ends), match.group(), match.start(), match.end())


def _shifted(match: re.Match[str], first: int, last: int, today: date) -> tuple[int, int]:
    if (weekday := match[5]) is not None:
        ahead = (DAYS.index(weekday.lower()) - (today + timedelta(days=last)).weekday() - 1) % 7 + 1
        return last + ahead, last + ahead
    count, unit = (match[1] or match[6] or "the").lower(), (match[2] or match[4] or match[7]).lower()
    back = re.search(r"\b(?:before|earlier|ahead|early)\b", match.group(), re.I) is not None
    if unit == "weekend":
        saturday = (5 - (today + timedelta(days=last)).weekday() - 1) % 7 + 1
        return (last + saturday, last + saturday + 1) if not back else (first + saturday - 7, first + saturday - 6)
    step = round((1 if count == "the" else counted(count)) * UNIT_DAYS[unit])
    if back:
        return (first - step, first - 1) if count == "the" else (first - step, first - step)
    if unit == "month" and count == "the" and last - first > 10:
        begins = today + timedelta(days=last + 1)
        return last + 1, (month_end(begins) - today).days
    return (last + 1, last + step) if count == "the" else (first + step, last + step)


def _within(text: str, named: Sequence[Timeframe], today: date) -> Iterator[Timeframe]:
    for match in _WITHIN.finditer(text):
        if (meant := _meant(named, match.start())) is None:
            continue
        _, first, last = meant
        day = today + timedelta(days=first)
        match match[3].lower():
            case "weekend":
                begins = day + timedelta(days=(5 - day.weekday()) % 7 if day.weekday() < 6 else -1)
                ends = begins + timedelta(days=1)
            case "week":
                begins = day - timedelta(days=day.weekday())
                ends = begins + timedelta(days=6)
            case _:
                begins, ends = day.replace(day=1), month_end(day)
        first, last = _part((match[1] or "").lower(), (begins - today).days, (ends - today).days)
        by = _BY.search(text[: match.start()])
        yield Timeframe(0 if by else max(0, first), max(0, last), match.group(), match.start(), match.end())


def _nth_week(text: str, named: Sequence[Timeframe], today: date) -> Iterator[Timeframe]:
    """ "The second week of April, no, the third week"."""
    for match in _NTH_WEEK.finditer(text):
        if (meant := _meant(named, match.start())) is None:
            continue
        day = today + timedelta(days=meant[1])
        number = ("first", "second", "third", "fourth").index(match[1].lower())
        begins = day.replace(day=1 + 7 * number)
        if begins.month == day.month and (begins - today).days >= 0:
            first = (begins - today).days
            yield Timeframe(first, first + 6, match.group(), match.start(), match.end())


def _from_closing(text: str, named: Sequence[Timeframe]) -> Iterator[Timeframe]:
    """ "Five days after closing, and closing's set for April 30th"."""
    closing = [f for f in named if f.latest_days is not None and _CLOSES.search(text[max(0, f.start - 30) : f.start])]
    for match in _FROM_CLOSING.finditer(text):
        if len(closing) == 1 and closing[0].latest_days is not None:
            step = round(counted(match[1]) * UNIT_DAYS[match[2].lower()])
            day = max(0, closing[0].latest_days + (step if match[3].lower() == "after" else -step))
            yield Timeframe(day, day, match.group(), match.start(), match.end())


def _one_after(text: str, named: Sequence[Timeframe]) -> Iterator[Timeframe]:
    """ "Not this spring, the one after"."""
    for match in _ONE_AFTER.finditer(text):
        meant = _meant(named, match.start())
        if meant is not None and _SEASON.search(meant[0].quote):
            yield Timeframe((meant[0].earliest_days or 0) + 365, meant[2] + 365, match.group(), match.start(), match.end())


def _part(name: str, first: int, last: int) -> tuple[int, int]:
    """The end, beginning or middle of a stretch: a third of it, at its end a sixth."""
    third = (last - first + 1) // 3
    match name:
        case "end":
            return last - third // 2, last
        case "beginning" | "start":
            return first, first + third
        case "middle":
            return first + third, last - third
    return first, last
