"""Turns of phrase and extracted values as columns of the signals' trained head, which weighs them.

Matched on plain words (lower case, no punctuation, no apostrophes), so that a recogniser's text is read the same way.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intelligence.conversation.amounts import Amount, amounts_in
from intelligence.conversation.objection_cues import plain
from intelligence.conversation.people import Competitor, DecisionMaker, competitors_in, decision_makers_in
from intelligence.conversation.places import Place, places_in
from intelligence.conversation.spans import Timeframe
from intelligence.conversation.timeframes import timeframes_in

_DAY: Final = r"(monday|tuesday|wednesday|thursday|friday|saturday|sunday|tomorrow|today|tonight|this weekend|the weekend|this afternoon|this evening|next week)"
_CLOCK: Final = r"(noon|(at|around|about|by|say|after|before|till|for) (one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\d{1,2})( (thirty|fifteen|forty five|oclock|sharp|am|pm|0|30|15|45))?|\d{1,2} ?(am|pm|30|15|45|00))"
_CUES: Final[tuple[tuple[str, ...], ...]] = (
    # buying_interest
    (
        r"\b(make|put in|write|writing|submit|putting in|draw up) (an|the|our|a) offer\b|\b(move|moving|go|going) (forward|ahead)\b|\bnext steps?\b|\bfirst step\b",
        r"\b(see|picture|imagine) (us|myself|ourselves|me|our kids) (living|there|in)\b|\b(love|loved|adore) (it|that|this|the)\b|\bthis (is|might be|could be) (it|the one)\b|\bthe one\b",
        r"\b(still available|still for sale|other offers|get the keys|move in|second showing|see it again|another look|take another|earnest money|get started|lets do it|sign me up|ready to (list|sign|buy|make|move forward|go))\b",
        r"\bwould (they|the seller|the sellers) (take|consider|accept|throw|leave|come down|cover|pay|go)\b|\bwhat would it take\b|\bhow (soon|fast|quickly) (could|can|would)\b|\bwhen (can|could) (we|i) (see|get|move|close|tour)\b",
    ),
    # appointment
    (
        rf"\b{_DAY}\b",
        rf"\b{_CLOCK}\b",
        r"\b(works?( better| best| fine| great)? for (me|us|both)|that works|works on (my|our|your) end|see you (then|there|at|on)|(ill|well) be (there|here|home)|put (me|us) down|im free|were free|book it|come (by|over|out)|swing by|stop by|drop by|meet (you|up|there|me|us)|set (it|that|something) up|is good|is fine|is perfect|free (at|on|after|that))\b",
        r"\b(call|ring|text) (me|us) (back )?(on |at )?(monday|tuesday|wednesday|thursday|friday|saturday|sunday|tomorrow)\b|\bhow (about|bout)\b|\bwhat about\b|\blets (say|do|meet|get together)\b|\bcan (we|you|i) (do|make it|meet|come|see)\b",
    ),
    # urgency
    (
        r"\b(have to|need to|got to|gotta|must|has to|need|needs to|weve got to|ive got to) (be |get )?(out|sold|closed?|gone|move|moved|in|sell|buy|find|there|settled|leave|vacate|done|happen|under contract)\b",
        r"\b(deadline|no later than|running out|asap|right away|as (soon|fast|quick(ly)?) as (possible|we can|i can)|urgent|emergency|no (wiggle room|choice|matter what)|under the gun|the sooner the better|hurry|quick(ly)?|fast|cant wait|eviction|evict\w*|foreclos\w+|auction|two mortgages|two places)\b",
        r"\b(lease (is up|ends?|runs? out|expires?)|rate lock|start(s|ing)? (the|my|a) (new )?job|report (by|on|to)|due (in|on|date)|kicking us out|landlord (is|sold)|orders|nowhere to (go|live))\b",
    ),
    # stress
    (
        r"\b(stress\w*|overwhelm\w*|scared|scares?|afraid|terrified|terrif\w+|nervous|anxious|anxiety|worried|worry|worries|panick?\w*|frustrat\w+|exhaust\w*|burned out|fed up|freak\w* out|dread|nightmare|desperate|pressured?|rushed|overthinking|embarrass\w*|headache)\b",
        r"\b(cant sleep|up at night|losing sleep|lie awake|at (my|our) wits end|end of my rope|in knots|sick (about|to)|makes me sick|in tears|cry\w*|cried|falling apart|too much (right now|at once|to handle)|a lot (right now|on|to|at once)|drowning|killing (me|us)|driving (me|us) crazy|give up|over with|what if|lose everything|mess)\b",
        r"\b(not|isnt|arent|no|never|dont|didnt|wasnt) (really |too |that |very |at all )?(worried|worry|stressed|nervous|scared|anxious|afraid|pressure|rush)\b",
    ),
    # question
    (
        r"\?",
        r"^(um |uh |so |and |but |well |okay |ok |yeah |oh |hey |also |now |then |actually |or )*(what|whats|when|whens|where|wheres|who|whos|why|whys|how|hows|which|is|are|was|were|do|does|did|can|could|would|will|should|shouldnt|have|has|any|isnt|arent|doesnt|dont you|wouldnt|whose|am i)\b",
        r"\b(can|could|would|will) (you|i|we|they)\b|\b(what|how|when|where|which|who|why) (is|are|do|does|did|would|could|can|should|much|many|long|soon|far|old|about|kind|happens|else|if)\b|\b(do|does|did) (you|they|it|we|i|that)\b",
        r"\b(wondering|curious|tell me|any idea|do you know|id like to know|let me ask|question|remind me|right$|what do you (think|mean))\b",
    ),
    # commitment_refused
    (
        r"\b(not|no|dont|wont|cant|rather not|never|nah|without) (going to |gonna |want to |wanna |be |interested in |ready to |need to |need you to |want you |like to |comfortable |thanks |thank you |really |think |just )*(sign\w*|meet\w*|commit\w*|schedul\w*|book\w*|set\w*|come|coming|see|list\w*|offer|make|tour|do that|do it|giving|give|interested|anything|answer|calendar|talk)\b",
        r"\b(hold off|pass on|skip|cancel|call off|back(ing)? out|say no|no thanks|no thank you|im good|were good|rather (just|not)|not (today|yet|this week|now|right now)|leave it|not interested|prefer not|no from (us|me)|dont bother|decided not|gonna pass|going to pass)\b",
    ),
    # do_not_call
    (
        r"\b(do not call|dont (ever )?call|stop (calling|texting|contacting|emailing|phoning|ringing|bothering|sending)|quit (calling|texting|bothering)|never call|not to (call|be called|be contacted)|no more (calls|texts|emails|letters))\b",
        r"\b(take|remove|delete|scratch|get|cross|drop|pull|wipe|strike) (me|us|my|our|this) ?(name|number|info|information|email|phone)? ?(off|from|out|down)?\b.*\b(list|number|system|database|off|registry|records|sheet|mailing)\b",
        r"\b(lose (my|this) number|unsubscribe|harass\w*|leave (me|us) alone|(dont|do not|stop|quit|never) (ever )?(contact|text|email|call|phone|bother)\w* (me|us|my|here|this)|reporting you|opt out)\b",
        r"\b(call|text|phone|try) (me )?(back|later|tomorrow|in (a|the|january|spring|two|six|couple)|next|again in)\b|\bdont call (before|after|during|the other|my work)\b",
    ),
)
_REASONS: Final[dict[str, str]] = {
    "relocation": r"\b(relocat\w+|transfer\w*|new job|job offer|stationed|orders|moving (from|out of state|for work|back to|cross)|out of state|closer to (my|our|family|the grandkids|work)|company (is|s) moving|office)\b",
    "growing_family": r"\b(bab(y|ies)|expecting|pregnant|twins|kids? on the way|on the way|due in|growing family|family is (growing|getting)|another (kid|child|bedroom)|more (room|space|bedrooms) for|sharing a room|nursery|moving in with us|third child|second child|newborn)\b",
    "downsizing": r"\b(downsiz\w+|empty nest\w*|too (much house|big for)|smaller|less (yard|space|house|to clean)|kids (are|have|all) (gone|moved|out|grown)|dont need (all|this much|the|four|five|so)|rattl\w+)\b",
    "first_home": r"\b(first (home|house|place|time)|first timers?|never (owned|bought)|tired of (paying )?rent\w*|throwing (rent|money|it)|stop renting|done renting|own something|been renting|paying rent|sick of rent\w*)\b",
    "investment": r"\b(invest\w*|rental|rent it out|flip\w*|cash ?flows?|cap rate|portfolio|airbnb|duplex|passive|tenants?|multi ?family|income property|1031|ten thirty one|turn a profit)\b",
    "separation": r"\b(divorc\w+|separat\w+|split(ting)? up|splitting|my ex|break ?up|broke up|moved out on|ex (wife|husband))\b",
    "inheritance": r"\b(inherit\w*|estate|probate|passed (away)?|left (me|us) (the|her|his|it)|executor|(mom|dad|mother|father|grandma|aunt|uncle)s house|will|heirs?|trust)\b",
    "financial_distress": r"\b(foreclos\w+|behind on|months behind|lost my job|laid off|bankrupt\w*|cant (afford|keep up|make) (the|it|our|this|up)?|auction|medical bills|debt|short sale|notice from the bank|eating us|hours got cut|cut my hours|underwater)\b",
    "upgrade": r"\b(bigger|larger|upgrad\w+|move up|moving up|outgrown|outgrew|trade up|forever home|nicer|more (space|room)|home office|extra bedroom|real (kitchen|yard)|starter)\b",
    "lifestyle": r"\b(water|ocean|beach|lake|mountains?|walkable|walk to|country|quiet|slow down|sunshine|warm(er)?|land|acres|horses|garden|scenery|golf|ski\w*|boat|pace|nature|snow|weather|city life|downtown)\b",
    "health": r"\b(stairs|knees?|hips?|wheelchair|stroke|surgery|doctor|health|hospital|asthma|memory|dementia|alzheimers|one (level|floor|story)|fall|fell|treatments?|cancer|oxygen|walker|heart)\b",
    "retirement": r"\b(retir\w+|pension|social security|stopped working|done working|golden years|snowbirds?)\b",
}
_COMPILED: Final = tuple(re.compile(p) for group in _CUES for p in group) + tuple(re.compile(p) for p in _REASONS.values())
_ASKS: Final = re.compile(r"\?")


@dataclass(frozen=True, slots=True)
class Values:
    """What the readers of values found in one text."""

    amounts: tuple[Amount, ...]
    timeframes: tuple[Timeframe, ...]
    places: tuple[Place, ...]
    people: tuple[DecisionMaker, ...]
    competitors: tuple[Competitor, ...]


def values_in(text: str, today: date) -> Values:
    return Values(
        tuple(amounts_in(text)),
        tuple(timeframes_in(text, today)),
        tuple(places_in(text)),
        tuple(decision_makers_in(text)),
        tuple(competitors_in(text)),
    )


def values_of_sentences(text: str, sentences: Sequence[str], today: date) -> list[Values]:
    """The values of each sentence of a turn. Amounts and dates are read in the whole turn: "Four twenty. Tops." is one amount."""
    amounts, frames, places = amounts_in(text), timeframes_in(text, today), places_in(text)
    values, at = [], 0
    for sentence in sentences:
        start = text.index(sentence, at)
        at = start + len(sentence)
        values.append(
            Values(
                tuple(a for a in amounts if start <= a.start < at),
                tuple(f for f in frames if start <= f.start < at),
                tuple(p for p in places if start <= p.start < at),
                tuple(decision_makers_in(sentence)),
                tuple(competitors_in(sentence)),
            )
        )
    return values


def columns(texts: Sequence[str], values: Sequence[Values]) -> NDArray[np.float32]:
    """0 or 1, float32, shape (n, cues + 9): turns of phrase, a question mark, and which kinds of value stand there."""
    rows = []
    for text, found in zip(texts, values, strict=True):
        words = plain(text)
        cues = [bool(p.search(text) if p.pattern == _ASKS.pattern else p.search(words)) for p in _COMPILED]
        near = any(f.latest_days is not None and f.latest_days < 14 for f in found.timeframes)
        far = any(f.latest_days is None or f.latest_days >= 14 for f in found.timeframes)
        rows.append(
            [*cues, bool(found.amounts), len(found.amounts) > 1, bool(found.timeframes), near, far, bool(found.places),
             bool(found.people), bool(found.competitors), len(words.split()) < 5]
        )  # fmt: skip
    return np.array(rows, np.float32).reshape(len(texts), len(_COMPILED) + 9)
