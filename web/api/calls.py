"""/api/calls: start, list, read, change, export and delete calls."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from coaching.consent import ConsentRefused
from coaching.events import CallStarted, Contact
from voice.legs import LegRefused
from voice.legs.webrtc_peer import WebRtcLeg
from web.api.bodies import (
    Answer,
    CallRow,
    CallRows,
    CallView,
    CallWanted,
    CardFate,
    ConsentGiven,
    EndWanted,
    Events,
    Link,
    Offer,
    OutcomeGiven,
)
from web.api.exports import markdown, webvtt
from web.api.surroundings import SignedIn, TheCalls, TheDispatcher, TheDoors, begin_in_room
from web.do_not_call import listed
from web.problems import Problem, ProblemDetails
from web.recordings import wav

PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": ProblemDetails, "content": {"application/problem+json": {}}} for code in (400, 401, 403, 404, 409, 413, 422, 503)
}
router = APIRouter(prefix="/api/calls", tags=["calls"], responses=PROBLEMS)
CallId = Annotated[str, Path(min_length=1, max_length=64)]
_LONGEST_MS = 10 * 60_000


def row_of(row: Any) -> CallRow:
    return CallRow(
        id=row["id"], mode=row["mode"], state="ended" if row["ended_at"] else "live", started_at=row["started_at"], ended_at=row["ended_at"],
        contact=row["contact"], name=row["name"] or "", number=row["number"] or "", agent_name=row["agent_name"], outcome=row["outcome"],
    )  # fmt: skip


@router.post("", status_code=201)
async def start(wanted: CallWanted, user: SignedIn, calls: TheCalls, dispatcher: TheDispatcher) -> CallView:
    contact = Contact(**wanted.contact.model_dump()) if wanted.contact else Contact()
    if await listed(calls.store, contact.number):
        raise Problem(409, "This number asked not to be called.")
    started = CallStarted(
        mode=wanted.mode, contact=contact, agent_name=wanted.agent_name,
        agent_state=wanted.agent_state.upper(), prospect_state=wanted.prospect_state.upper(), about=wanted.about,
    )  # fmt: skip
    if wanted.mode == "livekit":
        return CallView(**await calls.view(await begin_in_room(dispatcher, user.id, started)))
    live = await calls.start(user.id, started)
    return CallView(**await calls.view(live.call.id))


@router.get("")
async def found(
    _user: SignedIn,
    calls: TheCalls,
    q: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[float | None, Query(allow_inf_nan=False)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> CallRows:
    rows = [row_of(row) for row in await calls.store.search(q.replace("\0", " "), before, limit)]
    return CallRows(calls=rows, next=rows[-1].started_at if len(rows) == limit else None)


@router.get("/{call}")
async def read(call: CallId, _user: SignedIn, calls: TheCalls) -> CallView:
    return CallView(**await calls.view(call))


@router.get("/{call}/events")
async def events(
    call: CallId,
    _user: SignedIn,
    calls: TheCalls,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> Events:
    state = await calls.state(call)
    page = await calls.store.events(call, after, limit)
    return Events(events=[logged.wire() for logged in page], last=state.last)


@router.post("/{call}/link")
async def link(call: CallId, request: Request, _user: SignedIn, calls: TheCalls, doors: TheDoors) -> Link:
    if not await calls.elsewhere(call):
        await calls.get_live(call)
    token, expires_at = await doors.link(call)
    # Behind a proxy with TLS the request itself is http; the guard has let only an Origin of ours pass.
    return Link(url=f"{request.headers['origin']}/join/{token}", expires_at=expires_at)


@router.post("/{call}/legs")
async def media(call: CallId, offer: Offer, _user: SignedIn, calls: TheCalls) -> Answer:
    if (live := calls.live.get(call)) is not None and not isinstance(live.leg, WebRtcLeg):
        raise Problem(409, "This call's sound does not come from a browser.")
    try:
        return Answer(sdp=await calls.answer(call, offer.sdp, dict(offer.tracks)))
    except LegRefused as refused:
        raise Problem(422, str(refused)) from refused


@router.post("/{call}/consent")
async def consent(call: CallId, given: ConsentGiven, _user: SignedIn, calls: TheCalls) -> CallView:
    try:
        await calls.consent(call, given.state, by="agent", record=given.record, claude=given.claude)
    except ConsentRefused as refused:
        raise Problem(409, str(refused)) from refused
    return CallView(**await calls.view(call))


@router.post("/{call}/cards/{card}", status_code=204)
async def card(call: CallId, card: CallId, fate: CardFate, _user: SignedIn, calls: TheCalls) -> None:
    try:
        await calls.card(call, card, fate.change)
    except KeyError as unknown:
        raise Problem(404, "This call has no such card.") from unknown


@router.post("/{call}/end")
async def end(call: CallId, _user: SignedIn, calls: TheCalls, wanted: EndWanted | None = None) -> CallView:
    await calls.end(call, (wanted or EndWanted()).reason)
    return CallView(**await calls.view(call))


@router.post("/{call}/outcome")
async def outcome(call: CallId, given: OutcomeGiven, _user: SignedIn, calls: TheCalls) -> CallView:
    await calls.outcome(call, given.outcome)
    return CallView(**await calls.view(call))


@router.get("/{call}/export", response_class=Response)
async def export(call: CallId, _user: SignedIn, calls: TheCalls, format: Literal["json", "md", "vtt"] = "json") -> Response:  # noqa: A002  the parameter's name on the wire
    view = await calls.view(call)
    match format:
        case "json":
            body, kind = CallView(**view).model_dump_json(indent=1), "application/json"
        case "md":
            body, kind = markdown(view), "text/markdown; charset=utf-8"
        case "vtt":
            body, kind = webvtt(view), "text/vtt; charset=utf-8"
    return Response(body, media_type=kind, headers={"content-disposition": f'attachment; filename="call-{view["id"][:8]}.{format}"'})


@router.get("/{call}/audio", response_class=Response)
async def audio(
    call: CallId,
    _user: SignedIn,
    calls: TheCalls,
    from_ms: Annotated[int, Query(ge=0, le=2**40)] = 0,
    to_ms: Annotated[int | None, Query(ge=0, le=2**40)] = None,
) -> Response:
    if not await calls.exists(call):
        raise Problem(404, "There is no call with this id.")
    file = calls.audio_file(call)
    if not file.exists():
        raise Problem(404, "This call was not recorded.")
    until = min(from_ms + _LONGEST_MS, to_ms if to_ms is not None else from_ms + _LONGEST_MS)
    if until < from_ms:
        raise Problem(422, "to_ms lies before from_ms.")
    return Response(wav(file, from_ms, until), media_type="audio/wav")


@router.delete("/{call}", status_code=204)
async def delete(call: CallId, _user: SignedIn, calls: TheCalls) -> None:
    await calls.delete(call)
