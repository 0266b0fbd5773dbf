"""The server's end of the phone process: its calls become ours, and it asks us whom it may dial.

The phone process is another program that may be there or not, and may come back: this keeps looking for it. Whatever
happens here, the people on the telephone go on talking.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import Mapping
from typing import Any, Final

import structlog

from coaching.consent import ConsentRefused
from voice.legs.sip_bridge import SipBridgeLeg, ends
from voice.sip.door import LONGEST, NAME
from web.calls import Calls
from web.phones.dialing import may_dial
from web.phones.identity import Party, started

logger = structlog.get_logger()
_AGAIN_S: Final = 1.0
_FIGURES_S: Final = 5.0
_TAKEN_UP_TRIES: Final = 300  # of 0.1 s: a lease runs out, the database is slow
_SIDES: Final = ("caller", "callee")


class PhoneLink:
    """start() and stop(); between them it looks for the phone process each second."""

    def __init__(self, calls: Calls) -> None:
        self._calls, self._file = calls, calls.settings.data / NAME
        self._legs: dict[str, SipBridgeLeg] = {}
        self._door: socket.socket | None = None
        self._taps: list[socket.socket] = []  # came along with a message that is not read yet
        self.linked = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="phone link")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(OSError, ValueError):
                await self._linked()
            self.linked = False
            for leg in self._legs.values():
                leg.hung_up("lost")  # the phone process carries the calls: with it they are gone
            self._legs.clear()
            await asyncio.sleep(_AGAIN_S)

    async def _linked(self) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as door:
            door.setblocking(False)
            await loop.sock_connect(door, str(self._file))
            self._door = door
            came = asyncio.Event()
            loop.add_reader(door, came.set)
            try:
                async with asyncio.TaskGroup() as group:
                    self._say({"do": "analyse"})
                    figures = group.create_task(self._figures(), name="phone figures")
                    await self._read(door, came, group)
                    figures.cancel()
            finally:
                self._door = None
                loop.remove_reader(door)
                for taps in self._taps:
                    taps.close()
                self._taps.clear()

    async def _read(self, door: socket.socket, came: asyncio.Event, group: asyncio.TaskGroup) -> None:
        rest = b""
        while True:
            came.clear()
            try:
                data, numbers, _, _ = socket.recv_fds(door, LONGEST, 16)
            except BlockingIOError:
                await came.wait()
                continue
            except OSError:
                return
            self._taps += [socket.socket(fileno=number) for number in numbers]
            if not data or len(rest) > 4 * LONGEST:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._heard(group, json.loads(line))

    def _say(self, message: dict[str, Any]) -> None:
        """Few and short: what does not fit in the kernel's buffer is not worth waiting for."""
        if self._door is not None:
            with contextlib.suppress(OSError):
                self._door.send(json.dumps(message).encode() + b"\n")

    async def _figures(self) -> None:
        while True:
            await asyncio.sleep(_FIGURES_S)
            for call, leg in self._legs.items():
                self._say({"do": "figures", "call": call, "figures": {name: f.as_json() for name, f in leg.figures().items()}})

    def _heard(self, group: asyncio.TaskGroup, message: dict[str, Any]) -> None:
        leg = self._legs.get(str(message.get("call", "")))
        match message.get("event"):
            case "welcome":
                self.linked = True
                self._forget(set(message["sip_ids"]))
            case "call":
                taps = dict(zip(_SIDES, self._taps, strict=False))
                del self._taps[:2]
                group.create_task(self._ring(message, taps), name=f"ring {message['call']}")
            case "may_dial":
                group.create_task(self._may_dial(message), name="may dial")
            case "media" if leg is not None:
                leg.formats(message["side"], message["formats"])
            case "held" | "resumed" if leg is not None:
                leg.hold(message["side"], message["event"] == "held")
            case "ended":
                if (over := self._legs.pop(message["call"], None)) is not None:
                    over.hung_up(message["reason"])
            case _:
                pass  # taken by another server, or of a newer version

    def _forget(self, lines: set[str]) -> None:
        """Calls that ended while this server was away."""
        for line in set(self._calls.lines) - lines:
            self._calls.lines.pop(line).hung_up("lost")

    async def _known(self, line: str, *, again: bool) -> SipBridgeLeg | None:
        """The leg of a call that went on while this server was away. Among several servers a lease has to run out first."""
        if again and self._calls.holder is not None and await self._calls.line_lives(line):
            for _ in range(_TAKEN_UP_TRIES):
                if line in self._calls.lines:
                    break
                await asyncio.sleep(0.1)
        return self._calls.lines.pop(line, None)

    async def _ring(self, message: Mapping[str, Any], taps: Mapping[str, socket.socket]) -> None:
        """A call was answered (or stood already when we came): hear it."""
        said = {name: message["sides"][name] for name in _SIDES}
        sides = self._calls.machine.phones.current().identity.sides(
            _party(said["caller"]), _party(said["callee"]), otherwise=message["otherwise"]
        )
        known = await self._known(message["sip_id"], again=message["again"])
        leg = known or SipBridgeLeg(ends(sides.caller))
        self._legs[message["call"]] = leg
        for name, end in said.items():
            leg.formats(name, end["formats"])
            leg.hold(name, end["held"])
        await leg.open(taps)
        self._say({"do": "tap", "call": message["call"]})
        if known is not None:
            return
        try:
            live = await self._calls.ring(started(sides, message["way"], message["sip_id"]), leg)
            if message["announced"]:
                await live.call.consent("announced", by="announcement", told=message["announced"])
        except ConsentRefused:
            pass  # the policy knows no announcement from the state it is in
        except Exception as failure:  # the log or the engine gave up; the call between the two goes on, without us
            logger.error("phone call is not coached", failure=type(failure).__name__)
            await leg.end()

    async def _may_dial(self, message: Mapping[str, Any]) -> None:
        try:
            verdict = await may_dial(self._calls.machine.phones.current().dialing, self._calls.store, message["number"])
        except Exception as failure:  # nobody knows who is listed: the phone process decides by its own setting
            logger.error("the do-not-call list cannot be asked", failure=type(failure).__name__)
            return
        self._say({"do": "answer", "ask": message["ask"], "allowed": verdict.allowed, "why": verdict.why})


def _party(end: Mapping[str, Any]) -> Party:
    return Party(str(end["number"]), str(end["uri"]), str(end["trunk"]), dict(end["headers"]))
