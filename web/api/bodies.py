"""What REST takes and gives, as docs/protocol.md says."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from coaching.events import Speaker

Short = Annotated[str, Field(max_length=200)]
State = Annotated[str, Field(pattern="^([A-Za-z]{2})?$")]
Outcome = Literal["appointment", "next_step", "call_back", "lost", "no_answer", "voicemail", "do_not_call"]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ContactGiven(Body):
    id: Annotated[str, Field(max_length=32)] | None = None
    name: Short = ""
    number: Short = ""
    lead_id: Short = ""


class CallWanted(Body):
    mode: Literal["sample", "microphone", "tab", "browser", "livekit"]
    contact: ContactGiven | None = None
    agent_name: Short = ""
    agent_state: State = ""
    prospect_state: State = ""
    about: Annotated[str, Field(max_length=200)] = ""


class Offer(Body):
    """``tracks``: whose sound each audio section (mid) of the offer is."""

    sdp: Annotated[str, Field(max_length=65_536)]
    tracks: Annotated[dict[Annotated[str, Field(max_length=64)], Speaker], Field(min_length=1, max_length=2)]


class ConsentGiven(Body):
    state: Literal["announced", "granted", "refused", "revoked"]
    record: bool | None = None
    claude: bool | None = None


class CardFate(Body):
    change: Literal["thumbs_up", "thumbs_down", "dismissed"]


class EndWanted(Body):
    reason: Annotated[str, Field(max_length=100)] = "hung_up"


class OutcomeGiven(Body):
    outcome: Outcome


class Answer(BaseModel):
    sdp: str


class NumberWanted(Body):
    number: Annotated[str, Field(min_length=2, max_length=200)]


class Dialled(BaseModel):
    """``number``: E.164, or an extension as dialled."""

    number: str


class RoomView(BaseModel):
    """How a browser joins the LiveKit room of a call."""

    url: str
    token: str


class ListeningView(RoomView):
    """``whisper``: a token for the room in which only the agent hears the supervisor."""

    whisper: str


class Link(BaseModel):
    url: str
    expires_at: float


class SessionView(BaseModel):
    user: str
    name: str
    role: Literal["owner", "lead", "agent"]


class SeatView(BaseModel):
    """``room``: the call is held in a LiveKit room."""

    call: str
    room: bool


class PlaybookPage(BaseModel):
    """What may be said to one thing; only sentences that need no word of a call."""

    label: str
    title: str
    say: list[str]


class PlaybookView(BaseModel):
    pages: list[PlaybookPage]


class EngineView(BaseModel):
    alive: bool
    model: str
    restarts: int
    windows: int | None = None  # received since it started


class Missing(BaseModel):
    what: str
    why: str
    fix: str


class StatusView(BaseModel):
    version: str
    engine: EngineView
    missing: list[Missing]
    calls_live: int
    rooms: bool


class SpendLine(BaseModel):
    """``usd`` holds the priced questions; ``unpriced`` counts the others."""

    user: str | None
    name: str
    questions: int
    tokens: int
    usd: float | None
    unpriced: int


class SpendView(BaseModel):
    month: str
    cap_usd: float | None
    agents: list[SpendLine]


class CallRow(BaseModel):
    id: str
    mode: str
    state: Literal["live", "ended"]
    started_at: float
    ended_at: float | None
    contact: str | None
    name: str
    number: str
    agent_name: str
    outcome: str


class CallRows(BaseModel):
    calls: list[CallRow]
    next: float | None


class Events(BaseModel):
    events: list[dict[str, Any]]
    last: int


class ContactView(BaseModel):
    id: str
    name: str
    number: str
    lead_id: str
    calls: list[CallRow] = []


class Contacts(BaseModel):
    contacts: list[ContactView]


class ConsentView(BaseModel):
    state: str
    transcribe: bool
    record: bool
    claude: bool
    rule: str
    sentence: str


class CallView(BaseModel):
    """The fold of a call's events."""

    id: str
    mode: str
    state: Literal["live", "ended"]
    started_at: float | None
    ended_at: float | None
    contact: dict[str, Any] | None
    agent_name: str
    line: dict[str, str] | None
    consent: ConsentView
    transcript: list[dict[str, Any]]
    cards: list[dict[str, Any]]
    sheet: dict[str, dict[str, Any]]
    stage: str
    notices: list[dict[str, Any]]
    findings: list[dict[str, Any]]
    gaps: list[dict[str, Any]]
    legs: dict[str, str]
    outcome: str
    outcome_preset: str
    summary: dict[str, Any] | None
    recorded: bool
    last: int
