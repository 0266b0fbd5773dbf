"""What we answer a carrier that asks what to do with a call: TwiML, which Telnyx reads as TeXML. Pure."""

from dataclasses import dataclass
from typing import Literal
from xml.etree.ElementTree import Element, SubElement, tostring

from web.phones.numbers import dialled

Carrier = Literal["twilio", "telnyx"]


@dataclass(frozen=True, slots=True)
class Announcement:
    """``url``: of a sound file, played; else ``say`` is read aloud."""

    say: str = ""
    url: str = ""

    def __bool__(self) -> bool:
        return bool(self.say or self.url)


@dataclass(frozen=True, slots=True)
class Stream:
    """Both tracks of the call to ``url`` (wss); ``secret`` comes back in its first message."""

    url: str
    secret: str


def refused(why: str) -> str:
    """The caller hears why, then the line ends."""
    response = Element("Response")
    SubElement(response, "Say").text = why
    SubElement(response, "Hangup")
    return _xml(response)


def connected(
    carrier: Carrier,
    to: str,
    stream: Stream | None,
    *,
    caller_id: str = "",
    announcement: Announcement | None = None,
    whisper: str = "",
) -> str:
    """Announcement to the caller, fork to us, then the other side. ``whisper``: address of a document that the called side hears first."""
    response = Element("Response")
    if announcement:
        _announce(response, announcement)
    if stream is not None:
        forked = SubElement(SubElement(response, "Start"), "Stream", url=stream.url, track="both_tracks")
        if carrier == "telnyx":
            forked.set("codec", "PCMU")
        SubElement(forked, "Parameter", name="secret", value=stream.secret)
    dial = SubElement(response, "Dial", answerOnBridge="true")
    if caller_id:
        dial.set("callerId", caller_id)
    noun = _noun(dial, to)
    if whisper:
        noun.set("url", whisper)
    return _xml(response)


def whispered(announcement: Announcement, then: str) -> str:
    """To the called side before it is connected; ``then`` is fetched when it has been heard to its end."""
    response = Element("Response")
    _announce(response, announcement)
    SubElement(response, "Redirect", method="POST").text = then
    return _xml(response)


def nothing() -> str:
    return _xml(Element("Response"))


def _announce(response: Element, announcement: Announcement) -> None:
    if announcement.url:
        SubElement(response, "Play").text = announcement.url
    else:
        SubElement(response, "Say").text = announcement.say


def _noun(dial: Element, to: str) -> Element:
    if to.startswith(("sip:", "sips:")):
        noun = SubElement(dial, "Sip")
        noun.text = to
    elif to.startswith("client:"):
        noun = SubElement(dial, "Client")
        noun.text = to.removeprefix("client:")
    else:
        noun = SubElement(dial, "Number")
        noun.text = dialled(to)
    return noun


def _xml(response: Element) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(response, encoding="unicode")
