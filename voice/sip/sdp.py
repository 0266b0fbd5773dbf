"""What a session description (RFC 8866) says about sound: where it goes, how it is coded, which way it flows. Pure."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

LONGEST: Final = 16 * 1024
_MOST_SECTIONS: Final = 8
_RTPMAP: Final = re.compile(r"^rtpmap:(\d{1,3}) ([A-Za-z0-9._-]{1,40})/(\d{1,6})(?:/\d+)?\s*$")
_DIRECTIONS: Final = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})

Direction: TypeAlias = Literal["sendrecv", "sendonly", "recvonly", "inactive"]


class SdpRefused(ValueError):
    """The description cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Coding:
    """``name`` in lower case; ``rate``: of the time stamps, Hz."""

    name: str
    rate: int


# RFC 3551 section 6: what a number means that no rtpmap explains.
STATIC: Final[Mapping[int, Coding]] = {
    0: Coding("pcmu", 8000),
    8: Coding("pcma", 8000),
    9: Coding("g722", 8000),  # counts at 8000 though it carries 16 kHz
    13: Coding("cn", 8000),
    18: Coding("g729", 8000),
}


@dataclass(frozen=True, slots=True)
class Audio:
    """One audio section. ``number``: its place among all sections. ``address``: a literal, never a name."""

    number: int
    address: str
    port: int
    formats: Mapping[int, Coding]
    direction: Direction
    label: str = ""

    @property
    def held(self) -> bool:
        """The sender of this description hears nothing now: it sends only or not at all, or has no address (RFC 2543)."""
        return self.direction in ("sendonly", "inactive") or self.address == "0.0.0.0" or self.port == 0


def audio_of(sdp: str) -> tuple[Audio, ...]:
    """Every audio section, in order. Raises SdpRefused."""
    if len(sdp) > LONGEST:
        raise SdpRefused("The session description is too long.")
    lines = sdp.replace("\r\n", "\n").split("\n")
    if not lines or lines[0].strip() != "v=0":
        raise SdpRefused("This is no session description (SDP).")
    head, sections = _split(lines)
    if not sections or len(sections) > _MOST_SECTIONS:
        raise SdpRefused(f"The session description has {len(sections)} sections.")
    found = (_audio(number, head, section) for number, section in enumerate(sections))
    return tuple(audio for audio in found if audio is not None)


def _split(lines: list[str]) -> tuple[list[str], list[list[str]]]:
    head: list[str] = []
    sections: list[list[str]] = []
    for line in lines:
        if line.startswith("m="):
            sections.append([line])
        else:
            (sections[-1] if sections else head).append(line)
    return head, sections


def _audio(number: int, head: list[str], section: list[str]) -> Audio | None:
    address = _address(section) or _address(head)
    words = section[0][2:].split()
    if len(words) < 4 or not words[1].split("/")[0].isdigit():
        raise SdpRefused("A media line of the session description is damaged.")
    if not _literal(address):  # also of sections we do not hear: a name would be looked up beside the media
        raise SdpRefused("An address of the session description is no IP address.")
    if words[0] != "audio":
        return None
    port = int(words[1].split("/")[0])
    if port > 65535:
        raise SdpRefused("A port of the session description is impossible.")
    formats: dict[int, Coding] = {}
    for word in words[3:]:
        if word.isdigit() and int(word) < 128 and int(word) in STATIC:
            formats[int(word)] = STATIC[int(word)]
    named = {word for word in words[3:] if word.isdigit()}
    direction, label = _direction(head, "sendrecv"), ""
    for line in section[1:]:
        value = line[2:].strip() if line.startswith("a=") else ""
        if (mapped := _RTPMAP.match(value)) and mapped[1] in named:
            formats[int(mapped[1])] = Coding(mapped[2].lower(), max(1, int(mapped[3])))
        elif value.startswith("label:"):
            label = value.removeprefix("label:")[:64]
    return Audio(number, address, port, formats, _direction(section, direction), label)


def _direction(lines: list[str], otherwise: Direction) -> Direction:
    for line in lines:
        if line.startswith("a=") and line[2:].strip() in _DIRECTIONS:
            return line[2:].strip()  # type: ignore[return-value]  # one of the four
    return otherwise


def _address(lines: list[str]) -> str:
    for line in lines:
        if line.startswith("c="):
            words = line[2:].split()
            return words[2].split("/")[0] if len(words) >= 3 else ""
    return ""


def _literal(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def heard(sender: Audio, receiver: Audio) -> dict[int, Coding]:
    """How the sender's packets are to be read: by the receiver's numbers (RFC 3264 section 5.1), its own where they say nothing."""
    return {**STATIC, **sender.formats, **receiver.formats}
