"""A fact of the agent's that contradicts what was said before in this call, or the calendar: amounts, bedrooms, days, times, names.

Claimed only where both values can be set side by side: nobody has named the agent's value, somebody named a rival of it that is
easily mistaken for it, and the agent gives it back ("so that's", "you said", "see you on"). Everything else stays silent. Pure text.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final, TypeAlias

from intelligence.conversation.amounts import amounts_in
from intelligence.conversation.appointments import HOURS, MINUTES
from intelligence.conversation.calendar_words import DAYS, MONTHS, nth_days, spots_in
from intelligence.conversation.people import RELATION_WORDS
from intelligence.conversation.spoken_numbers import TENS
from intelligence.conversation.turns import Conversation, Turn

_BEDROOMS: Final = re.compile(rf"\b({'|'.join(list(HOURS)[:6])}|[1-6])[- ](?:bed(?:room)?s?)\b", re.I)
_CLOCK: Final = re.compile(rf"\bat ({'|'.join(HOURS)}|1[0-2]|[1-9])(?::([0-5]\d)|[ -](fifteen|thirty|forty[ -]five))?\b(?![- ](?:hundred|thousand|percent|months?|\w+ty\b|\w+teen\b|one|two|three|four|five|six|seven|eight|nine))", re.I)  # fmt: skip
_DAY: Final = re.compile(rf"\b({'|'.join(DAYS)})s?\b", re.I)
_MONTH: Final = re.compile(rf"\b({'|'.join(m for m in MONTHS if m not in ('march', 'may'))}|(?-i:March|May))\b", re.I)
_NAMED: Final = re.compile(
    rf"\b(?:my|your|our|his|her|the) ({RELATION_WORDS})(?:'s)?,? (?:is |named |called )?((?-i:[A-Z][a-z]{{2,}}))\b", re.I
)
_STREET: Final = re.compile(r"\b((?:[A-Z][a-z]+ ){1,2})(Street|Avenue|Lane|Road|Drive|Court|Place|Way|Boulevard|Circle|Terrace)\b")
# How the agent gives back what was said, and how something new is told.
_GIVES_BACK: Final = re.compile(
    r"\b(?:so (?:that's|that is|i've|i have|you|we've|we're|just|at|with|on|it's|to|then|if|a|mon|tues|wednes|thurs|fri|satur|sun)|just so i|to recap|(?:as|like) (?:you|i) (?:said|heard|have|told)|as i heard"
    r"|you(?:'d| had| have|'ve)? (?:said|mentioned|told me|were at|wanted|paid|started|didn't|named)|your (?:budget|limit|top|ceiling|maximum|number|price|lease|letter|loan)|you're (?:at|looking at|looking for|good up to|thinking)|you were (?:at|looking|thinking)"
    r"|i(?:'ve| have)? got (?:you|it|that|this)|i(?:'ll| will) (?:see|have|put|set|write|send|text|confirm)|we(?:'ve| have) (?:got|said)|see you|since you|with (?:your|the letter|the listing|that)|you(?:'ll)? (?:start|need)|you'd had|confirm\w*|then i(?:'ve|'ll|'d| have)|that's (?:on|at)|so an?"
    r"|(?:great|perfect|wonderful|excellent|good|lovely|right|okay|alright|all right|deal)[.,])",
    re.I,
)  # fmt: skip
_TOLD: Final = re.compile(
    r"\b(?:you(?:'d|'ve| had| have)? (?:said|mentioned|told me|were at|wanted|paid)|your (?:budget|limit|top|ceiling|maximum|number|price)|you(?:'re| are) (?:at|looking at|good up to)|just so i|as (?:you|i) (?:said|heard|have)|to recap)\b",
    re.I,
)
_RECAP: Final = re.compile(r"^(?:okay,? |alright,? |good,? |and )?(?:so|then|that's|just so)\b|\bgot (?:you|it|that) down\b", re.I)
# What the agent has understood, read out to be confirmed: "So, four bedrooms, June move", "let me read that back".
_READS_BACK: Final = re.compile(
    r"(?:^|[.!?] )(?:(?:okay|alright|good|great|right|perfect|clear|ha|fantastic)[,.]? )?(?:and |then )?so(?:,| that's| it's| i've got| by| the| up to| just| a| an| you| her| his| your| with| (?:one|two|three|four|five|six)\b)(?! if| what| how| when| where| would| do| does| did| are you| is| can| could| tell| let's)"
    r"|\bto have it straight|\bgot (?:you|it|that|this|him|her) (?:down|as)|\bbefore i go:|\bthen [^.?!]{0,40}\bis your\b",
    re.I,
)  # fmt: skip
_ALL_OF_IT: Final = re.compile(r"\b(?:read|say|play) (?:it|that|this|all that) back", re.I)  # and so is the rest of the turn
_WE_SAID: Final = re.compile(r"^,? (?:that )?(?:you|we) (?:said|told|mentioned|talked about|spoke of|agreed)\b", re.I)
_NUMBERS: Final = {**TENS, **HOURS}
_PERCENT: Final = re.compile(rf"\b({'|'.join(_NUMBERS)}|\d{{1,2}})(?:[- ]({'|'.join(list(HOURS)[:9])}))? ?(?:percent|%)", re.I)
_HOW_MANY: Final = re.compile(r"\bbed(?:room)?s?\b[^.!]*\?", re.I)
_A_COUNT: Final = re.compile(
    rf"^(?:(?:at least|oh|um|well|so|just|maybe),? )?({'|'.join(list(HOURS)[:6])}|[1-6])\b(?! (?:hundred|thousand|\w+ty\b|o'clock))", re.I
)
_TOMORROW: Final = re.compile(r"\btomorrow,? (?:the |which is the |that's the )?$", re.I)
_NEW: Final = re.compile(
    r"\b(?:there(?:'s| is| are|'d)|(?:it|that|\w{3,})'s an?|has|at least|sold|closed|pending|went for|came (?:up|on)|comps?|comparables?|i have (?:a|an|one|two|another)|another|other|instead|or\b|between|from|either|let's (?:say|do|try|make)|how about|what about|could|would|might|maybe|suppose|if we)\b|\?",
    re.I,
)  # fmt: skip
# What was said of somebody's own plans: only these words give a month back, "if we list in April" is the agent's own plan.
_THEIR_PLAN: Final = re.compile(
    r"\b(?:since you|with you (?:starting|moving|leaving)|as i heard|you(?:'d| had)? (?:said|mentioned|told me|wanted?|start|need|like|have to be|are|were)|you(?:'re| are| were) (?:starting|moving|thinking|hoping|looking|leaving)|your (?:lease|job|start|closing))\b[^.?!]*$",
    re.I,
)  # fmt: skip
_SENTENCE_ENDS: Final = re.compile(r"[.?!]\s+")
_BETWEEN: Final = re.compile(rf",? (?:(?:that's|that is|which is) )?(?:the )?(?:(?:{'|'.join(MONTHS)}) (?:the )?)?$", re.I)
_HOLIDAY: Final = re.compile(
    r"\b((?:labor|memorial|presidents'?|columbus|veterans'?|mother's|father's) day|thanksgiving|christmas|easter|halloween)\b(?:,? (?:which is|that's|is|that is|on))? (?:the )?$",
    re.I,
)
_TAKES_BACK: Final = re.compile(r"[,.]? (?:no\b|sorry|i mean|wait|scratch that|or rather|excuse me)", re.I)
_MOST: Final = 2000  # things named that are kept
_NEAR_TURNS: Final = 14  # in which a meeting's day and hour are talked about
_JUST_NOW: Final = 4

Value: TypeAlias = "int | str"


@dataclass(frozen=True, slots=True)
class WrongFact:
    """What was said, why it is wrong, and how to put it right. ``right`` in words."""

    quote: str
    why: str
    say: str
    right: str
    confidence: float = 0.8
    source: str = ""  # "calendar": where the figures are from that nobody said


@dataclass(frozen=True, slots=True)
class _Named:
    """A value in a turn. ``of`` is what it is a value of, where there may be several ("son", "Stannard"); ``by`` who named it."""

    kind: str
    value: Value
    shown: str
    start: int
    end: int
    of: str = ""
    by: str = ""

    @property
    def said(self) -> str:
        """As the agent would say it."""
        return f"you said {self.shown}" if self.by == "prospect" else f"it was {self.shown} before"


@dataclass(slots=True)
class NamedFacts:
    """All that was named so far in one call; reads the turns of the conversation that it has not read yet."""

    _all: list[tuple[int, _Named]] = field(default_factory=list)  # turn, what; bounded
    _turns: int = 0
    _last: Turn | None = None

    def wrong(self, turn: Turn, so_far: Conversation) -> WrongFact | None:
        """The first thing in the agent's turn that contradicts what was named before, or the calendar."""
        today = date.fromisoformat(so_far.today) if so_far.today else None
        self._read(so_far, today)
        if today is not None and (found := _off_the_calendar(turn.text, today)) is not None:
            return found
        named = list(_named_in(turn.text, today))
        checks: dict[str, Callable[[str, _Named], WrongFact | None]] = {
            "amount": self._amount, "bedrooms": self._bedrooms, "month": self._month, "date": self._date, "day": self._met, "clock": self._met,
            "name": self._called, "street": self._called, "percent": self._share, "nth": self._nth,
        }  # fmt: skip
        stands = [each for each in named if not _TAKES_BACK.match(turn.text[each.end :])]
        return next((found for each in stands if (found := checks[each.kind](turn.text, each)) is not None), None)

    def _read(self, so_far: Conversation, today: date | None) -> None:
        fresh = list(itertools.takewhile(lambda turn: turn is not self._last, reversed(so_far.turns)))
        for turn in reversed(fresh):
            named_here = [*_named_in(turn.text, today), *self._counted(turn)]
            self._all += [(self._turns, replace(named, by=turn.speaker)) for named in named_here]
            self._turns, self._last = self._turns + 1, turn
        del self._all[:-_MOST]

    def _counted(self, turn: Turn) -> Iterator[_Named]:
        """ "Four." is a number of bedrooms behind "how many bedrooms?"."""
        if (
            turn.speaker == "prospect"
            and self._last is not None
            and _HOW_MANY.search(self._last.text)
            and (match := _A_COUNT.search(turn.text))
        ):
            yield _Named("bedrooms", _number(match[1]), f"{match[1].lower()} bedrooms", match.start(1), match.end(1))

    def _heard(self, named: _Named, *, last_turns: int | None = None) -> list[_Named]:
        """The same kind of thing, in the order in which it was said."""
        since = 0 if last_turns is None else self._turns - last_turns
        return [n for turn, n in self._all if (n.kind, n.of) == (named.kind, named.of) and turn >= since]

    # ---- one check for each kind; None: no contradiction that is sure enough

    def _rivals(self, named: _Named, *, of_prospect: bool = False) -> list[_Named]:
        """Other values of the same kind, the newest first; none when this one has been named by anybody."""
        heard = self._heard(named)
        if any(n.value == named.value for n in heard):
            return []
        return [n for n in reversed(heard) if n.by == "prospect" or not of_prospect]

    def _amount(self, text: str, named: _Named) -> WrongFact | None:
        around = _sentence(text, named)
        told = _TOLD.search(_before(text, named)) is not None or _WE_SAID.search(text[named.end :]) is not None
        back = _reads_back(text, around)
        if not (told or back or _GIVES_BACK.search(around)) or _NEW.search(_before(text, named)):
            return None
        said, rivals = int(named.value), self._rivals(named)
        alike = [r for r in rivals if _digits_swapped(said, int(r.value))]
        if told or back or _RECAP.search(around):
            alike += [r for r in rivals if _one_digit(said, int(r.value))]
        if told and "?" not in around:
            alike += [r for r in self._rivals(named, of_prospect=True) if said / 2 < int(r.value) < said * 2]
        return _wrong(named, alike[0], alike[0].said) if alike else None

    def _bedrooms(self, text: str, named: _Named) -> WrongFact | None:
        if not (_GIVES_BACK.search(text) or _reads_back(text, _sentence(text, named))) or not _claimed(text, named):
            return None
        rivals = [r for r in self._rivals(named) if r.value != 1]  # one of several, most times
        return _wrong(named, rivals[0], rivals[0].shown) if rivals else None

    def _share(self, text: str, named: _Named) -> WrongFact | None:
        if not _reads_back(text, _sentence(text, named)) or not _claimed(text, named):
            return None
        rivals = self._rivals(named, of_prospect=True)
        return _wrong(named, rivals[0], rivals[0].said) if len({r.value for r in rivals}) == 1 else None

    def _nth(self, text: str, named: _Named) -> WrongFact | None:
        """A day of the month that nobody names, right behind another one."""
        if not _reads_back(text, _sentence(text, named)) or not _claimed(text, named) or not self._rivals(named):
            return None
        near = {n.value: n for n in self._heard(named, last_turns=_JUST_NOW)}
        return _wrong(named, rival, rival.said) if len(near) == 1 and (rival := next(iter(near.values()))).by == "prospect" else None

    def _month(self, text: str, named: _Named) -> WrongFact | None:
        told = _TOLD.search(_before(text, named)) is not None
        back = _reads_back(text, _sentence(text, named)) and "?" not in text and not _NEW.search(_before(text, named))
        if not (told or back or _THEIR_PLAN.search(_before(text, named))):
            return None
        rivals = self._rivals(named, of_prospect=True)
        return _wrong(named, rivals[0], rivals[0].said) if rivals and (told or len({r.value for r in rivals}) == 1) else None

    def _date(self, text: str, named: _Named) -> WrongFact | None:
        """The same day of another month, or another day of the same month that sounds like it."""
        around = _sentence(text, named)
        back = _reads_back(text, around)
        if _NEW.search(around) or not (back or _GIVES_BACK.search(around) or re.search(r"\byour?\b", around, re.I)):
            return None
        plan = back or _THEIR_PLAN.search(_before(text, named)) is not None
        month, day = divmod(int(named.value), 100)
        for rival in self._rivals(named):
            other_month, other_day = divmod(int(rival.value), 100)
            if day == other_day or (month == other_month and (plan or day % 10 == other_day % 10)):
                return _wrong(named, rival, rival.said)
        return None

    def _met(self, text: str, named: _Named) -> WrongFact | None:
        """The day or the hour of a meeting that both have spoken of just now."""
        around = _sentence(text, named)
        if _NEW.search(around) or not _GIVES_BACK.search(text) or not (_CLOCK.search(around) and _DAY.search(around)):
            return None
        near = self._heard(named, last_turns=_NEAR_TURNS)
        if not near or any(n.value == named.value for n in near):
            return None
        rival = near[-1]
        both = {n.by for n in near if n.value == rival.value}
        return _wrong(named, rival, f"we said {rival.shown}") if len(both) == 2 and len({n.value for n in near}) == 1 else None

    def _called(self, text: str, named: _Named) -> WrongFact | None:
        """What a relative of the prospect's or a street is called."""
        if named.kind == "name" and not text[named.start :].lower().startswith("your"):
            return None
        rivals = self._rivals(named, of_prospect=named.kind == "name")
        say = f"your {named.of} is {rivals[0].shown}" if rivals and named.kind == "name" else rivals[0].shown if rivals else ""
        return _wrong(named, rivals[0], say) if len({r.value for r in rivals}) == 1 else None


