"""Every event of a call. A call's state is a fold over these; each has a type, a version and its fields.

An event is numbered and stamped by the log when it is committed (:class:`Logged`), then sent to viewers.
What changes many times a second (open tail, meters) is state, not an event: see :class:`LiveState`.
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Speaker: TypeAlias = Literal["agent", "prospect"]
ConsentState: TypeAlias = Literal["unknown", "announced", "granted", "refused", "revoked"]
Tier: TypeAlias = Literal["local", "claude"]
Notice: TypeAlias = Literal[
    "not_listening",
    "not_hearing",
    "audio_lost",
    "on_loudspeaker",
    "recogniser_slow",
    "recogniser_restarted",
    "module_off",
    "claude_off",
    "not_yet_saved",
    "no_talk",
    "other_language",
    "being_listened_to",
]


class Event(BaseModel):
    """``audio_ms``: media time on the call's timeline. ``stamps``: wall-clock seconds of each hop so far."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    v: int = 1
    audio_ms: int | None = None
    stamps: dict[str, float] = Field(default_factory=dict)


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WordHeard(Part):
    text: str
    start_ms: int
    end_ms: int
    probability: float


class Contact(Part):
    """Who the prospect is; a contact without an id is new."""

    id: str | None = None
    name: str = ""
    number: str = ""
    lead_id: str = ""


class Line(Part):
    """How a call came over telephones. Numbers are E.164 where they can be; ``id`` is the carrier's or PBX's own.

    ``way``: twilio, telnyx, audiosocket, sip, siprec, livekit; empty for a call without telephones.
    """

    way: str = ""
    direction: Literal["", "inbound", "outbound", "internal"] = ""
    caller: str = ""
    callee: str = ""
    id: str = ""


class CallStarted(Event):
    """The call begins. ``mode``: sample, microphone, tab, browser, replay, listen, phone, livekit.

    ``about``: homes and places that will be named, as the agent wrote them; the recogniser is told to expect them."""

    type: Literal["call_started"] = "call_started"
    mode: str
    agent_name: str = ""
    contact: Contact = Contact()
    today: str = ""
    agent_state: str = ""  # US state of the agent, two letters, empty when unknown
    prospect_state: str = ""
    about: str = ""
    strategy: str = ""  # of the running experiment (coaching/experiments.py); empty: none
    line: Line = Line()


class LegChanged(Event):
    """A side joined, was held, resumed, was lost or left."""

    type: Literal["leg_changed"] = "leg_changed"
    speaker: Speaker
    state: Literal["joined", "held", "resumed", "lost", "left"]
    reason: str = ""


class ClockChanged(Event):
    """A leg's clock was laid on the call's timeline: its next frame lies at ``offset_ms``."""

    type: Literal["clock_changed"] = "clock_changed"
    speaker: Speaker
    offset_ms: int


class ConsentChanged(Event):
    """The gate in the media path moved. Transcribing, recording and Claude are three separate yeses."""

    type: Literal["consent_changed"] = "consent_changed"
    state: ConsentState
    transcribe: bool
    record: bool
    claude: bool
    agent_only: bool = False
    by: str = ""  # agent, prospect, announcement, policy
    rule: str = ""  # which line of the policy decided


class WordsSettled(Event):
    """More words of an utterance that still goes on are settled (only these new ones)."""

    type: Literal["words_settled"] = "words_settled"
    utterance: str
    speaker: Speaker
    start_ms: int
    words: list[WordHeard]


class UtteranceFinal(Event):
    """An utterance is over; this replaces its settled words."""

    type: Literal["utterance_final"] = "utterance_final"
    utterance: str
    speaker: Speaker
    start_ms: int
    end_ms: int
    text: str
    spoken: str | None = None
    words: list[WordHeard] = Field(default_factory=list)
    model: str = ""


class TranscriptRevised(Event):
    """A second pass read a final utterance better; same fields, it replaces them."""

    type: Literal["transcript_revised"] = "transcript_revised"
    utterance: str
    text: str
    spoken: str | None = None
    words: list[WordHeard] = Field(default_factory=list)
    model: str = ""


class GapMarked(Event):
    """Nothing was heard between these times (a crash, a lost leg, a shut gate)."""

    type: Literal["gap_marked"] = "gap_marked"
    start_ms: int
    end_ms: int
    why: str


class FindingNoted(Event):
    """A detector found something; the fields are those of intelligence.conversation.turns.Finding."""

    type: Literal["finding_noted"] = "finding_noted"
    finding: str
    family: Literal["objection", "signal", "compliance", "moment"]
    label: str
    speaker: Speaker
    quote: str
    start_ms: int
    end_ms: int
    confidence: float
    why: str
    rule: str
    source: str = ""
    utterance: str = ""
    values: dict[str, Any] = Field(default_factory=dict)


class Card(Part):
    """A suggestion. ``moment`` is a key of the taxonomy's [moments], ``kind`` its value.

    ``say``: at most about 20 words. ``why``/``quote`` are one step behind. ``rule``/``source`` trace it.
    """

    id: str
    moment: str
    kind: str
    label: str = ""  # the objection, rule or slot it answers
    title: str
    say: str
    why: str
    quote: str = ""
    quote_speaker: Speaker | None = None
    quote_ms: int | None = None
    source: str = ""
    rule: str = ""
    tier: Tier = "local"
    confidence: float = 0.0
    finding: str = ""
    utterance: str = ""
    expires_ms: int | None = None


