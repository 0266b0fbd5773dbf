"""/api/session, /api/status, /api/replays and /api/contacts."""

import asyncio
import contextlib
import datetime
from importlib.metadata import version
from pathlib import Path as File
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Form, Path, Query, Request, UploadFile
from pydantic import TypeAdapter

from coaching.experiments import Report, report_of
from intelligence.claude_spend import load_models, model_named
from voice.legs.pcm import RecordingRefused
from voice.legs.recording import check_recording
from voice.models import ModelsLost
from voice.models.process import EngineProcess
from web.api.bodies import (
    CallView,
    Contacts,
    ContactView,
    EngineView,
    Missing,
    PlaybookPage,
    PlaybookView,
    SeatView,
    SessionView,
    SpendLine,
    SpendView,
    StatusView,
)
from web.api.calls import PROBLEMS, CallId, row_of
from web.api.surroundings import SignedIn, TheCalls, TheDoors
from web.auth import SEAT
from web.problems import Problem
from web.settings import Settings
from web.store import new_id
from web.tables import calls as calls_table
from web.tables import contacts

router = APIRouter(prefix="/api", responses=PROBLEMS)
UI = File(__file__).parent.parent / "ui" / "dist"


@router.get("/session")
async def session(user: SignedIn) -> SessionView:
    return SessionView(user=user.id, name=user.name, role=user.role)  # type: ignore[arg-type]  # one of the three


@router.get("/seat")
async def seat(request: Request, doors: TheDoors, calls: TheCalls) -> SeatView:
    """The one thing that a prospect's link opens here: which call it leads to."""
    call = await doors.seat(request.cookies.get(SEAT, ""))
    if call is None:
        raise Problem(401, "This link has expired. Ask for a new one.")
    return SeatView(call=call, room=await calls.in_room(call))


@router.get("/status")
async def status(_user: SignedIn, calls: TheCalls) -> StatusView:
    models, windows = calls.machine.models, None
    with contextlib.suppress(ModelsLost, TimeoutError):
        windows = (await asyncio.wait_for(models.counters(), 1.0)).windows
    alive, restarts = (models.alive, models.restarts) if isinstance(models, EngineProcess) else (True, 0)
    return StatusView(
        version=version("sottovoce"),
        engine=EngineView(alive=alive, model=models.name, restarts=restarts, windows=windows),
        missing=missing(calls.settings),
        calls_live=len(calls.live),
        rooms=calls.settings.rooms,
    )


@router.get("/playbook")
async def playbook(_user: SignedIn, calls: TheCalls) -> PlaybookView:
    """For reading by hand: where nobody is listened to, the agent still has the words."""
    book = calls.machine.playbook.current()
    pages = []
    for label, answer in book.objections.items():
        say = [saying.text for saying in answer.say if "{" not in saying.text]
        pages.append(PlaybookPage(label=label, title=answer.title, say=say or [answer.ask]))
    return PlaybookView(pages=[page for page in pages if any(page.say)])


def missing(settings: Settings) -> list[Missing]:
    """What is not here, why it matters and what to do."""
    found: list[Missing] = []
    if not (UI / "index.html").exists():
        found.append(Missing(what="front end", why="the pages are not built; the API works without them", fix="run scripts/setup"))
    if not settings.anthropic_key:
        found.append(
            Missing(what="Claude", why="no key is set (optional); the coach gives its own cards", fix="set SOTTOVOCE_ANTHROPIC_KEY")
        )
    elif model_named(settings.claude_model, load_models()).price(0, datetime.datetime.now(datetime.UTC).date()) is None:
        why = f"no price of {settings.claude_model} is known, so budgets in dollars do not hold; the one in tokens does"
        found.append(Missing(what="Claude's price", why=why, fix="choose another SOTTOVOCE_CLAUDE_MODEL"))
    return found


@router.get("/spend")
async def spend(user: SignedIn, calls: TheCalls, month: Annotated[str, Query(pattern=r"^(\d{4}-\d{2})?$")] = "") -> SpendView:
    """What Claude has cost in a month, by agent; an agent sees the own line only."""
    month = month or f"{datetime.datetime.now(datetime.UTC):%Y-%m}"
    rows = await calls.store.spending(month)
    lines = [SpendLine(**{**row, "name": row["name"] or ""}) for row in rows if user.role != "agent" or row["user"] == user.id]
    return SpendView(month=month, cap_usd=calls.settings.claude_monthly_usd or None, agents=lines)


@router.get("/experiments/{name}", response_model=Report)
async def experiment(name: Annotated[str, Path(min_length=1, max_length=64)], user: SignedIn, calls: TheCalls) -> Any:
    """What may be said about an experiment's strategies now, however often somebody asks; leads and owners only."""
    if user.role == "agent":
        raise Problem(403, "Experiments are for leads and owners.")
    return TypeAdapter(Report).dump_python(report_of(await calls.store.experiment_outcomes(name)), mode="json")


@router.post("/replays", status_code=202)
async def replay(
    file: UploadFile,
    user: SignedIn,
    calls: TheCalls,
    agent: Annotated[Literal["left", "right"], Form()] = "left",
    pace: Annotated[Literal["0", "1"], Form()] = "1",
) -> CallView:
    kept = calls.store.folder / "audio" / f"upload-{new_id()}"
    try:
        with kept.open("wb") as target:
            while block := await file.read(1 << 20):
                await asyncio.to_thread(target.write, block)
        try:
            await asyncio.to_thread(check_recording, kept)
        except RecordingRefused as refused:
            raise Problem(422, str(refused)) from refused
        live = await calls.replay(user.id, kept, agent, float(pace))
    except BaseException:
        kept.unlink(missing_ok=True)
        raise
    return CallView(**await calls.view(live.call.id))


@router.get("/contacts")
async def found(_user: SignedIn, calls: TheCalls, q: Annotated[str, Query(max_length=200)] = "") -> Contacts:
    like = f"%{q}%"
    query = sa.select(contacts).where(contacts.c.name.ilike(like) | contacts.c.number.ilike(like) | contacts.c.lead_id.ilike(like))
    rows = await calls.store.rows(query.order_by(contacts.c.created_at.desc()).limit(200))
    return Contacts(contacts=[ContactView(id=r["id"], name=r["name"], number=r["number"], lead_id=r["lead_id"]) for r in rows])


@router.get("/contacts/{contact}")
async def read(contact: CallId, _user: SignedIn, calls: TheCalls) -> ContactView:
    row = await calls.store.row(sa.select(contacts).where(contacts.c.id == contact))
    if row is None:
        raise Problem(404, "There is no contact with this id.")
    query = sa.select(calls_table, contacts.c.name, contacts.c.number).join(contacts, calls_table.c.contact == contacts.c.id)
    theirs = await calls.store.rows(query.where(contacts.c.id == contact).order_by(calls_table.c.started_at.desc()))
    return ContactView(
        id=row["id"], name=row["name"], number=row["number"], lead_id=row["lead_id"], calls=[row_of(each) for each in theirs]
    )


@router.delete("/contacts/{contact}", status_code=204)
async def delete(contact: CallId, _user: SignedIn, calls: TheCalls) -> None:
    """The contact, its calls and everything that was said in them."""
    if await calls.store.row(sa.select(contacts.c.id).where(contacts.c.id == contact)) is None:
        raise Problem(404, "There is no contact with this id.")
    await calls.delete_contact(contact)