def _wrong(named: _Named, rival: _Named, say: str) -> WrongFact:
    return WrongFact(
        quote=named.shown,
        why=f"“{rival.shown}” was said, not “{named.shown}”",
        say=f"Let me make sure I have that right: {say}, is that correct?",
        right=str(rival.value),
    )


def _reads_back(text: str, around: str) -> bool:
    """Whether the value's sentence, or all of the turn, is read out to be confirmed."""
    return bool(_READS_BACK.search(around) or _ALL_OF_IT.search(text))


def _claimed(text: str, named: _Named) -> bool:
    """Whether the value is neither asked for nor that of something new."""
    return "?" not in _sentence(text, named) and not _NEW.search(_before(text, named))


def _number(word: str) -> int:
    return int(word) if word.isdigit() else _NUMBERS[word.lower()]


def _before(text: str, named: _Named) -> str:
    """The value's sentence up to it."""
    return _sentence(text[: named.end], named)


def _sentence(text: str, named: _Named) -> str:
    starts = [m.end() for m in _SENTENCE_ENDS.finditer(text) if m.end() <= named.start]
    end = next((m.start() + 1 for m in _SENTENCE_ENDS.finditer(text) if m.start() >= named.end - 1), len(text))
    return text[starts[-1] if starts else 0 : end]


