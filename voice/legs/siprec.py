"""What a recorder's INVITE says (RFC 7865, 7866): the session description, and who speaks in which of its streams. Pure.

The body has two parts. The metadata names participants and says which stream carries whom ("send"); a stream's label is
that of an audio section. The order of the sections says nothing.
"""

import email
import email.policy
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 128 * 1024
_MOST: Final = 200


class MetadataRefused(ValueError):
    """The body is no recording session's; ``code`` is the SIP answer that says so (415: another kind of body; 400: a broken one)."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True)
class Participant:
    """``aor``: its address of record. ``labels``: of the streams that carry its voice."""

    aor: str
    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """``sdp``: as sent. ``participants``: those whose voice some stream carries, in the metadata's order. ``session``: its id there."""

    sdp: str
    participants: tuple[Participant, ...]
    session: str = ""


def recorded(content_type: str, body: str) -> Recorded:
    """Raises MetadataRefused."""
    if len(body) > LONGEST:
        raise MetadataRefused(413, "The body is too long")
    kind = content_type.split(";")[0].strip().lower()
    if kind != "multipart/mixed":
        raise MetadataRefused(415, "A recording session needs multipart/mixed")
    message = email.message_from_string(f"Content-Type: {content_type}\r\n\r\n{body}", policy=email.policy.compat32)
    parts = [part for part in message.walk() if not part.is_multipart()]
    sdp = next((_text(part) for part in parts if part.get_content_type() == "application/sdp"), "")
    metadata = next((_text(part) for part in parts if part.get_content_type().startswith("application/rs-metadata")), "")
    if not sdp:
        raise MetadataRefused(400, "The body has no session description")
    if not metadata:
        raise MetadataRefused(400, "The body has no recording metadata")
    return Recorded(sdp.replace("\r\n", "\n").replace("\n", "\r\n"), *_participants(metadata))


def _text(part: "email.message.Message[str, str]") -> str:
    payload = part.get_payload()
    return payload.strip() + "\r\n" if isinstance(payload, str) else ""


def _participants(metadata: str) -> tuple[tuple[Participant, ...], str]:
    if "<!DOCTYPE" in metadata.upper() or "<!ENTITY" in metadata.upper():
        raise MetadataRefused(400, "The recording metadata may not declare entities")
    try:
        root = ElementTree.fromstring(metadata.strip())
    except ElementTree.ParseError as failure:
        raise MetadataRefused(400, "The recording metadata is no XML") from failure
    if _bare(root.tag) != "recording":
        raise MetadataRefused(400, "The recording metadata is none")
    labels: dict[str, str] = {}
    sends: dict[str, list[str]] = {}
    people: list[tuple[str, str, str]] = []
    session = ""
    for element in list(root)[:_MOST]:
        match _bare(element.tag):
            case "session":
                session = element.get("session_id", "")[:100]
            case "stream":
                labels[element.get("stream_id", "")] = _child(element, "label")
            case "participant":
                people.append((element.get("participant_id", ""), *_name(element)))
            case "participantstreamassoc":
                sends.setdefault(element.get("participant_id", ""), []).extend(
                    (child.text or "").strip() for child in element if _bare(child.tag) == "send"
                )
            case _:
                pass
    found = (Participant(aor, name, tuple(labels[s] for s in sends.get(key, ()) if labels.get(s))) for key, aor, name in people)
    return tuple(person for person in found if person.labels), session


def _name(participant: ElementTree.Element) -> tuple[str, str]:
    for child in participant:
        if _bare(child.tag) == "nameid":
            return child.get("aor", "")[:200], _child(child, "name")[:100]
    return "", ""


def _child(element: ElementTree.Element, name: str) -> str:
    return next(((child.text or "").strip()[:100] for child in element if _bare(child.tag).lower() == name), "")


def _bare(tag: str) -> str:
    return re.sub(r"^\{.*\}", "", tag).lower()
