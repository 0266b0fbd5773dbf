"""Who else decides, and which rivals were named, in a prospect's words."""

import re
from dataclasses import dataclass
from typing import Final

# said form -> relation as it is shown; the relation is kept as it was said where it is a word of its own
_RELATIONS: Final = {
    "wife": "wife", "husband": "husband", "spouse": "spouse", "partner": "partner", "fiancé": "fiancé", "fiance": "fiancé", "fiancée": "fiancée",
    "fiancee": "fiancée", "girlfriend": "girlfriend", "boyfriend": "boyfriend", "better half": "spouse", "other half": "spouse", "mom": "mother",
    "mother": "mother", "mum": "mother", "dad": "father", "father": "father", "parents": "parents", "folks": "parents", "in-laws": "in-laws", "in laws": "in-laws",
    "mother-in-law": "mother-in-law", "mother in law": "mother-in-law", "father-in-law": "father-in-law", "father in law": "father-in-law",
    "brother": "brother", "sister": "sister", "siblings": "siblings", "brothers": "brothers", "sisters": "sisters", "brother-in-law": "brother-in-law",
    "brother in law": "brother-in-law", "sister-in-law": "sister-in-law", "sister in law": "sister-in-law", "son": "son", "daughter": "daughter",
    "kids": "children", "children": "children", "grandmother": "grandmother", "grandma": "grandmother", "grandfather": "grandfather", "uncle": "uncle",
    "aunt": "aunt", "cousin": "cousin", "ex": "ex", "ex-wife": "ex-wife", "ex wife": "ex-wife", "ex-husband": "ex-husband", "ex husband": "ex-husband", "roommate": "roommate",
    "attorney": "attorney", "lawyer": "attorney", "accountant": "accountant", "cpa": "accountant", "financial advisor": "financial advisor",
    "financial adviser": "financial advisor", "advisor": "advisor", "business partner": "business partner", "business partners": "business partners", "co-owner": "co-owner",
    "boss": "boss", "trustee": "trustee", "executor": "executor", "board": "board", "investor": "investor", "investors": "investors", "co-signer": "co-signer",
}  # fmt: skip
_ANY: Final = "|".join(sorted((re.escape(r) for r in _RELATIONS), key=len, reverse=True))
_OWNED: Final = re.compile(rf"\b(?:my|our|the)\s+(?:older |younger |big |little |new |own )?({_ANY})\b", re.I)
# What makes a relative a decider: a verb of deciding, seeing, signing or talking it over near the relation.
_DECIDES: Final = re.compile(
    r"\b(?:decid\w+|decision|ask|talk|discuss|check with|run it (?:by|past)|see it|look at it|look it over|agree|agrees|sign|signs|co-?sign\w*|on board|okay with|ok with"
    r"|approve\w*|say so|says?|thinks?|wants?|weigh in|opinion|consult\w*|say yes|convince|both of us|all of us|on the (?:title|deed|loan|mortgage)|owns?|own half"
    r"|help(?:ing)? (?:us|me) (?:with|buy|out)|gift\w*|giving us|wears the pants|handles|makes the|has to|have to|needs? to|would (?:have|need|want)|will (?:have|need|want)|together|with me"
    r"|and (?:I|me)\b|reviews?|read (?:it|over|through))",
    re.I,
)
_PRONOUN: Final = {"wife": "she", "husband": "he"}


@dataclass(frozen=True, slots=True)
class DecisionMaker:
    relation: str
    quote: str


def decision_makers_in(text: str) -> list[DecisionMaker]:
    """People named as part of the decision, each relation once. A relative who only lives or visits here is none."""
    found: dict[str, DecisionMaker] = {}
    for sentence in re.split(r"(?<=[.?!])\s+", text):
        if not _DECIDES.search(sentence):
            continue
        for match in _OWNED.finditer(sentence):
            if re.match(r"'s\s+(?!got|been|gonna|going|on board|not|the one)", sentence[match.end() :], re.I) and not re.search(
                r"opinion|decision|call|approval|okay|blessing|name is on", sentence, re.I
            ):
                continue  # "my mom's house"
            relation = _RELATIONS[match[1].lower()]
            found.setdefault(relation, DecisionMaker(relation, sentence.strip()))
    return list(found.values())


# Brands that a prospect compares an agent with; public names of US brokerages, portals and cash buyers.
_BRANDS: Final = (
    "zillow", "redfin", "opendoor", "offerpad", "re/max", "remax", "keller williams", "coldwell banker", "century 21", "compass", "exp realty", "exp", "sotheby's", "sothebys",
    "berkshire hathaway", "realtor.com", "trulia", "homelight", "houwzer", "clever", "we buy ugly houses", "weichert", "howard hanna", "better homes and gardens",
    "purplebricks", "homes.com", "fsbo", "for sale by owner", "craigslist", "facebook marketplace", "homesmart", "realty one", "long and foster",
)  # fmt: skip
_BRAND: Final = re.compile(r"(?<![\w.])(" + "|".join(re.escape(b) for b in _BRANDS) + r")(?![\w])", re.I)
_RIVAL: Final = re.compile(
    r"\b(?:another|other|different|some other|a second|two other|three other|few|several|our|my last|my old|previous|discount|flat[- ]fee|the last|the first)\s+"
    r"(?:(?:listing|buyer'?s?|real[- ]estate|local|neighborhood)\s+)?(agents?|realtors?|brokers?|brokerages?|company|companies|offers?|buyers?)\b"
    r"|\b(?:my|our)\s+(?:friend|cousin|aunt|uncle|neighbor|sister|brother|mom|mother|buddy|nephew|niece|dad|brother-in-law|sister-in-law)(?:'s)?\s+(?:is|who is|who's|got|just got|just became|sells|does|a|an|also|in)\b[^.?!]{0,30}\b(?:agent|realtor|broker|real estate|licen[sc]ed?|houses|homes)\b"
    r"|\b(?:cash[- ]offer|ibuyer|we[- ]buy[- ]houses|cash home buyers?)\b(?:\s+(?:company|companies|people|guys))?",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Competitor:
    name: str
    quote: str


def competitors_in(text: str) -> list[Competitor]:
    """Another agent, brokerage, platform or buyer that the words name."""
    found: dict[str, Competitor] = {}
    for match in [*_BRAND.finditer(text), *_RIVAL.finditer(text)]:
        name = " ".join(match.group().split())
        found.setdefault(name.lower(), Competitor(name, match.group()))
    return list(found.values())
