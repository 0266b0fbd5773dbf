"""Asterisk by AudioSocket: the dial plan tells us of a call and gets a name for each side's sound; two TCP connections bring them.

The telling is plain HTTP with a secret, because that is what a dial plan can do (CURL). The voices stay in Asterisk.
"""

import asyncio
import contextlib
import datetime
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from coaching.consent import ConsentRefused
from voice.legs.audiosocket import AudioSocketLeg, AudioSocketServer
from web.calls import Calls
from web.database import StoreAway
from web.phones.dialing import may_dial
from web.phones.identity import Direction, Party, Sides, started
from web.phones.signatures import same
from web.phones.ways import Ways
from web.running import LiveCall

_MOST: Final = 200
_WAIT_S: Final = 600.0  # a call that was announced and never answered


@dataclass(slots=True)
class _Coming:
    """A call that Asterisk has told us of. It begins here when the first of its two connections comes."""

    sides: Sides
    id: str
    told: str
    leg: AudioSocketLeg
    names: tuple[UUID, UUID]
    until: float
    live: "LiveCall | None" = None


class Asterisk:
    """One per process. ``server`` counts connections that nobody expected."""

    def __init__(self, calls: Calls, ways: Ways) -> None:
        self._calls, self._way = calls, ways["audiosocket"]
        self.server = AudioSocketServer(most=2 * _MOST)
        self._coming: list[_Coming] = []
        self._beginning = asyncio.Lock()

    async def start(self) -> None:
        """Listens where the setting says. A port that is taken is said on the page, and the rest of the program runs."""
        address = self._calls.settings.audiosocket
        if address is None:
            return
        host, port = address
        try:
            port = await self.server.start(host, port)
        except OSError as failure:
            self._way.wrong = f"{host}:{port} cannot be listened on: {failure.strerror}."
            return
        self._way.on, self._way.where = True, f"{host}:{port}"

    async def stop(self) -> None:
        await self.server.stop()

    async def told(self, form: Mapping[str, str]) -> str | None:
        """A call from the dial plan: "NAME-OF-CALLER'S-SOUND,NAME-OF-CALLEE'S-SOUND,go", or ",,refused REASON". None: a wrong secret.

        ``form``: secret, caller, callee, id; and direction, trunk, caller_uri, callee_uri, announced where the dial plan knows.
        """
        if not self._way.on or not same(form.get("secret", ""), self._calls.settings.audiosocket_secret):
            self._way.refuse("a call told without the right secret")
            return None
        self._forget()
        plan = self._calls.machine.phones.current()
        given: Direction = "outbound" if form.get("direction") == "outbound" else "inbound"
        trunk = form.get("trunk", "asterisk")[:100]
        ends = [Party(number=form.get(n, "")[:200], uri=form.get(f"{n}_uri", "")[:200], trunk=trunk) for n in ("caller", "callee")]
        sides = plan.identity.sides(ends[0], ends[1], otherwise=given)
        if sides.direction == "outbound":
            try:
                verdict = await may_dial(plan.dialing, self._calls.store, ends[1].number, datetime.datetime.now(datetime.UTC))
            except StoreAway:
                return ",,refused store_away"
            if not verdict.allowed:
                self._way.refuse(f"dialling refused: {verdict.refused}")
                return f",,refused {verdict.refused}"
        if sides.direction == "internal" or len(self._calls.live) >= self._calls.settings.phone_calls or len(self._coming) >= _MOST:
            return ",,go"
        return self._expect(sides, form)

    def _expect(self, sides: Sides, form: Mapping[str, str]) -> str:
        announced = form.get("announced", "")[:300]
        told = f"announcement played by the PBX before the call was connected: {announced}" if announced else ""
        coming = _Coming(sides, form.get("id", "")[:200], told, AudioSocketLeg(), (uuid4(), uuid4()), time.monotonic() + _WAIT_S)
        self._coming.append(coming)
        roles = (sides.caller, "prospect" if sides.caller == "agent" else "agent")
        for name, role in zip(coming.names, roles, strict=True):
            self.server.expect(name, coming.leg, role, lambda: self._begin(coming))  # type: ignore[arg-type]  # the two speakers
        return f"{coming.names[0]},{coming.names[1]},go"

    async def _begin(self, coming: _Coming) -> None:
        """The first of a call's two connections has come."""
        async with self._beginning:
            if coming.live is not None:
                return
            coming.live = await self._calls.ring(started(coming.sides, "audiosocket", coming.id), coming.leg)
            self._way.begun()
            if coming.live.task is not None:
                coming.live.task.add_done_callback(lambda _: self._over(coming))
            if coming.told:
                with contextlib.suppress(ConsentRefused):
                    await coming.live.call.consent("announced", by="announcement", told=coming.told)

    def _over(self, coming: _Coming) -> None:
        self._way.over()
        self._drop(coming)

    def _forget(self) -> None:
        for coming in [c for c in self._coming if c.live is None and c.until < time.monotonic()]:
            self._drop(coming)

    def _drop(self, coming: _Coming) -> None:
        for name in coming.names:
            self.server.forget(name)
        with contextlib.suppress(ValueError):
            self._coming.remove(coming)
