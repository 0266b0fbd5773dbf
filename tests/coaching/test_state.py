"""A call's state is a fold over its events."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coaching.events import (
    EVENT,
    AnyEvent,
    CallStarted,
    Card,
    Logged,
    NoticeCleared,
    NoticeRaised,
    SuggestionChanged,
    SuggestionShown,
    TranscriptRevised,
    UtteranceFinal,
    WordHeard,
    WordsSettled,
)
from coaching.state import CallState
from tests.scripted_call import Cued, Stage, agent, play, prospect, silence

STAGE_CUES = {"too much money": ("objection", "price")}


def logged(*events: AnyEvent, call: str = "c") -> list[Logged]:
    return [Logged(call=call, n=n, at=float(n), event=event) for n, event in enumerate(events, 1)]


def word(text: str, start_ms: int = 0) -> WordHeard:
    return WordHeard(text=text, start_ms=start_ms, end_ms=start_ms + 200, probability=0.9)


CARD = Card(id="k1", moment="objection", kind="objection_response", label="price", title="t", say="s", why="w")


async def test_a_replayed_log_gives_the_same_state() -> None:
    """The state of a finished call is what its log folds to, also after a trip through JSON."""
    stage = Stage(detectors=[Cued(STAGE_CUES)])  # type: ignore[arg-type]  # families as literals
    played = await play([agent("Hi Marcus, it is Claire."), prospect("That is too much money for us."), silence(2000)], stage)
    again = [Logged(call=e.call, n=e.n, at=e.at, event=EVENT.validate_json(EVENT.dump_json(e.event))) for e in played.events]
    assert CallState.of(again).view("s") == played.call.state.view("s")
    assert played.call.state.view()["cards"]


def test_a_hole_in_the_log_is_no_state() -> None:
    """A missing event raises instead of giving a state that never was."""
    events = logged(CallStarted(mode="sample"), NoticeRaised(notice="no_talk"), NoticeCleared(notice="no_talk"))
    with pytest.raises(ValueError, match="event 3 after 1"):
        CallState.of([events[0], events[2]])


def test_an_event_twice_is_no_state() -> None:
    """The same event a second time raises."""
    events = logged(CallStarted(mode="sample"))
    with pytest.raises(ValueError, match="event 1 after 1"):
        CallState.of([*events, *events])


def test_a_final_replaces_its_settled_words() -> None:
    """What was settled stands until the final says how the utterance was."""
    settled = WordsSettled(utterance="p0", speaker="prospect", start_ms=0, words=[word("two"), word("fifty", 300)])
    final = UtteranceFinal(utterance="p0", speaker="prospect", start_ms=0, end_ms=900, text="$250,000.", words=[word("two")])
    assert CallState.of(logged(settled)).view()["transcript"][0]["text"] == "two fifty"
    assert CallState.of(logged(settled, final)).view()["transcript"][0] == {
        "utterance": "p0", "speaker": "prospect", "start_ms": 0, "end_ms": 900, "text": "$250,000.", "final": True,
    }  # fmt: skip


def test_an_utterance_that_was_no_speech_leaves_no_line() -> None:
    """An empty final takes its settled words back."""
    settled = WordsSettled(utterance="p0", speaker="prospect", start_ms=0, words=[word("you")])
    assert not CallState.of(logged(settled, UtteranceFinal(utterance="p0", speaker="prospect", start_ms=0, end_ms=0, text=""))).lines


def test_words_that_come_late_change_no_final() -> None:
    """Settled words behind the final of their utterance are ignored."""
    final = UtteranceFinal(utterance="p0", speaker="prospect", start_ms=0, end_ms=900, text="We like it.")
    late = WordsSettled(utterance="p0", speaker="prospect", start_ms=0, words=[word("we")])
    assert CallState.of(logged(final, late)).lines["p0"].text == "We like it."


def test_a_revision_replaces_the_words_of_its_line() -> None:
    """A second pass is an event of its own and shows in the transcript."""
    final = UtteranceFinal(utterance="p0", speaker="prospect", start_ms=0, end_ms=900, text="Thanks, clear.")
    revised = TranscriptRevised(utterance="p0", text="Thanks, Claire.", model="base")
    assert CallState.of(logged(final, revised)).lines["p0"].text == "Thanks, Claire."


def test_thumbs_do_not_change_where_a_card_stands() -> None:
    """A thumb is noted beside the card's state, which only its own changes move."""
    events = logged(
        SuggestionShown(card=CARD), SuggestionChanged(card="k1", change="used"), SuggestionChanged(card="k1", change="thumbs_up")
    )
    card = CallState.of(events).cards["k1"]
    assert (card.state, card.changes) == ("used", ["used", "thumbs_up"])


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(["a0", "p0", "p1"]).flatmap(lambda u: st.tuples(st.just(u), st.booleans(), st.text("ab ", max_size=6)))),
    st.data(),
)
def test_a_state_can_be_folded_in_two_parts(said: list[tuple[str, bool, str]], data: st.DataObject) -> None:
    """Stopping anywhere and going on from there gives the state of the whole log."""
    events: list[AnyEvent] = [CallStarted(mode="sample")]
    for utterance, final, text in said:
        speaker = "agent" if utterance[0] == "a" else "prospect"
        if final:
            events.append(UtteranceFinal(utterance=utterance, speaker=speaker, start_ms=0, end_ms=10, text=text.strip()))
        else:
            events.append(WordsSettled(utterance=utterance, speaker=speaker, start_ms=0, words=[word(w) for w in text.split()]))
    log = logged(*events)
    cut = data.draw(st.integers(0, len(log)))
    state = CallState.of(log[:cut])
    for event in log[cut:]:
        state.apply(event)
    assert state.view() == CallState.of(log).view()
