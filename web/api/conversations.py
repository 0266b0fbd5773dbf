"""/api/conversations: what a history (a call, e-mails, text messages) says; the same three methods as the Python API."""

import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import AfterValidator, Field, TypeAdapter

from intelligence.conversation.advanced import AdvancedConversationIntelligence
from intelligence.conversation.emotion import EmotionalState
from intelligence.conversation.flow import Flow
from intelligence.conversation.history import Message
from intelligence.conversation.trajectory import Trajectory
from web.api.bodies import Body
from web.api.calls import PROBLEMS
from web.api.surroundings import SignedIn, TheCalls
from web.calls import Calls
from web.compose import conversation_intelligence
from web.fitting import calibration_of, messages_of
from web.problems import Problem

router = APIRouter(prefix="/api/conversations", responses=PROBLEMS)


def _real(today: str) -> str:
    """Of four digits, two and two not every one is a day."""
    if today:
        datetime.date.fromisoformat(today)
    return today


class TurnGiven(Body):
    speaker: Literal["agent", "prospect"]
    text: Annotated[str, Field(max_length=20_000)]
    channel: Literal["call", "email", "text"] = "call"
    at_ms: Annotated[int, Field(ge=0, le=10**9)] = 0


class History(Body):
    """Either turns or the id of a call. ``today``: ISO date from which relative dates count; empty: unknown."""

    turns: list[TurnGiven] = Field(default_factory=list, max_length=2000)
    call: Annotated[str, Field(max_length=32)] = ""
    today: Annotated[str, Field(pattern=r"^((19|20|21)\d{2}-\d{2}-\d{2})?$"), AfterValidator(_real)] = ""


async def _read(history: History, calls: Calls) -> tuple[AdvancedConversationIntelligence, list[Message], str]:
    if bool(history.turns) == bool(history.call):
        raise Problem(422, "Give either turns or the id of a call.")
    intelligence = conversation_intelligence(calls.machine, *calibration_of(calls.settings.data))
    if history.call:
        state = await calls.state(history.call)
        return intelligence, messages_of(state), history.today or (state.started.today if state.started else "")
    return intelligence, [Message(t.speaker, t.text, t.channel, t.at_ms) for t in history.turns], history.today


def _json(kind: type[Any], value: object) -> Any:
    return TypeAdapter(kind).dump_python(value, mode="json")


@router.post("/emotional-state", response_model=EmotionalState)
async def emotional_state(history: History, _user: SignedIn, calls: TheCalls) -> Any:
    """Stress, sentiment, urgency, motivation and decision makers of the prospect, from words, each with evidence."""
    intelligence, messages, today = await _read(history, calls)
    return _json(EmotionalState, await intelligence.analyze_emotional_state(messages, today))


@router.post("/trajectory", response_model=Trajectory)
async def trajectory(history: History, _user: SignedIn, calls: TheCalls) -> Any:
    """The stages so far and the chance of a next step, in words; ``prior`` until `sottovoce calls fit` calibrated it."""
    intelligence, messages, today = await _read(history, calls)
    return _json(Trajectory, await intelligence.predict_conversation_trajectory(messages, today))


@router.post("/flow", response_model=Flow)
async def flow(history: History, _user: SignedIn, calls: TheCalls) -> Any:
    """What to ask next and how to get there, when to be silent, and the health of the conversation by parts."""
    intelligence, messages, today = await _read(history, calls)
    return _json(Flow, await intelligence.optimize_conversation_flow(messages, today))
