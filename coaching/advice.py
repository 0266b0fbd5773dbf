"""Claude as the call's adviser: a question from the call's state without personal data, and an answer that passes our gates.

What fails a gate is dropped and the local card stands. Compliance cards, slips and requests not to be called are never put to
Claude: their words were weighed once, by people.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from coaching.events import CallStarted, Card, SummaryLine, SummaryMade
from coaching.figures import FigureSources
from coaching.playbook import MOST_WORDS, Playbook
from coaching.state import CallState, Line
from intelligence.identifiers import hides_something
from intelligence.privacy import PlaceholderRefused, Pseudonyms
from intelligence.prompts import CardAnswer, CardData, NoteLine, Question, SaidTurn, card_question, note_question

if TYPE_CHECKING:  # the SDK takes seconds to import, and most processes never use it
    from intelligence.claude import Claude

REFINED: Final = frozenset({"objection", "fear_or_pressure", "buying_signal", "missing_question"})
_TURNS: Final = 14
_TURN_CHARACTERS: Final = 600
_WHY_WORDS: Final = 24
_NOTE_TURNS: Final = 400
_NOTE_LINES: Final = 8
_NOTE_WORDS: Final = 30
_NOTE_S: Final = 30.0
_SURE: Final = 0.5  # a word recognised with less than this is no source of a figure
_MARKUP: Final = re.compile(r"[<>{}\[\]\\|`*_#\n\r\t]|https?:|www\.")
_WORD: Final = re.compile(r"[^\W\d_][\w’'-]*")
# Words that open an English sentence; another capitalised word there may be a place, and must have been heard.
_OPENERS_TEXT: Final = (
    "a about absolutely after all also although an and any are as at based because before being both but by can congratulations could did do does doesn't don't "
    "either even every everything exactly fair finding fine first for from get getting give given glad good got great had half happy has have having he hear hearing help "
    "here how i i'd i'll i'm i've if imagine in instead is isn't it it'd it'll it's just keep knowing let let's like looking lots make makes many may maybe might "
    "more most moving my next no nobody nothing of often okay on once one only or our perhaps please put right running say saying selling sense shall she should showing since "
    "sit so some someone something sometimes sorry sounds start still suppose sure take taking talk tell thank thanks that that'd that'll that's the their them then there "
    "there's these they they'd they'll they're they've thinking this those though to today together together too totally trying two under understandable understood until waiting wanting was "
    "we we'd we'll we're we've well were what what's when where which while who who's whose why will with without won't worrying would yes you you'd you'll you're you've your"
)
_OPENERS: Final = frozenset(_OPENERS_TEXT.split())


@dataclass(frozen=True, slots=True)
class Gates:
    """What an answer must pass. ``words``: every word that was said or is in the playbook, in lower case."""

    breaks_rule: Callable[[str], str | None]
    figures: FigureSources
    words: frozenset[str]

    def wrong(self, sentence: str, most_words: int) -> str | None:
        """The gate that the sentence fails, or None."""
        if not sentence.strip() or len(sentence.split()) > most_words:
            return "length"
        if _MARKUP.search(sentence) or hides_something(sentence) or not sentence.isprintable():
            return "form"
        if self.breaks_rule(sentence) is not None:
            return "compliance"
        if self.figures.workings(sentence) is None:
            return "figure"
        return "name" if self._new_names(sentence) else None

    def _new_names(self, sentence: str) -> list[str]:
        """Capitalised words that nobody said: places, homes, people, companies."""
        found = []
        for match in _WORD.finditer(sentence):
            word = match.group().replace("’", "'")
            if not word[0].isupper() or word == "I" or word.startswith("I'"):
                continue
            lower = word.lower().removesuffix("'s")
            opens = re.search(r"(?:^|[.?!:]\s+)[\"“(]?$", sentence[: match.start()]) is not None
            if lower not in self.words and not (opens and (lower in _OPENERS or word.lower() in _OPENERS)):
                found.append(word)
        return found


def refined(card: Card, answer: CardAnswer, gates: Gates, hidden: Pseudonyms, model: str) -> tuple[Card | None, str]:
    """The better card, or None and the gate that said no."""
    if not answer.better:
        return None, "kept"
    try:
        say, why = (" ".join(hidden.restore(text).split()) for text in (answer.say, answer.why))
    except PlaceholderRefused:
        return None, "placeholder"
    if wrong := gates.wrong(say, MOST_WORDS):
        return None, wrong
    if gates.wrong(why, _WHY_WORDS) is not None:
        why = card.why  # the sentence is good, its reason is not
    if say == card.say:
        return None, "kept"
    shown = "; ".join(gates.figures.workings(say) or ())
    source = f"{card.source}, {model}" if card.source else model
    return card.model_copy(update={"say": say, "why": f"{why} ({shown})" if shown else why, "tier": "claude", "source": source}), "refined"


class ClaudeAdvisor:
    """One per call: its pseudonyms, its budget, its playbook. An Advisor of coaching/call.py."""

    def __init__(
        self, call: str, started: CallStarted, claude: "Claude", playbook: Callable[[], Playbook], breaks_rule: Callable[[str], str | None]
    ) -> None:
        self._call, self._claude, self._playbook, self._breaks_rule = call, claude, playbook, breaks_rule
        self.names = [name for name in (started.contact.name, started.agent_name) if name]
        self.hidden = Pseudonyms(list(self.names))
        self.budget = claude.budget()
        self.deadline_s = claude.settings.deadline_s
        self.outcomes: Counter[str] = Counter()  # refined, kept, or the gate that said no

    async def refine(self, card: Card, state: CallState) -> Card | None:
        """Raises ClaudeFailed. None: the local card stands."""
        if card.moment not in REFINED or not _allowed(state):
            return None
        answer = await self._claude.ask(self._call, self._question(card, state), self.budget)
        if not _allowed(state):
            return None  # taken back while Claude thought
        better, outcome = refined(card, answer.value, self._gates(card, state), self.hidden, answer.model)
        self.outcomes[outcome] += 1
        return better

    async def sum_up(self, state: CallState) -> SummaryMade | None:
        """Better lines for the summary that stands already. Raises ClaudeFailed. None: the local one is the better."""
        local = state.summary
        if local is None or not _allowed(state) or not state.lines:
            return None
        turns = said_turns(state, self.hidden.hide, _NOTE_TURNS)
        question = note_question(turns, [self.hidden.hide(line.text) for line in local.lines])
        answer = await self._claude.ask(self._call, question, self.budget, deadline_s=_NOTE_S)
        gates, transcript = self._gates(None, state), state.transcript()
        sent = {turn.n for turn in turns}
        lines = [self._note_line(line, transcript[line.turn - 1], gates) for line in answer.value.lines[:_NOTE_LINES] if line.turn in sent]
        kept = [line for line in lines if line is not None]
        self.outcomes["note lines refused"] += len(answer.value.lines) - len(kept)
        if not kept:
            return None
        note = "\n".join([f"- {line.text}" for line in kept] + [text for text in local.crm_note.splitlines() if not text.startswith("- ")])
        return local.model_copy(update={"lines": kept, "crm_note": note, "tier": "claude"})

    def _note_line(self, line: NoteLine, said: Line, gates: Gates) -> SummaryLine | None:
        try:
            text = " ".join(self.hidden.restore(line.text).split())
        except PlaceholderRefused:
            return None
        if gates.wrong(text, _NOTE_WORDS) is not None:
            return None
        return SummaryLine(text=text, utterance=said.utterance, at_ms=said.start_ms)

    def _question(self, card: Card, state: CallState) -> Question[CardAnswer]:
        hide = self.hidden.hide
        data = CardData(
            moment=card.moment,
            label=card.label,
            card_says=hide(card.say),
            card_why=hide(card.why),
            prospect_said=hide(card.quote),
            stage=state.stage,
            known={slot: hide(entry.shown) for slot, entry in state.sheet.items()},
            turns=said_turns(state, hide, _TURNS),
        )
        return card_question(playbook_text(self._playbook()), data)

    def _gates(self, card: Card | None, state: CallState) -> Gates:
        figures, words = FigureSources(), set[str]()
        for text in (*self._playbook().sayings(), *((card.say, card.why) if card else ()), *self.names):
            figures.hear(text)
            words.update(w.lower() for w in _WORD.findall(text))
        for line in state.transcript():
            figures.hear(_sure(line))
            words.update(w.lower().removesuffix("'s") for w in _WORD.findall(line.text.replace("’", "'")))
        return Gates(self._breaks_rule, figures, frozenset(words))


def said_turns(state: CallState, hide: Callable[[str], str], most: int) -> tuple[SaidTurn, ...]:
    """The newest turns without personal data, numbered as they stand in the transcript."""
    numbered = list(enumerate(state.transcript(), 1))[-most:]
    return tuple(SaidTurn(n, line.speaker, hide(line.text)[:_TURN_CHARACTERS]) for n, line in numbered)


def playbook_text(playbook: Playbook) -> str:
    """Titles, reasons and sayings; the same text for every call, so that it can be cached."""

    def lines() -> Iterable[str]:
        for name, answer in [*playbook.objections.items(), *playbook.moments.items()]:
            yield f"[{name}] {answer.title}: {answer.why}"
            yield from (f"- {saying.text}" for saying in answer.say)
        yield from (f"[ask {slot}] {question}" for slot, question in playbook.questions.items())

    return "\n".join(lines()).replace("<", "(").replace(">", ")")


def _allowed(state: CallState) -> bool:
    return state.consent is not None and state.consent.claude


def _sure(line: Line) -> str:
    """What was surely heard of a line: an amount with a "?" is no fact."""
    return " ".join(w.text for w in line.words if w.probability >= _SURE) if line.words else line.text
