"""Spans of time in speech: "in a couple of months", "a year, year and a half", "within sixty days" -> days from the call."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from intelligence.conversation.spoken_numbers import TEENS, TENS, UNITS
from intelligence.conversation.turns import words_around

_SMALL: Final = "|".join((*UNITS, *TEENS))
_TEN: Final = "|".join(TENS)
COUNT: Final = rf"(?:\d+(?:\.5)?|(?:a|one) hundred(?: and)?(?: (?:{_TEN}|{_SMALL}))?|(?:{_TEN})(?:[- ](?:{'|'.join(UNITS)}))?|a couple(?: of)?(?: more)?|couple(?: of)?|a few(?: more)?|few|several|half a|half an|another|an?|{_SMALL})"
UNIT_DAYS: Final = {"day": 1.0, "week": 7.0, "fortnight": 14.0, "month": 30.0, "year": 365.0}
_VAGUE: Final = {"couple": 2.0, "few": 3.0, "several": 4.0, "half": 0.5, "a": 1.0, "an": 1.0}
_SPAN: Final = re.compile(
    rf"\b(?:(in|within|inside of|inside|under|over|for|about|another|at least|more than|less than|no more than|no longer than|g[ia]ves? (?:it|us|me|him|her|them)|next|after)\s+)?(?:the\s+)?(next\s+|coming\s+)?(?:(?:about|maybe|like|probably|another|at least|roughly|say)\s+)*"
    rf"({COUNT})(?:(?:\s*(?:to|or|-|–|maybe|,)\s*(?:maybe |even )?|\s+(?=(?:two|three|four|five|six|seven|eight|nine|ten) (?:day|week|month|year)))({COUNT}))?[\s-]+(?:more\s+)?(and a half\s+)?(days?|weeks?|fortnight|months?|years?)\b'?(\s+and a half|\s+or two|\s+or three)?"
    rf"((?:\s+|,\s*(?=tops|max|at (?:the )?most|or less|or sooner|or so|give or take|minimum))(?:from (?:now|today)|time\b|close|closing|escrow|left (?:on|in|with)|out(?: from)?|away|or so|give or take|tops|max|at (?:the )?most|or less|or sooner|timeline|time frame|down the road|minimum|to (?:move|close|decide|find|get|go|sell|pack)|(?:they|he|she|the judge|the landlord) gave (?:us|me)))?",
    re.I,
)
_OR_MORE: Final = re.compile(
    rf",?\s*(?:maybe|or|or maybe|maybe even)\s+({COUNT})\b(?!\s*(?:-|days?|weeks?|months?|years?|people|of us|thousand|grand|k\b|percent|bed))",
    re.I,
)
_NOT_AHEAD: Final = re.compile(
    r"\s*(?:ago|(?:before|after|from|past) (?=\w)(?!now|today|then|that|we|i\b|they)|after (?:we|i|they) (?:close|sell|sign|settle)|old|fixed|arm\b|mortgage|loan|note|lease|term|of experience|in the business|back|'s?\s+(?:worth|rent)|'?\s*warranty|contract|listing|behind|later|now\b|of (?:work|rent|payments)|in a row|straight|earlier|before (?:that|we|i) (?:bought|moved))",
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
    r"\b(?:if [^.?!]{0,30}(?:n't|\bcant|\bnot|\bdont)|have to|has to|need to|needs to|must|got to|gotta|need it|want it|gone|sold|out of here|we have|i have|only (?:have|got)|we've got|i've got|need an?)\b[^.?!]{0,40}$",
    re.I,
)
# "It'll be two years before he retires", "we've got thirty days before they stop paying": that is to come.
_STILL_AHEAD: Final = re.compile(
    r"\b(?:it'?ll|that'?ll|will|going to|gonna|might|could)(?: be| take)(?: \w+){0,3} ?,?\s*(?:year,? )?$|\b(?:have|has|got)(?: \w+){0,2} $",
    re.I,
)
_NOT_FOR: Final = re.compile(r"(?:\bnot|n't|\bno(?:thing)?) (?:\w+ ){0,3}for (?:at least |about |another )*$", re.I)
BY_THEN: Final = re.compile(
    r"^[^.?!]{0,120}\b(?:by (?:th[ea]n|that(?! time))|same day or (?:before|sooner)|(?<!day )(?<!days )(?<!week )(?<!weeks )(?<!month )(?<!months )(?<!year )(?<!years )before (?:then|that(?! time))|(?:that's|which is|is) the (?:very )?last day)\b|^,?\s*(?:and )?(?:we|i|they|he|she)(?:'ve|'s)? (?:gotta|got to|have to|has to|need to|needs to|must) be\b",
    re.I,
)
# "Three weeks? Four at the outside.", "Three months, give or take. Could be four."
_AT_MOST: Final = re.compile(
    rf"(?:,? give or take)?\s*[,.]\s*(?:it )?(?:could|might|may) (?:even )?be ({COUNT})\b(?=\s*(?:$|[.,?!]))|\s*[,.?]\s*(?:maybe |or )?({COUNT}),? (?:at (?:the )?(?:outside|most|very most|latest)|tops|max(?:imum)?)\b|\s*\?\s*(?:maybe )?({COUNT})\s*\?",
    re.I,
)
_AS_LITTLE: Final = re.compile(r"\b(?:in )?as (?:little|few|soon|early) as $", re.I)
_AND_HALF_AGAIN: Final = re.compile(
    r"\b(?:in |within |about |like )?(?:an? |one )?(year|month|week)(?:,| or| to|,? maybe)* (?:an? |maybe an? |even an? )?\1 and (?:a )?half\b(?: out| away| or so| from now)?",
    re.I,
)
_OR_TWO: Final = re.compile(
    r"\b(?:in |within |about |like )?(?:an?|one) (year|month|week)(?:,| or| to|,? maybe)* (two|three) \1s\b(?: out| away| or so| from now)?",
    re.I,
)
_TWO_UNITS: Final = re.compile(rf"\b({COUNT}) (day|week|month)s? to ({COUNT}) (week|month|year)s?\b", re.I)
_AFTER_SPAN: Final = re.compile(r"\b(?:weeks?|months?|year),? (?:to|or|maybe)(?: maybe)? $", re.I)
_JOINS: Final = re.compile(r"^,?\s*(?:to|or|or maybe|maybe|might be|could be|-|–)?\s*$", re.I)
_OR_MAYBE: Final = re.compile(r"^(?:maybe|or)\b", re.I)  # "A year out. Maybe a year and a half."
_SAY: Final = re.compile(
    r"\b(?:i'?d (?:say|guess|think)|figure|call it|realistically|best case|worst case|more like)(?: about| around| like)?,?\s*$", re.I
)
_FEW_WORDS: Final = 6
_SPENT: Final = re.compile(r"\s*(?:at|in|with|on|of) (?!me|you|it)", re.I)  # "Thirty-one years at the mill."
_HOLDS: Final = re.compile(r"\b(?:good|locked|valid|approved|holds?|held)(?: in)? $", re.I)  # "the rate is good for sixty days"


@dataclass(frozen=True, slots=True)
class Timeframe:
    """A span in days from the call, e.g. "by March" on 2 January: earliest 0, latest 58."""

    earliest_days: int | None
    latest_days: int | None
    quote: str
    start: int
    end: int


def spans_in(text: str) -> list[Timeframe]:
    """Every span in the text, in order; some may overlap."""
    return [*_merged(text, list(_spans(text))), *_and_half_again(text), *_between_units(text)]


def _stands_alone(text: str, match: re.Match[str]) -> bool:
    """The sentence is hardly more than the span: "Oh... couple of months?"."""
    _, _, words = words_around(text, match.start(), match.end())
    return words <= _FEW_WORDS and not _SPENT.match(text[match.end() :])


def counted(said: str) -> float:
    """ "a couple of", "thirty-five", "half a", "12" -> a number; what counts nothing is one."""
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
        deadline = holds or " gave " in tail or lead.startswith(("gave", "gives"))  # "the judge gave us sixty days"
        behind = text[match.end() :]
        still = behind.lstrip().startswith("before") and _STILL_AHEAD.search(before) is not None
        if (
            (_NOT_AHEAD.match(behind) and not still and not (tail == "away" and behind.lstrip().startswith("from ")))
            or (lead == "for" and "another" not in match.group().lower() and not _NOT_FOR.search(f"{before}for ") and not holds)
            or (not lead and _PAST.search(before) and not tail.startswith(("close", "escrow", "closing")))
        ):
            continue
        alone = low_word.lower() in ("a", "an", "another") and not more and not tail and not _AFTER_SPAN.search(before)
        still_more = not alone and re.search(r"\bmore (?:days|weeks|months|years)", match.group(), re.I) is not None
        little = _AS_LITTLE.search(before) is not None
        if not (
            lead
            or tail
            or ahead
            or high_word
            or still
            or still_more
            or little
            or _SAY.search(text[: match.start(3)])
            or _OR_MORE.match(behind)
            or _AT_MOST.match(behind)
        ) and (alone or (not _AHEAD.search(text) and not _stands_alone(text, match))):
            continue
        days = UNIT_DAYS[match[6].lower().rstrip("s")]
        low = (counted(low_word) + (0.5 if half or ("half" in more and not high_word) else 0.0)) * days
        high = (
            (counted(high_word) + (0.5 if "half" in more else 0.0)) * days
            if high_word
            else low * {"two": 2, "three": 3}.get(more.split()[-1] if more else "", 1)
        )
        if not high_word and (wider := _OR_MORE.match(behind) or _AT_MOST.match(behind)) is not None:
            most = counted(next(filter(None, wider.groups()))) * days
            high = most if most > low else high
        said = match.group().lower()
        quote = (match.group().strip(), match.start(), match.end())
        if (
            little
            or "at least" in said
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
                and (deadline or still or _MUST.search(before) or BY_THEN.match(behind))
                and not tail.startswith("left")
            )
            yield Timeframe(0 if must else round(low), round(high), *quote)


def _merged(text: str, spans: list[Timeframe]) -> Iterator[Timeframe]:
    """Two spans of different units as one stretch: "six months to a year", "a year, year and a half"."""
    index = 0
    while index < len(spans):
        one, two = spans[index], spans[index + 1] if index + 1 < len(spans) else None
        exact = two is not None and one.latest_days == one.earliest_days and two.latest_days == two.earliest_days
        between = text[one.end : two.start] if two is not None else ""
        joins = two is not None and (_JOINS.match(between) or (between.strip() == "." and _OR_MAYBE.match(two.quote)))
        if two is not None and exact and joins and (one.latest_days or 0) < (two.latest_days or 0):
            yield Timeframe(one.earliest_days, two.latest_days, text[one.start : two.end], one.start, two.end)
            index += 2
        else:
            yield one
            index += 1


def _between_units(text: str) -> Iterator[Timeframe]:
    """ "Six months to a year": two units with "to" between them are a stretch of their own."""
    for match in _TWO_UNITS.finditer(text):
        low, high = counted(match[1]) * UNIT_DAYS[match[2].lower()], counted(match[3]) * UNIT_DAYS[match[4].lower()]
        if low < high and not _PAST.search(text[: match.start()]) and not _NOT_AHEAD.match(text[match.end() :]):
            yield Timeframe(round(low), round(high), match.group(), match.start(), match.end())


def _and_half_again(text: str) -> Iterator[Timeframe]:
    """ "a year, year and a half", "a year, two years"."""
    for match in _OR_TWO.finditer(text):
        days = UNIT_DAYS[match[1].lower()]
        if not _PAST.search(text[: match.start()]) and not _NOT_AHEAD.match(text[match.end() :]):
            yield Timeframe(round(days), round(counted(match[2]) * days), match.group().strip(), match.start(), match.end())
    for match in _AND_HALF_AGAIN.finditer(text):
        days = UNIT_DAYS[match[1].lower()]
        yield Timeframe(round(days), round(1.5 * days), match.group().strip(), match.start(), match.end())
