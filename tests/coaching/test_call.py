"""One live call, played with sound: it goes on when a module fails, ends when it must, and goes on where its log ends."""

from collections.abc import Sequence

import numpy as np
import pytest

from coaching.call import Call
from coaching.coaches import Coaches
from coaching.events import (
    AnyEvent,
    CallEnded,
    CallResumed,
    CallStarted,
    ConsentChanged,
    Contact,
    Logged,
    NoticeRaised,
    SuggestionShown,
    SummaryMade,
    UtteranceFinal,
)
from coaching.record import MemoryLog
from coaching.state import CallState
from intelligence.conversation.turns import Conversation, Family, Finding, Reading, Turn, Vectors
from tests.scripted_call import (
    Cue,
    Cued,
    ScriptedLeg,
    Silence,
    Stage,
    agent,
    changes,
    laid_out,
    no_vectors,
    of_type,
    parts_of,
    play,
    prospect,
    shown,
    silence,
)

PRICE: dict[str, tuple[Family, str]] = {"too much money": ("objection", "price")}
SCENE = [agent("Hi Marcus, this is Claire."), prospect("That is too much money for a townhouse in that street."), silence(1500)]


class Broken:
    """A module that fails on the prospect's first words."""

    name = "broken"
    failed = 0

    def feed(self, reading: Reading, so_far: Conversation) -> list[Finding]:
        if reading.turn.speaker == "prospect":
            self.failed += 1
            raise RuntimeError("their secret words")
        return []


async def test_a_module_that_raises_is_switched_off_and_the_call_goes_on() -> None:
    """The notice names the module, not what was said; the other modules still raise their cards."""
    broken = Broken()
    played = await play([*SCENE, agent("I see."), prospect("Yes, and so on.")], Stage([broken, Cued(PRICE)]))
    (notice,) = [e for e in of_type(played.events, NoticeRaised) if e.notice == "module_off"]
    assert notice.detail == "broken failed: RuntimeError"
    assert [c.label for c in shown(played.events)] == ["price"]
    assert broken.failed == 1  # nothing reached it any more
    assert played.call.state.ended is not None


async def test_a_card_need_not_wait_for_the_end_of_the_silence() -> None:
    """What is not sure enough in mid-sentence is a card once the speaker has paused, before the final is in the log, and only one."""
    unsure = Cued(PRICE, confidence=0.75)
    played = await play([*SCENE], Stage([unsure]))
    order = [type(e.event) for e in played.events if isinstance(e.event, SuggestionShown | UtteranceFinal)]
    assert order == [UtteranceFinal, SuggestionShown, UtteranceFinal]
    assert changes(played.events) == []


async def test_a_card_of_a_pause_is_taken_back_when_they_turn_it_round() -> None:
    """They go on after the pause, and the whole says otherwise: the card greys."""

    class Turned(Cued):
        def feed(self, reading: Reading, so_far: Conversation) -> list[Finding]:
            return [] if "not" in reading.turn.text else super().feed(reading, so_far)

    played = await play(
        [agent("Hi Marcus."), prospect("That is too much money."), Silence(-120), prospect("is what I did not say."), silence(1500)],
        Stage([Turned(PRICE, confidence=0.75)]),
    )
    assert [c.label for c in shown(played.events)] == ["price"]
    assert [change for _, change in changes(played.events)] == ["taken_back"]
    assert [e.text for e in of_type(played.events, UtteranceFinal)][-1] == "That is too much money. is what I did not say."


async def test_what_was_read_in_a_pause_is_not_read_again_at_its_end() -> None:
    """The final that says the same asks neither sentence model; other words, and those of somebody who goes on, ask both."""
    asked: dict[str, list[str]] = {"first": [], "second": []}

    async def first(sentences: list[str]) -> Vectors:
        asked["first"] += sentences
        return await no_vectors(sentences)

    async def second(speaker: str, sentences: list[str]) -> Vectors:
        asked["second"] += sentences
        return np.zeros((len(sentences), 768), np.float32)

    doubter = Doubter()
    coaches = Coaches([doubter], first, second=second)
    for turn in (
        Turn("prospect", "hm, too dear", utterance="p1", partial=True),
        Turn("prospect", "hm, too dear", utterance="p1", partial=True, paused=True),
        Turn("prospect", "hm, too dear", utterance="p1"),
        Turn("prospect", "hm, too dear", utterance="p2"),
    ):
        await coaches.feed(turn)
    assert asked == {"first": ["hm, too dear"] * 3, "second": ["hm, too dear"] * 3}
    assert len(doubter.seen) == 4
    assert [turn.utterance for turn in coaches.conversation.turns] == ["p1", "p2"]


class Doubter:
    """A module that is in doubt about one sentence, or fails to say so."""

    name = "doubter"

    def __init__(self, fails: bool = False) -> None:
        self.fails, self.seen = fails, list[dict[str, float]]()

    def at_once(self, turn: Turn, sentences: Sequence[str], *, in_context: bool) -> list[str]:
        return [s for s in sentences if "ouch" in s]

    def doubts(self, reading: Reading) -> list[str]:
        if self.fails:
            raise RuntimeError
        return [s for s in reading.sentences if "hm" in s]

    def feed(self, reading: Reading, so_far: Conversation) -> list[Finding]:
        self.seen.append({text: float(vector[0]) for text, vector in reading.second.items()})
        return []


