"""The sockets: a viewer of a call (events by number, then live; state, newest wins), and the two seats of a call."""

import asyncio
import contextlib
import json
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from coaching.consent import ConsentRefused
from coaching.events import Logged
from voice.legs import LegRefused
from voice.legs.webrtc_peer import WebRtcLeg
from web.auth import SEAT, Doors
from web.calls import Calls
from web.commands import NotAnswered
from web.database import StoreAway
from web.log import Replaced, TooSlow, Viewer
from web.running import LiveCall
from web.store import PAGE

NOT_SIGNED_IN: Final = 4001
NO_CALL: Final = 4004
TOO_SLOW: Final = 4008
GOING_DOWN: Final = 4009
TAKEN: Final = 4010
REPLACED: Final = 4011
_PING_S: Final = 10.0
_SEND_S: Final = 10.0  # a viewer that takes no message for so long does not read
_LONGEST: Final = 64 * 1024
_COPYING_S: Final = 0.1
_PEER_KINDS: Final = frozenset({"offer", "answer", "candidate", "bye", "renegotiate"})


class Sockets:
    """All sockets of this process, so that they can be told when it goes down."""

    def __init__(self, calls: Calls, doors: Doors) -> None:
        self._calls, self._doors = calls, doors
        self._seats: dict[tuple[str, str], WebSocket] = {}
        self._open: set[WebSocket] = set()

    async def going_down(self) -> None:
        for socket in list(self._open):
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.close(GOING_DOWN)

    # ---- viewers

    async def viewer(self, socket: WebSocket, call_id: str, after: int) -> None:
        await socket.accept()
        try:
            refused = NOT_SIGNED_IN if await self._doors.user(socket) is None else 0 if await self._calls.exists(call_id) else NO_CALL
        except StoreAway:
            refused = GOING_DOWN  # come back
        if refused:
            await socket.close(refused)
            return
        self._open.add(socket)
        reading = asyncio.create_task(_until_gone(socket), name="viewer reads")
        showing = asyncio.create_task(self._show(socket, call_id, after), name="viewer shows")
        try:
            done, _ = await asyncio.wait({reading, showing}, return_when=asyncio.FIRST_COMPLETED)
            if showing in done and (code := _why_closed(showing.exception())):
                with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                    await asyncio.wait_for(socket.close(code), 1.0)
        finally:
            self._open.discard(socket)
            for task in (reading, showing):
                task.cancel()
            await asyncio.wait({reading, showing})

    async def _show(self, socket: WebSocket, call_id: str, after: int) -> None:
        viewer = Viewer()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # gone
            async with self._calls.shown_to(viewer, call_id) as state:
                if after > await self._calls.last(call_id):
                    raise Replaced
                last = after
                while page := await self._calls.store.events(call_id, last):
                    for logged in page:
                        await _send(socket, _event(logged))
                        last = logged.n
                    if len(page) < PAGE:
                        break
                if state is not None:
                    await _send(socket, {"lane": "state", **state.model_dump()})
                while True:
                    try:
                        item = await asyncio.wait_for(viewer.next(), _PING_S)
                    except TimeoutError:
                        await _send(socket, {"lane": "ping"})
                        continue
                    if isinstance(item, Logged):
                        while item.n > last + 1:  # others were shown those between before they were saved: they are being copied
                            page = await self._calls.store.events(call_id, last)
                            for logged in page:
                                await _send(socket, _event(logged))
                                last = logged.n
                            if not page:
                                await asyncio.sleep(_COPYING_S)
                        if item.n > last:
                            await _send(socket, _event(item))
                            last = item.n
                    else:
                        await _send(socket, {"lane": "state", **item.model_dump()})

    # ---- seats

    async def seat(self, socket: WebSocket, call_id: str, speaker: str) -> None:
        await socket.accept()
        try:
            refused = await self._not_seated(socket, call_id, speaker)
            beside = refused == GOING_DOWN and speaker == "prospect" and await self._calls.in_room(call_id)
        except StoreAway:
            refused, beside = GOING_DOWN, False  # come back
        if beside:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError, TooSlow):
                await self._beside_room(socket, call_id)
            return
        live = self._calls.live.get(call_id)
        if refused or live is None:
            await socket.close(refused or NO_CALL)
            return
        older = self._seats.get((call_id, speaker))
        self._seats[call_id, speaker] = socket
        self._open.add(socket)
        if older is not None:  # a second page takes the seat, or the same one before its lost socket was noticed
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await older.close(TAKEN)
        try:
            await self._seated(socket, live, speaker)
        finally:
            self._open.discard(socket)
            if self._seats.get((call_id, speaker)) is socket:
                del self._seats[call_id, speaker]
                await self._tell_other(call_id, speaker, {"from": "server", "kind": "present", "present": False})

    async def _beside_room(self, socket: WebSocket, call_id: str) -> None:
        """The other person's voice is in a LiveKit room; here is only their say about consent."""
        viewer, calls = Viewer(), self._calls
        self._open.add(socket)
        try:
            async with calls.shown_to(viewer, call_id):
                state = await calls.state(call_id)
                given = state.consent
                said: dict[str, Any] = {"consent": given.state if given else "unknown", "record": given is not None and given.record}
                said |= {"claude": given is not None and given.claude, "sentence": ""}
                await _send(socket, {"from": "server", "kind": "welcome", "speaker": "prospect", "present": False, **said})
                telling = asyncio.create_task(_tell_consent(socket, viewer), name="seat watches")
                try:
                    while True:
                        await self._said_beside_room(socket, call_id, await _message(socket))
                finally:
                    telling.cancel()
                    await asyncio.wait({telling})
        finally:
            self._open.discard(socket)

    async def _said_beside_room(self, socket: WebSocket, call_id: str, message: dict[str, Any] | None) -> None:
        try:
            match message:
                case {"to": "server", "kind": "consent", "state": "granted" | "refused" | "revoked" as state}:
                    record, claude = _yes(message, "record"), _yes(message, "claude")
                    await self._calls.consent(call_id, state, by="prospect", record=record, claude=claude)
                case {"to": "server", "kind": "hang_up"}:
                    await self._calls.end(call_id, "hung_up")
                case _:
                    await _send(socket, {"from": "server", "kind": "error", "detail": "This is no message of the protocol."})
        except (ConsentRefused, NotAnswered, StoreAway, LookupError, ValueError) as refused:
            detail = str(refused) if isinstance(refused, ConsentRefused) else "That did not work. Try again in a moment."
            await _send(socket, {"from": "server", "kind": "error", "detail": detail})

    async def _not_seated(self, socket: WebSocket, call_id: str, speaker: str) -> int:
        """Why nobody can sit here, as a close code; 0: welcome. Raises StoreAway."""
        if speaker == "agent":
            welcome = await self._doors.user(socket) is not None
        else:
            welcome = speaker == "prospect" and await self._doors.seat(socket.cookies.get(SEAT, "")) == call_id
        if not welcome:
            return NOT_SIGNED_IN
        live = self._calls.live.get(call_id)
        if live is not None:
            return 0 if isinstance(live.leg, WebRtcLeg) else NO_CALL
        # Where another process runs it, a proxy that keeps a call's browsers together leads there, or it comes to us.
        return GOING_DOWN if await self._calls.elsewhere(call_id) else NO_CALL

    async def _seated(self, socket: WebSocket, live: LiveCall, speaker: str) -> None:
        call_id = live.call.id
        consent = live.call.state.consent
        sentence = self._calls.machine.sentence(live.call.started.agent_name)
        here = (call_id, _other(speaker)) in self._seats
        watching = asyncio.create_task(self._watch(socket, live), name="seat watches")
        try:
            await _send(
                socket,
                {
                    "from": "server",
                    "kind": "welcome",
                    "speaker": speaker,
                    "present": here,
                    "consent": consent.state if consent else "unknown",
                    "record": consent is not None and consent.record,
                    "claude": consent is not None and consent.claude,
                    "sentence": sentence,
                },
            )
            await self._tell_other(call_id, speaker, {"from": "server", "kind": "present", "present": True})
            while True:
                message = await _message(socket)
                if message is None:
                    await _send(socket, {"from": "server", "kind": "error", "detail": "This is no message of the protocol."})
                elif message.get("to") == "peer" and message.get("kind") in _PEER_KINDS:
                    await self._tell_other(call_id, speaker, message)
                else:
                    await self._to_server(socket, live, speaker, message)
        except (WebSocketDisconnect, RuntimeError, TimeoutError):
            pass
        finally:
            watching.cancel()
            await asyncio.wait({watching})

    async def _to_server(self, socket: WebSocket, live: LiveCall, speaker: str, message: dict[str, Any]) -> None:
        async def error(detail: str) -> None:
            await _send(socket, {"from": "server", "kind": "error", "detail": detail})

        leg = live.leg
        assert isinstance(leg, WebRtcLeg)
        match message:
            case {"to": "server", "kind": "leg", "sdp": str(sdp)}:
                try:
                    mid = _first_mid(sdp)
                    answer = await leg.answer(sdp, {mid: "agent" if speaker == "agent" else "prospect"})
                    await _send(socket, {"from": "server", "kind": "leg", "sdp": answer})
                except LegRefused as refused:
                    await error(str(refused))
            case {"to": "server", "kind": "mute", "muted": bool(muted)}:
                leg.mute("agent" if speaker == "agent" else "prospect", muted)
            case {"to": "server", "kind": "consent", "state": "granted" | "refused" | "revoked" as state} if speaker == "prospect":
                try:
                    await live.call.consent(state, by="prospect", record=_yes(message, "record"), claude=_yes(message, "claude"))
                except ConsentRefused as refused:
                    await error(str(refused))
            case {"to": "server", "kind": "hang_up"}:
                await live.call.end("hung_up")
            case _:
                await error("This is no message of the protocol.")

    async def _watch(self, socket: WebSocket, live: LiveCall) -> None:
        viewer = Viewer()
        live.log.viewers.add(viewer)
        try:
            await _tell_consent(socket, viewer)
        finally:
            live.log.viewers.discard(viewer)

    async def _tell_other(self, call_id: str, speaker: str, message: dict[str, Any]) -> None:
        other = self._seats.get((call_id, _other(speaker)))
        if other is not None:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
                await _send(other, message)


