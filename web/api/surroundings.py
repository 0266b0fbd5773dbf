"""What every path of the API reaches: who asks, and the calls."""

from typing import Annotated

from fastapi import Depends, Request

from web.auth import Doors, User
from web.calls import Calls


def calls_of(request: Request) -> Calls:
    calls: Calls = request.app.state.calls
    return calls


def doors_of(request: Request) -> Doors:
    doors: Doors = request.app.state.doors
    return doors


async def signed_in(request: Request) -> User:
    return await doors_of(request).signed_in(request)


TheCalls = Annotated[Calls, Depends(calls_of)]
TheDoors = Annotated[Doors, Depends(doors_of)]
SignedIn = Annotated[User, Depends(signed_in)]
