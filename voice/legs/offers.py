"""What a browser may offer us, judged from the text before WebRTC sees it. Pure.

SDP: RFC 8866; candidates: RFC 8839 section 5.1; names in place of addresses: draft-ietf-mmusic-mdns-ice-candidates.
"""

import re
from collections.abc import Mapping
from typing import Final

from voice.frames import Speaker
from voice.legs import LegRefused

LONGEST: Final = 64 * 1024
_MOST_LINES: Final = 1500
_MOST_CANDIDATES: Final = 100
_SECTION: Final = re.compile(r"^m=(\S+) ")
_MID: Final = re.compile(r"^a=mid:(\S+)$")


def accepted_offer(sdp: str, tracks: Mapping[str, Speaker]) -> str:
    """The offer, if its audio sections are exactly those of ``tracks`` and nothing else is in it. Raises LegRefused."""
    if len(sdp) > LONGEST:
        raise LegRefused("The offer is too long.")
    lines = sdp.replace("\r\n", "\n").split("\n")
    if lines[0] != "v=0" or len(lines) > _MOST_LINES or not all(line.isprintable() for line in lines):
        raise LegRefused("This is no session description (SDP).")
    sections = _sections(lines)
    if not tracks:
        raise LegRefused("The offer does not say whose sound its tracks are.")
    if len(set(tracks.values())) < len(tracks):
        raise LegRefused("Two tracks of the offer belong to the same speaker; there may be one each.")
    if len(sections) > len(tracks):
        raise LegRefused(
            f"The offer has {len(sections)} tracks but says whose sound {len(tracks)} of them are; one audio track per speaker is taken."
        )
    mids: set[str] = set()
    for section in sections:
        kind = _SECTION.match(section[0])
        if kind is None or kind[1] != "audio":
            raise LegRefused("Only sound can be taken: remove the picture or data track from the offer.")
        mid = next((found[1] for line in section if (found := _MID.match(line))), None)
        if mid is None or mid not in tracks or mid in mids:
            raise LegRefused("A track of the offer has no name (mid) of its own, or one that belongs to nobody.")
        if any(line in ("a=recvonly", "a=inactive") for line in section):
            raise LegRefused("A track of the offer sends no sound.")
        mids.add(mid)
    if mids != set(tracks):
        raise LegRefused("A track that was named is not in the offer.")
    if sum(line.startswith("a=candidate:") for line in lines) > _MOST_CANDIDATES:
        raise LegRefused("The offer has too many addresses.")
    return "\r\n".join(lines)


def _sections(lines: list[str]) -> list[list[str]]:
    sections: list[list[str]] = []
    for line in lines:
        if line.startswith("m="):
            sections.append([line])
        elif sections:
            sections[-1].append(line)
    return sections


def with_own_addresses(offer: str, address: str) -> str:
    """Browsers without microphone permission hide their address behind a ``.local`` name, which few networks resolve.

    The browser is most often on this machine, so our own ``address`` takes the name's place; from anywhere else the
    browser's own checks reach us first and show where it is.
    """
    return re.sub(r"^(a=candidate:\S+ \d+ \S+ \d+ )\S+\.local( )", rf"\g<1>{address}\g<2>", offer, flags=re.MULTILINE)
