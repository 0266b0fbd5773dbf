"""The server's end of the phone process: its calls become ours, and it asks us whom it may dial.

The phone process is another program that may be there or not, and may come back: this keeps looking for it. Whatever
happens here, the people on the telephone go on talking.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Any, Final

import structlog

from coaching.consent import ConsentRefused
from voice.frames import Speaker
from voice.legs.sip_bridge import SipBridgeLeg
from voice.sip.door import LONGEST, NAME
from web.calls import Calls
from web.phones.dialing import may_dial
from web.phones.identity import Party, started

logger = structlog.get_logger()
_AGAIN_S: Final = 1.0
_FIGURES_S: Final = 5.0
_SIDES: Final = ("caller", "callee")


class PhoneLink:
    """start() and stop(); between them it looks for the phone process each second."""

    def __init__(self, calls: Calls) -> None:
        self._calls, self._file = calls, calls.settings.data / NAME
        self._legs: dict[str, SipBridgeLeg] = {}
        self._writer: asyncio.StreamWriter | None = None
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
        reader, writer = await asyncio.open_unix_connection(self._file, limit=4 * LONGEST)
        self._writer = writer
        try:
            async with asyncio.TaskGroup() as group:
                self._say({"do": "analyse"})
                figures = group.create_task(self._figures(), name="phone figures")
                while line := await reader.readline():
                    self._heard(group, json.loads(line))
                figures.cancel()
        except* ConnectionError:
            pass
        finally:
            self._writer = None
            writer.close()

    def _say(self, message: dict[str, Any]) -> None:
        if self._writer is not None:
            self._writer.write(json.dumps(message).encode() + b"\n")

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
            case "call":
                group.create_task(self._ring(message), name=f"ring {message['call']}")
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

    async def _ring(self, message: Mapping[str, Any]) -> None:
        """A call was answered (or stood already when we came): hear it."""
        ends = {name: message["sides"][name] for name in _SIDES}
        sides = self._calls.machine.phones.current().identity.sides(
            _party(ends["caller"]), _party(ends["callee"]), otherwise=message["otherwise"]
        )
        other: Speaker = "prospect" if sides.caller == "agent" else "agent"
        leg = SipBridgeLeg({"caller": sides.caller, "callee": other})
        self._legs[message["call"]] = leg
        for name, end in ends.items():
            leg.formats(name, end["formats"])
            leg.hold(name, end["held"])
        self._say({"do": "tap", "call": message["call"], "ports": await leg.open()})
        try:
            live = await self._calls.ring(started(sides, message["way"], message["sip_id"]), leg)
            if message["announced"]:
                await live.call.consent("announced", by="announcement")
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
