"""A telephone call that passes through our own SIP side, or that a recorder forks to it: both sides' RTP, copied to us.

The phone process (voice/sip) relays the call and copies each side's packets to a socket that it has given us. If we stand still, the
kernel drops copies; the call itself never waits. Who hangs up, holds or changes the codec is told by the phone process.
"""

import asyncio
import contextlib
import math
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voice.frames import Speaker
from voice.legs import LeftReason, LegHeld, LegItem, LegResumed
from voice.legs.live import LiveItems
from voice.legs.reorder import ReorderSettings
from voice.legs.rtp import LineFigures, RtpSource, Stretch
from voice.legs.timeline import TimelineSettings


@dataclass(frozen=True, slots=True)
class SipBridgeSettings:
    """``buffer_ms``: frames that may wait for the consumer, per speaker. A silent line never leaves: signalling says when it ends."""

    buffer_ms: int = 2000
    reorder: ReorderSettings = field(default_factory=ReorderSettings)
    timeline: TimelineSettings = field(default_factory=lambda: TimelineSettings(leave_after_ms=math.inf))


def ends(caller: Speaker) -> dict[str, Speaker]:
    """Which end of a call is whom."""
    return {"caller": caller, "callee": "prospect" if caller == "agent" else "agent"}


class _Side(asyncio.DatagramProtocol):
    """One side's copies."""

    def __init__(self, speaker: Speaker, items: LiveItems, settings: ReorderSettings) -> None:
        self.speaker: Speaker = speaker
        self.source = RtpSource(settings)
        self._items = items
        self._joined = False

    def datagram_received(self, data: bytes, addr: Any) -> None:  # noqa: ARG002  the relay's, always
        now_ms = self._items.now_ms()
        self._heard(self.source.feed(data, now_ms), now_ms)

    def tick(self, now_ms: float) -> None:
        self._heard(self.source.tick(now_ms), now_ms)
        self._items.tick(self.speaker, now_ms, self.source.waiting())

    def _heard(self, stretches: list[Stretch], now_ms: float) -> None:
        for stretch in stretches:
            if not self._joined:
                self._joined = True
                self._items.join(self.speaker)
            elif stretch.restarted:
                self._items.restart(self.speaker)
            self._items.feed(self.speaker, stretch.position, stretch.samples, now_ms)


class SipBridgeLeg:
    """``speakers``: which end is whom ("caller", "callee"; or the labels of a recording session). open() before iterating.

    ``began_at``: wall clock of the timeline's zero (now, if None). end() leaves; it never hangs up the call itself.
    """

    def __init__(
        self, speakers: Mapping[str, Speaker], settings: SipBridgeSettings | None = None, *, began_at: float | None = None
    ) -> None:
        self.settings = settings or SipBridgeSettings()
        self.items = LiveItems(self.settings.timeline, buffer_ms=self.settings.buffer_ms, began_at=began_at)
        self._sides = {name: _Side(speaker, self.items, self.settings.reorder) for name, speaker in speakers.items()}
        self._transports: list[asyncio.DatagramTransport] = []
        self._over = False
        self._held: set[str] = set()

    async def open(self, sockets: Mapping[str, socket.socket]) -> None:
        """Where each end's packets come; what waits in them was said before we were there, and is not heard."""
        for name, receiving in sockets.items():
            receiving.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while receiving.recv(4096):
                    pass
            side = self._sides[name]
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda side=side: side, sock=receiving)  # type: ignore[misc]  # bound at once
            self._transports.append(transport)

    # ---- what the phone process tells

    def formats(self, name: str, formats: Mapping[str, Any]) -> None:
        """How this end's packets are coded from now on: payload type -> [name, rate]."""
        if (side := self._sides.get(name)) is not None:
            side.source.formats = {int(number): (str(coding[0]), int(coding[1])) for number, coding in formats.items()}

    def hold(self, name: str, held: bool) -> None:
        """This end put the other on hold, or took it back."""
        side = self._sides.get(name)
        if side is None or held == (name in self._held):
            return
        (self._held.add if held else self._held.discard)(name)
        at_ms = self.items.at_ms(side.speaker)
        self.items.event(LegHeld(side.speaker, at_ms) if held else LegResumed(side.speaker, at_ms))

    def hung_up(self, reason: LeftReason = "hung_up") -> None:
        """The call is over."""
        self._over = True
        for side in self._sides.values():
            self.items.leave(side.speaker, reason)

    def figures(self) -> dict[str, LineFigures]:
        """How each end's line is."""
        return {name: side.source.figures for name, side in self._sides.items()}

    # ---- the leg

    def mute(self, speaker: Speaker, muted: bool) -> None:
        """A muted side's frames go on, as silence."""
        self.items.mute(speaker, muted)

    async def __aiter__(self) -> AsyncIterator[LegItem]:
        try:
            async with aclosing(self.items.stream(self._tick)) as items:
                async for item in items:
                    yield item
        finally:
            self._close()

    async def end(self) -> None:
        """We listen no longer; the two go on talking."""
        self.items.end()
        self._close()

    async def play(self, file: Path) -> bool:  # noqa: ARG002  the seam's signature; we stand beside the call, not in it
        return False

    def _tick(self, now_ms: float) -> bool:
        for side in self._sides.values():
            side.tick(now_ms)
        return self._over

    def _close(self) -> None:
        self.items.end()
        for transport in self._transports:
            transport.close()
        self._transports.clear()
