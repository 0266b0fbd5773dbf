"""Dates and spans in speech: "before school starts", "in a couple of months", "between May and July" -> days from the call.

Spans are counted in days from the day of the call. A bound that the words do not give is None.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from intelligence.conversation.calendar_words import Spot, spots_in
from intelligence.conversation.spoken_numbers import TEENS, TENS, UNITS

_SMALL: Final = "|".join((*UNITS, *TEENS))
_TEN: Final = "|".join(TENS)
_COUNT: Final = rf"(?:\d+(?:\.5)?|(?:a|one) hundred(?: and)?(?: (?:{_TEN}|{_SMALL}))?|(?:{_TEN})(?:[- ](?:{'|'.join(UNITS)}))?|a couple(?: of)?(?: more)?|couple(?: of)?|a few(?: more)?|few|several|half a|half an|another|an?|{_SMALL})"
_UNIT_DAYS: Final = {"day": 1.0, "week": 7.0, "fortnight": 14.0, "month": 30.0, "year": 365.0}
_VAGUE: Final = {"couple": 2.0, "few": 3.0, "several": 4.0, "half": 0.5, "a": 1.0, "an": 1.0}
_SPAN: Final = re.compile(
    rf"\b(?:(in|within|inside of|inside|under|over|for|about|another|at least|more than|less than|no more than|no longer than|g[ia]ves? (?:it|us|me|him|her|them)|next|after)\s+)?(?:the\s+)?(next\s+|coming\s+)?(?:(?:about|maybe|like|probably|another|at least|roughly|say)\s+)*"
    rf"({_COUNT})(?:\s*(?:to|or|-|–|maybe|,)\s*(?:maybe |even )?({_COUNT}))?[\s-]+(?:more\s+)?(and a half\s+)?(days?|weeks?|fortnight|months?|years?)\b'?(\s+and a half|\s+or two|\s+or three)?"
    rf"((?:\s+|,\s*(?=tops|max|at (?:the )?most|or less|or sooner|or so|minimum))(?:from (?:now|today)|time\b|close|closing|escrow|left (?:on|in|with)|out(?: from)?|away|or so|tops|max|at (?:the )?most|or less|or sooner|timeline|time frame|down the road|minimum|to (?:move|close|decide|find|get|go|sell|pack)))?",
    re.I,
)
_OR_MORE: Final = re.compile(
    rf",?\s*(?:maybe|or|or maybe|maybe even)\s+({_COUNT})\b(?!\s*(?:-|days?|weeks?|months?|years?|people|of us|thousand|grand|k\b|percent|bed))",
    re.I,
)
_NOT_AHEAD: Final = re.compile(
    r"\s*(?:ago|(?:before|after|from|past) (?=\w)(?!now|today|then|that|we|i\b|they)|old|fixed|arm\b|mortgage|loan|note|lease|term|of experience|in the business|back|'s?\s+(?:worth|rent)|'?\s*warranty|contract|listing|behind|later|now\b|of (?:work|rent|payments)|in a row|straight|earlier|before (?:that|we|i) (?:bought|moved))",
    re.I,
)
_PAST: Final = re.compile(
    r"\b(?:for|past|last|been|lived (?:here|there)|owned it|every|each|a|per|almost|took|took us|spent|first|these|married|working)\s*(?:about |over |the past |the last |like |almost )?$",
    re.I,
)
_AHEAD: Final = re.compile(
    r"\b(?:lease|move|moving|sell|selling|buy|buying|list|listing|close|closing|timeline|deadline|decide|be in|be out|wait|ready|settled|settle|notice|left|until|retire|start|planning|looking|thinking|hoping|probably|realistically|ideally)\b",
    re.I,
)
_MUST: Final = re.compile(
    r"\b(?:have to|has to|need to|needs to|must|got to|gotta|need it|want it|gone|sold|out of here|we have|i have|only (?:have|got)|we've got|i've got|need an?)\b[^.?!]{0,40}$",
    re.I,
)
_HAPPENS: Final = r"(?:\s+(?:the|my|our|her|his|their|we|i|she|he)\s[\w' ]{2,30}\s(?:in|on|at))?"  # "before my lease ends in August"
_GAP: Final = (
    _HAPPENS
    + r"\s+(?:(?:the|about|like|maybe|say|around|probably|sometime in|our lease is up|my lease is up|the lease is up|we get to|at|in)\s+)*$"
)
_BEFORE: Final = re.compile(
    rf"\b(before|prior to|ahead of|by(?: the time)?|no later than|in time for|not (?:later|any later) than|latest by){_GAP}", re.I
)
# "before it runs out October tenth": what happens on that day comes first.
_BEFORE_IT: Final = re.compile(
    r"\bbefore (?:it|he|she|they|the|my|our|his|her)(?:'s)? [^.?!,]{3,40}\s(?:on |in |around |about |right around )?(?:the )?$", re.I
)
_RUNS_OUT: Final = re.compile(
    r"\b(?:runs? out|expires?|expiring|has to be (?:done|closed|sold|out)[^.?!,]{0,12})(?: on| in| at)?(?: the)? $", re.I
)
_UNTIL: Final = re.compile(
    rf"(?:\b(?:not|nothing|never|wait\w*|hold(?:ing)? off|stay(?:ing)? put|won't|can't|cant|wont)\b|n't\b)[^.?!]{{0,40}}\b(?:until|till|til|before){_GAP}",
    re.I,
)
_FROM: Final = re.compile(rf"\b(?:starting(?: in)?|from|as early as|beginning(?: in)?|any ?time from|as soon as){_GAP}", re.I)
_UNTIL_AFTER: Final = re.compile(
    rf"\b(?:not|n't|nothing|never)\b[^.?!]{{0,40}}\b(?:until|till|til|before)\s+(?:right\s+)?after{_GAP}", re.I
)
_RIGHT_AFTER: Final = re.compile(rf"\b(?:right|just|straight|shortly|soon) after{_GAP}", re.I)
_AFTER: Final = re.compile(rf"\b(?:after|once|past|following){_GAP}", re.I)
_GIVEN: Final = re.compile(
    r",?\s+(?:at (?:the )?(?:very )?(?:earliest|soonest)|or later|or after|(?:at )?(?:the )?(?:very )?latest|or (?:sooner|earlier|before)|onwards?|sharp)\b"
    r"|(?:'s|,? is|,? that's)\s+(?:my|our|the|his|her|their) (?:absolute |hard |real |final |last )*(?:cutoff|cut-off|deadline|limit|drop dead date)\b",
    re.I,
)
_NOW: Final = re.compile(
    r"\b(?:as (?:soon|fast|quickly|quick) as (?:possible|humanly possible|we can|i can|you can)|asap|a\.s\.a\.p|right away|immediately|right now(?= (?:if|we want|i want))|yesterday if|ready to (?:go|move) now|the sooner the better|any day now)\b",
    re.I,
)
# "It'll be two years before he retires", "we've got thirty days before they stop paying": that is to come.
_STILL_AHEAD: Final = re.compile(
    r"\b(?:it'?ll|that'?ll|will|going to|gonna|might|could)(?: be| take)(?: \w+){0,3} ?,?\s*(?:year,? )?$|\b(?:have|has|got)(?: \w+){0,2} $",
    re.I,
)
_NOT_FOR: Final = re.compile(r"(?:\bnot|n't|\bno(?:thing)?) (?:\w+ ){0,3}for (?:at least |about |another )*$", re.I)
_OFFSET: Final = re.compile(
    rf"\b(?:(?:(the|{_COUNT})\s+|(?<!the )(?=day after|day before))(day|week|weekend|month|year)s?)\s+(before|after|from|of|past)\s+(?:the )?$",
    re.I,
)
_BY_THEN: Final = re.compile(
    r"^[^.?!]{0,80}\b(?:by th[ea]n|(?:by|before) (?:then|that)|(?:that's|which is|is) the (?:very )?last day)\b|^,?\s*(?:and )?(?:we|i|they|he|she)(?:'ve|'s)? (?:gotta|got to|have to|has to|need to|needs to|must) be\b",
    re.I,
)
_NOT_BEFORE_THEN: Final = re.compile(
    r"^[^.?!]{0,60}(?:\b(?:not|nothing|never|cannot|cant|wont|dont)|n't)\b[^.?!]{0,30}\b(?:before|until|till) (?:then|that)\b", re.I
)
_RIGHT_BEHIND: Final = re.compile(r"^[^.?!]{0,60}\b(?:right|soon|straight|shortly) after(?: that)?\s*(?:[.?!,]|$)", re.I)
# "We have until June", "it takes until then": the day is the last one.
_HAVE_UNTIL: Final = re.compile(
    rf"\b(?:have|has|had|having|got|get|gets|takes?|take|through|here|good|gave (?:us|me|him|her|them))(?: \w+){{0,2}} (?:until|till|til){_GAP}",
    re.I,
)
_UP_TO: Final = re.compile(r"\b(?:between|from) now (?:and|until|till|til|to|through)\s+(?:the )?$", re.I)
_NOT_SOONER: Final = re.compile(rf"\b(?:no|not any|not) (?:sooner|earlier) than{_GAP}", re.I)
_AFTER_SPAN: Final = re.compile(r"\b(?:weeks?|months?|year),? (?:to|or|maybe)(?: maybe)? $", re.I)
_END: Final = re.compile(r"(?:the )?end\b|.*'s end$", re.I)
_BY: Final = re.compile(r"\b(?:by|before|no later than|not later than)(?: about| maybe)? $", re.I)
_EITHER: Final = re.compile(r"\s*(?:,|to|-|–|through|,? ?or(?: maybe| even)?|,? ?maybe|,? or)\s*(?:early |late |the )?(?:in )?")
_JOINS: Final = re.compile(r"^,?\s*(?:to|or|or maybe|maybe|-|–)?\s*$", re.I)
_FILLER: Final = re.compile(r",?\s\b(?:um+|uh+|uhm+|er+)\b,?(?=\s)", re.I)
_HOLDS: Final = re.compile(r"\b(?:good|locked|valid|approved|holds?|held)(?: in)? $", re.I)  # "the rate is good for sixty days"
_HOURS: Final = re.compile(rf"\b(?:in|within) (?:the next )?({_COUNT})[ -]hours?\b", re.I)
_NEXT_TWO_YEARS: Final = re.compile(r"\bnext year,? (?:or )?(?:maybe )?(?:the year|the one) after\b", re.I)
_SHORTLY_DAYS: Final = 14
_SOON_DAYS: Final = 30  # how far "as soon as possible" reaches, and what a move takes at least


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
    text = _FILLER.sub(lambda m: " " * len(m.group()), text.replace("’", "'"))
    found = [*_merged(text, list(_spans(text))), *_dates(text, today), *_this_time(text, today)]
    found += [Timeframe(0, _SOON_DAYS, m.group(), m.start(), m.end()) for m in _NOW.finditer(text)]
    kept: list[Timeframe] = []
    for frame in sorted(found, key=lambda t: t.start - t.end):
        if all(frame.end <= other.start or frame.start >= other.end for other in kept):
            kept.append(replace(frame, quote=" ".join(frame.quote.split())))
    return sorted(kept, key=lambda t: t.start)


def _count(said: str) -> float:
    words = re.split(r"[- ]", said.lower())
    if words[0][:1].isdigit():
        return float(words[0])
    vague = next((_VAGUE[w] for w in words if w in _VAGUE and w not in ("a", "an")), None)
    if "hundred" in words:
        return 100.0 + sum({**TENS, **TEENS, **UNITS}.get(w, 0) for w in words[2:])
    return vague or sum({**TENS, **TEENS, **UNITS, "a": 1, "an": 1}.get(w, 0) for w in words) or 1.0


def _spans(text: str) -> Iterator[Timeframe]:
    """ "in two to three months", "within 60 days", "a year and a half", "the next year or two"."""
    for match in _SPAN.finditer(text):
        lead, ahead, low_word, high_word, half, more, tail = (
            match[1],
            match[2],
            match[3],
            match[4],
            match[5],
            match[7] or "",
            (match[8] or "").strip(" ,").lower(),
        )
        lead, before = (lead or "").lower(), text[: match.start()]
        holds = lead == "for" and _HOLDS.search(before) is not None
        deadline = holds or lead.startswith(("gave", "gives"))  # "the judge gave us sixty days"
        behind = text[match.end() :]
        still = behind.lstrip().startswith("before") and _STILL_AHEAD.search(before) is not None
        if (
            (_NOT_AHEAD.match(behind) and not still)
            or (lead == "for" and "another" not in match.group().lower() and not _NOT_FOR.search(f"{before}for ") and not holds)
            or (not lead and _PAST.search(before) and not tail.startswith(("close", "escrow", "closing")))
        ):
            continue
        alone = low_word.lower() in ("a", "an", "another") and not more and not tail and not _AFTER_SPAN.search(before)
        if not (lead or tail or ahead or high_word or still or _OR_MORE.match(behind)) and (
            alone or (not _AHEAD.search(text) and len(text.split()) > 6)
        ):
            continue
        days = _UNIT_DAYS[match[6].lower().rstrip("s")]
        low = (_count(low_word) + (0.5 if half or ("half" in more and not high_word) else 0.0)) * days
        high = (
            (_count(high_word) + (0.5 if "half" in more else 0.0)) * days
            if high_word
            else low * {"two": 2, "three": 3}.get(more.split()[-1] if more else "", 1)
        )
        if not high_word and (wider := _OR_MORE.match(behind)) is not None and _count(wider[1]) * days > low:
            high = _count(wider[1]) * days
        said = match.group().lower()
        quote = (match.group().strip(), match.start(), match.end())
        if (
            "at least" in said
            or lead == "more than"
            or tail == "minimum"
            or lead == "after"
            or _NOT_FOR.search(before)
            or (lead == "for" and _NOT_FOR.search(f"{before}for "))
        ):
            yield Timeframe(round(low), None, *quote)
        elif (
            lead in ("within", "inside", "inside of", "under", "less than", "no more than", "no longer than", "over")
            or ahead
            or lead == "next"
            or tail in ("tops", "max", "at most", "at the most", "or less", "or sooner")
        ):
            yield Timeframe(0, round(high), *quote)
        else:
            must = (
                high == low
                and (days < 365 or tail)
                and (deadline or still or _MUST.search(before) or _BY_THEN.match(behind))
                and not tail.startswith("left")
            )
            yield Timeframe(0 if must else round(low), round(high), *quote)


def _merged(text: str, spans: list[Timeframe]) -> Iterator[Timeframe]:
    """Two spans of different units as one stretch: "six months to a year", "a year, year and a half"."""
    index = 0
    while index < len(spans):
        one, two = spans[index], spans[index + 1] if index + 1 < len(spans) else None
        exact = two is not None and one.latest_days == one.earliest_days and two.latest_days == two.earliest_days
        if two is not None and exact and _JOINS.match(text[one.end : two.start]) and (one.latest_days or 0) < (two.latest_days or 0):
            yield Timeframe(one.earliest_days, two.latest_days, text[one.start : two.end], one.start, two.end)
            index += 2
        else:
            yield one
            index += 1


def _this_time(text: str, today: date) -> Iterator[Timeframe]:
    for match in re.finditer(r"\b(?:in|over|within|during|sometime (?:in|over)) the next (week|month|year)(?: or (so|two))?\b", text, re.I):
        days = _UNIT_DAYS[match[1].lower()] * (2 if match[2] and match[2].lower() == "two" else 1)
        yield Timeframe(0, round(days), match.group(), match.start(), match.end())
    for match in re.finditer(
        r"\bthis time next (january|february|march|april|may|june|july|august|september|october|november|december)\b", text, re.I
    ):
        (spot,) = spots_in(f"in {match[1]}", today) or (None,)
        if spot is not None:
            days = (spot.first - today).days % 365 if spot.first > today else 365
            yield Timeframe(days, days, match.group(), match.start(), match.end())
    for match in _HOURS.finditer(text):
        if (hours := _count(match[1])) >= 24:
            yield Timeframe(0, round(hours / 24), match.group(), match.start(), match.end())
    for match in _NEXT_TWO_YEARS.finditer(text):
        first, last = (date(today.year + 1, 1, 1) - today).days, (date(today.year + 2, 12, 31) - today).days
        yield Timeframe(first, last, match.group(), match.start(), match.end())
    for match in re.finditer(r"\bwithin (?:the|this|a) (year|month|week)\b", text, re.I):
        yield Timeframe(0, round(_UNIT_DAYS[match[1].lower()]), match.group(), match.start(), match.end())
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


def _dates(text: str, today: date) -> Iterator[Timeframe]:
    spots = spots_in(text, today)
    index = 0
    while index < len(spots):
        spot = spots[index]
        if index + 1 < len(spots) and (joined := _joined(text, spot, spots[index + 1])) is not None:
            spot, index = joined, index + 1
        yield _bounded(text, spot, today)
        index += 1


def _moved(offset: re.Match[str], spot: Spot, today: date) -> tuple[int, int] | None:
    """ "the week after Labor Day", "two weeks before Christmas", "a week from Saturday", "the week of June 15"."""
    count, unit, way = (offset[1] or "the").lower(), offset[2].lower(), offset[3].lower()
    if way == "of":
        monday = (spot.first - today).days - spot.first.weekday()
        return (max(0, monday), max(0, monday + 6)) if unit == "week" and not spot.whole and count == "the" else None
    first, last = (spot.first - today).days, (spot.last - today).days
    if way == "before":
        step = _count(count) * _UNIT_DAYS.get(unit, 7.0) if count != "the" else _UNIT_DAYS.get(unit, 7.0)
        return (max(0, first - round(step)), max(0, first - (1 if count == "the" and unit == "week" else round(step))))
    if unit == "weekend":
        saturday = last + 1 + (5 - (spot.last.weekday() + 1)) % 7
        return saturday, saturday + 1
    if count == "the":
        return (last + 1, last + round(_UNIT_DAYS[unit])) if unit != "day" else (last + 1, last + 1)
    step = round(_count(count) * _UNIT_DAYS[unit])
    return last + step, last + step


def _joined(text: str, one: Spot, two: Spot) -> Spot | None:
    """ "June or July", "between May and July", "from June to August", "Easter in April" as one stretch."""
    between = text[one.end : two.start].lower()
    before = text[max(0, one.start - 12) : one.start].lower()
    again = re.fullmatch(r",\s*", between) and re.match(r"the (?!end)", text[two.start :], re.I)
    if again or re.fullmatch(r",?\s*(?:which is|which would be|that's|that is|which falls on|so)\s*(?:on |in )?", between):
        return Spot(one.start, two.end, two.first, two.last)  # "spring break, the last week of March" says it again, better
    if _EITHER.fullmatch(between) and two.last > one.first:
        start = one.start - 5 if re.search(r"\bfrom $", before) else one.start
        return Spot(start, two.end, min(one.first, two.first), two.last)
    if re.fullmatch(r"\s*and\s*", between) and re.search(r"between (?:the )?$", before) and two.last > one.first:
        return Spot(one.start - len("between "), two.end, one.first, two.last)
    if between.isspace() and one.whole and two.whole and one.last < two.first <= one.last + timedelta(days=1):
        return Spot(one.start, two.end, one.first, two.last)  # "march april", as somebody counts on
    if re.fullmatch(r"\s+in\s+", between) and two.whole and not one.whole:
        fits = two.first <= one.first <= two.last
        return Spot(one.start, two.end, one.first, one.last) if fits else Spot(one.start, two.end, two.first, two.first)
    return None


def _bounded(text: str, spot: Spot, today: date) -> Timeframe:
    """Turn "these days" into bounds by the words around them."""
    first, last = max((spot.first - today).days, 0), max((spot.last - today).days, 0)
    before = text[max(0, spot.start - 70) : spot.start]
    given = _GIVEN.match(text[spot.end :])
    end = spot.end + (given.end() if given else 0)
    low: int | None = first
    high: int | None = last
    lead = None
    if (offset := _OFFSET.search(before)) is not None and (moved := _moved(offset, spot, today)) is not None:
        at = max(0, spot.start - 70) + offset.start()
        by = _BY.search(text[:at])
        return Timeframe(0 if by else moved[0], moved[1], text[at : spot.end].strip(), at, spot.end)
    if (lead := _UP_TO.search(before)) is not None:
        low, high = 0, last if "through" in lead.group().lower() or not spot.whole else first
    elif (lead := _NOT_SOONER.search(before)) is not None:
        low, high = first, None
    elif (lead := _UNTIL_AFTER.search(before)) is not None or _NOT_BEFORE_THEN.match(text[spot.end :]):
        low, high = last, None
    elif _BY_THEN.match(text[spot.end :]):
        low, high = 0, last
    elif _RIGHT_BEHIND.match(text[spot.end :]):
        low, high = last, last + _SHORTLY_DAYS
    elif given is not None:
        early = re.search(r"earliest|soonest|later|after|onward", given.group(), re.I)
        low, high = (first, None) if early else (0, last)
    elif (lead := _UNTIL.search(before)) is not None or (lead := _FROM.search(before)) is not None:
        low, high = (last, None) if not spot.whole else (first, last)  # "not until spring": in spring, then
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
    elif _BEFORE_IT.search(before) is not None or _RUNS_OUT.search(before) is not None:
        low, high = 0, last
    start = spot.start if lead is None else max(0, spot.start - 70) + lead.start()
    if lead is not None and lead.re is _UNTIL:
        start = spot.start - len(re.search(r"\S*\s*(?:(?:the|about|like|maybe|say|around|probably)\s+)*$", before).group())  # type: ignore[union-attr]  # matches always
    return Timeframe(low, high, text[start:end].strip(), start, end)
