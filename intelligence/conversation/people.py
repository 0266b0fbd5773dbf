"""Who else decides, and which rivals were named, in a prospect's words."""

import re
from dataclasses import dataclass
from typing import Final

_RELATIONS: Final = (
    "wife", "husband", "spouse", "partner", "fiancé", "fiance", "fiancée", "fiancee", "girlfriend", "boyfriend", "better half", "other half", "mom", "mother", "mum", "dad",
    "father", "parents", "folks", "in-laws", "in laws", "mother-in-law", "mother in law", "father-in-law", "father in law", "brother", "sister", "siblings", "brothers",
    "sisters", "brother-in-law", "brother in law", "sister-in-law", "sister in law", "son", "daughter", "son-in-law", "son in law", "daughter-in-law", "daughter in law", "kids", "children", "grandmother",
    "grandma", "grandfather", "grandpa", "uncle", "aunt", "cousin", "nephew", "niece", "ex", "ex-wife", "ex wife", "ex-husband", "ex husband", "roommate", "attorney", "lawyer", "accountant", "cpa",
    "financial advisor", "financial adviser", "financial planner", "advisor", "business partner", "business partners", "co-owner", "co owner", "boss", "trustee", "executor", "board", "investor", "investors",
    "co-signer", "cosigner", "stepdad", "stepmom", "stepfather", "stepmother", "family",
)  # fmt: skip
RELATION_WORDS: Final = "|".join(sorted((re.escape(r) for r in _RELATIONS), key=len, reverse=True))
_AGE: Final = r"(?:older |younger |oldest |youngest |big |little |new |own |late |twin |future )?"
_OWNED: Final = re.compile(rf"\b(?:my|our|the|his|her)\s+{_AGE}({RELATION_WORDS})\b", re.I)
_NAMED: Final = re.compile(rf"\b(?:(?:my|our|the|his|her|us|two|three|four)\s+{_AGE})?\b({RELATION_WORDS})\b(?!\s+(?:room|bath))", re.I)
# What makes a relative a decider: a verb of deciding, seeing, signing or talking it over near the relation.
_DECIDES: Final = re.compile(
    r"\b(?:decid\w+|decision|ask|talk|discuss|check with|run it (?:by|past)|see it|look at it|look it over|agree|agrees|sign|signs|co-?sign\w*|on board|okay with|ok with"
    r"|approve\w*|say so|says?|thinks?|wants?|weigh in|opinion|consult\w*|say yes|convince|both of us|all of us|on the (?:title|deed|loan|mortgage)|owns?|own half"
    r"|help(?:ing)? (?:us|me) (?:with|buy|out)|gift\w*|giving us|wears the pants|handles|makes the|has to|have to|needs? to|would (?:have|need|want)|will (?:have|need|want)|together|with me"
    r"|and (?:I|me)\b|me and|us and|reviews?|read (?:it|over|through))",
    re.I,
)


# Half of a couple decides too: it takes less to hear that they are in it.
COUPLE: Final = frozenset(
    {
        "wife",
        "husband",
        "spouse",
        "partner",
        "fiancé",
        "fiance",
        "fiancée",
        "fiancee",
        "girlfriend",
        "boyfriend",
        "better half",
        "other half",
    }
)
_INVOLVED: Final = re.compile(
    r"\b(?:been (?:on|looking|searching|dreaming|saving)|lov(?:es|ed)|lik(?:es|ed)|hat(?:es|ed)|saw|found|sends?|look(?:s|ing|ed)|search\w*|keeps?|dreams?|zillow|for the two of us|both)\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class DecisionMaker:
    relation: str
    quote: str


def decision_makers_in(text: str) -> list[DecisionMaker]:
    """People named as part of the decision, each relation once. A relative who only lives or visits here is none."""
    found: dict[str, DecisionMaker] = {}
    for sentence in re.split(r"(?<=[.?!])\s+", text):
        decides = _DECIDES.search(sentence) is not None
        for match in _OWNED.finditer(sentence):
            if not decides and not (match[1].lower() in COUPLE and _INVOLVED.search(sentence)):
                continue
            if re.match(r"'s\s+(?!got|been|gonna|going|on board|not|the one)", sentence[match.end() :], re.I) and not re.search(
                r"opinion|decision|call|approval|okay|blessing|name is on", sentence, re.I
            ):
                continue  # "my mom's house"
            relation = match[1].lower()
            found.setdefault(relation, DecisionMaker(relation, sentence.strip()))
    return list(found.values())


def relations_named(text: str) -> list[tuple[str, int, int]]:
    """Every mention of a relation, without case, and where it begins and ends in the text."""
    return [(m[1].lower(), m.start(), m.end()) for m in _NAMED.finditer(text)]


def relations_in(text: str) -> list[str]:
    """Every relation named, as it was said and without case: who is meant when a sentence is known to name a decider."""
    return list(dict.fromkeys(relation for relation, _, _ in relations_named(text.replace("’", "'"))))


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
    r"|\b(?:cash[- ]offer|ibuyers?|we[- ]buy[- ]houses|cash home buyers?|cash (?:buyers?|company|companies|investors?))\b(?:\s+(?:company|companies|people|guys))?"
    r"|\b(?:have|got|with|hired|using|working with|signed with|already have) (?:an?|another|our|my) (?:\w+ )?(?:agent|realtor|broker)\b|\b(?:agent|realtor) (?:i|we) (?:had|used|have)\b"
    r"|\b(?:is|are) an? (?:agent|realtor|broker)\b|\b(?:another|other|\w+ other|some) (?:couples?|family|families|bidders?)\b|\b(?:somebody|someone) else (?:already )?(?:made|put|has|offered|is (?:looking|interested))\b|\ban investor\b",
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
