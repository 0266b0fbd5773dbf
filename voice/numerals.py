"""Numbers as people write them in captions: "four hundred and fifty thousand dollars" -> "$450,000".

Whisper often writes digits already ("450 thousand dollars", "3 bedrooms"); both forms end the same. A small number that
counts nothing known ("one of them", "two or three times") stays a word, as good style has it. The only import of
text_to_num, which turns a run of English number words into its value.
"""

import re
from typing import Final

from text_to_num import text2num

_UNIT: Final = "one|two|three|four|five|six|seven|eight|nine"
_TEEN: Final = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_TENS: Final = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_SMALL: Final = rf"(?:(?:{_TENS})(?:[ -](?:{_UNIT}))?|{_TEEN}|{_UNIT})"
_HUNDRED: Final = rf"(?:{_SMALL} hundred(?: (?:and )?{_SMALL})?|{_SMALL})"
_SPOKEN: Final = rf"{_HUNDRED}(?: (?:million|thousand)(?:,? (?:and )?{_HUNDRED})?)*"
_DIGITS: Final = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_SCALES: Final = {"thousand": 1_000, "k": 1_000, "grand": 1_000, "million": 1_000_000, "mil": 1_000_000, "billion": 1_000_000_000}
_MONTHS: Final = "January|February|March|April|May|June|July|August|September|October|November|December"
_ORDINALS: Final = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10,
    "eleventh": 11, "twelfth": 12, "thirteenth": 13, "fourteenth": 14, "fifteenth": 15, "sixteenth": 16, "seventeenth": 17,
    "eighteenth": 18, "nineteenth": 19, "twentieth": 20, "thirtieth": 30,
}  # fmt: skip
_ORDINAL: Final = rf"(?:(?:twenty|thirty)[ -])?(?:{'|'.join(_ORDINALS)})"

_HALF: Final = re.compile(rf"\b({_SMALL}|\d+) and (?:a|one) half\b(?= (?:bed|bath|million|percent|acre))", re.I)
_POINT: Final = re.compile(rf"\b({_SMALL}|\d+) point ((?:{_UNIT}|zero|oh|\d)(?: (?:{_UNIT}|zero|oh|\d))*)\b", re.I)
_YEAR: Final = re.compile(
    rf"\b(nineteen|twenty) ((?:{_TENS})(?:[ -](?:{_UNIT}))?|{_TEEN})\b(?! (?:dollars|percent|thousand|hundred|million|{_UNIT}))", re.I
)
_RUN: Final = re.compile(rf"\b{_SPOKEN}\b", re.I)
_LONE: Final = re.compile(rf"(?:{_UNIT}|ten)", re.I)
_COUNTED: Final = re.compile(
    r"[ -](?:dollars?|bucks|percent|per cent|bed(?:room)?s?\b|bath(?:room)?s?\b|acres?|square|thousand|grand|million|billion|%)", re.I
)
_SCALED: Final = re.compile(rf"(\$?)\b({_DIGITS}) ?(thousand|grand|million|mil|billion|k)\b(?! and a)", re.I)
_DOLLARS: Final = re.compile(rf"(?<![\w$])\$?({_DIGITS})( (?:million|billion))? (?:dollars|bucks|dollar(?= (?:a|per)\b))(?![\w-])", re.I)
_PERCENT: Final = re.compile(rf"\b({_DIGITS}) ?(?:percent|per cent)\b", re.I)
_ROOMS: Final = re.compile(r"\b(\d+(?:\.5)?)[ -](bed|bath)(?:room)?s?,? (?:and )?(\d+(?:\.5)?)[ -](bath|bed)(?:room)?s?\b", re.I)
_DATE: Final = re.compile(rf"\b({_MONTHS})(?: the)? ({_ORDINAL})\b(?! (?:half|time|thing|offer|week|of))", re.I)
_OF_MONTH: Final = re.compile(rf"\bthe ({_ORDINAL}|\d\d?(?:st|nd|rd|th)) of ({_MONTHS})\b", re.I)


def written(spoken: str) -> str:
    """The written form of a recognised text; words that hold no number stay as they are."""
    text = _HALF.sub(lambda m: f"{_value(m[1])}.5", spoken)
    text = _POINT.sub(lambda m: f"{_value(m[1])}.{''.join(_digit(w) for w in m[2].split())}", text)
    text = _YEAR.sub(lambda m: f"{_value(m[1])}{_value(m[2])}", text)
    text = _OF_MONTH.sub(lambda m: f"{m[2]} {_day(m[1])}", text)
    text = _DATE.sub(lambda m: f"{m[1]} {_day(m[2])}", text)
    text = _RUN.sub(lambda m: _run(m, text), text)
    text = _SCALED.sub(_scaled, text)
    text = _DOLLARS.sub(lambda m: f"${_grouped(m[1])}{(m[2] or '').lower()}", text)
    text = _PERCENT.sub(r"\1%", text)
    return _ROOMS.sub(lambda m: f"{m[1]} {m[2].lower()}, {m[3]} {m[4].lower()}" if m[2].lower() != m[4].lower() else m[0], text)


def _run(match: re.Match[str], text: str) -> str:
    if _LONE.fullmatch(match[0]) and not _COUNTED.match(text, match.end()):
        return match[0]
    value = _value(match[0])
    return f"{value:,}" if value >= 10_000 or (value >= 1000 and "thousand" in match[0].lower()) else str(value)


def _value(words: str) -> int:
    return int(words) if words.isdigit() else int(text2num(words.lower().replace(",", ""), "en"))


def _digit(word: str) -> str:
    return word if word.isdigit() else "0" if word.lower() in ("zero", "oh") else str(_value(word))


def _day(ordinal: str) -> int:
    if ordinal[0].isdigit():
        return int(ordinal[:-2])
    *tens, unit = re.split(r"[ -]", ordinal.lower())
    return (_value(tens[0]) if tens else 0) + _ORDINALS[unit]


def _scaled(match: re.Match[str]) -> str:
    """ "450 thousand" -> "450,000"; "1.2 million" stays, as people write it."""
    sign, digits, scale = match[1], match[2].replace(",", ""), match[3].lower()
    if _SCALES[scale] > 1_000:
        return f"{sign}{match[2]} {'million' if scale == 'mil' else scale}"
    return f"{sign}{round(float(digits) * _SCALES[scale]):,}"


def _grouped(digits: str) -> str:
    whole, dot, cents = digits.replace(",", "").partition(".")
    return f"{int(whole):,}{dot}{cents}"
