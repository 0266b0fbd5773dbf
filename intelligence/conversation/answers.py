"""What only question and answer together tell: which slot the agent asks for, and what a short answer says to it."""

import re
from dataclasses import dataclass
from typing import Final

DEBT: Final = "debt"  # an owner is asked what is owed on the home: the answer stands under financing too

_ASKED: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("agency", re.compile(r"\bsign(?:ed)? (?:anything |something )?(?:up )?with (?:any|some)(?:one|body)\b|\b(?:working with|have|signed (?:up )?with|using|represented by|talk(?:ed|ing) (?:to|with))\b[^.?!]{0,25}\b(?:agent|realtor|broker)\b", re.I)),
    (DEBT, re.compile(r"\b(?:owe[ds]? on|(?:do|does|what) you (?:still )?owe|still owed?|owed? (?:anything|much|any money)|a mortgage on|any (?:mortgage|loans?|liens?) (?:on|left)|paid off|payoff|left on (?:the|your) (?:mortgage|loan))\b", re.I)),
    ("financing", re.compile(r"\b(?:lender|pre-?\s?approv\w+|paying cash|in cash|or cash|financing|mortgage lined|loan|down payment|put(?:ting)? down|the money side|the bank)\b", re.I)),
    ("decision_makers", re.compile(r"\b(?:who else|who(?:'s| is| will be| would be|'ll be) (?:moving|buying|living|deciding|going|looking|involved|all)|(?:anyone|anybody|someone|somebody) else(?= (?:on|who|involved|we|you|i|that|need|has|have|be|part|in)|[?.]|$)|just you|besides you|part of (?:the|this) decision|decide together|make the decision)\b", re.I)),
    ("appointment", re.compile(r"\b(?:what time|(?:would|does|how about|how's|could) [^.?!]{0,20}\b(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday|tomorrow|weekend)|when could we)\b", re.I)),
    ("timeframe", re.compile(r"\b(?:how soon|(?:is there )?a (?:time|date|deadline) (?:you|when)|when (?:do|would) you (?:want|need|like|hope)|time ?line|time ?frame|when (?:are|would|do|did|were|will) you|what(?:'s| is) your (?:timing|deadline)|by when|any deadline)\b", re.I)),
    ("price", re.compile(r"\b(?:what (?:were|was|are|is) (?:you|they|he|she|it) (?:asking|listed)|what did (?:you|they) (?:list|ask)|what number|the most you(?:'d| would)|what (?:would|do) you (?:want|need|think|have in mind)[^.?!]{0,25}\b(?:for it|get|price|worth|spend)|what would that price|budget|price range|what number|what range|how much (?:are|were|would|do) you|comfortable (?:with|spending)|looking to spend|hoping to get)\b", re.I)),
    ("location", re.compile(r"\b(?:where (?:to|next|would that be)|(?:which|what) (?:areas?|part of town|neighborhoods?|towns?|side)|where (?:are|would|do) you)\b", re.I)),
    ("motivation", re.compile(r"\b(?:what(?:'s| is|'s been)? (?:has you|brings|bringing|pushing|made you|making you|prompt\w+|driving|the reason|behind)|why (?:are|do|now|the move)|(?:thinking about|reason for) (?:a move|moving|selling|the move))\b", re.I)),
)  # fmt: skip
_NO: Final = re.compile(
    r"^(?:um+ |uh+ |well |oh |so )*(?:no|nope|nah|not yet|not really|nobody|no one|haven't|havent|we haven't|i haven't|we don't|i don't|not at the moment|neither)\b",
    re.I,
)
_YES: Final = re.compile(r"^(?:um+ |uh+ |well |oh |so )*(?:yes|yeah|yep|yup|sure|we are|we have|i am|i have|we do|i do|already)\b", re.I)
_ALONE: Final = re.compile(
    r"\b(?:just|only) (?:me|myself|us)\b|\b(?:it'?s|its) (?:all )?(?:my|our) (?:own )?(?:decision|call)\b|\b(?:on my own|by myself)\b|\bi (?:decide|make (?:the|my own) decisions?)\b",
    re.I,
)
_FINANCING: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("not yet pre-approved", re.compile(r"\b(?:not|haven'?t|no|don'?t have|never)\b[^.?!]{0,40}\b(?:pre[- ]?\s?approv\w+|(?:talk|talked|spoken|spoke) (?:to|with) (?:a |any |the )?(?:lender|bank))", re.I)),
    ("pre-approved", re.compile(r"\bpre[- ]?\s?approv(?:ed|al)\b(?! yet)|\b(?:we're|i'm|we are|i am|been|got|were|im) approved\b|\b(?:approved|qualif(?:y|ied)) (?:us|me|for)\b", re.I)),
    ("cash", re.compile(r"\b(?:pay(?:ing)?|buy(?:ing)?|all|it'?s|be|it'd be) (?:in |all )?cash\b|\bcash buyers?\b(?! will| can| company)|\bno (?:loan|mortgage|financing) needed\b", re.I)),
    ("must sell first", re.compile(r"\b(?:have|need|got|gotta|would have|'d have) to sell\b[^.?!]{0,30}\b(?:first|before)\b|\bsell (?:our|my|this|ours|mine) (?:house |home |place |condo )?first\b|\b(?:can'?t|couldn'?t|won'?t|not)\b[^.?!]{0,40}\b(?:until|till) (?:this|that|ours?|mine|my|it)\b[^.?!]{0,20}\b(?:gone|sold|sells)\b|\beverything (?:i've|we've|i|we) (?:got )?(?:is|are|have) in (?:this house|these walls|this place|the house)\b", re.I)),
    ("pre-approved", re.compile(r"\b(?:the|a|our|my|their|lender'?s|bank'?s|union'?s|approval) letter\b[^.?!]{0,25}\b(?:from|for|good|says|through|until|at)\b|\bletter(?:'s| is) (?:good|from|at|dated)\b", re.I)),
    ("a down payment", re.compile(r"\b(?:\d+|\w+) ?(?:%|percent|per cent) down\b|\b(?:a )?quarter down\b|\b(?:saved|set aside|put (?:down|away|aside)|for (?:a|the) down payment)\b[^.?!]{0,30}\b(?:thousand|grand|\d{2,3},\d{3})\b|\b(?:thousand|grand|\d{2,3},\d{3})(?: dollars)? (?:saved|set aside|put (?:away|aside)|to put down|for (?:a|the) down payment)\b", re.I)),
    ("paid off", re.compile(r"\bpaid (?:it|the (?:house|place|home|mortgage|note)|(?:the|that) thing)?\s?(?:all )?off\b|\bfree and clear\b|\b(?:don't|do not|doesn't) owe (?:a (?:dime|penny|cent)|anything|any)\b|\bno mortgage\b(?! needed)|\bown it outright\b", re.I)),
    ("credit trouble", re.compile(r"\b(?:bad|poor|rough|bruised|lousy|low|no) credit\b|\bcredit (?:score |history |report )?(?:is|isn't|was|wasn't|took|got) (?:not |so |pretty |kinda |kind of |really |a )?(?:bad|low|great|good|shot|rough|hit|poor|mess|ruined)\b|\brepossess\w+|\bbankruptcy\b|\bforeclos(?:ed|ure) on (?:me|us|my|our)|\bin collections\b", re.I)),
    ("FHA loan", re.compile(r"\bfha\b", re.I)),
    ("VA loan", re.compile(r"\bv\.?a\.? loan\b|\b(?:use|using|got) (?:my|the|our) va\b", re.I)),
    ("talking with a lender", re.compile(r"\b(?:talk\w*|spoke\w*|working|met|waiting) (?:to|with|on) (?:a |our |my |the )?(?:lender|bank|loan officer|mortgage broker|credit union)\b", re.I)),
)  # fmt: skip
_AGENCY: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("none", re.compile(r"\b(?:not|don'?t have|no|haven'?t|without)\b[^.?!]{0,25}\b(?:an? |another |any )?(?:agent|realtor)\b(?! yet\?)|\bnot working with (?:anyone|anybody|an)\b|\bjust you\b"
        r"|\b(?:not|never|haven'?t|hasn'?t|ain'?t|didn'?t) (?:yet |really )?sign(?:ed)? (?:up )?(?:with (?:any|no)\w+|(?:any|no)thing|yet)\b|\bnothing(?:'?s| is)? signed\b|\bsigned nothing\b", re.I)),
    ("has an agent", re.compile(r"\b(?:have|got|with|using|signed with|hired) (?:an|another|our|my|our own|a) (?:buyer'?s )?(?:agent|realtor)\b|\b(?:my|our) (?:agent|realtor)\b(?! (?:last|before|back|did nothing))", re.I)),
)  # fmt: skip
# An answer of few words, or one whose first sentence is hardly more than yes or no; a longer one says in itself what it is about.
_SHORT_ANSWER: Final = re.compile(r"(?:\S+\s*){1,8}$|(?:[^\s.?!]+\s*){1,3}[.!]")


