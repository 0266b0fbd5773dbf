"""What every path of the API reaches: who asks, and the calls."""

from typing import Annotated, Any

from fastapi import Depends, Request

from coaching.events import CallStarted
from web.auth import Doors, User
from web.calls import Calls
from web.problems import Problem


def calls_of(request: Request) -> Calls:
    calls: Calls = request.app.state.calls
    return calls


def doors_of(request: Request) -> Doors:
    doors: Doors = request.app.state.doors
    return doors


def dispatcher_of(request: Request) -> Any:
    """A web.livekit.dispatch.Dispatcher, or None where no livekit-server is set; its package is an extra."""
    return request.app.state.dispatcher


def callers_of(request: Request) -> Any:
    """A web.livekit.callers.Callers, or None, as above."""
    return request.app.state.callers


async def begin_in_room(dispatcher: Any, user: str, started: CallStarted) -> str:
    """The id of a new call in a LiveKit room. Raises Problem."""
    try:
        return str(await rooms_of(dispatcher).begin(user, started))
    except ConnectionError as away:
        raise Problem(503, "livekit-server does not answer. Try again in a moment.") from away


def rooms_of(dispatcher: Any) -> Any:
    """Raises Problem 409."""
    if dispatcher is None:
        raise Problem(409, "Calls in rooms are not set up here: set SOTTOVOCE_LIVEKIT_URL and SOTTOVOCE_DATABASE.")
    return dispatcher


async def signed_in(request: Request) -> User:
    return await doors_of(request).signed_in(request)


TheCalls = Annotated[Calls, Depends(calls_of)]
TheDoors = Annotated[Doors, Depends(doors_of)]
TheCallers = Annotated[Any, Depends(callers_of)]
TheDispatcher = Annotated[Any, Depends(dispatcher_of)]
SignedIn = Annotated[User, Depends(signed_in)]
