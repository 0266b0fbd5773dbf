"""What every request passes before anything reads it: Host, Origin, size; and the headers that every answer carries."""

import re
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.problems import problem

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LIMIT: Final = 256 * 1024
_NOT_BROWSERS: Final = "/carriers/"  # asked by telephone carriers and PBXs: no Origin, no cookie counts, each proves itself
_HEADERS: Final = {
    "content-security-policy": "default-src 'self'; connect-src 'self' ws: wss:; media-src 'self' blob:; img-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "microphone=(self), display-capture=(self), camera=()",
}


class Guard:
    """``origins``: those that may change anything. A program sends ``Origin: http://127.0.0.1:PORT`` as a browser does."""

    def __init__(self, app: ASGIApp, origins: frozenset[str], upload_bytes: int) -> None:
        self._app, self._origins, self._upload = app, origins, upload_bytes
        self._hosts = frozenset(origin.split("://", 1)[1] for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if scope["type"] == "websocket":
            if refusal:
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})
                return
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api/"):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        if refusal:
            await problem(*refusal)(scope, receive, answer)
            return
        await self._app(scope, _counted(receive, self._limit(scope)), answer)

    def _limit(self, scope: Scope) -> int:
        return self._upload if scope["path"] == "/api/replays" else _LIMIT

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        if headers.get("host", "") not in self._hosts:
            return 421, "This server is not reached under that name; set SOTTOVOCE_ORIGINS to use another one."
        if scope["type"] == "websocket" or scope["method"] not in _SAFE:
            if headers.get("origin", "") not in self._origins and not scope["path"].startswith(_NOT_BROWSERS):
                return 403, "The Origin header is missing or names another site."
            limit = self._limit(scope)
            length = headers.get("content-length", "0")
            if not re.fullmatch(r"\d{1,15}", length):
                return 400, "Content-Length is not a number."
            if int(length) > limit:
                return 413, f"This request is larger than {limit // 1024} KB."
        return None


def _counted(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message: Any = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise HTTPException(413, f"This request is larger than {limit // 1024} KB.")
        return message  # type: ignore[no-any-return]  # the message that came

    return counted
