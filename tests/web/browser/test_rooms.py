"""Two browsers in a LiveKit room: what the agent sees, what the room does not, and how late, beside a call without rooms."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest
from playwright.async_api import Page, WebSocket, expect

from scripts.programs.callers import Server
from scripts.programs.services import LiveKit, Postgres, Redis
from tests.patience import PATIENCE
from tests.services import livekit, postgres, redis  # noqa: F401  fixtures
from tests.web.brokerage import Brokerage, tell
from tests.web.browser.conftest import Launch
from tests.web.browser.people import WORDS, Taps, runs, signed_in, stranger, view

pytestmark = [pytest.mark.browser, pytest.mark.livekit, pytest.mark.postgres, pytest.mark.redis, pytest.mark.timeout(300 * PATIENCE)]
TALK_S: Final = 25.0

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


@pytest.fixture(scope="module")
def brokerage(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, redis: Redis, livekit: LiveKit) -> Iterator[Brokerage]:  # noqa: F811
    opened = Brokerage(tmp_path_factory.mktemp("brokerage"), postgres, redis, livekit)
    try:
        yield opened.open()
    finally:
        opened.close()


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


async def _talk(server: Server, launch: Launch, talk_s: float) -> tuple[Page, Page, Shown, tuple[list[float], list[float]], Taps, Taps]:
    agent = await (await signed_in(await launch("fake_mic_agent.wav", loop=True), server)).new_page()
    prospects = await stranger(await launch("fake_mic_prospect.wav", loop=True))
    await prospects.add_init_script(_ENDS)
    prospect = await prospects.new_page()
    shown, ours, theirs = Shown(agent), Taps(agent), Taps(prospect)
    await agent.goto(server.url)
    await agent.get_by_test_id("start-call").click()
    await agent.locator("input[name=name]").fill("Marcus Reed")
    await agent.get_by_test_id("start-call-go").click()
    await prospect.goto(await agent.get_by_test_id("invite-link").input_value())
    await prospect.get_by_test_id("join").click()
    await prospect.get_by_test_id("grant").click(timeout=30_000 * PATIENCE)
    await expect(prospect.get_by_test_id("revoke")).to_be_visible(timeout=15_000 * PATIENCE)
    for side in ("agent", "prospect"):
        await expect(agent.get_by_test_id(f"caption-{side}")).to_contain_text(WORDS, timeout=60_000 * PATIENCE)
    await expect(agent.get_by_test_id("card-say")).to_be_visible(timeout=90_000 * PATIENCE)
    await asyncio.sleep(talk_s)
    return agent, prospect, shown, shown.latencies(await prospect.evaluate("window.ends")), ours, theirs


async def test_two_browsers_in_a_room(brokerage: Brokerage, server: Server, launch: Launch, capsys: pytest.CaptureFixture[str]) -> None:
    """Captions and cards come to the agent's overlay and nothing of them to the other page; hanging up ends it for both."""
    agent, prospect, _, (words, card), ours, theirs = await _talk(brokerage.servers[0], launch, TALK_S)
    call = await view(agent)
    assert call["mode"] == "livekit"
    assert {line["speaker"] for line in call["transcript"]} == {"agent", "prospect"}
    await agent.keyboard.press("Shift+E")
    await expect(prospect.get_by_text("The call has ended.")).to_be_visible(timeout=20_000 * PATIENCE)
    after = await view(agent, call["id"])
    secret = set[str]().union(*(runs(line["text"]) for line in after["transcript"]))
    secret = secret.union(*(runs(" ".join((each["say"], each["why"], each["quote"]))) for each in after["cards"]))
    seen, leaked = await ours.everything(), await theirs.everything()
    assert len(secret & runs(seen)) > len(secret) * 0.8
    assert secret & runs(leaked) == set()
    for page in (agent, prospect):
        await page.context.browser.close()  # type: ignore[union-attr]  # launched by us
    *_, (plain_words, plain_card), _, _ = await _talk(server, launch, TALK_S)
    with capsys.disabled():
        for what, room, plain in (("last word", words, plain_words), ("card", card, plain_card)):
            tell(f"{what}: in a room {_figures(room)}; browser to browser {_figures(plain)}")
    assert words
    assert plain_words


def _figures(ms: list[float]) -> str:
    return f"p50 {ms[len(ms) // 2]:.0f} ms, p95 {ms[int(len(ms) * 0.95)]:.0f} ms (n={len(ms)})" if ms else "none"
