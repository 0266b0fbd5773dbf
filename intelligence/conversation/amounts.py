"""Amounts of money in speech: "four fifty", "$450,000", "mid six hundreds", "up to 2,700 a month" -> dollars with a role.

In talk about homes a bare "four fifty" means 450,000 dollars; beside "a month" it means 450. Which one is meant follows
from the words around it, so a number without any such words gives nothing.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from intelligence.conversation.calendar_words import DAYS, MONTHS
from intelligence.conversation.spoken_numbers import SINGLE, Number, numbers_in
from intelligence.conversation.turns import words_around

Role: TypeAlias = Literal["budget", "asking", "offer", "payment"]

_COUNTED: Final = re.compile(
    r"^\s*-?\s*(?:(?:and )?(?:something|some|change|odd|or so|plus) (?=square|sq|feet|foot|ft\b|acres|miles))?(?:%|percent|per cent|points?\b|square|sq|feet|foot|ft\b|beds?\b|bedrooms?|baths?\b|bathrooms?|acres?|miles?|minutes?|hours?|days?"
    r"|weeks?|months?\b|years?|year-old|o'?clock|am\b|pm\b|a\.m|p\.m|times|people|houses|homes|kids|of (?:us|them|those|these|my|our)|street|avenue|road|lane|drive"
    r"|st\b|ave\b|north|south|east|west|nd\b|rd\b|th\b|in the (?:morning|afternoon|evening)|things?|offers|units?|cars?\b|story|stories|agents?|:\d"
    r"|by (?:a |\d|one|two|three|four|five|six|seven|eight|nine|ten|twenty|thirty|forty|fifty|sixty)|showings|questions|numbers?\b|percent|schools?|blocks?|steps|more (?:bed|room|thing)|other|car garage|windows|rooms|pounds|degrees|dogs|cats|siblings|others)",
    re.I,
)
_NAMED: Final = re.compile(
    r"\b(?:number|house number(?:'s| is)|(?:cell|phone)(?:'s| is| number is)|(?:score|scores|fico|credit)(?:'?s| is| was)?(?: (?:at|of|like|around|about|a|is))*|(?:code|box|pin)(?: (?:for|to|on) the \w+)?(?: is|'s)?|county road|suite|apartment|apt|unit|route|highway|interstate|exit|room|in (?:19|20)|since|year|call me at|zip|built in|until|till|after|before|lot|bus|flight|chapter"
    r"|(?:january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)(?: the)?|i'?m|he'?s|she'?s|turned?|age|(?:\d|\w+ty|\w+teen|hundred|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve) by|address is|(?:lives?|located|house is|we(?:'re| are)|i'?m|place is) (?:over )?at)\s*$",
    re.I,
)
_CONTEXT: Final = re.compile(
    r"\b(?:budget\w*|afford|spend\w*|price[ds]?|pricing|asking|list(?:ed|ing)?|offer\w*|worth|pay(?:ing|ments?)?|paid|get (?:it|this|that|the \w+|one) for|costs?|approv\w+|cash|owe\w*|loan|borrow|qualif\w+"
    r"|stay (?:under|below|at|around|near)|closer to|(?:go|went|get|stretch|come|came|top\w*|max\w*) (?:out |up |over|higher|above|down|in |to )|over|under|up to|max(?:imum)?|tops|at most"
    r"|no more than|less than|more than|at least|minimum|range|between|around|about|roughly|somewhere|ballpark|comfortable|sell\w*|sold|get for|net|counter\w*|apprais\w+|zestimate|zillow"
    r"|valu\w+|start at|for (?:theirs|ours|hers|his)|estimate|down payment|number|figure|ceiling|limit|cap|home|house|place|condo|bedrooms?|want|wants|need|take|do|does|hoping|most|drop\w*|knock|put (?:in|down)|swing|best offer|came back|write it|wrote|charg\w+|fee|saved|saving\w*|down|top|even|shy of|hair (?:under|over)|just (?:under|over)|little (?:under|over)|capped|quoted|out of (?:our|my) (?:league|reach)|way (?:more|over|past)|(?:have|has|got|gotta|going|would|'d) (?:to )?be|letting)\b",
    re.I,
)
_STRONG: Final = re.compile(
    r"\b(?:budget\w*|afford|spend\w*|price[ds]?|asking|list(?:ed|ing)?|offer\w*|worth|paid|pay|owe|approv\w+|max(?:imum)?|tops|range|sell|sold|ceiling|dollars|cash|stay|keep|to even|for it|net|let\w* (?:it|this|her) go|(?:penny|dollar|cent) over|(?:go|going) over|start at|(?:too|sounds?|feels?|seems?) (?:high|low|much)|wants?|up to)\b",
    re.I,
)
_CLOCK_TALK: Final = re.compile(
    r"\b(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday|tomorrow|tonight|today|weekend|morning|afternoon|evening|noon|o'?clock|come by|meet|swing by|drop by|stop by|call me|(?:be|get|pick \w+|gets?) (?:you |there|here|home|off|done|up)|see you|free|showing|open house)\b",
    re.I,
)
_MONTHLY: Final = re.compile(
    r"^\s*(?:dollars\s*|bucks\s*)?(?:or so )?(?:a|per|each|every|/)\s*(?:month|mo)\b|^\s*(?:dollars )?(?:monthly|in rent)", re.I
)
_MONTHLY_BEFORE: Final = re.compile(
    r"\b(?:monthly|(?<!down )payments?|mortgage|rent|dues|a month)\b[^.?!]{0,40}(?<! on )(?<! on a )(?<! be at )(?<! be for )$", re.I
)
_ABOUT: Final = r"\s*(?:(?:about|around|like|maybe|say|probably|roughly|a|\$)\s*)*$"
_SAVED_AFTER: Final = re.compile(r"^\s*(?:saved|set aside|to put down|put away|down\b(?! (?:the|there|here))|for (?:the|a|our) down)", re.I)
_DUES: Final = re.compile(r"\b(?:hoa|dues|insurance|utilities|electric\w*|water bill|application fee|inspection)\b[^.?!]{0,20}$", re.I)
_NOT_LESS: Final = re.compile(
    r"\b(?:not|n't|never|no|neither|nobody|nothing|won't|wont|wouldn't|wouldnt|can't|cannot|cant|dont|refuse)\b[^.?!,]{0,40}\b(?:less than|below|under|lower than)" + _ABOUT
    + r"|n't [^.?!,]{0,40}\b(?:less than|below|under|lower than)" + _ABOUT, re.I,
)  # fmt: skip
_NOT_MORE: Final = re.compile(
    r"(?:\b(?:not|never|no|neither|nobody|nothing|none|cannot|cant|dont|wont|wouldnt|aint)\b|n't)[^.?!,]{0,40}\b(?:over|above|more than|past|north of|higher than|a dollar over|a penny over)"
    + _ABOUT,
    re.I,
)
_MAX: Final = re.compile(
    r"\b(?:up to|under|below|less than|(?:shy|short) of|at most|as high as|(?:(?<!/)max\w*|ceiling|cap(?:ped)?|limit|(?<!on )top(?! pays| unit| floor| apartment| half)|most|budget tops|tops|topped)\b[^.?!,]{0,25}?(?: is| of| at|'s|s| out at| be| to)?|(?:stretch|go) (?:up )?to|highest)"
    + _ABOUT,
    re.I,
)
_MAX_AFTER: Final = re.compile(
    r"^\s*(?:dollars\s*)?[.,]?\s*(?:max\b|maximum|tops\b|at (?:the )?(?:very )?(?:most|top)\b|or (?:less|under|below|lower)|(?:is|as|was|would be|'s) (?:like |about |really )?(?:our|my|the|a hard) (?:max|ceiling|limit|top|cap|most|absolute|line in the sand)"
    r"|(?:and|but)? ?not a (?:penny|dollar|cent) more|is as (?:high|far) as|is the (?:most|highest))", re.I,
)  # fmt: skip
_MIN: Final = re.compile(r"\b(?:at least|over|above|more than|minimum(?: of)?|north of|upwards? of|starting at|floor is)" + _ABOUT, re.I)
_IF_OVER: Final = re.compile(
    r"\bif (?:it'?s|it is|that'?s|it goes|it comes in|they'?re|you'?re|we go|it runs|(?:the |our |my )?(?:hoa|dues|payments?|rent|tax(?:es)?|insurance|fees?|mortgage)(?: is| are|'s|s| goes| go| comes in| come in| runs| run)?) (?:over|above|more than|past|north of)"
    + _ABOUT,
    re.I,
)
_MIN_AFTER: Final = re.compile(
    r"^\s*(?:dollars\s*)?[.,]?\s*(?:at least|minimum|or (?:more|better|higher|above)|(?:rock )?bottom\b|plus\b|and (?:up|not a (?:penny|dollar|cent) less)|not a (?:penny|dollar|cent) less|is (?:my|our|the) (?:floor|bottom line|minimum)|or (?:it'?s not worth|it isn'?t worth|i'?m not|we'?re not|no deal|i(?:'ll)? stay|we(?:'ll)? stay|forget it|i walk|we walk|nothing))",
    re.I,
)
# "Anything past 650 is robbery": the most one pays; "not a single thing under three hundred": that is sought in vain
_TOO_MUCH: Final = re.compile(r"\banything (?:\w+ ){0,2}(?:over|above|past|more than|north of)" + _ABOUT, re.I)
_IS_TOO_MUCH: Final = re.compile(
    r"^\s*(?:dollars\s*)?(?:is|'s|and) (?:just |really |my (?:wife|husband|wife'll|husband'll) )?(?:a )?(?:no|kill|would kill|will kill|have my|will have my|too|out|robbery|crazy|off|not|more than|i'?m out|we'?re out)\b",
    re.I,
)
_NOT_FOUND: Final = re.compile(
    r"\b(?:found?|find|finding|seen?|see|touch|buy|much|exists?)\b[^.?!,]{0,25}\b(?:less than|below|under|lower than)" + _ABOUT, re.I
)
# "Under six, don't even bring it to me": the least one takes
_UNDER: Final = re.compile(
    r"(?:^|[.?!;,]\s*|\b(?:anything|offers?|bring me|if (?:it'?s|they come in|it comes in)) )(?:under|below|less than)" + _ABOUT, re.I
)
_NO_DEAL: Final = re.compile(
    r"^\s*(?:dollars\s*)?,?\s*(?:and |then )?(?:do(?:n't| not|nt) (?:even )?(?:bring|call|bother|show|tell|waste|send)|forget it|i(?:'?m| am) not|we(?:'?re| are) not|(?:i|we) (?:wo|do|would|ca)n'?t|no deal|i(?:'d| would) rather|i walk|we walk|it'?s (?:a )?no\b|not interested)",
    re.I,
)
_ROSE: Final = re.compile(
    r"\b(?:went|gone|goes|going|raised|jumped|bumped|moved|shot|(?:they|he|she|sellers?|buyers?|bank)(?:'d| would| could)? comes?) (?:it |us |me )?(?:all the way )?up to"
    + _ABOUT,
    re.I,
)
_CHANGE: Final = re.compile(
    r"\b(?:(?:(?:drop\w*|knock\w*|cut|lower\w*|reduc\w+|rais\w+|bump\w*)(?: it| the price| us| them)?(?: down| up| off)?|(?:come|came|go|take|took|bring)(?: it| the price)? (?:down|off))(?: by| another)?)\s*(?:\$|like |about |another |maybe )?$",
    re.I,
)
_CHANGE_AFTER: Final = re.compile(
    r"^\s*(?:(?:grand|thousand) )?(?:over (?:asking|list|budget)|under asking|below asking|above asking|over ask\b|off(?: the price|\b(?! work))|apart\b|lower|higher)",
    re.I,
)
_ENDS: Final = re.compile(
    r"^\s*(?:$|[.?!,;]|(?:or|and|but|if|max|tops|to even|honestly|for (?:it|that|this|a|the)|maybe|something|if we|as|though|right|would|is|at the most|to consider|before)\b)",
    re.I,
)
_GOES: Final = re.compile(r"\b(?:i'?d|we'?d|i|we|would|could|can|will) go\s*$", re.I)
_PAID: Final = re.compile(r"\b(?:wants?|wanted|wanting|paid|asking|offered|took|take|get|got)\s*$", re.I)  # "they want six for it"
_RATES: Final = re.compile(r"\b(?:rates?|eighths?|percent|interest|points|a point|discount point)\b", re.I)
_OF_THE_2000S: Final = re.compile(
    r"\s+(?:and\s+)?(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty)\b(?!\s*(?:hundred|dollars|bucks))",
    re.I,
)
_YEAR_IN_WORDS: Final = re.compile(r"\b(?:in|since|from|of|until|till|back in|around|was|summer|spring|fall|winter)\s*$", re.I)
_SAVED_BEFORE: Final = re.compile(r"\b(?:put(?:ting)? down|put away|set aside|saved(?: up)?|got saved)" + _ABOUT, re.I)
_LEADS: Final = re.compile(
    r"\b(?:under|over|below|above|closer to|close to|around|near|at least|to get|got to get|have to get|stay (?:at|around)|up to|go to|more than|less than|about|for)\s*$",
    re.I,
)
_ROLES: Final[tuple[tuple[Role, re.Pattern[str]], ...]] = (
    ("payment", re.compile(r"\b(?:monthly|a month|per month|payments?|mortgage|rent|dues)\b", re.I)),
    ("offer", re.compile(r"\b(?:offer(?:ed|ing|s)?(?! me nothing)|bid|put in|(?:come|came|coming|go) in (?:at|with)|(?:they|he|she|the sellers?|the buyers?)(?:'d| would| could)? comes? up to|counter(?:ed|ing|s|offer\w*)?|start at|low[- ]?ball\w*|(?:give|gave|giving) (?:me|us)|(?:go|come in|going in)(?: at)? full price|(?:could|can|might) (?:we|i) get (?:it|this|that|the \w+) (?:for|at)|write it (?:up )?(?:at|for)|would they (?:take|accept|do|consider)"
                         r"|(?:they|seller|sellers|she|he)(?:'d| would| might)? (?:take|accept|consider)|would (?:the )?sellers? (?:take|accept|consider))\b", re.I)),
    ("budget", re.compile(
        r"\b(?:budget\w*|afford|spend\w*|stay (?:under|below|at|around|near|closer|in)|stretch|shopping (?:between|from|in|around|for|under)|look at anything|(?:i'?d|we'?d|i could|we could) go(?= (?:\d|\$|one|two|three|four|five|six|seven|eight|nine))|go (?:up to|to|over|above|higher|past|as high)|approv\w+|qualif\w+|max\w*|tops|topp?(?:ed|ing)? out|comfortable"
        r"|ceiling|limit|cap|capped|price range|our range|my range|have to work with|set aside|keep it (?:right )?(?:at|around|under|below|near)|(?:i|we)(?:'?d| would|'?ll| could| can) pay|(?:i'?m|we'?re|all i'?m|were) working with|looking (?:at|to spend|in|for|under|around)|show (?:me|us)|cash to|we (?:can|could) do|i (?:can|could) do|hoping to (?:stay|pay|spend))\b", re.I)),
    ("asking", re.compile(
        r"\b(?:(?:over|above|past|beyond|(?:more|higher) than) what (?:we|i)\b|ask(?:ing|ed)?(?! me)|(?<!under )(?<!over )(?<!below )(?<!above )list(?:ed|ing)?(?: (?:it|at|for|price))?|(?<!full )priced?|(?:knock\w*|dropp?\w*|cut|lower\w*|reduc\w+|marked)(?: it| the price| theirs| her| him)?(?: way)?(?: down)? to|(?:it'?s|that'?s|its) (?:on|up) (?:for|at)|on the market (?:for|at)|(?:sign|sticker|listing|flyer)(?: \w+){0,2} says|(?:i|we)(?:'?d| would|'?ll| will| could) (?:\w+ )?take\b|can get (?:me|us)|need out of it|wants?(?: at least)?(?=[^.?!]{0,30} for (?:it|the|my|our|this|mine|ours|that))|they(?:'re| are)? want\w*|is what they want|sell(?:ing)? (?:it )?for|get for"
        r"|(?:not|n't|never|wouldn't) (?:be )?(?:sell\w*|tak\w+|accept\w*|go(?:ing)?|let\w*)(?= [^.?!]{0,20}(?:less|under|below|for))|(?:have|need|got|want|hoping|like) to (?:get|net|clear|walk away)|net|not a (?:penny|dollar) less|best offer|price tag|firm)\b", re.I)),
)  # fmt: skip
_TAX: Final = re.compile(r"\btax(?:es)?\b", re.I)
_WENT_FROM: Final = re.compile(
    r"\b(?:went|gone|jumped|rose|climbed|dropped|cut|moved|raised|bumped)(?: (?:it|us|me|theirs))?(?: up| down)? from\s*\$?$", re.I
)
_PENSION: Final = re.compile(r"401 ?\(?k\b", re.I)
_ODD: Final = re.compile(
    r"[- ](?:something|some odd)\b|,? and (?:some )?change\b", re.I
)  # "three eighty-something", "one eighty-eight and change"
_PUT: Final = re.compile(r"\b(?:put|sank|stuck|poured)(?: about| like| another)?\s*$", re.I)
_INTO_IT: Final = re.compile(r"\s*in(?:to)? (?:the|it|that|this|a new)\b", re.I)
_STREET_NAME: Final = re.compile(
    rf"\s+(?:[NSEW]\.? |North |South |East |West )?(?!{'|'.join(name.capitalize() for name in (*DAYS, *MONTHS))}|I\b|Max|Tops|Firm|Cash)[A-Z][a-z]{{2,}}"
)
_OF_MINE: Final = re.compile(r"\b(?:my|our|his|her|their|a|the)\s*$", re.I)
_PER_ACRE: Final = re.compile(r"\s*an? acre\b", re.I)
_THOUSANDS_END: Final = re.compile(
    r"\s*(?:$|[.,?!;]|(?:for|that'?s|is|was|and|but|if|as|before|after|with|to|on|in (?:eighty|ninety|nineteen|the|\d))\b)", re.I
)
_BUT_UNDER: Final = re.compile(
    r",?\s*(?:dollars )?(?:but|and)?\s*(?:(?:under|below|less than|no more than|not (?:over|above|more than)|up to)\s*)?(?:about |like )?\$?",
    re.I,
)
_SOLD_FOR: Final = re.compile(r"\s*for (?:the |that |this |an? )?(?:same|land|lot|acreage|farm|duplex|(?:one|two|three|four)[- ]bed)", re.I)
_DEALT: Final = re.compile(  # "we gave one oh five for it", "get me two fifteen": no time of day
    r"\b(?:(?:we|i|he|she|they|mama|daddy|dad|mom|only) (?:gave|give)|(?:get|bring|hand) me|find me something(?: \w+)? for|(?:they|he|she|i|we)(?:'?d| would|'?ll| will|d)? go|told (?:him|her|them)"
    r"|(?:had|has|have|put) it (?:up )?at|shook (?:hands|on it)(?: with \w+)?(?: on| at)?|(?:go|went|goes|gone) (?:on|up) (?:at|for)|own (?:something|it|a place|one) (?:at|for)|see it go for|seen it(?: \w+){0,4} for|let it go (?:under|for|at)|(?:they|he|she|i|we|who) took|have it for"
    r"|(?:i|we|he|she|they) (?:had|have)(?= [\w -]{3,24} in mind))" + _ABOUT,
    re.I,
)
_DEALT_AFTER: Final = re.compile(
    r"\s*(?:in mind|to start\b|(?:is crazy )?to put on the sign|(?:is |was |'s )?the number|[^.?!]{0,24}, that'?s what (?:we|i|they) (?:gave|paid|want))\b",
    re.I,
)
_PAST_DEAL: Final = re.compile(r"\b(?:paid|gave|bought|built|got it|cost us|sold)\b", re.I)
_RENT_TALK: Final = re.compile(r"\b(?:rent\w*|payments?|monthly|mortgages?|apartment|leases?|month|landlord|tenants?|maintenance)\b", re.I)
# telephone numbers, an exchange under section 1031
_DIGIT: Final = rf"(?:{'|'.join(sorted(SINGLE))})"
_NO_AMOUNT: Final = re.compile(
    rf"\b{_DIGIT}(?:[ ,.-]+{_DIGIT}){{6,}}\b|(?<![\d$])\(?\d{{3}}\)?[ ,.-]{{1,2}}\d{{3}}[ ,.-]{{1,2}}\d{{4}}\b|\b(?:ten[ -]thirty[ -]one|10[ -]31|1031)\b",
    re.I,
)
_RENT_BEFORE: Final = re.compile(r"\b(?:over|under|at|pay|paying)\s*$", re.I)
_LISTS: Final = re.compile(r"\blist(?:ed|ing)?(?: it| this)? (?:at|for)\s*$", re.I)  # "list it at five"
_PAYING: Final = re.compile(r"\bpay(?:ing|s)?(?: us| them| about| around| like| over| almost| nearly)*\s*$", re.I)  # "we're paying 1450"
_BARE_WORDS: Final = 4
_LEAST_PRICE: Final = 20_000  # dollars; what is less buys no home
_CLAUSE: Final = re.compile(r"[.?!;]|,(?!\d)|\b(?:but|while|though|and (?:they|we|then|he|she|i))\b", re.I)


@dataclass(frozen=True, slots=True)
class Amount:
    """Dollars. An exact amount has both bounds equal, "up to" only the upper one. ``start``/``end`` index the text."""

    usd_min: int | None
    usd_max: int | None
    role: Role | None
    quote: str
    start: int
    end: int


def amounts_in(text: str) -> list[Amount]:
    """Every amount of money in the text, in order; percentages, sizes, times and house numbers are not money."""
    text = _NO_AMOUNT.sub(lambda m: " " * len(m.group()), text.replace("’", "'"))
    numbers = _thousands(text, [n for n in numbers_in(text) if n.value > 0])
    found: list[Amount] = []
    index = 0
    while index < len(numbers):
        first, second = numbers[index], numbers[index + 1] if index + 1 < len(numbers) else None
        amount = _range(text, first, second) if second is not None and _joined(text, first, second) else None
        index += 2 if amount is not None else 1
        amount = amount or _single(text, first)
        if amount is not None:
            found.append(amount)
    return _closed(text, found)


def _thousands(text: str, numbers: list[Number]) -> list[Number]:
    """ "Ninety-nine nine", "twelve five a month": 99,900 and 12,500, where money is talked about and nothing is counted."""
    said: list[Number] = []
    for number in numbers:
        before = said[-1] if said else None
        hundreds = number.form == "plain" and 1 <= number.value <= 9 and text[number.start].isalpha()
        if (
            before is not None
            and hundreds
            and before.form == "plain"
            and 10 <= before.value < 100
            and text[before.start].isalpha()
            and text[before.end : number.start] == " "
            and not _NAMED.search(text[: before.start])
            and (
                _MONTHLY.match(text[number.end :])
                or _PER_ACRE.match(text[number.end :])
                or (_THOUSANDS_END.match(text[number.end :]) and (_CONTEXT.search(text) or _TAX.search(text)))
            )
        ):
            said[-1] = Number(before.value * 1000 + number.value * 100, before.start, number.end, "scaled", 0)
        else:
            said.append(number)
    return said


def _closed(text: str, amounts: list[Amount]) -> list[Amount]:
    """ "Over eight hundred thousand but under a million" is one stretch."""
    closed: list[Amount] = []
    for amount in amounts:
        last = closed[-1] if closed else None
        if (
            last is not None
            and last.usd_min is not None
            and last.usd_max is None
            and amount.usd_min is None
            and last.usd_min < (amount.usd_max or 0)
            and _BUT_UNDER.fullmatch(text[last.end : amount.start])
        ):
            closed[-1] = _amount(text, last.usd_min, amount.usd_max, last.start, amount.end)
        else:
            closed.append(amount)
    return closed


def _joined(text: str, first: Number, second: Number) -> bool:
    between = text[first.end : second.start].lower()
    before = text[max(0, first.start - 30) : first.start].lower()
    if _WENT_FROM.search(before):
        return False  # "insurance went from 1,900 to 4,100"
    if re.fullmatch(r",?\s*(?:or |maybe |or maybe )?", between) and _side_by_side(
        first, second, monthly=_MONTHLY.match(text[second.end :]) is not None
    ):
        return True
    if re.fullmatch(
        r",?\s*(?:dollars )?(?:(?:a|per) month)?,?\s*(?:to|-|–|or|maybe|or maybe)\s*,?(?:maybe |like |even |say )?\$?", between
    ):
        return True
    if re.fullmatch(r"\s*and\s*(?:maybe |like )?\$?", between):
        return re.search(r"between\s*(?:like |maybe |about )?\$?$", before) is not None
    if re.fullmatch(r",?\s*", between) is None or second.form != "plain" or not 100 < second.value < 2000:
        return False
    if first.form == "part" and first.value * 100 < second.value <= first.value * 130:
        return True  # "six and a half, six seventy-five"
    close = 100 < first.value < second.value <= first.value * 1.3 and first.form == "plain"  # "four fifty four seventy five"
    return close or first.value in (second.value // 100, second.value // 50 * 50 - 50)


def _side_by_side(first: Number, second: Number, *, monthly: bool) -> bool:
    """Two numbers with hardly a comma between them as the bounds of one amount."""
    one, two = first.value, second.value
    near = one < two <= one * 1.35
    if (first.form, second.form) == ("scaled", "scaled"):
        return near and (one >= 900_000 or (monthly and one >= 1000))  # "a million two, a million three"
    if (first.form, second.form) == ("point", "point"):
        return near and one > 1  # "one point two, one point three"
    if (first.form, second.form) == ("plain", "part"):
        return 2 <= one < two < one + 1  # "seven, seven and a quarter"
    if first.form == "plain" and 10 <= one < 100 and two % 100 == 0 and two < 10_000:
        return one * 100 < two <= one * 130  # "sixteen, seventeen hundred a month"
    return near and one >= 1000 and monthly  # "eighteen hundred, two thousand a month"


def _range(text: str, first: Number, second: Number) -> Amount | None:
    high = _dollars(text, second, near=first)
    if high is None and second.form == "plain" and 2 <= second.value <= 9 and 100 < first.value < second.value * 100:
        high = round(second.value * 100_000)  # "three fifty to four"
    if high is None:
        return None
    high += second.wide
    low = _like(first, high) if first.form != "scaled" else round(first.value)
    if low is None or not 0 < low < high or low * 20 < high:
        return None
    return _amount(text, low, high, first.start, second.end)


def _like(first: Number, high: int) -> int | None:
    """The lower bound in the measure of the upper one: "four to four fifty", "425 to 450 thousand", "1 to 1.2 million"."""
    scales = (1_000_000, 100_000, 1_000, 1) if first.value < 10 else (1_000, 100, 1) if first.value < 100 else (1_000, 1)
    fitting = [round(first.value * scale) for scale in scales if high * 0.4 <= first.value * scale < high]
    return fitting[0] if fitting else None


def _single(text: str, number: Number) -> Amount | None:
    dollars = _dollars(text, number)
    if dollars is None:
        return None
    if number.form == "plain" and dollars >= 1000 * number.value and (vague := _ODD.match(text[number.end :])) is not None:
        wide = 9_999 if number.value % 10 == 0 and "change" not in vague.group() else 999
        return _amount(text, dollars, dollars + wide, number.start, number.end)
    if number.form == "band":
        return _amount(text, dollars, dollars + number.wide, number.start, number.end)
    before, after = text[: number.start].rstrip("$ ") + " ", text[number.end :]
    changed = _CHANGE_AFTER.match(after) or (dollars < 100_000 and _CHANGE.search(before))
    if not changed and (
        (_NOT_LESS.search(before) and not _NOT_FOUND.search(before))
        or _MIN_AFTER.match(after)
        or (_UNDER.search(before) and _NO_DEAL.match(after))
    ):
        return _amount(text, dollars, None, number.start, number.end)
    if _ROSE.search(before):
        return _amount(text, dollars, dollars, number.start, number.end)
    if not changed and (_NOT_MORE.search(before) or _MAX.search(before) or _MAX_AFTER.match(after)):
        return _amount(text, None, dollars, number.start, number.end)
    if not changed and (_IF_OVER.search(before) or (_TOO_MUCH.search(before) and _IS_TOO_MUCH.match(after))):
        return _amount(text, None, dollars, number.start, number.end)
    if not changed and _MIN.search(before):
        return _amount(text, dollars, None, number.start, number.end)
    return _amount(text, dollars, dollars, number.start, number.end)


def _amount(text: str, low: int | None, high: int | None, start: int, end: int) -> Amount:
    return Amount(low, high, _role(text, start, end, low, high), text[start:end].strip(), start, end)


def _role(text: str, start: int, end: int, low: int | None, high: int | None) -> Role | None:
    """The nearest words that say what the amount is for, in its own clause first; else what its bound usually means."""
    dollars = high or low or 0
    if _MONTHLY.match(text[end:]):
        return "payment"
    breaks = [0, *(m.end() for m in _CLAUSE.finditer(text, 0, start)), *(m.start() for m in _CLAUSE.finditer(text, end)), len(text)]
    left, right = max(b for b in breaks if b <= start), min(b for b in breaks if b >= end)
    for begin, stop in ((left, right), _around(text, start, end)):
        near: list[tuple[int, Role]] = []
        for role, pattern in _ROLES:
            for match in pattern.finditer(text, begin, stop):
                if role == "payment" and dollars > _LEAST_PRICE:
                    continue
                near.append((start - match.end() if match.end() <= start else 2 * max(0, match.start() - end) + 4, role))
        if near:
            return min(near)[1]
    if low is None:
        return "payment" if dollars < _LEAST_PRICE else "budget"
    if high is None:
        return "asking" if low > _LEAST_PRICE else None
    return "budget" if _LEAST_PRICE < low < high else None  # a stretch that nothing else is said of is what one looks for


def _around(text: str, start: int, end: int) -> tuple[int, int]:
    """Where else the words may stand that say what an amount is for: its own sentence, and beyond it when that is hardly more than the amount."""
    begin, stop = max(0, start - 70), min(len(text), end + 50)
    first, last, words = words_around(text, start, end)
    return (begin, stop) if words <= _BARE_WORDS else (max(begin, first), min(stop, last))


def _dollars(text: str, number: Number, near: Number | None = None) -> int | None:
    """The dollars that a number means here, or None when it is not money. ``near``: the lower bound of its range."""
    before, after, value = text[: number.start], text[number.end :], number.value
    if _PENSION.match(text[number.start :]) and (text[number.start + 3] == "(" or _OF_MINE.search(before)):
        return None
    sign = text[number.start] == "$" or before.rstrip().endswith("$")
    monthly = _MONTHLY.match(after) is not None
    if not sign and value == 2000 and _OF_THE_2000S.match(after):
        return None  # "two thousand nineteen"
    if number.form in ("scaled", "band"):
        return None if number.form == "scaled" and _COUNTED.match(after) and not monthly and not sign else round(value)
    if _COUNTED.match(after) and not monthly and not (sign and value >= _LEAST_PRICE):
        return None
    if (not sign and not monthly and _NAMED.search(before)) or re.search(r"\d[./:-]$", before):
        return None
    if (
        not sign
        and 1900 <= value <= 2100
        and number.form == "plain"
        and text[number.start].isdigit()
        and not monthly
        and not _MONTHLY_BEFORE.search(before)
        and not (_RENT_TALK.search(text) and _RENT_BEFORE.search(before))
    ):
        return None  # a year
    if value < 2_000 and _DUES.search(before):
        return round(value)
    if monthly and near is not None and value < 100 <= near.value:
        return round(value * 100)  # "twenty four hundred, maybe twenty six a month"
    if (
        monthly
        or re.match(r"\s*(?:dollars|bucks)", after, re.I)
        or (_MONTHLY_BEFORE.search(before) and 300 <= value < 20_000 and value != 1000)
    ):
        return round(value)
    if value >= 20_000 or (sign and value >= 2_000):
        return round(value)
    if sign and not (100 <= value <= 999 and _CONTEXT.search(text)):
        return round(value)
    return round(value * 1_000) if sign else _bare(text, number, before, after, near)


def _bare(text: str, number: Number, before: str, after: str, near: Number | None) -> int | None:
    """A number that names no dollars: what it means in talk about the price of a home."""
    value = number.value
    if text[number.start].isdigit() and 100 <= value <= 9999 and _STREET_NAME.match(after):
        return None  # "it's 1420 Birch"
    if re.match(r"\s+(?!is\b|was\b|be\b)\w+\s+(?:street|avenue|road|lane|drive|court|way|circle|boulevard|place|terrace)\b", after, re.I):
        return None
    if (
        number.form == "plain"
        and 2 <= value <= 9
        and (
            _MAX_AFTER.match(after)
            or (_UNDER.search(before) and _NO_DEAL.match(after))
            or re.match(r"\s*is (?:the|my|our) (?:line|number)\b", after, re.I)
        )
    ):
        return round(value * 100_000)
    if number.form == "plain" and 50 <= value < 100 and re.search(r"\bin\s*$", before):
        return None  # "we paid ninety-two five in eighty-six"
    if number.form == "plain" and 1900 <= value <= 2099 and _YEAR_IN_WORDS.search(before):
        return None  # "we bought in twenty fifteen"
    if number.form == "plain" and 10 <= value < 100 and _PUT.search(before) and _INTO_IT.match(after):
        return round(value * 1000)
    dealt = any(
        (_MAX_AFTER.match(after), _MIN_AFTER.match(after), _SOLD_FOR.match(after), _DEALT_AFTER.match(after), _DEALT.search(before))
    )
    rent = 1000 <= value <= 9999 and value == int(value) and (_RENT_TALK.search(text) is not None or _PAYING.search(before) is not None)
    clock = value % 100 in (15, 30, 45) and 100 <= value <= 1259
    if (
        near is None
        and not _CONTEXT.search(text)
        and not _GOES.search(before)
        and not (dealt or rent or number.form == "point")
        and (clock or not 150 <= value <= 999 or number.form != "plain")
    ):
        return None  # in talk about homes three digits that are no time of day are a price
    if _CHANGE_AFTER.match(after) or _CHANGE.search(before):
        return (
            round(value * 1000)
            if 2 <= value < 100
            and number.form == "plain"
            and _STRONG.search(text + " pay" if _CHANGE_AFTER.match(after) else text + " price")
            else None
        )
    if number.form == "part":
        return round(value * 100_000) if 1.5 <= value < 10 and not _RATES.search(text) else None
    if number.form == "point":
        return (
            round(value * 1_000_000)
            if 1 < value < (5 if dealt or _STRONG.search(text) or _GOES.search(before) else 3) and not _RATES.search(text)
            else None
        )
    if clock and _CLOCK_TALK.search(text) and not dealt and not _STRONG.search(text):
        return None
    if rent:
        return round(value)
    if 75 <= value <= 1999:
        return round(value * 1000)
    if 10 <= value < 75 and number.form == "plain" and (_SAVED_AFTER.match(after) or _SAVED_BEFORE.search(before)):
        return round(value * 1000)
    if 2000 < value < 20_000 and value == int(value) and _STRONG.search(text):
        return round(value)
    if (
        number.form == "plain"
        and 2 <= value <= 9
        and (re.match(r"\s*(?:even|flat)\b", after, re.I) or (_LISTS.search(before) and _ENDS.match(after)))
    ):
        return round(value * 100_000)
    if 2 <= value <= 9 and _PAID.search(before) and re.match(r"\s*for (?:it|this|that|the|ours|mine|theirs)\b", after, re.I):
        return round(value * 100_000)
    if 2 <= value <= 9 and _STRONG.search(text) and _LEADS.search(before) and _ENDS.match(after):
        return round(value * 100_000)
    return None
