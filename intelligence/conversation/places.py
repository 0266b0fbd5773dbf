"""Places in speech: "over in Maple Ridge", "we live on birch lane", "the east side" -> the place as it was said.

Three kinds of evidence, none of them a map: a kind word ("Street", "Heights", "County", "the north side"), the name of a
state or large city of the United States, and a name after words that a place follows ("moving to", "a house in"). A
recogniser writes no capitals, so a lower-case name after such words must be no everyday word.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_DATA: Final = Path(__file__).parent / "data"
_KNOWN: Final = frozenset(line for line in (_DATA / "places.txt").read_text().splitlines() if line and not line.startswith("#"))
_EVERYDAY: Final = frozenset((_DATA / "everyday_words.txt").read_text().split())
# Words that make a name the name of a street, town or neighbourhood; the second set also starts everyday phrases.
_KINDS: Final = (
    "street|avenue|ave|road|lane|drive|boulevard|blvd|court|circle|terrace|parkway|heights|hills|ridge|grove|springs|creek|estates|meadows"
    "|village|county|township|beach|district|subdivision|ranch|island|lakes|falls|crossing|landing|square|manor|commons|shores|trails?|valley"
    "|pines|oaks|gardens|canyon|harbor|mesa|woods|park|place|point|junction|bay|lake|gap|glen|bluffs?|mills?|corners|hollow|run|isle|knolls?"
)
_NAME: Final = r"[A-Z][A-Za-z'’.-]*[A-Za-z]"
_FILLER: Final = r"(?:um|uh|like|maybe|say|the|old|that|this|greater|around|in|out|near|by|over|up|down)"
_LEAD: Final = re.compile(
    r"\b(?:in|near|around|outside|outside of|out of|into|to|from|by|on|off|over in|out in|down in|up in|than|towards?|at|of|like|love|loved"
    r"|consider|considering|toured|prefer|compare|between|leaving|left|or|and|through|past|about)\s+(?:the\s+)?$",
    re.I,
)
_MOVES: Final = re.compile(
    r"\b(?:(?:mov\w+|relocat\w+|transfer\w+|station\w+|sen(?:t|d|ding)\s+\w+|go(?:ing)?|com(?:e|ing)|head\w*|driv\w+|get(?:ting)?|back|closer?|retir\w+|far|up|down)"
    r"(?: back| out| over| down| up)? (?:to|from)"
    r"|(?:liv\w+|rent\w*|grew up|look\w*|search\w*|stay\w*|house|houses|home|homes|condo|townhouse|townhome|townhomes|apartment|place|places|something|anything|one|ones|job|work\w*"
    r"|office|neighborhood|area|property|rental|lot|listing|listings|building|born|raised|located|market|back|family|kids|parents|mom|sister|be|it'?s|she'?s|he'?s|we'?re|i'?m|were|im|its|up|down|over|out)"
    r" (?:up |down |over |out |mostly |right |only )?(?:in|near|around|by|outside(?: of)?|off|on|close to|out past|past)"
    r"|close to|near|outside of|somewhere (?:in|near|around)|anywhere (?:in|near|around)|either|between|instead of|rather than|compared (?:to|with)|tour(?:ed)?|saw|seen|about|like|love|looking at|from|over in|out in|out by|over by|over on)"
    r"(?: the)?\s+$",
    re.I,
)
_KIND_CASED: Final = re.compile(rf"\b(?:(?:\d+|North|South|East|West|Old|New|Upper|Lower)\s+)*(?:{_NAME}\s+){{1,3}}(?i:{_KINDS})\b")
_KIND_PLAIN: Final = re.compile(rf"\b((?:[a-z'’]+\s+){{1,2}})({_KINDS})\b")
_CASED: Final = re.compile(rf"\b{_NAME}(?:\s+(?:of\s+)?{_NAME}){{0,3}}\b")
# One name alone that acts, or that somebody is asked, is a person's: "get it past Samira", "Peg next door", "Louis says".
_PERSON_BEFORE: Final = re.compile(
    r"\b(?:get (?:it|this|that) past|run (?:it|this|that) (?:by|past)|go through|ask|tell|call|check with|talk to|thank|see what|up to|goes by)\s+$",
    re.I,
)
_PERSON_BEHIND: Final = re.compile(
    r"(?:'s (?:the one|on|got|been|going|mother|father|mom|dad|wife|husband|brother|sister|cousin|lawyer))?(?:,? (?:who|says?|said|wants?|wanted|thinks?|thought|told|told me|knows|likes?|loves?|hates?|next door|do call|doesn't|won't|does|has|had|gave|and I|and me))\b|'s (?:the one|got|been|going|mother|father|mom|dad|wife|husband|brother|sister|cousin|lawyer)\b",
    re.I,
)
_HOME_ON: Final = re.compile(
    rf"\b(?i:house|home|place|condo|ranch|duplex|triplex|fourplex|bungalow|town ?house|townhome|colonial|cape|cottage|apartment|unit|property|listing|one|farm|lot|building|sold|open house|asked about|calling about|for sale|two-bedroom|three-bedroom|four-bedroom)"
    rf"(?: (?i:for sale|that you have|you have|you've got|you own))?(?: (?i:up|over|out|there))? (?i:on|at|in|about)? ?((?:\d+ )?(?:{_NAME} ){{1,2}}(?:Street|Avenue|Road|Lane|Drive|Boulevard|Court|Circle|Terrace|Way|Place|Trail|Row|Alley|Heights)|(?<=on )(?:\d+ )?{_NAME})\b"
)
_INSIDE: Final = re.compile(r"\b(?:in|near|around|outside|outside of) $", re.I)  # nobody is "in" a person
_SIDES: Final = re.compile(
    r"\b(?:the\s+)?(?:north|south|east|west|northeast|northwest|southeast|southwest)(?:ern)?[- ]?(?:side|end)\b(?:\s+of\s+(?:town|the city))?"
    r"|\b(?:downtown|midtown|uptown|the suburbs|the burbs)\b(?!\s+(?:is|was) (?:good|fine))",
    re.I,
)
_THE_AREA: Final = re.compile(
    rf"\bthe\s+({_NAME}(?:\s+{_NAME}){{0,2}})\s+(?:area|neighborhood|subdivision|district|school district|community)\b"
)
_THE_AREA_PLAIN: Final = re.compile(r"\bthe\s+([a-z]+(?:\s+[a-z]+)?)\s+(?:area|neighborhood|subdivision|community)\b")
_ORDINAL_STREET: Final = re.compile(
    r"\b(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|\d+(?:st|nd|rd|th))\s+(?:street|avenue|ave)\b", re.I
)
_NOT_PLACES: Final = frozenset(
    [
        "i",
        "i'm",
        "i'd",
        "i'll",
        "i've",
        "god",
        "ok",
        "okay",
        "tv",
        "mr",
        "mrs",
        "ms",
        "dr",
        "hoa",
        "mls",
        "fha",
        "va",
        "fsbo",
        "usda",
        "irs",
        "llc",
        "cpa",
        "airbnb",
        "vrbo",
        "zillow",
        "redfin",
        "opendoor",
        "offerpad",
        "trulia",
        "compass",
        "remax",
        "realtor",
        "craigslist",
        "facebook",
        "homelight",
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "christmas",
        "thanksgiving",
        "easter",
        "halloween",
        "labor",
        "memorial",
        "new",
        "year's",
        "years",
        "spring",
        "summer",
        "fall",
        "winter",
        "zoom",
        "facetime",
        "google",
        "iphone",
        "english",
        "spanish",
        "american",
        "well",
        "yeah",
        "yes",
        "no",
        "so",
        "and",
        "but",
        "or",
        "the",
        "a",
        "an",
        "we",
        "they",
        "he",
        "she",
        "it",
        "you",
        "my",
        "our",
        "their",
        "his",
        "her",
        "that",
        "this",
        "there",
        "here",
        "what",
        "when",
        "where",
        "why",
        "how",
        "who",
        "if",
        "because",
        "actually",
        "honestly",
        "maybe",
        "then",
        "also",
        "not",
        "just",
        "keller",
        "williams",
        "coldwell",
        "banker",
        "century",
        "berkshire",
        "hathaway",
        "exp",
        "sotheby's",
        "sothebys",
        "re",
        "max",
        "hi",
        "hello",
        "hey",
        "thanks",
        "thank",
        "sure",
        "right",
        "good",
        "great",
        "let's",
        "lets",
        "can",
        "could",
        "would",
        "should",
        "do",
        "does",
        "did",
        "is",
        "are",
        "was",
        "were",
        "have",
        "has",
        "had",
        "any",
        "anything",
        "something",
        "somewhere",
        "either",
        "both",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "mom",
        "dad",
        "grandma",
        "grandpa",
        "uncle",
        "aunt",
    ]
)


@dataclass(frozen=True, slots=True)
class Place:
    name: str
    start: int
    end: int


def places_in(text: str) -> list[Place]:
    """Every place named, in order, without overlaps; the longest reading of a spot wins."""
    cased = sum(c.isupper() for c in text) > 0 and bool(re.search(r"[a-z].*[A-Z]|^[A-Z]", text))
    found = [Place(m.group(), m.start(), m.end()) for m in _SIDES.finditer(text) if _side_is_place(text, m)]
    found += [Place(m.group(), m.start(), m.end()) for m in _ORDINAL_STREET.finditer(text)]
    found += [*_known(text), *_plain_kinds(text)]
    found += [*_cased_kinds(text), *_cased_names(text)] if cased else _plain_names(text)
    kept: list[Place] = []
    for place in sorted(found, key=lambda p: (-(p.end - p.start), p.start)):
        if all(place.end <= other.start or place.start >= other.end for other in kept):
            kept.append(place)
    return sorted(kept, key=lambda p: p.start)


def home_in(text: str) -> str:
    """The street of the home that the words are about ("the ranch on Tilden Court"); "" for none."""
    match = _HOME_ON.search(text)
    return match[1] if match is not None else ""


def _side_is_place(text: str, match: re.Match[str]) -> bool:
    return not re.match(r"\s+(?:of the (?:house|lot|street|building|yard)|faces|facing|window|wall|yard)", text[match.end() :], re.I)


def _known(text: str) -> list[Place]:
    """States and large cities; a name that is also an everyday word needs a capital or a word that a place follows."""
    words = [(m.group(), m.start(), m.end()) for m in re.finditer(r"[A-Za-z][A-Za-z'’.]*[A-Za-z]", text)]
    found = []
    for at in range(len(words)):
        for length in (3, 2, 1):
            part = words[at : at + length]
            name = " ".join(w.lower() for w, _, _ in part)
            if len(part) == length and name in _KNOWN and text[part[0][1] : part[-1][2]].lower().replace("\n", " ") == name:
                if name in _EVERYDAY and not _LEAD.search(text[: part[0][1]]):
                    continue
                found.append(Place(text[part[0][1] : part[-1][2]], part[0][1], part[-1][2]))
                break
    return found


def _cased_kinds(text: str) -> list[Place]:
    found = []
    for match in _KIND_CASED.finditer(text):
        words = match.group().split()
        while words and words[0].lower() in _NOT_PLACES:
            words = words[1:]
        started = re.search(r"(?:^|[.?!]\s+)$", text[: match.start()]) is not None
        if words and words[-1].islower() and (started or all(w.lower() in _EVERYDAY for w in words[:-1])):
            continue  # "Cute place." at the start of a sentence
        if len(words) >= 2:
            name = " ".join(words)
            found.append(Place(name, match.end() - len(name), match.end()))
    return found


def _plain_kinds(text: str) -> list[Place]:
    """ "birch lane", "cedar ridge" in lower case: the word before the kind word is a name, or none stands there."""
    found = []
    for match in _KIND_PLAIN.finditer(text):
        before = match[1].split()
        names = before[-1:]
        if names[0] in _EVERYDAY or (not _LEAD.search(text[: match.end(1) - len(match[1].rstrip().split()[-1]) - 1]) and len(names[0]) < 4):
            continue
        if (
            match[2] in ("place", "run", "point", "park", "lake", "square", "court", "drive", "road", "street", "woods")
            and names[0] in _EVERYDAY
        ):
            continue
        start = match.start(2) - len(names[0]) - 1
        if len(before) == 2 and before[0] not in _EVERYDAY and len(before[0]) > 3:
            start -= len(before[0]) + 1
        found.append(Place(text[start : match.end()].strip(), max(start, 0), match.end()))
    return found


def _cased_names(text: str) -> list[Place]:
    found = []
    for match in _CASED.finditer(text):
        words = match.group().split()
        start = match.start()
        while words and words[0].lower() in _NOT_PLACES:
            start += len(words[0]) + 1
            words = words[1:]
        words = list(words)
        if not words or any(w.lower() in _NOT_PLACES for w in words):
            continue
        before = text[:start]
        if not before.strip() or re.search(r"[.?!]\s*$", before):
            continue  # the first word of a sentence is capital anyway
        if not (_LEAD.search(before) or _THE_AREA.match(text[max(0, start - 4) :])):
            continue
        name = " ".join(words)
        person = _PERSON_BEFORE.search(before) or _PERSON_BEHIND.match(text[start + len(name) :])
        if len(words) == 1 and person and not _INSIDE.search(before):
            continue
        if re.search(r"\b(?:i'm|this is|name is|name's|it's|talk(?:ed|ing)? to|spoke (?:to|with)|with|from my)\s*$", before, re.I):
            continue
        found.append(Place(name, start, start + len(name)))
    return found


def _plain_names(text: str) -> list[Place]:
    """A lower-case name that nobody would use as an everyday word, after words that a place follows."""
    found = []
    for match in re.finditer(r"\b[a-z][a-z'’]{3,}\b", text):
        if match.group() in _EVERYDAY or match.group() in _NOT_PLACES or not _MOVES.search(text[: match.start()]):
            continue
        end = match.end()
        following = re.match(r"\s+([a-z]{3,})\b", text[end:])
        if following and following[1] not in _EVERYDAY and following[1] not in _NOT_PLACES:
            end += following.end()
        found.append(Place(text[match.start() : end], match.start(), end))
    for match in _THE_AREA_PLAIN.finditer(text):
        if not any(w in _EVERYDAY or w in _NOT_PLACES for w in match[1].split()):
            found.append(Place(match[1], match.start(1), match.end(1)))
    return found
