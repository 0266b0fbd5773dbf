"""After the call: what an agent wants to read, every line with its place, nothing made up."""

from typing import Literal

from coaching.events import AnyEvent, CallStarted, Contact, FindingNoted, Logged, SheetChanged, Speaker, UtteranceFinal
from coaching.state import CallState
from coaching.summary import action_items, handled, outcome_preset, summarise

TUESDAY = "2026-02-03"


class Told:
    """A finished call, told line by line."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = [CallStarted(mode="sample", today=TUESDAY, contact=Contact(name="Marcus Bell", number="3125550100"))]
        self.last = ""

    def says(self, speaker: Speaker, text: str) -> "Told":
        start = len(self.events) * 2000
        self.last = f"{speaker[0]}{start}"
        self.events.append(
            UtteranceFinal(utterance=self.last, speaker=speaker, start_ms=start, end_ms=start + 1500, text=text, audio_ms=start + 1500)
        )
        return self

    def agent(self, text: str) -> "Told":
        return self.says("agent", text)

    def prospect(self, text: str, *labels: str) -> "Told":
        self.says("prospect", text)
        for label in labels:
            self.finding("objection", label, text)
        return self

    def finding(self, family: Literal["objection", "signal", "compliance"], label: str, quote: str) -> "Told":
        speaker: Speaker = "agent" if family == "compliance" else "prospect"
        number = f"{self.last}-{len(self.events)}"
        at = int(self.last[1:])
        self.events.append(
            FindingNoted(
                finding=number,
                family=family,
                label=label,
                speaker=speaker,
                quote=quote,
                start_ms=at,
                end_ms=at + 1500,
                confidence=0.9,
                why="w",
                rule="r",
                utterance=self.last,
            )
        )
        return self

    def sheet(self, slot: str, shown: str, quote: str = "") -> "Told":
        self.events.append(SheetChanged(slot=slot, value=shown, shown=shown, quote=quote or shown, utterance=self.last))
        return self

    @property
    def state(self) -> CallState:
        return CallState.of(Logged(call="c", n=n, at=float(n), event=event) for n, event in enumerate(self.events, 1))


def agreed() -> Told:
    told = Told().prospect("Sunday could work. Is 2 o'clock okay?").sheet("appointment", "Sunday 14:00", "Sunday could work.")
    return told.agent("Sunday at 2 is perfect. We'll meet at the townhouse and I'll bring the sales sheet.")


def test_a_promise_is_an_action_item_with_its_date() -> None:
    """What the agent said they would do stands with the day that it means."""
    items = action_items(Told().agent("Sure. I'll email the packet tonight.").agent("I'll call the lender on Friday.").state)
    assert [(i.who, i.what, i.due) for i in items] == [
        ("agent", "email the packet tonight", "2026-02-03"),
        ("agent", "call the lender on Friday", "2026-02-06"),
    ]  # fmt: skip


def test_two_promises_in_a_sentence_are_two_items() -> None:
    """Each can be ticked off by itself; the day said before holds for both."""
    items = action_items(agreed().state)
    assert [(i.what, i.due) for i in items] == [
        ("meet as agreed: Sunday 14:00", "2026-02-08"),
        ("meet at the townhouse", "2026-02-08"),
        ("bring the sales sheet", "2026-02-08"),
    ]  # fmt: skip


def test_an_item_says_what_it_points_back_to() -> None:
    """ "I'll ask them" is of use only with the words before it."""
    told = Told().prospect("Would the sellers let us move in early?").agent("I'll ask them tonight.")
    assert action_items(told.state)[0].what == "ask them tonight (they: “Would the sellers let us move in early?”)"


def test_a_brush_off_is_nobodys_task() -> None:
    """ "Email me something and I'll get back to you" leaves the prospect nothing to do."""
    assert action_items(Told().prospect("Just email me a packet and I'll get back to you.", "stall").state) == []


def test_a_question_is_no_promise() -> None:
    """ "Can I send it?" promises nothing yet."""
    assert action_items(Told().agent("I can send you the map, would that help?").state) == []


def test_an_objection_left_alone_is_open() -> None:
    """Nobody answered, so nobody handled it."""
    (one,) = handled(Told().prospect("That is too much money.", "price").state)
    assert (one.handled, one.answer) == ("open", "")


def test_an_answer_that_they_push_back_on_is_not_settled() -> None:
    """The summary does not say that they moved on when they doubted the answer."""
    told = (
        Told()
        .prospect("Rates are too high.", "market")
        .agent("I hear you, but prices never fall.")
        .prospect("I don't know if anybody can promise that.")
    )
    assert [o.handled for o in handled(told.state)] == ["answered"]


def test_a_new_topic_is_moving_on() -> None:
    """They took the answer and went on."""
    told = (
        Told()
        .prospect("Your fee is high.", "commission")
        .agent("It's negotiable, and here is what it pays for.")
        .prospect("Oh, I didn't know that. Where would we start?")
    )
    assert [o.handled for o in handled(told.state)] == ["moved_on"]


def test_the_same_objection_later_was_not_settled() -> None:
    """What comes back was not handled the first time."""
    told = Told().prospect("It is too much.", "price").agent("Let's look at what sold nearby.").prospect("Okay, fine.")
    told.agent("Good, then let's go on with that.").prospect("But it still is too much money.", "price")
    assert [o.handled for o in handled(told.state)] == ["answered", "open"]


def test_an_agreed_time_is_an_appointment() -> None:
    """Both took it as agreed, and the words stand beside the outcome."""
    assert outcome_preset(agreed().state) == ("appointment", "Sunday could work.")


def test_a_time_that_was_put_off_is_no_appointment() -> None:
    """ "Saturday is her shower, just email me" agrees to nothing, though a day was named."""
    told = (
        Told()
        .agent("What does Saturday look like?")
        .prospect("Saturday is her shower. Just email me a packet.", "stall")
        .sheet("appointment", "Saturday")
    )
    told.agent("Sounds good, I'll email the packet tonight.")
    assert outcome_preset(told.state)[0] == "next_step"
    assert "Next meeting" not in summarise(told.state).crm_note


def test_a_time_heard_unsurely_is_no_appointment() -> None:
    """What carries a question mark is never a fact."""
    assert outcome_preset(Told().prospect("Sunday works for us.").sheet("appointment", "Sunday?").state)[0] != "appointment"


def test_do_not_call_comes_before_everything() -> None:
    """A request not to be called is the outcome, whatever else was said."""
    told = agreed().prospect("And then take me off your list.").finding("signal", "do_not_call", "take me off your list")
    assert outcome_preset(told.state) == ("do_not_call", "take me off your list")


def test_other_endings() -> None:
    """Nobody there, a machine, a no, a later call: each is heard from the words."""
    assert outcome_preset(Told().agent("Hello? Anybody there?").state)[0] == "no_answer"
    assert outcome_preset(Told().prospect("Please leave a message after the tone.").state)[0] == "voicemail"
    assert outcome_preset(Told().prospect("No thanks, we're going with someone else.").state)[0] == "lost"
    assert outcome_preset(Told().prospect("I'm driving, call me back later.").state)[0] == "call_back"
    assert outcome_preset(Told().prospect("Nice weather today.").state) == ("", "")


def test_the_note_is_what_a_colleague_needs() -> None:
    """The meeting first, then why and when, each once and short; worries with their end; slips to check; then what to do."""
    told = (
        Told()
        .prospect("I start a new job in Denver. And there is a baby coming.")
        .sheet("motivation", "relocation", "I start a new job in Denver. And there is a baby coming.")
    )
    told.prospect("It is too much.", "price").agent("Houses there never lose money.").finding(
        "compliance", "guarantee", "Houses there never lose money."
    )
    told.prospect("Hm. Sunday works for us.").sheet("appointment", "Sunday 14:00", "Sunday works for us.").agent(
        "Perfect, I'll bring the sales sheet."
    )
    summary = summarise(told.state)
    assert summary.crm_note.splitlines() == [
        "Call with Marcus Bell 3125550100, 2026-02-03, 0.3 min",
        "- Next meeting: Sunday 14:00.",
        "- Why they move: relocation. “I start a new job in Denver.”",
        "- Objection, price: “It is too much.” (then moved on).",
        "- To check, guarantee: “Houses there never lose money.”.",
        "To do:",
        "- agent: meet as agreed: Sunday 14:00 [2026-02-08]",
        "- agent: bring the sales sheet",
    ]
    assert all(line.utterance in told.state.lines for line in summary.lines)


def test_a_call_without_facts_still_says_what_was_said() -> None:
    """An empty sheet gives the prospect's longest words instead of nothing."""
    assert (
        summarise(Told().prospect("We are just looking around a little.").state).lines[0].text
        == "Marcus Bell said: “We are just looking around a little.”"
    )
    assert summarise(Told().agent("Hello?").state).lines[0].text == "Nothing was heard from the other side."
