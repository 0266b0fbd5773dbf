"""/api/calls/{call}/room and /api/seat/room: how a browser joins a call in a LiveKit room."""

from fastapi import APIRouter, Request

from web.api.bodies import RoomView
from web.api.calls import PROBLEMS, CallId
from web.api.surroundings import SignedIn, TheCalls, TheDispatcher, TheDoors, rooms_of
from web.auth import SEAT
from web.problems import Problem

router = APIRouter(prefix="/api", tags=["rooms"], responses=PROBLEMS)


@router.post("/calls/{call}/room")
async def room(call: CallId, user: SignedIn, calls: TheCalls, dispatcher: TheDispatcher) -> RoomView:
    """A token for the agent's own browser: this room, hearing and the microphone, nothing else."""
    if not await calls.elsewhere(call):
        await calls.get_live(call)
    try:
        return RoomView(**await rooms_of(dispatcher).token(call, "agent", user.name))
    except LookupError as none:
        raise Problem(409, "This call is not held in a room.") from none


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
