"""Legs for tests, on this machine's loopback."""

from collections.abc import AsyncIterator

import aioice.ice
import pytest

from voice.legs.webrtc_peer import WebRtcLeg


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice leaves 127.0.0.1 out of its candidates; a test needs no other network."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


@pytest.fixture
async def leg(loopback: None) -> AsyncIterator[WebRtcLeg]:
    """A browser leg that is ended with its test."""
    made = WebRtcLeg()
    yield made
    await made.end()
