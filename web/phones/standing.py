"""How the phone process stands, in sentences: for the doctor and the page."""

import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from voice.sip.accounts import ECHO, SipRefused, read
from voice.sip.accounts import NAME as FILE
from voice.sip.door import NAME as DOOR
from web.settings import Settings

Line = tuple[Literal["ok", "note", "missing"], str]


def asked(data: Path, timeout_s: float = 2.0) -> dict[str, Any] | None:
    """The phone process's own account; None when there is none. Blocks."""
    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(timeout_s)
            door.connect(str(data / DOOR))
            door.sendall(b'{"do":"state"}\n')
            with door.makefile() as answer:
                state: dict[str, Any] = json.loads(answer.readline())
                return state
    except (OSError, ValueError):
        return None


def told(settings: Settings) -> Iterator[Line]:
    """The doctor's lines."""
    file = settings.sip or settings.data / FILE
    if not file.exists():
        yield "note", f"no SIP file ({file}): softphones, PBXs and trunks are not set up (docs/phones.md has the recipes)"
        return
    try:
        read(file)
    except SipRefused as refused:
        for line in str(refused).splitlines():
            yield "missing", f"SIP file: {line}"
        return
    state = asked(settings.data)
    if state is None:
        yield "note", "the phone process does not run: `sottovoce phone`, beside `sottovoce serve`"
        return
    yield from sentences(state)


def sentences(state: Mapping[str, Any]) -> Iterator[Line]:
    yield "ok", f"phones are taken at {state['address']} (UDP); test call to yourself: dial {ECHO} from a phone, and hear what you say"
    if not state["analysis"]:
        yield "note", "no server listens to the phone process: calls pass through, nobody coaches"
    for phone in state["phones"]:
        at = f"registered from {phone['at']} for {phone['for_s']} s more ({phone['program'] or 'unnamed program'})"
        yield ("ok", f"phone {phone['user']}: {at}") if phone["registered"] else ("note", f"phone {phone['user']}: not registered")
    for trunk in state["trunks"]:
        yield from _trunk(trunk)
    for call in state["calls"]:
        yield from _call(call)
    counts = {name: n for name, n in state["counts"].items() if n and name in _COUNTED}
    if counts:
        yield "note", "since the start: " + ", ".join(f"{n} {_COUNTED[name]}" for name, n in counts.items())


def _trunk(trunk: Mapping[str, Any]) -> Iterator[Line]:
    name = f"trunk {trunk['name']} ({trunk['address']})"
    if trunk["registers"]:
        good = trunk["registered"] == "yes"
        yield (
            ("ok" if good else "missing"),
            f"{name}: {'we are registered' if good else 'our registration: ' + (trunk['registered'] or 'no answer yet')}",
        )
    answer = str(trunk["options"])
    if not answer:
        yield "note", f"{name}: no OPTIONS answer yet"
    elif answer.startswith("408"):
        yield "missing", f"{name}: does not answer OPTIONS (wrong address, or a firewall)"
    else:
        yield "ok", f"{name}: OPTIONS answered {answer}, {trunk['options_s_ago']} s ago"  # whatever it says, it is there


def _call(call: Mapping[str, Any]) -> Iterator[Line]:
    for side, seen in call["sides"].items():
        figures = call["figures"].get(side, {})
        line = f", loss {figures['loss']:.1%}, jitter {figures['jitter_ms']:.0f} ms" if figures.get("packets") else ""
        yield (
            "note",
            f"call {call['call'][-6:]}, {side} ({seen['trunk'] or 'unknown'}): {figures.get('coding') or seen['coding'] or 'no codec'}{line}",
        )
    if call["trouble"]:
        yield "missing", f"call {call['call'][-6:]}: one-way sound: {call['trouble']}"


_COUNTED: Mapping[str, str] = {
    "calls": "calls", "unauthenticated": "calls without a password refused", "refused": "wrong passwords", "over_limit": "calls over the limit",
    "flooded": "packets of floods dropped", "malformed": "malformed packets dropped", "emergency": "emergency calls refused",
    "closed": "calls to closed or listed numbers refused", "refused_recordings": "recording sessions refused", "failed": "packets nobody foresaw",
}  # fmt: skip
