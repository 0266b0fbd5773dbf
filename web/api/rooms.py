"""/api/calls/{call}/room and /api/seat/room: how a browser joins a call in a LiveKit room; a number dialled into it; webhooks."""

import contextlib
from typing import Any

from fastapi import APIRouter, Request

from web.api.bodies import Dialled, ListeningView, NumberWanted, RoomView
from web.api.calls import PROBLEMS, CallId
from web.api.surroundings import SignedIn, TheCallers, TheCalls, TheDispatcher, TheDoors, rooms_of
from web.auth import SEAT
from web.calls import Calls
from web.database import StoreAway
from web.phones.dialing import may_dial
from web.problems import Problem

router = APIRouter(prefix="/api", tags=["rooms"], responses=PROBLEMS)


@router.post("/calls/{call}/room")
async def room(call: CallId, user: SignedIn, calls: TheCalls, dispatcher: TheDispatcher) -> RoomView:
    """A token for the agent's own browser: this room, hearing and the microphone, nothing else."""
    await _room(call, calls, dispatcher)
    return RoomView(**await dispatcher.token(call, "agent", user.name))


@router.post("/seat/room")
async def seat(request: Request, doors: TheDoors, dispatcher: TheDispatcher) -> RoomView:
    """The same for the other person, by the link."""
    call = await doors.seat(request.cookies.get(SEAT, ""))
    if call is None:
        raise Problem(401, "This link has expired. Ask for a new one.")
    try:
        return RoomView(**await rooms_of(dispatcher).token(call, "prospect"))
    except LookupError as none:
        raise Problem(409, "This call is not held in a room.") from none


@router.post("/calls/{call}/dial", status_code=202)
async def dial(
    call: CallId, wanted: NumberWanted, _user: SignedIn, calls: TheCalls, dispatcher: TheDispatcher, callers: TheCallers
) -> Dialled:
    """Rings somebody into the call's room, if they may be called now."""
    room = await _room(call, calls, dispatcher)
    verdict = await may_dial(calls.machine.phones.current().dialing, calls.store, wanted.number)
    if not verdict.allowed:
        raise Problem(409, verdict.why)
    try:
        await callers.trunks.dial(room, "prospect", verdict.number)
    except ConnectionError as away:
        raise Problem(503, "LiveKit's SIP service does not answer. Is it running, and does it share Redis with livekit-server?") from away
    except ValueError as refused:
        raise Problem(409, str(refused)) from refused
    return Dialled(number=verdict.number)


@router.post("/calls/{call}/listen")
async def listen(call: CallId, user: SignedIn, calls: TheCalls, dispatcher: TheDispatcher) -> ListeningView:
    """A seat for a supervisor, who only hears; the agent sees it, the log keeps it, and it ends with the call's consent."""
    if user.role == "agent":
        raise Problem(403, "Only the owner or a team lead may listen in.")
    await _room(call, calls, dispatcher)
    consent = (await calls.state(call)).consent
    if consent is None or not consent.transcribe:
        raise Problem(409, "Nobody may listen in: the call's consent does not cover it.")
    return ListeningView(**await dispatcher.listening(call, user.id, user.name))


@router.post("/calls/{call}/whisper")
async def whisper(call: CallId, _user: SignedIn, calls: TheCalls, dispatcher: TheDispatcher) -> RoomView:
    """How the agent hears a supervisor, whom nobody else in the call hears."""
    await _room(call, calls, dispatcher)
    return RoomView(**await dispatcher.whisper(call))


async def _room(call: str, calls: Calls, dispatcher: Any) -> str:
    """Of a live call. Raises Problem."""
    if not await calls.elsewhere(call):
        await calls.get_live(call)
    try:
        return str(await rooms_of(dispatcher).room(call))
    except LookupError as none:
        raise Problem(409, "This call is not held in a room.") from none


hooks = APIRouter(include_in_schema=False)


@hooks.post("/carriers/livekit", status_code=204)
async def webhook(request: Request, callers: TheCallers) -> None:
    """livekit-server says that something has happened in a room; that it is livekit-server is proved by its key."""
    if callers is None:
        raise Problem(404, "There is nothing at this address.")
    try:
        room = callers.rooms.told(await request.body(), request.headers.get("authorization", ""))
    except ValueError as refused:
        raise Problem(401, str(refused)) from refused
    with contextlib.suppress(ConnectionError, StoreAway):  # what was not done now is done by the next look
        await callers.look(room)
