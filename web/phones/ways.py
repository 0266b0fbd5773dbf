"""The ways in for telephone calls, and how each of them stands: for the settings page and the doctor."""

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from web.phones.plan import PlanRefused, plan_file
from web.phones.signatures import KeyRefused, telnyx_key
from web.settings import Settings

WayName = Literal["twilio", "telnyx", "audiosocket"]
WAYS: Final[tuple[WayName, ...]] = ("twilio", "telnyx", "audiosocket")


@dataclass(slots=True)
class WayState:
    """``on``: set up here. ``where``: what to enter at the carrier or PBX. ``wrong``: what has to be done first, a sentence.

    ``taken``, ``refused``: calls and requests since the start; ``refusal``: the last one, why; times in seconds since the epoch.
    """

    way: WayName
    on: bool = False
    where: str = ""
    wrong: str = ""
    live: int = 0
    taken: int = 0
    refused: int = 0
    refusal: str = ""
    refused_at: float | None = None
    last_at: float | None = None
    lost_chunks: int = 0

    def refuse(self, why: str) -> None:
        self.refused, self.refusal, self.refused_at = self.refused + 1, why, time.time()

    def begun(self) -> None:
        self.live, self.taken, self.last_at = self.live + 1, self.taken + 1, time.time()

    def over(self) -> None:
        self.live -= 1


@dataclass(slots=True)
class Ways:
    """One per process."""

    states: dict[WayName, WayState] = field(default_factory=lambda: {way: WayState(way) for way in WAYS})

    def __getitem__(self, way: WayName) -> WayState:
        return self.states[way]

    @classmethod
    def of(cls, settings: Settings) -> "Ways":
        """As the settings have them; whoever listens on a port says later whether it could."""
        ways = cls()
        public = next((origin for origin in settings.origins if origin.startswith("https://")), "")
        for name, key in (("twilio", settings.twilio_token), ("telnyx", settings.telnyx_key)):
            state = ways.states[name]  # type: ignore[index]  # two of the names
            state.where = f"{public}/carriers/{name}/voice" if public else ""
            state.wrong = "" if not key or public else "Carriers reach us by https: set SOTTOVOCE_ORIGINS to the address they see."
            state.on = bool(key and public)
        if settings.telnyx_key:
            try:
                telnyx_key(settings.telnyx_key)
            except KeyRefused as wrong:
                ways["telnyx"].on, ways["telnyx"].wrong = False, str(wrong)
        return ways


def said(settings: Settings) -> Iterator[tuple[Literal["ok", "note", "missing"], str]]:
    """The doctor's lines: the phones file, and each way in that is set up or was meant to be."""
    try:
        file = plan_file(settings.data, settings.phones)
    except PlanRefused as refused:
        for line in str(refused).splitlines():
            yield "missing", f"phones file: {line}"
    else:
        plan = file.current()
        opened = ", ".join((*plan.dialing.open, *plan.dialing.premium)) or "nothing"
        rules = len(plan.identity.rules)
        yield ("ok" if rules else "note"), f"phones file {file.file}: {rules} rules of who is who, open abroad and premium: {opened}"
    ways = Ways.of(settings)
    for name in ("twilio", "telnyx"):
        state = ways.states[name]
        if state.wrong:
            yield "missing", f"{name.capitalize()}'s calls: {state.wrong}"
        elif state.on:
            yield "ok", f"{name.capitalize()}'s calls are taken at {state.where}"
    if settings.audiosocket is not None:
        host, port = settings.audiosocket
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as failure:
                yield (
                    "note",
                    f"Asterisk's AudioSocket: {host}:{port} cannot be listened on: {failure.strerror} (fine if Sottovoce is running)",
                )
            else:
                yield "ok", f"Asterisk's AudioSocket: {host}:{port} is free"
    if not any(state.on or state.wrong for state in ways.states.values()) and settings.audiosocket is None:
        yield "note", "no carrier's stream and no AudioSocket is set up (docs/phones.md has the recipes)"