_LIVES_NOW: Final = re.compile(
    r"\b(?:where (?:do|are) you (?:live|living|now|at now|staying|coming from)|moving from|coming from|where(?:'s| is) (?:home|your (?:house|place|home))"
    r"|tell me (?:a (?:bit|little) )?about (?:the|your) (?:house|home|place|condo)|how long have you)\b",
    re.I,
)
_LIVES_THERE: Final = re.compile(
    r"\b(?:(?:we|i)(?:'ve| have)? (?:currently |now )?(?:live|lived|living|rent|renting|are renting)|(?:we're|i'm|we are|i am) (?:currently |now |still )?(?:living|renting|in|on|at)"
    r"|moving from|get(?:ting)? out of|leaving|leave|our (?:house|condo|place|home|apartment) (?:is|in|on)|done with)\b",
    re.I,
)
_WISHES: Final = re.compile(
    r"\b(?:want|like|love|looking|prefer|move to|moving to|closer|near|hoping|dream|somewhere|to be in|go to|would be)\b", re.I
)


@dataclass(frozen=True, slots=True)
class Answer:
    slot: str
    value: str
    quote: str


def asked_for(text: str) -> str | None:
    """The slot that the agent's words ask for, if any."""
    return next((slot for slot, words in _ASKED if words.search(text)), None)


