"""The application: pages, REST and sockets over one registry of calls."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from web.api import calls as calls_api
from web.api import conversations, more, rooms
from web.api import phones as phones_api
from web.auth import LINK_S, SEAT, SESSION, SESSION_S, Doors
from web.bus import open_bus
from web.calls import Calls, NotLive, RunsElsewhere
from web.commands import NotAnswered
from web.compose import Machine, open_claude
from web.database import StoreAway
from web.guard import Guard
from web.holding import Holder
from web.live import Sockets
from web.phones.asterisk import Asterisk
from web.phones.carriers import Carriers
from web.phones.link import PhoneLink
from web.phones.routes import router as carriers_router
from web.phones.ways import Ways
from web.problems import install, problem
from web.running import UnknownCall
from web.settings import Settings
from web.store import Store

UI: Final = Path(__file__).parent / "ui" / "dist"
SAMPLE: Final = Path(__file__).parent / "sample"


def build_app(settings: Settings, *, store: Store | None = None, machine: Machine | None = None) -> Any:
    """The ASGI application. What is not handed in is opened at start; all of it is closed at the end."""

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        opened = store or await Store.open(settings.data, settings.database)
        try:
            shared = machine or await Machine.open(settings)
            shared.claude = open_claude(settings, opened)
            bus = open_bus(settings.redis)
            holder = Holder(opened, bus, settings.lease_s) if settings.database else None
            calls, doors = Calls(settings, opened, shared, holder), Doors(opened)
            app.state.calls, app.state.doors, app.state.sockets = calls, doors, Sockets(calls, doors)
            app.state.dispatcher = app.state.callers = None
            watching: list[asyncio.Task[None]] = []
            if settings.rooms:
                app.state.dispatcher, app.state.callers = open_rooms(calls)
                watching = [asyncio.create_task(each.run(), name="rooms") for each in (app.state.dispatcher, app.state.callers)]
            link = app.state.phone_link = PhoneLink(calls)
            app.state.ways = Ways.of(settings)
            app.state.carriers, app.state.asterisk = Carriers(calls, app.state.ways), Asterisk(calls, app.state.ways)
            try:
                await calls.resume_all()
                link.start()
                await app.state.asterisk.start()
                yield
            finally:
                await link.stop()
                for task in watching:
                    task.cancel()
                if watching:
                    await asyncio.wait(watching)
                    await app.state.dispatcher.rooms.aclose()
                await app.state.sockets.going_down()
                await app.state.carriers.going_down()
                await app.state.asterisk.stop()
                await calls.close()
                await bus.aclose()
                if shared.claude is not None:
                    await shared.claude.aclose()
                await shared.models.aclose()
        finally:
            await opened.close()

    app = FastAPI(title="Sottovoce", lifespan=life, openapi_url="/api/openapi.json", docs_url=None, redoc_url=None)
    install(app)

    async def unknown(_: Request, __: Exception) -> Response:
        return problem(404, "There is no call with this id.")

    async def over(_: Request, __: Exception) -> Response:
        return problem(409, "This call has ended.")

    async def away(_: Request, __: Exception) -> Response:
        return problem(503, "The database does not answer. Running calls go on and are saved when it is back; try again.")

    async def not_answered(_: Request, __: Exception) -> Response:
        return problem(503, "The process that runs this call did not answer; another takes it over within seconds. Try again.")

    app.add_exception_handler(StoreAway, away)
    app.add_exception_handler(NotAnswered, not_answered)
    app.add_exception_handler(RunsElsewhere, not_answered)
    app.add_exception_handler(UnknownCall, unknown)
    app.add_exception_handler(NotLive, over)
    app.include_router(calls_api.router)
    app.include_router(more.router)
    app.include_router(conversations.router)
    app.include_router(phones_api.router)
    app.include_router(rooms.router)
    app.include_router(carriers_router)
    app.include_router(rooms.hooks)
    _sockets(app)
    _pages(app, settings)
    return Guarded(app, Guard(app, settings.allowed_origins(), settings.upload_mb * 1024 * 1024))


def open_rooms(calls: Calls) -> tuple[Any, Any]:
    """(Dispatcher, Callers). Raises RoomsMissing: what rooms need is an extra, so it is imported only where it is used."""
    from web.livekit.callers import Callers
    from web.livekit.dispatch import Dispatcher
    from web.livekit.server import Rooms

    assert calls.holder is not None  # Settings.rooms holds only with a database that many share
    dispatcher = Dispatcher(calls, calls.holder, Rooms(calls.settings))
    return dispatcher, Callers(calls, dispatcher)


class Guarded:
    """The application behind its guard; ``app`` is the inner one."""

    def __init__(self, app: FastAPI, guard: Guard) -> None:
        self.app, self._guard = app, guard

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._guard(scope, receive, send)


def _sockets(app: FastAPI) -> None:
    @app.websocket("/ws/calls/{call}")
    async def viewer(socket: WebSocket, call: str, after: str = "0") -> None:
        await app.state.sockets.viewer(socket, call, int(after) if after.isascii() and after.isdigit() and len(after) < 16 else 0)

    @app.websocket("/ws/seats/{call}")
    async def seat(socket: WebSocket, call: str, speaker: str = "") -> None:
        await app.state.sockets.seat(socket, call, speaker)


def _pages(app: FastAPI, settings: Settings) -> None:
    hidden = {"include_in_schema": False}

    def keep(answer: Response, request: Request, name: str, value: str, for_s: float) -> None:
        secure = settings.is_https(request.headers.get("host", ""))
        answer.set_cookie(name, value, max_age=int(for_s), httponly=True, samesite="strict", secure=secure)

    @app.get("/sign-in", **hidden)  # type: ignore[arg-type]  # one keyword, shared
    async def sign_in(request: Request, token: str = "") -> Response:
        session = await app.state.doors.sign_in(token)
        if session is None:
            return _sentence(403, "This link was used already or is too old. Run <code>sottovoce sign-in</code> on the server for another.")
        answer = RedirectResponse("/", 303)
        keep(answer, request, SESSION, session, SESSION_S)
        return answer

    @app.get("/join/{token}", **hidden)  # type: ignore[arg-type]  # as above
    async def join(request: Request, token: str) -> Response:
        if await app.state.doors.seat(token) is None:
            return _sentence(404, "This link leads to no call: it has ended, or the link is not complete.")
        page = UI / "join.html"
        answer = FileResponse(page) if page.exists() else _sentence(200, "The front end is not built; run <code>scripts/setup</code>.")
        keep(answer, request, SEAT, token, LINK_S)
        return answer

    async def front_end(request: Request) -> Response:
        if await app.state.doors.user(request) is None:
            return _sentence(
                401, "You are not signed in here. Run <code>sottovoce sign-in</code> on the server and open the link that it prints."
            )
        page = UI / "index.html"
        return FileResponse(page) if page.exists() else _sentence(200, "The front end is not built; run <code>scripts/setup</code>.")

    for path in ("/", "/calls", "/calls/{call}", "/overlay", "/settings"):
        app.add_api_route(path, front_end, methods=["GET"], include_in_schema=False)

    @app.get("/sample/{path:path}", **hidden)  # type: ignore[arg-type]  # as above
    async def sample(path: str) -> Response:
        return _file(SAMPLE, path)

    @app.get("/{path:path}", **hidden)  # type: ignore[arg-type]  # as above
    async def built(path: str) -> Response:
        return _file(UI, path)


def _file(folder: Path, path: str) -> Response:
    """A file of the folder, and nothing outside it."""
    with contextlib.suppress(ValueError, OSError):  # a NUL, or a name that is too long
        file = (folder / path).resolve()
        if file.is_relative_to(folder.resolve()) and file.is_file():
            return FileResponse(file)
    return problem(404, "There is nothing at this address.")


def _sentence(status: int, html: str) -> HTMLResponse:
    return HTMLResponse(f"<!doctype html><meta charset=utf-8><title>Sottovoce</title><p>{html}</p>", status)
