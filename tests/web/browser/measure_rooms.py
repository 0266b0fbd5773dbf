"""How late words and cards come in a room, beside the same call without one. Not part of the test run: two calls in real time,
one after the other, and figures instead of bounds. Run it with scripts/test tests/web/browser/measure_rooms.py -s."""

import asyncio
import json
import time
from typing import Any, Final

import pytest
from playwright.async_api import Page, WebSocket

from scripts.programs.callers import Server
from tests.services import livekit, postgres, redis  # noqa: F401  fixtures
from tests.web.brokerage import Brokerage, tell
from tests.web.browser.conftest import Launch
from tests.web.browser.people import signed_in, stranger
from tests.web.browser.test_rooms import brokerage, in_a_call  # noqa: F401  a fixture

pytestmark = [pytest.mark.browser, pytest.mark.livekit, pytest.mark.postgres, pytest.mark.redis, pytest.mark.timeout(900)]
TALK_S: Final = 60.0

# When this page's microphone was loud last, and when it fell silent: wall-clock milliseconds of each end of speech.
_ENDS: Final = """
(() => {
  window.ends = [];
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await real(wanted);
    const audio = new AudioContext(), ear = audio.createAnalyser();
    ear.fftSize = 512;
    audio.createMediaStreamSource(stream).connect(ear);
    const block = new Float32Array(512);
    let loud = 0;
    setInterval(() => {
      ear.getFloatTimeDomainData(block);
      const now = Date.now(), level = Math.sqrt(block.reduce((sum, x) => sum + x * x, 0) / block.length);
      if (level > 0.01) loud = now;
      else if (loud && now - loud > 250) { window.ends.push(loud); loud = 0; }
    }, 10);
    return stream;
  };
})();
"""


class Shown:
    """What the agent's page was sent, with the time at which it came."""

    def __init__(self, page: Page) -> None:
        self.events: list[tuple[float, dict[str, Any]]] = []
        page.on("websocket", self._socket)

    def _socket(self, socket: WebSocket) -> None:
        if "/ws/calls/" in socket.url:
            socket.on("framereceived", self._frame)

    def _frame(self, payload: str | bytes) -> None:
        self.events.append((time.time() * 1000, json.loads(payload)))

    def latencies(self, ends: list[float]) -> tuple[list[float], list[float]]:
        """(of the last word of an utterance, of a card), ms after the end of speech before it."""

        def after(kind: str, speaker: Any) -> list[float]:
            found = []
            for at, event in self.events:
                if event.get("type") == kind and speaker(event):
                    before = [end for end in ends if end <= at]
                    if before and at - before[-1] < 3000:
                        found.append(at - before[-1])
            return sorted(found)

        words = after("utterance_final", lambda e: e["speaker"] == "prospect" and e["text"])
        return words, after("suggestion_shown", lambda e: e["card"]["quote_speaker"] == "prospect")


async def _talk(server: Server, launch: Launch) -> tuple[list[float], list[float]]:
    agent = await (await signed_in(await launch("fake_mic_agent.wav", loop=True), server)).new_page()
    prospects = await stranger(await launch("fake_mic_prospect.wav", loop=True))
    await prospects.add_init_script(_ENDS)
    prospect, shown = await prospects.new_page(), Shown(agent)
    await in_a_call(agent, prospect, server)
    await asyncio.sleep(TALK_S)
    figures = shown.latencies(await prospect.evaluate("window.ends"))
    for page in (agent, prospect):
        await page.context.browser.close()  # type: ignore[union-attr]  # launched by us
    return figures


async def test_a_room_beside_two_browsers(
    brokerage: Brokerage,  # noqa: F811
    server: Server,
    launch: Launch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Both calls give words; the figures are printed."""
    (words, card), (plain_words, plain_card) = await _talk(brokerage.servers[0], launch), await _talk(server, launch)
    with capsys.disabled():
        for what, room, plain in (("last word", words, plain_words), ("card", card, plain_card)):
            tell(f"{what}: in a room {_figures(room)}; browser to browser {_figures(plain)}")
    assert words
    assert plain_words


def _figures(ms: list[float]) -> str:
    return f"p50 {ms[len(ms) // 2]:.0f} ms, p95 {ms[int(len(ms) * 0.95)]:.0f} ms (n={len(ms)})" if ms else "none"