def _digits_swapped(one: int, other: int) -> bool:
    """438 and 483: the same figures, two of them changed places."""
    left, right = str(one), str(other)
    return one != other and len(left) == len(right) and sorted(left) == sorted(right)


def _one_digit(one: int, other: int) -> bool:
    """438 and 428: one figure differs, of three that count."""
    left, right = str(one), str(other)
    return len(left) == len(right) and sum(a != b for a, b in zip(left, right, strict=True)) == 1


def _named_in(text: str, today: date | None) -> Iterator[_Named]:
    for amount in amounts_in(text):
        exact = amount.usd_max if amount.usd_max is not None else amount.usd_min
        if exact is not None:
            yield _Named("amount", exact, f"${exact:,}", amount.start, amount.end)
    for match in _BEDROOMS.finditer(text):
        if "-" in match.group() and match.group().lower().endswith("s"):
            continue  # "three-bedrooms over there": homes of that size
        yield _Named("bedrooms", _number(match[1]), match.group(), match.start(), match.end())
    if today is not None:
        for spot in spots_in(text, today):
            if spot.first == spot.last and re.search(r"\d|" + "|".join(MONTHS), text[spot.start : spot.end], re.I):
                value = spot.first.month * 100 + spot.first.day
                yield _Named("date", value, text[spot.start : spot.end], spot.start, spot.end)
    for match, day in nth_days(text):
        yield _Named("nth", day, match.group(), match.start(), match.end())
    for match in _PERCENT.finditer(text):
        yield _Named("percent", _number(match[1]) + (_number(match[2]) if match[2] else 0), match.group(), match.start(), match.end())
    for kind, pattern in (("month", _MONTH), ("day", _DAY)):
        for match in pattern.finditer(text):
            yield _Named(kind, match[1].lower(), match[1].capitalize(), match.start(), match.end())
    for match in _CLOCK.finditer(text):
        minute = int(match[2] or MINUTES.get((match[3] or "").lower(), 0))
        yield _Named("clock", _number(match[1]) * 60 + minute, match.group(), match.start(), match.end())
    for match in _NAMED.finditer(text):
        yield _Named("name", match[2].lower(), match[2], match.start(), match.end(), of=match[1].lower())
    for match in _STREET.finditer(text):
        yield _Named("street", match[2].lower(), match.group(), match.start(), match.end(), of=match[1].strip().lower())