def lives_now(text: str) -> bool:
    """Whether the agent asks about the home of today: a place in the answer is not the place wanted."""
    return _LIVES_NOW.search(text) is not None


def lives_there(text: str) -> bool:
    """Whether the prospect says where they live or what they leave, and wishes for nothing in the same words."""
    return _LIVES_THERE.search(text) is not None and _WISHES.search(text) is None


def answers_in(text: str, asked: str | None) -> list[Answer]:
    """What the prospect's words say about financing, agency and deciding alone; ``asked``: the agent's last question."""
    found = [
        next((Answer(slot, value, m.group()) for value, words in table if (m := words.search(text))), None)
        for slot, table in (("financing", _FINANCING), ("agency", _AGENCY))
    ]
    answers = [a for a in found if a is not None]
    slot = "financing" if asked == DEBT else asked
    if (alone := _ALONE.search(text)) is not None and asked == "decision_makers":
        answers.append(Answer("decision_makers", "decides alone", alone.group()))
    elif asked == "financing" and all(a.slot != "financing" for a in answers) and (has := _HAS.search(text)) is not None:
        answers.append(Answer("financing", has.group(), has.group()))
    elif _SHORT_ANSWER.match(text) is not None and slot is not None and asked is not None and all(a.slot != slot for a in answers):
        said = _NO.match(text) or _YES.match(text)
        value = _MEANS.get((asked, bool(_NO.match(text)))) if said else None
        if said and value:
            answers.append(Answer(slot, value, said.group()))
    return answers


# What somebody who is asked for the money says to have.
_HAS: Final = re.compile(
    r"\bcredit unions?\b|\b(?:have|got|we're at|i'm at|about|around|like)\W+(?:\w+[ -]){0,3}(?:thousand|grand)(?: dollars)?\b|\$\d[\d,]+|\b\d{2,3},\d{3}\b|\b(?:bank|lender)\b",
    re.I,
)
_MEANS: Final = {
    ("agency", True): "none",
    ("agency", False): "has an agent",
    ("financing", True): "not yet pre-approved",
    ("financing", False): "talking with a lender",
    ("decision_makers", True): "decides alone",
    (DEBT, True): "paid off",
    (DEBT, False): "a mortgage on it",
}
