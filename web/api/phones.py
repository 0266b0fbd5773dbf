"""/api/do-not-call and /api/phones: who may not be called, who is who, what may be dialled."""

import asyncio
import time
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from web.api.bodies import Body
from web.api.calls import PROBLEMS
from web.api.surroundings import SignedIn, TheCalls
from web.auth import User
from web.do_not_call import entries, plain, put_on, removals, take_off
from web.phones.dialing import may_dial
from web.phones.numbers import kind
from web.phones.plan import EMPTY, PlanRefused, summary
from web.phones.standing import told
from web.problems import Problem

router = APIRouter(prefix="/api", tags=["phones"], responses=PROBLEMS)
Number = Annotated[str, Field(min_length=2, max_length=40)]
Why = Annotated[str, Field(min_length=3, max_length=500, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")]


class Listed(BaseModel):
    number: str
    at: float
    why: str


class Removed(BaseModel):
    number: str
    listed_at: float
    listed_why: str
    at: float
    by: str
    why: str


class DoNotCallView(BaseModel):
    entries: list[Listed]
    removed: list[Removed]


class NumberListed(Body):
    number: Number
    why: Why


class RuleView(BaseModel):
    fits: str
    who: str


class PlanView(BaseModel):
    """``text``: the phones file; ``refusal``: why its present text is not used, each line naming a line of it."""

    file: str
    text: str
    refusal: str
    country: str
    rules: list[RuleView]
    open: list[str]
    premium: list[str]
    hours: list[int]
    announcement: str


class PlanGiven(Body):
    text: Annotated[str, Field(max_length=65_536)]


class WayView(BaseModel):
    """How a way in stands; web/phones/ways.py says what each field means."""

    way: str
    on: bool
    where: str
    wrong: str
    live: int
    taken: int
    refused: int
    refusal: str
    refused_at: float | None
    last_at: float | None
    lost_chunks: int


class WaysView(BaseModel):
    ways: list[WayView]


class DialingView(BaseModel):
    number: str
    refused: str
    why: str


def _in_charge(user: User) -> None:
    if user.role == "agent":
        raise Problem(403, "Only the owner or a team lead may change this.")


@router.get("/do-not-call")
async def do_not_call(_user: SignedIn, calls: TheCalls, q: Annotated[str, Query(max_length=40)] = "") -> DoNotCallView:
    listed = [Listed(number=row["number"], at=row["at"], why=row["why"]) for row in await entries(calls.store, q)]
    off = [Removed(**{name: row[name] for name in Removed.model_fields}) for row in await removals(calls.store)]
    return DoNotCallView(entries=listed, removed=off)


@router.post("/do-not-call", status_code=201)
async def put(given: NumberListed, user: SignedIn, calls: TheCalls) -> Listed:
    """A request that came another way than by a call."""
    if not plain(given.number):
        raise Problem(422, "This is no telephone number.")
    if not await put_on(calls.store, given.number, f"{given.why} (entered by {user.name})"):
        raise Problem(409, "This number is on the list already.")
    return Listed(number=plain(given.number), at=time.time(), why=given.why)


@router.post("/do-not-call/remove")
async def remove(given: NumberListed, user: SignedIn, calls: TheCalls) -> DoNotCallView:
    """Takes a false entry off; who did it and why is kept."""
    _in_charge(user)
    if not await take_off(calls.store, given.number, by=user.name, why=given.why):
        raise Problem(404, "This number is not on the list.")
    return await do_not_call(user, calls)


@router.get("/phones/plan")
async def plan(_user: SignedIn, calls: TheCalls) -> PlanView:
    file = calls.machine.phones
    current = file.current()
    try:
        text = await asyncio.to_thread(file.text)
    except PlanRefused as refused:
        raise Problem(409, str(refused)) from refused
    shown: dict[str, Any] = summary(current)
    return PlanView(file=str(file.file), text=text or EMPTY, refusal=file.refusal, **shown)


@router.put("/phones/plan")
async def change(given: PlanGiven, user: SignedIn, calls: TheCalls) -> PlanView:
    """Checked first: a wrong text is refused, with its lines, and what was there stays."""
    _in_charge(user)
    try:
        await asyncio.to_thread(calls.machine.phones.write, given.text)
    except PlanRefused as refused:
        raise Problem(422, str(refused)) from refused
    except OSError as failure:
        raise Problem(409, f"The phones file cannot be written: {failure.strerror}.") from failure
    return await plan(user, calls)


class SipLine(BaseModel):
    """``state``: ok, note or missing; ``text``: a sentence."""

    state: str
    text: str


class SipView(BaseModel):
    lines: list[SipLine]


@router.get("/phones/sip")
async def sip(_user: SignedIn, calls: TheCalls) -> SipView:
    """How the phone process stands: what is registered, last OPTIONS answers, the lines of running calls, one-way sound with its cause."""
    return SipView(lines=[SipLine(state=state, text=text) for state, text in await asyncio.to_thread(lambda: list(told(calls.settings)))])


@router.get("/phones/ways")
async def ways(_user: SignedIn, request: Request) -> WaysView:
    return WaysView(ways=[WayView(**asdict(state)) for state in request.app.state.ways.states.values()])


@router.get("/phones/dialing")
async def dialing(_user: SignedIn, calls: TheCalls, number: Annotated[str, Query(min_length=1, max_length=200)]) -> DialingView:
    """Whether this number may be dialled now, and if not, why."""
    policy = calls.machine.phones.current().dialing
    verdict = await may_dial(policy, calls.store, number)
    return DialingView(
        number=verdict.number, refused=verdict.refused, why=verdict.why or f"May be dialled ({kind(number, policy.country)})."
    )