def _off_the_calendar(text: str, today: date) -> WrongFact | None:
    """A weekday that is not that date ("Saturday the 15th" when no near 15th is one), a holiday that is not that day."""
    for match, day in nth_days(text):
        before, after = text[: match.start()], text[match.end() :]
        month = re.search(rf"\b({'|'.join(MONTHS)}) (?:the )?$", before, re.I) or re.match(rf" of ({'|'.join(MONTHS)})\b", after, re.I)
        tomorrow = today + timedelta(1)
        if _TOMORROW.search(before) and tomorrow.day != day and not month:
            return _by_calendar(match.group(), f"tomorrow is {tomorrow:%B} {tomorrow.day}", tomorrow)
        lead = _BETWEEN.sub("", before)
        weekday = re.search(rf"\b({'|'.join(DAYS)})$", lead, re.I)
        if weekday is not None and (lead != before or month):
            named = [MONTHS.index(m[1].lower()) + 1 for m in _MONTH.finditer(text)]
            months = [MONTHS.index(month[1].lower()) + 1] if month else [today.month, today.month % 12 + 1, *named]
            near = [d for m in months if (d := _next(today, m, day)) is not None]
            if near and all(DAYS[d.weekday()] != weekday[1].lower() for d in near):
                shown = f"{near[0]:%B} {near[0].day} is a {near[0]:%A}"
                wrong = _by_calendar(text[weekday.start() : match.end()], shown, near[0])
                return replace(wrong, why=f"{shown}, not a {weekday[1].capitalize()}", say=f"{wrong.say} Which day works for you?")
        if (holiday := _HOLIDAY.search(re.sub(rf"(?:{'|'.join(MONTHS)}) (?:the )?$", "", before, flags=re.I))) is not None:
            right = next((s.first for s in spots_in(holiday[1], today)), None)
            if right is not None and (right.day != day or (month and MONTHS[right.month - 1] != month[1].lower())):
                return _by_calendar(text[holiday.start() : match.end()], f"{holiday[1]} is {right:%B} {right.day}", right)
    return None


def _by_calendar(quote: str, shown: str, right: date) -> WrongFact:
    return WrongFact(quote, shown, f"Sorry, let me check the calendar: {shown}.", right.isoformat(), 0.9, "calendar")


def _next(today: date, month: int, day: int) -> date | None:
    """The next such date on or after today."""
    for year in (today.year, today.year + 1):
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if found >= today:
            return found
    return None
