"""Moments that are neither objection nor signal: a machine that answers, a screener, a document that is asked about, the market as a
cue, thinking aloud, and a fact of the agent's that contradicts what was said (wrong_facts.py). Patterns, not a trained model: each names the words it saw.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from intelligence.conversation.card_head import card_head, chance_of, margins_in
from intelligence.conversation.turns import Conversation, Finding, Json, Reading, Turn
from intelligence.conversation.wrong_facts import NamedFacts

_RULE: Final = "moments/"
_FIRST_TURNS: Final = 3  # of the prospect: a machine or a screener answers at the start

_MACHINE: Final = re.compile(
    r"\b(?:you(?:'ve| have) reached (?:the (?:voice ?mail|mailbox|desk)|[\w' ]{2,30}\W)|leave (?:me |us )?(?:a|your) (?:brief |short |detailed )?(?:message|name)|(?:after|at) the (?:tone|beep)"
    r"|(?:can't|cannot|can not|unable to) (?:come to|get to|take|answer) (?:the|my|your) (?:phone|call)|voice ?mail(?:box)?|mailbox (?:is full|of)|record your message"
    r"|(?:person|party|number) you (?:are|have) (?:calling|trying to reach|called|dialed) (?:is|has))\b",
    re.I,
)  # fmt: skip
_SCREEN: Final = re.compile(
    r"\b(?:(?:who|whom)(?:'s| is| am I| may I say is| should I say is)? (?:calling|speaking with)|state your (?:name|business)|say your name|(?:the )?reason (?:for|you're|of) (?:your |the )?call\w*"
    r"|what(?:'s| is) (?:this|it) (?:about|regarding|concerning|in regards? to)|is (?:he|she|they) expecting your call|call (?:screening|assist)|how did you get (?:my|this) number)\b",
    re.I,
)  # fmt: skip
_MARKET: Final = re.compile(
    r"\b(?:(?:mortgage|interest) rates?|today's rates?|home (?:prices?|values?)|house prices?|inventory|how(?:'s| is) the market|what(?:'s| is) the market (?:like|doing)"
    r"|(?:buyer|seller)(?:'s|s') market|days on (?:the )?market|how (?:long|fast|quickly) (?:are|do) (?:homes|houses|things|places)|what (?:are|did) (?:homes|houses|places|similar homes) (?:going|sell|selling) for)\b",
    re.I,
)  # fmt: skip
_ASKS: Final = re.compile(
    r"\?\s*$|^\W*(?:so |and |well |but )?(?:what|how|are|is|do|did|will|would|where|any idea)\b|\bI (?:wonder|keep hearing|heard|read)\b",
    re.I,
)
_GRIEF: Final = re.compile(
    r"\b(?:my|our) (?:late )?(?:wife|husband|mom|mother|dad|father|son|daughter|brother|sister|partner|parents?|grandmother|grandfather|grandma|grandpa)"
    r" (?:just |recently )?(?:passed(?: away)?(?! (?:the|on the|it|a|her|his|by))|died|has (?:cancer|dementia)|is (?:dying|in hospice|in the hospital))\b"
    r"|\b(?:i|we) (?:just |recently )?(?:lost|buried) (?:my|our) (?:wife|husband|mom|mother|dad|father|son|daughter|brother|sister|partner)\b",
    re.I,
)
# A loss of long ago, told as part of the house's story, is passed over as the caller does.
_FRESH: Final = re.compile(
    r"\b(?:just|recently|yesterday|today|last (?:week|month|night|spring|summer|fall|winter|year|\w+day)|this (?:week|month|year|spring|summer|fall|winter|morning)"
    r"|in (?:january|february|march|april|may|june|july|august|september|october|november|december)|(?:days?|weeks?|months?) ago|still|miss(?:ing)?|hard|can't|cancer|dementia|dying|hospice|hospital|buried|funeral|cry\w*|keep)\b",
    re.I,
)
_PAPER: Final = (
    r"(?:by-?laws|house rules|(?:h\.?o\.?a\.?|association|condo|community)(?:'s)?(?: \w+)?(?: (?:documents?|docs|packet|rules|papers?|minutes|sheet|budget))?|covenants?|cc&?rs|packet"
    r"|inspection(?: report)?|inspector'?s report|report|disclosures?|appraisal|title(?: \w+)?|deed|survey|plat|contract|agreement|lease|listing(?: sheet)?|loan estimate|closing disclosure|estimate"
    r"|paperwork|papers?|form|letter|addendum|orders|decree|will|trust|permits?|warranty|page \w+|(?:fine|small|little) print|clause|paragraph|sheet|brochure|flyer|offer|estoppel|statement|policy|minutes|document\w*)"
)
# Somebody asks what stands in a paper: 35 of 37 such turns of the authored calls, and no other of their 9,000 turns of prospects.
_CITES: Final = re.compile(
    rf"\b(?:do|does|did|what(?:'s| does| do| did)|where(?: does| do)?|if|whether|see (?:if|whether|in))\b[^.?!]{{0,50}}\b(?:the|that|this|those|your|her|his|their|its|our|my)\b[^.?!]{{0,25}}\b{_PAPER}\b"
    r"[^.?!]{0,40}\b(?:say|says|said|mention\w*|cover\w*|allow\w*|call for|list|show\w*|spell\w*|read)\b[^.!]{0,80}\?"
    r"|\b(?:does|do|did) (?:it|they|that|any of (?:it|that|them)) (?:say|mention|spell|cover)\b[^.!]*\?"
    rf"|\bwhat(?:'s| is| does|'d) (?:it|they|that)?\s?(?:say|mean where it says|say (?:in|on))\b[^.!]{{0,60}}\b{_PAPER}\b[^.!]*\?"
    rf"|\bwhat(?:'s| does| did| would| do) (?:it|they|he|she|that|the {_PAPER}|the (?:rules|dues))\b(?: actually)? (?:say|cover|want to know|put down|mean by)\b[^.!]*\?"
    r"|\b(?:is there|there's|was there) (?:any|some)thing (?:in (?:the|those|that|there)\b|that says|written|on paper)[^.!]*\?"
    r"|\b(?:do|does|did|would|what) (?:the|their|your|our) (?:\w+'?s? )?(?:rules|dues|bylaws|covenants|packet) (?:permit|allow|let|cover|say|forbid)\b[^.!]*\?"
    rf"|\b(?:see|find|look up|tell) (?:me )?in the {_PAPER}\b[^.!]*\?|\b{_PAPER}\b[^.?!]{{0,50}}, what did (?:he|she|they|it) (?:put|say|write|find)\b[^.!]*\?"
    r"|\b(?:page|paragraph|section|clause) [\w-]+ (?:says|has|reads)\b[^?!]*\?|\bwhere it says\b[^.!]*\?"
    rf"|\b(?:is|are|was) (?:it|that|this|there)\b[^.?!]{{0,40}}\b(?:written down|in writing|on paper|in the {_PAPER}|spelled out)\b[^.!]*\?"
    rf"|\bwhat(?:'s| is| was) (?:in|on) (?:the|that|there|page)\b[^.?!]{{0,40}}\b(?:{_PAPER}|about)\b[^.!]*\?",
    re.I,
)  # fmt: skip
_FILLER: Final = re.compile(r"\b(?:um+|uh+|uhm|er+|hmm+)\b", re.I)
_THINKS: Final = re.compile(
    r"\b(?:let me think|I'm (?:just )?(?:thinking|trying to (?:think|figure|work out|picture))|let's see|(?:I'm|I am) not sure(?:,| if| whether)|I don't know,? (?:maybe|I|it's|if)|how do I (?:say|put)|I guess)\b",
    re.I,
)  # fmt: skip
_TRAILS: Final = re.compile(r"(?:\.\.\.|…|,|\b(?:and|but|so|or|because|um+|uh+|hmm+|maybe|I guess|I mean|like)[.,]?)\s*$", re.I)
_BROKE_IN_MS: Final = 300
_BROKE_IN_WORDS: Final = 4  # "right, sure" is listening, not breaking in

_CARDS: Final = {
    "empathy": "fear_or_pressure",
    "close_now": "buying_signal",
    "let_them_talk": "thinking_aloud",
    "market_fact": "market_named",
}
_WHY_IN_CONTEXT: Final = {
    "fear_or_pressure": "speaks of fear, pressure or loss",
    "buying_signal": "leans in: asks what comes next",
    "thinking_aloud": "thinks aloud and is not done",
    "market_named": "asks about or cites the market",
}
_LIKELY: Final = 0.8
_SIGNALS: Final = {"fear_or_pressure": "stress", "buying_signal": "buying_interest"}  # which raise the same card
_SURE_SIGNAL: Final = 0.8


class MomentDetector:
    """Feed it every turn; it keeps in mind whether the agent broke into the prospect's words."""

    name = "moments"

    def __init__(self) -> None:
        self._prospect_turns = 0
        self._broke_in = 0
        self._facts = NamedFacts()

    def feed(self, reading: Reading, so_far: Conversation) -> list[Finding]:
        turn = reading.turn
        if turn.speaker == "agent":
            if not turn.partial:
                self._listened(turn, so_far)
            return [] if turn.growing else self._wrong(turn, so_far)
        if turn.speaker != "prospect":
            return []
        found = (
            self._answered(turn)
            or self._cited(turn)
            or self._market(turn)
            or self._grieving(turn)
            or self._thinking(turn)
            or self._in_context(reading, so_far)
        )
        self._prospect_turns += not turn.partial
        return found

    # ---- the prospect's words

    def _answered(self, turn: Turn) -> list[Finding]:
        if self._prospect_turns >= _FIRST_TURNS:
            return []
        if (machine := _MACHINE.search(turn.text)) is not None:
            return [_moment("voicemail", turn, machine.group(), "a machine answers", 0.9)]
        if (screen := _SCREEN.search(turn.text)) is not None:
            return [_moment("call_screening", turn, screen.group(), "asks who is calling and why", 0.85)]
        return []

    def _cited(self, turn: Turn) -> list[Finding]:
        """The page should answer, not a memory of it."""
        cites = None if turn.growing else _CITES.search(turn.text.replace("’", "'"))
        return [_moment("document_cited", turn, cites.group(), "asks what a document says", 0.85)] if cites is not None else []

    def _market(self, turn: Turn) -> list[Finding]:
        market = None if turn.growing else _MARKET.search(turn.text)
        if market is None or not _ASKS.search(turn.text):
            return []
        return [_moment("market_named", turn, market.group(), "asks about or cites the market", 0.7)]

    def _grieving(self, turn: Turn) -> list[Finding]:
        """A death not long ago or an illness in the family is acknowledged before anything else is said."""
        grief = None if turn.growing else _GRIEF.search(turn.text)
        if grief is None or not _FRESH.search(turn.text):
            return []
        return [_moment("fear_or_pressure", turn, grief.group(), "speaks of a loss or an illness", 0.85)]

    def _thinking(self, turn: Turn) -> list[Finding]:
        thinks, trails = bool(_THINKS.search(turn.text)), bool(_TRAILS.search(turn.text))
        signs = len(_FILLER.findall(turn.text)) + 2 * thinks + 2 * trails
        paused = _FILLER.search(turn.text) or re.search(r"\.\.\.|…", turn.text)  # "…, I guess." alone is an answer
        if turn.partial or signs < 3 or not paused or not (thinks or trails) or turn.text.rstrip().endswith("?"):
            return []  # half a sentence always trails off
        values: dict[str, Json] = {"agent_broke_in": self._broke_in}
        return [_moment("thinking_aloud", turn, turn.text, "hesitates aloud and trails off", 0.75, values)]

    def _in_context(self, reading: Reading, so_far: Conversation) -> list[Finding]:
        """What the model of whole turns hears behind what the agent said: fear, somebody who leans in or thinks aloud, the market."""
        turn = reading.turn
        if turn.growing or not (margins := margins_in(reading)):
            return []
        chances = {label: chance_of(card, margins[card]) for card, label in _CARDS.items()}
        label = max(chances, key=lambda each: chances[each])
        heard = any(f.label == _SIGNALS.get(label) and f.confidence >= _SURE_SIGNAL for f in so_far.fresh)
        if chances[label] < _LIKELY or heard:
            return []
        values: dict[str, Json] = {"in_context": True, "chance": round(chances[label], 3)}
        values |= {"agent_broke_in": self._broke_in} if label == "thinking_aloud" else {}
        made = _moment(label, turn, reading.sentences[-1], _WHY_IN_CONTEXT[label], round(chances[label], 3), values)
        return [replace(made, rule=card_head().rule)]

    # ---- the agent's words

    def _listened(self, turn: Turn, so_far: Conversation) -> None:
        last = next((t for t in reversed(so_far.turns) if t.speaker == "prospect"), None)
        if last is not None and len(turn.text.split()) >= _BROKE_IN_WORDS and last.start_ms < turn.start_ms < last.end_ms - _BROKE_IN_MS:
            self._broke_in += 1

    def _wrong(self, turn: Turn, so_far: Conversation) -> list[Finding]:
        wrong = self._facts.wrong(turn, so_far)
        if wrong is None:
            return []
        values: dict[str, Json] = {"say": wrong.say, "said": wrong.quote, "right": wrong.right, "source": wrong.source}
        return [_moment("wrong_fact", turn, wrong.quote, wrong.why, wrong.confidence, values)]


def _moment(label: str, turn: Turn, quote: str, why: str, confidence: float, values: Mapping[str, Json] | None = None) -> Finding:
    return Finding(
        "moment", label, turn.speaker, quote, turn.start_ms, turn.end_ms, confidence, why, _RULE + label,
        utterance=turn.utterance, partial=turn.partial, values=values or {},
    )  # fmt: skip
