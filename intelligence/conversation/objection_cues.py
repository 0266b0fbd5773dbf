"""Turns of phrase that mostly carry an objection: columns of the trained head, which weighs them.

Matched on plain words (lower case, no punctuation, no apostrophes), so that a recogniser's text is read the same way.
"""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_CUES: Final[dict[str, tuple[str, ...]]] = {
    "price": (
        r"\b(over ?priced|too (expensive|much money|high priced|pricey)|way more than|low ?ball|insulting|not worth (that|it)|cant justify)\b",
        r"\b(out of|over|above|past) (our|my|the) (budget|price range|range|limit)\b",
        r"\b(wont|not|never) (take|taking|accept|go|going|pay|paying) (a (dollar|penny) )?(less than|below|over|more than|above|that much)\b",
        r"\bgiv(e|ing) it away\b|\bhow much\b.*\bfor (that|this)\b|\bcome down\b.*\b(thousand|grand|price)\b|\bworth (a lot )?more than\b",
    ),
    "commission": (
        r"\b(percent|commission|comission|fee|fees|cut|points?)\b.*\b(too (much|high)|a lot|steep|ridiculous|negotiable|lower|cheaper|for what)\b",
        r"\bwhy (should|would|do|wood) (i|we) pay (you|a realtor|an agent|the)\b|\bflat fee\b|\b(only )?charges? (only )?(one|two|1|2|0)\b",
        r"\b(knock|take|cut|come down|drop|lower|reduce|discount)\b.*\b(commission|fee|cut|percent|rate you|what you charge)\b",
        r"\bnot (covering|paying) (the|a|for the) (other|buyers|sellers|commission)\b",
    ),
    "timing": (
        r"\b(not ready to (move|sell|buy|list)|not the right time|bad time for us|no (rush|hurry)|not in a (rush|hurry)|a (year|ways) (out|off))\b",
        r"\b(wait|waiting|hold off|holding off)\b.*\b(spring|summer|fall|winter|new year|next year|holidays|christmas|school|retire|months?)\b",
        r"\b(call|try|ask) me (back |again )?(in|after) (the )?(\w+ )?(months?|spring|summer|fall|january|september|year|holidays)\b",
        r"\bnot (till|until|before|this year)\b|\blease\b.*\b(up|until|till|run out)\b",
    ),
    "market": (
        r"\b(rates?|interest)\b.*\b(crazy|too high|insane|ridiculous|come down|drop|killing|make no sense|that high)\b",
        r"\b(crash|bubble|recession|at the top|underwater|bidding war|bad time to (buy|sell))\b",
        r"\b(prices|values|market|everything)\b.*\b(fall|drop|tank|coming down|come down|cool off|calm down)\b",
        r"\b(at|with) (that|those|these|todays) (interest )?rates?\b|\b(give up|lose|locked in)\b.*\b(rate|mortgage|three|two)\b",
    ),
    "financing": (
        r"\b(havent|not|arent) (been |gotten |yet )?(pre ?approved|approved)\b|\b(credit|score)\b.*\b(hit|bad|shot|low|terrible|mess)\b",
        r"\b(turned (us |me )?down|denied|bank said no|wont (lend|approve)|cant (qualify|get (a )?(loan|approved))|not sure (i|we)d qualify)\b",
        r"\b(dont have|havent got|short on|no|need)\b.*\bdown ?payment\b|\b(sell|sold)\b.*\b(before|first)\b.*\bbuy\b|\btwo mortgages\b",
        r"\b(loan|mortgage|financing)\b.*\b(falls? through|doesnt go through|refused|rejected)\b|\bself ?employed\b",
    ),
    "decision_maker": (
        r"\b(talk|speak|check|run it|ask|discuss|see what)\b.*\b(my|the|our) (wife|husband|partner|spouse|dad|mom|parents|lawyer|attorney|brother|sister|son|daughter|fiance|kids|accountant|better half|boss)\b",
        r"\b(wife|husband|partner|dad|mom|attorney|lawyer|brother|sister|parents)\b.*\b(has to|have to|needs? to|would have to|wants? to|decides?|doesnt want|isnt)\b",
        r"\bnot (just )?(my|up to me|without) ?(house|decision|call|him|her|my)?\b|\bmakes the decisions\b|\bon the (deed|title)\b",
    ),
    "has_agent": (
        r"\b(already|happily) (have|got|with|working with|signed|hired|represented)\b.*\b(agent|realtor|broker|somebody|someone|person|guy|lady)\b",
        r"\b(friend|cousin|aunt|uncle|sister|brother|nephew|mom|buddy|neighbor)\b.*\b(agent|realtor|broker|real estate|license|list it|the business)\b",
        r"\b(signed|under contract|under agreement|listed) with\b|\bwere with (somebody|someone|another)\b|\bour (agent|realtor)\b.*\b(told|set|found|is)\b",
    ),
    "self_serve": (
        r"\b(sell|selling|list|do|doing|handle|try) (it|this|that|the house) (all )?(myself|ourselves|on my own|on our own|by owner|privately|without)\b",
        r"\b(for sale by owner|fsbo|opendoor|offerpad|we buy houses|cash (company|companies|offer|buyer)|facebook|craigslist)\b",
        r"\b(dont|do not|why would i|why do i) need (an agent|a realtor|you|a middleman)\b|\bby owner\b",
    ),
    "commitment": (
        r"\b(not|dont|wont|rather not|never|without)\b.*\b(sign|signing|contract|exclusive|paperwork|locked|tied|in writing)\b",
        r"\b(locked in|tied (to|down)|stuck (with|for|in))\b.*\b(month|months|contract|you|agent|agreement|year)?\b",
        r"\bwhy do (i|we) have to sign\b|\bkeep (my|our) options open\b|\bmonths?\b.*\btoo long\b|\bno contracts?\b",
    ),
    "property": (
        r"\b(roof|kitchen|bathroom|basement|furnace|foundation|windows|wiring|layout|yard|floors|carpet|plumbing|deck|ceilings?)\b.*\b(old|replaced?|crack\w*|leak\w*|mold|outdated|small|tiny|rotten|bad|low|redo|gut|no)\b",
        r"\b(too (small|big|old|dark|much work)|needs? (too much|a lot of|way too much|a new) (work|roof|\w+)|fixer|mold|termites|water damage)\b",
    ),
    "location": (
        r"\b(too far|commute|highway|freeway|train tracks|flood zone|flight path|busy (street|road)|main road|middle of nowhere|boonies|wrong side)\b",
        r"\b(neighborhood|area|part of town|side of town|school district)\b.*\b(isnt|not|dont|doesnt|never|wasnt)\b|\bdont (like|love|know) (the|that) (area|neighborhood)\b",
    ),
    "trust": (
        r"\b(last|previous|old) (agent|realtor|guy|one|lady)\b.*\b(never|didnt|nothing|lied|promised|awful|terrible|bad|disappeared)\b",
        r"\b(dont|do not|cant|hard to) (really )?(trust|believe)\b|\bhow do (i|we) know\b|\bwhy should (i|we) (go with|pick|choose|hire|trust) you\b",
        r"\b(been burned|got (burned|screwed)|sales pitch|too good to be true|you all say|all the same|skeptical|what makes you)\b",
    ),
    "stall": (
        r"\b(think (about it|it over|on it)|sleep on it|get back to you|be in touch|let you know|mull it over|need (some|a little) time)\b",
        r"\b(just |can you |could you )?(send|email|mail|text) me (some|something|the|a|whatever|more)\b.*\b(info|information|something|brochure|details|you got)\b",
        r"\b(call me (later|back|some other time|another time)|just (looking|browsing)|well see|not a good time|in the middle of something)\b",
    ),
}
_COMPILED: Final = {label: tuple(re.compile(p) for p in patterns) for label, patterns in _CUES.items()}
_DENIED: Final = re.compile(
    r"\b(doesnt bother|dont (worry|mind)|not worried|happy with|fine with|no problem|used to (think|worry)|not any ?more|i dont buy that|glad (i|we) didnt|(he|she|they|people|everybody|some) (says?|said|thinks?|told) (that )?(the|it|we|they|i)\b.*\bbut)\b"
)


def plain(text: str) -> str:
    """Lower case, letters and digits only, apostrophes dropped, single spaces."""
    return " ".join(re.sub(r"[^a-z0-9 ]", " ", text.lower().replace("’", "").replace("'", "")).split())


def cues(text: str) -> frozenset[str]:
    """The objections whose turns of phrase stand in ``text``; none when it takes them back in the same breath."""
    words = plain(text)
    if _DENIED.search(words):
        return frozenset()
    return frozenset(label for label, patterns in _COMPILED.items() if any(p.search(words) for p in patterns))


def columns(texts: Sequence[str]) -> NDArray[np.float32]:
    """0 or 1, float32, shape (n, 13), in the order of the taxonomy: the head's extra columns."""
    return np.array([[label in heard for label in _CUES] for heard in map(cues, texts)], np.float32).reshape(len(texts), len(_CUES))
