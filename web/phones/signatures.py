"""Whether a request really comes from the carrier. Pure. The only import of cryptography in web."""

import base64
import binascii
import hmac
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from voice.legs.media_streams import signed_by_twilio

TELNYX_TOLERANCE_S: Final = 300.0  # Telnyx's own advice against replays


class KeyRefused(ValueError):
    """The public key is none; the message says where to find it."""


def from_twilio(url: str, form: Iterable[tuple[str, str]], token: str, signature: str) -> bool:
    """``X-Twilio-Signature``: HMAC-SHA1 over the address as Twilio has it and the form's fields by name, each name beside its value.

    Twilio leaves an https port out of what it signs, older accounts put it in: both are right.
    """
    fields = "".join(name + value for name, value in sorted(set(form)))
    parts = urlsplit(url)
    spellings = {url, parts._replace(netloc=parts.netloc.rsplit(":", 1)[0]).geturl() if parts.port else url}
    return bool(token) and any(signed_by_twilio(each + fields, token, signature) for each in spellings)


def telnyx_key(text: str) -> Ed25519PublicKey:
    """The account's public key (base64, 32 bytes). Raises KeyRefused."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error) as failure:
        raise KeyRefused("SOTTOVOCE_TELNYX_KEY is not the public key that Telnyx shows under Keys & Credentials.") from failure


def from_telnyx(key: Ed25519PublicKey, timestamp: str, body: bytes, signature: str, now: float) -> bool:
    """``telnyx-signature-ed25519`` over "timestamp|body", not older (or newer) than five minutes."""
    try:
        if not abs(now - int(timestamp)) <= TELNYX_TOLERANCE_S:
            return False
        key.verify(base64.b64decode(signature, validate=True), timestamp.encode() + b"|" + body)
    except (InvalidSignature, ValueError, OverflowError):
        return False
    return True


def same(given: str, wanted: str) -> bool:
    """Two secrets, compared in the same time whatever they are; an empty one is never right."""
    return bool(wanted) and hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