class SuggestionShown(Event):
    """A card came up on the overlay."""

    type: Literal["suggestion_shown"] = "suggestion_shown"
    card: Card


class SuggestionRefined(Event):
    """The same card, better words in place (Claude); the card keeps its id."""

    type: Literal["suggestion_refined"] = "suggestion_refined"
    card: Card


class SuggestionChanged(Event):
    """What became of a card. A card that was readable is never removed: taken_back greys it."""

    type: Literal["suggestion_changed"] = "suggestion_changed"
    card: str
    change: Literal["taken_back", "used", "helpful", "dismissed", "expired", "thumbs_up", "thumbs_down"]
    why: str = ""


class SheetChanged(Event):
    """A slot of the qualification sheet was filled or changed."""

    type: Literal["sheet_changed"] = "sheet_changed"
    slot: str
    value: Any
    shown: str  # the value as people read it; with "?" when not sure
    quote: str = ""
    utterance: str = ""
    confidence: float = 1.0


class StageChanged(Event):
    """The conversation moved to another stage of the taxonomy."""

    type: Literal["stage_changed"] = "stage_changed"
    stage: str
    why: str = ""


class NoticeRaised(Event):
    """Something the agent should know about the call itself; it stands until cleared."""

    type: Literal["notice_raised"] = "notice_raised"
    notice: Notice
    speaker: Speaker | None = None
    detail: str = ""


class NoticeCleared(Event):
    """A notice no longer holds."""

    type: Literal["notice_cleared"] = "notice_cleared"
    notice: Notice
    speaker: Speaker | None = None


class CallResumed(Event):
    """The call goes on in another process; what was not heard meanwhile is a gap."""

    type: Literal["call_resumed"] = "call_resumed"
    why: str = ""


class CallEnded(Event):
    """The call is over; ``outcome_preset`` is what was heard of how it ended."""

    type: Literal["call_ended"] = "call_ended"
    reason: str
    outcome_preset: str = ""  # what was heard suggests this outcome
    outcome_why: str = ""


class OutcomeChosen(Event):
    """The agent said, with one key, how the call ended (an outcome of the taxonomy)."""

    type: Literal["outcome_chosen"] = "outcome_chosen"
    outcome: str
    by: str = "agent"


class ActionItem(Part):
    who: Literal["agent", "prospect"]
    what: str
    due: str | None = None
    quote: str = ""
    utterance: str = ""


class ObjectionHandled(Part):
    label: str
    quote: str
    utterance: str
    at_ms: int
    answer: str = ""
    answer_utterance: str = ""
    handled: Literal["answered", "moved_on", "open"] = "open"


class SummaryLine(Part):
    text: str
    utterance: str = ""
    at_ms: int | None = None


class SummaryMade(Event):
    """What the call was about: lines with their place, what to do, objections and how they were handled."""

    type: Literal["summary_made"] = "summary_made"
    lines: list[SummaryLine]
    action_items: list[ActionItem]
    objections: list[ObjectionHandled]
    crm_note: str
    tier: Tier = "local"


AnyEvent: TypeAlias = Annotated[
    CallStarted
    | LegChanged
    | ClockChanged
    | ConsentChanged
    | WordsSettled
    | UtteranceFinal
    | TranscriptRevised
    | GapMarked
    | FindingNoted
    | SuggestionShown
    | SuggestionRefined
    | SuggestionChanged
    | SheetChanged
    | StageChanged
    | NoticeRaised
    | NoticeCleared
    | CallResumed
    | CallEnded
    | OutcomeChosen
    | SummaryMade,
    Field(discriminator="type"),
]

EVENT: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


class Logged(BaseModel):
    """An event as the log holds it: ``n`` counts from 1 without gaps within a call, ``at`` is wall clock seconds."""

    model_config = ConfigDict(frozen=True)

    call: str
    n: int
    at: float
    event: AnyEvent
    unsaved: bool = False  # it lies in this machine's journal, until the database is back

    def wire(self) -> dict[str, Any]:
        """The flat JSON object that viewers, REST and JSON Lines carry."""
        mark = {"unsaved": True} if self.unsaved else {}
        return {"call": self.call, "n": self.n, "at": self.at, **mark, **self.event.model_dump(mode="json")}


class LiveState(BaseModel):
    """What a viewer shows but nobody stores; the newest wins."""

    audio_ms: int = 0
    open: dict[Speaker, str] = Field(default_factory=dict)  # the open tail of each side
    utterance: dict[Speaker, str] = Field(default_factory=dict)  # the utterance it belongs to
    level: dict[Speaker, float] = Field(default_factory=dict)  # dBFS
    talk_share: float | None = None  # the agent's share of the speech heard so far
    pace_wpm: int | None = None  # the agent's words per minute over the last 30 s of speech
    partials_thinned: bool = False
    stamps: dict[str, float] = Field(default_factory=dict)
