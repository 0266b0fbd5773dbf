"""When two people mean to meet or talk: "Saturday at ten", "ten thirty tomorrow", "that works" after the other's proposal."""

import re
from dataclasses import dataclass
from typing import Final

HOURS: Final = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip
MINUTES: Final = {"fifteen": 15, "thirty": 30, "forty five": 45, "forty-five": 45, "": 0}
_DAY: Final = re.compile(
    r"\b(?:(next|this)\s+)?(monday|tuesday|wednesday|thursday|friday|saturday|sunday|tomorrow|today|tonight|the day after tomorrow|this weekend|the weekend)\b"
    r"(?:\s+(morning|afternoon|evening|night))?",
    re.I,
)
_DATE: Final = re.compile(
    r"\b(january|february|march|april|may|june|july|august|september|october|november|december)\s+(?:the\s+)?(\d{1,2}|[a-z]+(?:[- ][a-z]+)?(?:st|nd|rd|th))\b",
    re.I,
)
_HOUR: Final = r"(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|1[0-2]|[1-9])"
_TIME: Final = re.compile(
    rf"\b(?:(at|around|about|by|say|after|before|for|like|maybe|do|make it|how about|what about)\s+)?(?:(half past|quarter past|quarter to)\s+)?{_HOUR}"
    r"(?::([0-5]\d)|[ -](fifteen|thirty|forty[ -]five))?\b(?:\s*(o'?clock|a\.?m\b\.?|p\.?m\b\.?|sharp|in the (?:morning|afternoon|evening)|at night))?",
    re.I,
)
_NOON: Final = re.compile(r"\b(noon|midday|lunchtime)\b", re.I)
_NOT_A_TIME: Final = re.compile(
    r"^\s*(?:%|percent|thousand|hundred|million|grand|k\b|bed\w*|bath\w*|months?|weeks?|days?|years?|minutes?|hours?|of|houses|homes|people|kids|more|or two|point|dollars)",
    re.I,
)
_JUDGED: Final = re.compile(r"(?:'s|\s+(?:is|works?|would|sounds))\b", re.I)  # "ten works": a number that is judged is a time
_AGREES: Final = re.compile(
    r"\b(?:that works|works for|works great|sounds good|perfect|see you (?:then|there)|that'?s (?:good|fine|great|perfect)|is (?:good|fine|perfect)|(?:i'?ll|we'?ll) be there|works?\b|yes|yeah|sure|okay|ok)",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Meeting:
    """``day`` as said ("Saturday", "tomorrow"; "" when not said), ``clock`` "10:00" or a part of the day, "" when not said."""

    day: str
    clock: str
    agrees: bool = False

    def __str__(self) -> str:
        return f"{self.day} {self.clock}".strip()


def meeting_in(text: str) -> Meeting | None:
    """The last day and time that the words name, or a plain agreement; None when they do neither."""
    day, part = "", ""
    for match in _DAY.finditer(text):
        said = match[2].lower()
        day = f"{(match[1] or '').lower()} {said.capitalize() if said.endswith('day') and said not in ('today',) else said}".strip()
        part = (match[3] or "").lower()
    if (dated := _DATE.search(text)) is not None:
        day = f"{dated[1].capitalize()} {dated[2].lower()}"
    near = next((s for s in reversed(re.split(r"(?<=[.?!])\s+", text)) if _DAY.search(s) or _DATE.search(s)), "")
    clock = _clock(near, has_day=True) or _clock(text, bool(day)) or part  # "Thursday at five. He gets off at four."
    agrees = _AGREES.search(text) is not None
    return Meeting(day, clock, agrees) if day or clock or agrees else None


def agreed(said: Meeting | None, proposed: Meeting | None) -> Meeting | None:
    """What was said now, completed by what the other proposed: "ten works" on a Saturday proposed is Saturday 10:00."""
    if said is None or not (said.day or said.clock or said.agrees):
        return None
    if proposed is None or (said.day and said.clock):
        return said if said.day or said.clock else None
    day = said.day or proposed.day
    same_day = not said.day or said.day.lower().split()[-1] == proposed.day.lower().split()[-1:][0] if proposed.day else not said.day
    clock = said.clock or (proposed.clock if same_day else "")
    return Meeting(day, clock, said.agrees) if day or clock else None


def _clock(text: str, has_day: bool = False) -> str:
    found = ""
    for match in _TIME.finditer(text):
        lead, past, hour_word, digits, words, tail = match.groups()
        if _NOT_A_TIME.match(text[match.end() :]) or not (
            lead or past or digits or tail or words or has_day or _JUDGED.match(text[match.end() :])
        ):
            continue
        if (hour_word.lower() == "one" and not (lead or tail)) or ((lead or "").lower() in ("for", "by", "about", "like") and not has_day):
            continue
        if text[max(0, match.start() - 1) : match.start()] in ("$", ",", "."):
            continue
        hour = int(hour_word) if hour_word.isdigit() else HOURS[hour_word.lower()]
        minute = int(digits) if digits else MINUTES.get((words or "").lower(), 0)
        if past:
            minute = {"half past": 30, "quarter past": 15, "quarter to": 45}[past.lower()]
            hour -= past.lower() == "quarter to"
        afternoon = (tail or "").lower()[:1] == "p" or re.search(r"afternoon|evening|night", tail or "", re.I) is not None
        morning = (tail or "").lower()[:1] == "a" or "morning" in (tail or "").lower()
        if (afternoon or (hour < 8 and not morning)) and hour < 12:
            hour += 12
        found = f"{hour}:{minute:02d}"
    if not found and _NOON.search(text):
        return "12:00"
    return found