async def test_the_second_model_is_asked_about_doubtful_sentences_only() -> None:
    """It reads what a module doubts, once a turn; a turn without doubt does not reach it."""
    asked: list[tuple[str, list[str]]] = []

    async def second(speaker: str, sentences: list[str]) -> Vectors:
        asked.append((speaker, sentences))
        return np.full((len(sentences), 384), 7.0, np.float32)

    doubter, failing = Doubter(), Doubter(fails=True)
    coaches = Coaches([doubter, failing], no_vectors, second=second)
    for text in ("Good morning.", "hm, maybe. That is fine.", "ouch. hm."):
        await coaches.feed(Turn("prospect", text))
    await coaches.feed(Turn("supervisor", "hm, whisper to her."))
    assert asked == [("prospect", ["hm, maybe."]), ("prospect", ["ouch."]), ("prospect", ["hm."])]
    assert doubter.seen == failing.seen == [{}, {"hm, maybe.": 7.0}, {"ouch.": 7.0, "hm.": 7.0}, {}]


async def test_a_module_that_is_too_slow_is_switched_off() -> None:
    """Three turns over the deadline, and it is asked no more."""
    clock = iter(range(10_000))
    coaches = Coaches([Cued({})], no_vectors, clock=lambda: float(next(clock)))  # each look at the clock is a second later
    heard = [await coaches.feed(Turn("prospect", "Hello there.")) for _ in range(4)]
    assert [h.off for h in heard] == [[], [], [("cued", "too slow")], []]
    assert coaches.names == []


async def test_a_card_is_up_before_the_sentence_is_over() -> None:
    """Stable words of an unfinished sentence raise the card; the final confirms it."""
    script = [
        agent("So?"),
        prospect("That is too much money for a townhouse in that street where we looked at one last week."),
        silence(2000),
    ]
    played = await play(script, Stage([Cued(PRICE)]))
    end = next(e.end_ms for e in of_type(played.events, UtteranceFinal) if e.speaker == "prospect")
    (card,) = of_type(played.events, SuggestionShown)
    assert (card.audio_ms or 0) < end - 2000
    assert changes(played.events) == []


async def test_hanging_up_in_mid_sentence_keeps_the_words_so_far() -> None:
    """What was said until then is final, the reason stands in the log, and the summary follows."""
    script = [prospect("We would like to see it again"), Cue(lambda call: call.end("agent hung up")), prospect("on Sunday")]
    played = await play(script)
    assert [line.final for line in played.call.state.transcript()] == [True]
    kinds = [e.event.type for e in played.events]
    assert kinds[-2:] == ["call_ended", "summary_made"]
    assert [e.reason for e in of_type(played.events, CallEnded)] == ["agent hung up"]


async def test_a_call_goes_on_where_its_log_ends() -> None:
    """After a crash the same fold gives the same state, and the numbers go on without a hole."""
    stage = Stage([Cued(PRICE)])
    first = await play(SCENE, stage)
    crashed = [e for e in first.events if not isinstance(e.event, CallEnded | SummaryMade)]
    second = await play([prospect("Are you still there?"), silence(500)], stage, after=crashed)
    assert [e.n for e in second.events] == list(range(1, len(second.events) + 1))
    state = CallState.of(second.events)
    assert {"That is too much money for a townhouse in that street.", "Are you still there?"} <= {line.text for line in state.transcript()}
    assert len(of_type(second.events, CallResumed)) == 1
    assert len(of_type(second.events, CallStarted)) == 1


async def test_a_log_without_a_beginning_cannot_go_on() -> None:
    """A call is resumed from its whole log or not at all."""
    lines, cues, length = laid_out(SCENE)
    leg = ScriptedLeg(lines, cues, length)
    parts, _ = parts_of(Stage(), lines, leg, MemoryLog("scripted"))
    orphan = [Logged(call="scripted", n=1, at=0.0, event=NoticeRaised(notice="no_talk"))]
    with pytest.raises(ValueError, match="call_started"):
        Call.resume(orphan, parts)


class FullDisk(MemoryLog):
    """A log that commits ten events and then no more."""

    async def append(self, events: Sequence[AnyEvent]) -> list[Logged]:
        if len(self.events) > 10:
            raise OSError("disk full")
        return await super().append(events)


async def test_a_log_that_fails_ends_the_call() -> None:
    """What cannot be committed is not coached."""
    lines, cues, length = laid_out(SCENE)
    leg = ScriptedLeg(lines, cues, length)
    parts, _ = parts_of(Stage(), lines, leg, FullDisk("scripted"))
    with pytest.RaisesGroup(OSError, flatten_subgroups=True, allow_unwrapped=True):
        await Call("scripted", CallStarted(mode="replay"), parts).run()
    assert leg.ended


async def test_a_card_change_needs_a_card() -> None:
    """A thumb for a card that never was is refused."""
    failures: list[str] = []

    async def thumb(call: Call) -> None:
        try:
            await call.card_change("k99", "thumbs_up")
        except KeyError as failure:
            failures.append(str(failure))

    await play([agent("Hi."), Cue(thumb)])
    assert failures == ["'k99'"]


async def test_the_prospects_first_name_may_stand_on_a_card() -> None:
    """The contact's name fills the sayings that want one."""
    stage = Stage([Cued(PRICE)], started=CallStarted(mode="replay", contact=Contact(name="Marcus Bell")))
    played = await play(SCENE, stage)
    assert played.call._parts.suggestions.heard["name"] == "Marcus"


async def test_consent_changes_are_in_the_log_with_their_rule() -> None:
    """Who decided and which line of the policy can be read later."""
    stage = Stage(started=CallStarted(mode="browser", agent_state="CA", prospect_state="TX"))
    played = await play([Cue(lambda call: call.consent("granted", by="prospect", record=True)), *SCENE], stage)
    begun, granted = of_type(played.events, ConsentChanged)
    assert (begun.by, begun.transcribe) == ("policy", False)
    assert (granted.by, granted.transcribe, granted.record, granted.claude) == ("prospect", True, True, False)
    assert "Cal. Penal Code 632" in granted.rule