async def _tell_consent(socket: WebSocket, viewer: Viewer) -> None:
    """Tells a seat of consent and of the end; nothing else of the call's log passes here."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError, TooSlow):
        while True:
            item = await viewer.next()
            if not isinstance(item, Logged):
                continue
            if item.event.type == "consent_changed":
                given = {name: getattr(item.event, name) for name in ("state", "record", "claude")}
                await _send(socket, {"from": "server", "kind": "consent", **given})
            elif item.event.type == "call_ended":
                await _send(socket, {"from": "server", "kind": "ended"})


def _yes(message: dict[str, Any] | None, name: str) -> bool | None:
    """A further yes or no in a consent message; None when it says nothing of it."""
    said = (message or {}).get(name)
    return said if isinstance(said, bool) else None


def _other(speaker: str) -> str:
    return "prospect" if speaker == "agent" else "agent"


def _why_closed(failure: BaseException | None) -> int:
    match failure:
        case TooSlow() | TimeoutError():
            return TOO_SLOW
        case Replaced():
            return REPLACED
        case StoreAway():
            return GOING_DOWN  # come back
        case _:
            return 0


def _event(logged: Logged) -> dict[str, Any]:
    return {"lane": "event", **logged.wire()}


async def _send(socket: WebSocket, message: dict[str, Any]) -> None:
    await asyncio.wait_for(socket.send_text(json.dumps(message)), _SEND_S)


async def _message(socket: WebSocket) -> dict[str, Any] | None:
    """The next message; None when it is rubbish. Raises WebSocketDisconnect."""
    received = await socket.receive()
    if received["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(received.get("code", 1000))
    text = received.get("text")
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


async def _until_gone(socket: WebSocket) -> None:
    """What a viewer says is only that it is alive; rubbish is read and dropped."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await _message(socket)


def _first_mid(sdp: str) -> str:
    return next((line[6:].strip() for line in sdp.splitlines() if line.startswith("a=mid:")), "")
