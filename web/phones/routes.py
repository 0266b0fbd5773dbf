"""/carriers: what telephone carriers and PBXs ask. No browser comes here: no session counts, each request proves itself."""

from typing import Annotated, Literal
from urllib.parse import parse_qsl

from fastapi import APIRouter, Path, Request, WebSocket
from fastapi.responses import FileResponse, PlainTextResponse, Response

from web.phones.asterisk import Asterisk
from web.phones.carriers import Asked, Carriers, NotTheirs
from web.problems import Problem

router = APIRouter(prefix="/carriers", include_in_schema=False)
Carrier = Literal["twilio", "telnyx"]
Secret = Annotated[str, Path(max_length=64)]


def _carriers(request: Request | WebSocket) -> Carriers:
    carriers: Carriers = request.app.state.carriers
    return carriers


async def _asked(carrier: Carrier, request: Request) -> Asked:
    try:
        return await _carriers(request).asked(carrier, request)
    except NotTheirs as failure:
        raise Problem(403, "The signature of this request is missing or wrong.") from failure
    except ValueError as failure:  # more fields than a form may have
        raise Problem(422, "This request is no form that can be read.") from failure


def _document(xml: str) -> Response:
    return Response(xml, media_type="text/xml")


@router.post("/{carrier}/voice")
async def voice(carrier: Carrier, request: Request) -> Response:
    return _document(await _carriers(request).voice(await _asked(carrier, request), request))


@router.post("/{carrier}/announce/{secret}")
async def announce(carrier: Carrier, secret: Secret, request: Request) -> Response:
    return _document(_carriers(request).announce(await _asked(carrier, request), secret, request))


@router.post("/{carrier}/announced/{secret}")
async def announced(carrier: Carrier, secret: Secret, request: Request) -> Response:
    await _asked(carrier, request)
    return _document(await _carriers(request).announced(secret))


@router.get("/announcement")
async def announcement(request: Request) -> Response:
    """The sound file that every caller hears anyway."""
    file = request.app.state.calls.machine.phones.current().announcement_file
    if file is None or not file.is_file():
        raise Problem(404, "There is nothing at this address.")
    return FileResponse(file)


@router.post("/asterisk/calls")
async def asterisk(request: Request) -> Response:
    plan: Asterisk = request.app.state.asterisk
    try:
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=50))
    except ValueError as failure:
        raise Problem(422, "This request is no form that can be read.") from failure
    answer = await plan.told(form)
    if answer is None:
        raise Problem(403, "The secret is missing or wrong.")
    return PlainTextResponse(answer)


@router.websocket("/{carrier}/stream")
async def stream(socket: WebSocket, carrier: Carrier) -> None:
    await _carriers(socket).stream(carrier, socket)
