"""Dates and spans in speech: "before school starts", "in a couple of months", "between May and July" -> days from the call.

Spans are counted in days from the day of the call. A bound that the words do not give is None.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Final

from intelligence.conversation.calendar_words import DAYS, MONTHS, Spot, spots_in
from intelligence.conversation.relative_times import relative_in
from intelligence.conversation.spans import BY_THEN, COUNT, UNIT_DAYS, Timeframe, counted, spans_in

_HAPPENS: Final = r"(?:\s+(?:the|my|our|her|his|their|we|i|she|he)\s[\w' ]{2,30}\s(?:in|on|at))?"  # "before my lease ends in August"
_GAP: Final = (
    _HAPPENS
    + r"\s+(?:(?:the|about|like|maybe|say|around|probably|sometime in|our lease is up|my lease is up|the lease is up|we get to|at|in)\s+)*$"
)
_BEFORE: Final = re.compile(
    rf"\b(before|prior to|ahead of|(?<!come )(?<!swing )(?<!stop )(?<!drop )(?<!coming )(?<!came )by(?: the time)?|no later than|in time for|not (?:later|any later) than|latest by){_GAP}",
    re.I,
)
# "before it runs out October tenth": what happens on that day comes first.
_BEFORE_IT: Final = re.compile(
    r"\bbefore (?:it|he|she|they|the|my|our|his|her)(?:'s)? [^.?!,]{3,40}\s(?:on |in |around |about |right around )?(?:the )?$", re.I
)
# "by the communion, which is the second Saturday in May", "by the time they are back from winter break"
_BY_IT: Final = re.compile(
    r"\b(?:by|before) (?:the|my|our|his|her|their)\b[^.?!,]{3,40},? (?:which is |which falls )(?:on )?(?:the )?$|\bby the time [^.?!,]{3,40} from (?:the )?$",
    re.I,
)
# who reports for duty on that day has moved by then
_REPORTS: Final = re.compile(
    r"\b(?:report(?:s|ing)?(?: date| for duty)?|deploy\w*|ship(?:s|ping)? out)\b[^.?!]{0,30}\b(?:on|is|at|by|no later than) (?:the )?$",
    re.I,
)
_RUNS_OUT: Final = re.compile(
    r"\b(?:runs? out|expires?|expiring|dies|lapses|has to be (?:done|closed|sold|out)[^.?!,]{0,12})(?: on| in| at)?(?: the)? $", re.I
)
_UNTIL: Final = re.compile(
    rf"(?:\b(?:not|nothing|never|(?<!can )(?<!could )wait\w*|hold(?:ing)? off|stay(?:ing)? put|won't|can't|cannot|cant|wont|wouldnt|couldnt|shouldnt|dont)\b|n't\b)(?:(?!\b(?:so|but)\b)[^.?!]){{0,40}}\b(?:until|till|til|before){_GAP}",
    re.I,
)
_IF: Final = re.compile(r"\b(?:if|unless)\b[^.?!,;]*$", re.I)
_FROM: Final = re.compile(
    rf"\b(?:(?:the )?(?:earliest|soonest)(?: \w+){{0,4}} (?:is|would be|'d be)|starting(?: in)?|from|as early as|beginning(?: in)?|any ?time from|as soon as){_GAP}",
    re.I,
)
_UNTIL_AFTER: Final = re.compile(
    rf"\b(?:not|n't|nothing|never)\b[^.?!]{{0,40}}\b(?:until|till|til|before)\s+(?:right\s+)?after{_GAP}", re.I
)
_NOT_PAST: Final = re.compile(
    rf"\b(?:no(?:t|thing)?|never|n't|cannot|cant|dont|wont) (?:\w+ ){{0,4}}(?:past|beyond|later than){_GAP}", re.I
)
_RIGHT_AFTER: Final = re.compile(rf"\b(?:right|just|straight|shortly|soon) after{_GAP}", re.I)
_AFTER: Final = re.compile(rf"\b(?:after|once|past|following){_GAP}", re.I)
_GIVEN: Final = re.compile(
    r",?\s+(?:at (?:the )?(?:very )?(?:earliest|soonest)|or later|or after|(?:at )?(?:the )?(?:very )?latest|or (?:sooner|earlier|before)|onwards?|sharp)\b"
    r"|(?:'s|,? is|,? that's)\s+(?:my|our|the|his|her|their) (?:absolute |hard |real |final |last )*(?:cutoff|cut-off|deadline|limit|drop dead date)\b",
    re.I,
)
_NOW: Final = re.compile(
    r"\b(?:as (?:soon|fast|quickly|quick) as (?:possible|humanly possible|we can|i can|you can)|asap|a\.s\.a\.p|right away|immediately|right now(?= (?:if|we want|i want))|yesterday if|like yesterday|ready to (?:go|move) now|the sooner the better|any day now)\b",
    re.I,
)
_OFFSET: Final = re.compile(
    rf"\b(?:(?:(the|{COUNT})\s+|(?<!the )(?=day after|day before))(day|week|weekend|month|year)s?)\s+(before|after|from|of|past)\s+(?:the )?$",
    re.I,
)
_NOT_BEFORE_THEN: Final = re.compile(
    r"^[^.?!]{0,60}(?:\b(?:not|nothing|never|cannot|cant|wont|dont)|n't)\b[^.?!,]{0,30}\b(?:before|until|till) (?:then|that)\b", re.I
)
_ANY_TIME_AFTER: Final = re.compile(r"^[^.?!]{0,60}\b(?:some ?time|any ?time) after (?:that|then)\b", re.I)
# "One last Thanksgiving in that house; after that you can put the sign up."
_AFTER_THAT: Final = re.compile(
    r"^[^.?!]{0,60}[;,.]\s*(?:and |but )?after (?:that|then),? (?:you|we|i)(?:'ll| can| could| will| might)\b", re.I
)
_RIGHT_BEHIND: Final = re.compile(r"^[^.?!]{0,60}\b(?:right|soon|straight|shortly) after(?: that)?\s*(?:[.?!,]|$)", re.I)
# "We have until June", "it takes until then": the day is the last one.
_HAVE_UNTIL: Final = re.compile(
    rf"\b(?:(?:can|could) wait|have|has|had|having|got|get|gets|takes?|take|through|here|good|gave (?:us|me|him|her|them))(?: \w+){{0,2}} (?:until|till|til){_GAP}",
    re.I,
)
_UP_TO: Final = re.compile(r"\b(?:between|from) now (?:and|until|till|til|to|through)\s+(?:the )?$", re.I)
_NOT_THIS: Final = re.compile(r"\bnot $", re.I)
_NOT_SOONER: Final = re.compile(rf"\b(?:no|not any|not) (?:sooner|earlier) than{_GAP}", re.I)
_CLOSER: Final = re.compile(  # "in March, maybe the second half of March"
    r"\s*[,.]?\s*(?:(?:and|so|or|maybe|probably|most likely|ideally|hopefully|preferably|say|like|i think|i guess)[ ,]+)*(?:in |by |around )?(?:the )?"
)
_NAMED_DAY: Final = re.compile(rf"\b(?:{'|'.join((*MONTHS, *DAYS))}|today|tomorrow|\d)", re.I)
_WITHIN: Final = re.compile(r"\b(?:within|inside)(?: of)? (?:about )?$", re.I)
_MIDDLE: Final = re.compile(r"(?:the )?mid", re.I)
_AND: Final = re.compile(r"[\s,]+(?:and|but|or|though|so)?(?: [\w']+){0,6}\s*", re.I)
_END: Final = re.compile(r"(?:the )?end\b|.*'s end$", re.I)
_BY: Final = re.compile(r"\b(?:by|before|no later than|not later than)(?: about| maybe)? $", re.I)
_EITHER: Final = re.compile(
    r"\s*(?:,|to|-|–|through|,? ?or(?: maybe| even)?|,? ?maybe|,? or|,? even|,? or even)\s*(?:early |late |the )?(?:in )?"
)
_FILLER: Final = re.compile(r",?\s\b(?:um+|uh+|uhm+|er+|mm+|hm+)\b,?(?=\s)|,\s+(?:oh|say|like|what),(?=\s)", re.I)
# "in the house buy the end of June": a recogniser's "by"
_BUY: Final = re.compile(
    r"(?<!\bto )(?<!\bwe )(?<!\bi )(?<!'d )(?<!\bwould )(?<!\bcould )(?<!\bcan )(?<!\bwill )(?<!\bor )\bbuy(?= (?:bye? )?(?:(?:the )?(?:end|middle|first|beginning|start) of|then\b))",
    re.I,
)
_WEAK: Final = re.compile(r"\bweak(?=s? (?:of|from|after|before|ago)\b)", re.I)  # and its "week"
_HOURS: Final = re.compile(rf"\b(?:in|within) (?:the next )?({COUNT})[ -]hours?\b", re.I)
_NEXT_TWO_YEARS: Final = re.compile(r"\bnext year,? (?:or )?(?:maybe )?(?:the year|the one) after\b", re.I)
_SHORTLY_DAYS: Final = 14
_SOON_DAYS: Final = 30  # how far "as soon as possible" reaches, and what a move takes at least


def timeframes_in(text: str, today: date) -> list[Timeframe]:
    """Every date or span in the text, in order, without overlaps (the longest reading of a place wins)."""
    text = _FILLER.sub(lambda m: " " * len(m.group()), text.replace("’", "'"))
    text = _BUY.sub("by ", text)
    text = _WEAK.sub("week", text)
    found = [*spans_in(text), *_dates(text, today), *_this_time(text, today)]
    found += [Timeframe(0, _SOON_DAYS, m.group(), m.start(), m.end()) for m in _NOW.finditer(text)]
    named = _apart(found)
    return _closed(text, _apart([*relative_in(text, named, today), *named]))


def _apart(found: list[Timeframe]) -> list[Timeframe]:
    """In order; where two overlap the longer one stands."""
    kept: list[Timeframe] = []
    for frame in sorted(found, key=lambda t: t.start - t.end):
        if all(frame.end <= other.start or frame.start >= other.end for other in kept):
            kept.append(replace(frame, quote=" ".join(frame.quote.split())))
    return sorted(kept, key=lambda t: t.start)


def _this_time(text: str, today: date) -> Iterator[Timeframe]:
    for match in re.finditer(r"\b(?:in|over|within|during|sometime (?:in|over)) the next (week|month|year)(?: or (so|two))?\b", text, re.I):
        days = UNIT_DAYS[match[1].lower()] * (2 if match[2] and match[2].lower() == "two" else 1)
        yield Timeframe(0, round(days), match.group(), match.start(), match.end())
    for match in re.finditer(
        r"\bthis time next (january|february|march|april|may|june|july|august|september|october|november|december)\b", text, re.I
    ):
        (spot,) = spots_in(f"in {match[1]}", today) or (None,)
        if spot is not None:
            days = (spot.first - today).days % 365 if spot.first > today else 365
            yield Timeframe(days, days, match.group(), match.start(), match.end())
    for match in _HOURS.finditer(text):
        if (hours := counted(match[1])) >= 24:
            yield Timeframe(0, round(hours / 24), match.group(), match.start(), match.end())
    for match in _NEXT_TWO_YEARS.finditer(text):
        first, last = (date(today.year + 1, 1, 1) - today).days, (date(today.year + 2, 12, 31) - today).days
        yield Timeframe(first, last, match.group(), match.start(), match.end())
    for match in re.finditer(r"\bwithin (?:the|this|a) (year|month|week)\b", text, re.I):
        yield Timeframe(0, round(UNIT_DAYS[match[1].lower()]), match.group(), match.start(), match.end())
    for match in re.finditer(r"\bthis time next year\b|\b(?:in )?(?:the )?next year or (?:so|two)\b", text, re.I):
        yield Timeframe(
            *(
                (0 if _BY.search(text[: match.start()]) else 365, 365)
                if "time" in match.group().lower()
                else (0, 730 if "two" in match.group().lower() else 365)
            ),
            match.group(),
            match.start(),
            match.end(),
        )


def _closed(text: str, frames: list[Timeframe]) -> list[Timeframe]:
    """ "Not before June but no later than August": where one only opens a stretch and the next only closes it, that is one."""
    closed: list[Timeframe] = []
    for frame in frames:
        last = closed[-1] if closed else None
        opens = last is not None and last.latest_days is None and last.earliest_days is not None
        if (
            last is not None
            and opens
            and not frame.earliest_days
            and (last.earliest_days or 0) < (frame.latest_days or 0)
            and _AND.fullmatch(text[last.end : frame.start])
        ):
            closed[-1] = Timeframe(last.earliest_days, frame.latest_days, text[last.start : frame.end], last.start, frame.end)
        else:
            closed.append(frame)
    return closed


def _dates(text: str, today: date) -> Iterator[Timeframe]:
    spots = spots_in(text, today)
    index = 0
    while index < len(spots):
        spot = spots[index]
        while index + 1 < len(spots) and (joined := _joined(text, spot, spots[index + 1])) is not None:
            spot, index = joined, index + 1
        yield _bounded(text, spot, today)
        index += 1


def _moved(offset: re.Match[str], spot: Spot, today: date, within: bool) -> tuple[int, int] | None:
    """ "the week after Labor Day", "two weeks before Christmas", "a week from Saturday", "the week of June 15"."""
    count, unit, way = (offset[1] or "the").lower(), offset[2].lower(), offset[3].lower()
    if way == "of" and within:
        return 0, (spot.last - today).days + round(counted(count) * UNIT_DAYS.get(unit, 7.0))
    if way == "of":
        monday = (spot.first - today).days - spot.first.weekday()
        if unit == "weekend" and not spot.whole:
            saturday = monday + (5 if spot.first.weekday() > 1 else -2)  # "the weekend of the Fourth": the nearest one
            return max(0, saturday), max(0, saturday + 1)
        return (max(0, monday), max(0, monday + 6)) if unit == "week" and not spot.whole and count == "the" else None
    first, last = (spot.first - today).days, (spot.last - today).days
    if way == "before":
        step = counted(count) * UNIT_DAYS.get(unit, 7.0) if count != "the" else UNIT_DAYS.get(unit, 7.0)
        return (max(0, first - round(step)), max(0, first - (1 if count == "the" and unit == "week" else round(step))))
    if unit == "weekend":
        saturday = last + 1 + (5 - (spot.last.weekday() + 1)) % 7
        return saturday, saturday + 1
    if count == "the":
        return (last + 1, last + round(UNIT_DAYS[unit])) if unit != "day" else (last + 1, last + 1)
    step = round(counted(count) * UNIT_DAYS[unit])
    return last + step, last + step


def _joined(text: str, one: Spot, two: Spot) -> Spot | None:
    """ "June or July", "between May and July", "from June to August", "Easter in April" as one stretch."""
    between = text[one.end : two.start].lower()
    before = text[max(0, one.start - 24) : one.start].lower()
    again = re.fullmatch(r",\s*", between) and re.match(r"the (?!end)", text[two.start :], re.I)
    if between.strip() == "," and re.search(r"\bafter (?:the )?$", before):
        return None  # "after the holidays, January maybe"
    if (one.first.month, one.first.day, one.last) == (1, 1, date(one.first.year, 12, 31)) and _CLOSER.fullmatch(between):
        ahead = one.first.year - two.last.year
        if ahead > 0:  # "in twenty twenty-seven, most likely the first quarter"
            two = replace(two, first=_in_year(two.first, ahead), last=_in_year(two.last, ahead))
    weekday = re.fullmatch("|".join(DAYS), text[one.start : one.end], re.I) and re.fullmatch(r",?\s+", between) and two.first == two.last
    if weekday and (offset := _OFFSET.search(text[: one.start])) is not None:
        return Spot(offset.start(), two.end, two.first, two.last)  # "a week from Friday, the sixteenth"
    inside = one.first <= two.first and two.last <= one.last and _CLOSER.fullmatch(between)
    if (
        inside
        or weekday
        or _dated(text, one, two, between)
        or again
        or re.fullmatch(r",?\s*(?:which is|which would be|that's|that is|which falls on|so)\s*(?:on |in )?", between)
    ):
        return Spot(one.start, two.end, two.first, two.last)  # "spring break, the last week of March" says it again, better
    if _EITHER.fullmatch(between) and two.last > one.first:
        start = one.start - 5 if re.search(r"\bfrom $", before) else one.start
        return Spot(start, two.end, min(one.first, two.first), two.last)
    lead = re.search(r"between\s+(?:the )?$", before)
    if re.fullmatch(r"\s*and\s*(?:the )?", between) and lead is not None and two.last > one.first:
        return Spot(one.start - len(before) + lead.start(), two.end, one.first, two.last)
    if between.isspace() and one.whole and two.whole and one.last < two.first <= one.last + timedelta(days=1):
        return Spot(one.start, two.end, one.first, two.last)  # "march april", as somebody counts on
    if re.fullmatch(r"\s+in\s+", between) and two.whole and not one.whole:
        fits = two.first <= one.first <= two.last
        return Spot(one.start, two.end, one.first, one.last) if fits else Spot(one.start, two.end, two.first, two.first)
    return None


def _in_year(day: date, ahead: int) -> date:
    return date(day.year + ahead, day.month, min(day.day, 28) if day.month == 2 else day.day)


def _dated(text: str, one: Spot, two: Spot, between: str) -> bool:
    """ "before school starts, August seventeenth": an event and its date."""
    event = one.first == one.last and _NAMED_DAY.search(text[one.start : one.end]) is None
    near = two.first == two.last and abs((two.first - one.first).days) <= 31
    return event and near and re.fullmatch(r",?\s*(?:on |so |that's )?", between) is not None


def _bounded(text: str, spot: Spot, today: date) -> Timeframe:
    """Turn "these days" into bounds by the words around them."""
    first, last = max((spot.first - today).days, 0), max((spot.last - today).days, 0)
    before = text[max(0, spot.start - 70) : spot.start]
    given = _GIVEN.match(text[spot.end :])
    end = spot.end + (given.end() if given else 0)
    low: int | None = first
    high: int | None = last
    lead = None
    if (offset := _OFFSET.search(before)) is not None and (
        moved := _moved(offset, spot, today, _WITHIN.search(before[: offset.start()]) is not None)
    ) is not None:
        at = max(0, spot.start - 70) + offset.start()
        by = _BY.search(text[:at]) or BY_THEN.match(text[spot.end :])
        return Timeframe(0 if by else moved[0], moved[1], text[at : spot.end].strip(), at, spot.end)
    if (lead := _UP_TO.search(before)) is not None:
        low, high = 0, last if "through" in lead.group().lower() or not spot.whole else first
    elif _NOT_THIS.search(before) is not None and re.match(r"this (?:year|month|week|quarter)\b", text[spot.start :], re.I):
        low, high = last + 1, None  # "not this year"
    elif (lead := _NOT_SOONER.search(before)) is not None:
        low, high = first, None
    elif (lead := _UNTIL_AFTER.search(before)) is not None:
        low, high = last, None
    elif (told := _told_behind(text[spot.end :], spot, first, last)) is not None:
        low, high = told
    elif given is not None:
        early = re.search(r"earliest|soonest|later|after|onward", given.group(), re.I)
        low, high = (first, None) if early else (0, last)
    elif (lead := _NOT_PAST.search(before)) is not None or _BY_IT.search(before) is not None:
        low, high = 0, last
    elif (lead := _UNTIL.search(before)) is not None and _IF.search(before[: lead.start()]) is not None:
        low, high = 0, last  # "if we don't close before the thirty-first"
    elif (lead := _UNTIL.search(before)) is not None or (lead := _FROM.search(before)) is not None:
        low, high = (first if lead.re is _FROM else last, None) if not spot.whole else (first, last)  # "not until spring": in spring, then
    elif (lead := _HAVE_UNTIL.search(before)) is not None:
        low, high = 0, last
    elif (lead := _RIGHT_AFTER.search(before)) is not None:
        low, high = last, last + _SHORTLY_DAYS
    elif (lead := _AFTER.search(before)) is not None:
        low, high = last, None
    elif (lead := _BEFORE.search(before)) is not None:
        its_end = _END.match(text[spot.start : spot.end]) is not None
        by_its_end = lead[1].lower() not in ("before", "prior to", "ahead of") and not spot.whole
        low, high = 0, last if its_end or by_its_end else first
        if by_its_end and _MIDDLE.match(text[spot.start :]):
            high = first + (last - first) // 2
    elif _REPORTS.search(before) is not None or _BEFORE_IT.search(before) is not None or _RUNS_OUT.search(before) is not None:
        low, high = 0, last
    start = spot.start if lead is None else max(0, spot.start - 70) + lead.start()
    if lead is not None and lead.re is _UNTIL:
        start = spot.start - len(re.search(r"\S*\s*(?:(?:the|about|like|maybe|say|around|probably)\s+)*$", before).group())  # type: ignore[union-attr]  # matches always
    return Timeframe(low, high, text[start:end].strip(), start, end)


def _told_behind(after: str, spot: Spot, first: int, last: int) -> tuple[int, int | None] | None:
    """The bounds that the words behind a time give it: "closing is the tenth, and we can't move before then"."""
    if _NOT_BEFORE_THEN.match(after):
        return last, None
    if (then := BY_THEN.match(after)) is not None:
        return 0, first if spot.whole and "before" in then.group().lower() else last
    if _ANY_TIME_AFTER.match(after):
        return first if spot.whole else last, None
    if _AFTER_THAT.match(after):
        return last, None
    return (last, last + _SHORTLY_DAYS) if _RIGHT_BEHIND.match(after) else None
