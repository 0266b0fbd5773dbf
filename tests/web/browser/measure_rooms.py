"""How late words and cards come in a room, beside the same call without one. Not part of the test run: two calls in real time,
one after the other, and figures instead of bounds. Run it with scripts/test tests/web/browser/measure_rooms.py -s.

The prospect is flite (Debian's package) and does nothing but object; the coach's budget is opened wide, so that there are cards
enough for a figure."""

import asyncio
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from playwright.async_api import Page, WebSocket

from coaching.playbook import DEFAULT_PLAYBOOK
from scripts.evaluations.spoken import VOICES, spoken
from scripts.programs.callers import Server
from tests.phones import write_wav
from tests.services import livekit, postgres, redis  # noqa: F401  fixtures
from tests.web.brokerage import Brokerage, tell
from tests.web.browser.conftest import Launch
from tests.web.browser.people import signed_in, stranger
from tests.web.browser.test_rooms import brokerage, in_a_call  # noqa: F401  a fixture

pytestmark = [pytest.mark.browser, pytest.mark.livekit, pytest.mark.postgres, pytest.mark.redis, pytest.mark.timeout(900)]
TALK_S: Final = 240.0
_PAUSE_S: Final = 3.0
_OBJECTIONS: Final = (
    "Honestly, that is way more money than we wanted to spend.",
    "I would have to talk to my wife before we decide anything.",
    "We already have an agent and we are happy with her.",
    "Six percent is too much commission, another agent does it for four.",
    "I think I want to wait until the spring, we are in no hurry.",
    "I have heard bad things about your company, I do not trust you.",
    "I want to think about it, let me call you back.",
    "We will just sell it ourselves, we do not need an agent.",
    "With rates this high I do not think we can get a loan.",
    "The market is going to crash, prices will come down.",
    "I do not like the neighborhood, it is too far from my work.",
    "The house is too small for us and the kitchen is really old.",
)

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


@pytest.fixture(scope="session", autouse=True)
def generous(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every process of this measurement coaches without a budget."""
    text = DEFAULT_PLAYBOOK.read_text()
    for name, value in (("cards_per_minute", 20), ("cards_per_ten_minutes", 100), ("cooldown_s", 0)):
        text = re.sub(rf"(?m)^{name} = \d+", f"{name} = {value}", text, count=1)
    file = tmp_path_factory.mktemp("playbook") / "generous.toml"
    file.write_text(text)
    os.environ["SOTTOVOCE_PLAYBOOK"] = str(file)
    yield
    del os.environ["SOTTOVOCE_PLAYBOOK"]


@pytest.fixture(scope="session")
def objector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A microphone in which one objection follows the other: WAV, 16 kHz."""
    folder = tmp_path_factory.mktemp("objector")
    pause = np.zeros(int(_PAUSE_S * 16_000), np.int16)
    sound = [part for n, line in enumerate(_OBJECTIONS) for part in (spoken(line, VOICES[n % 2], folder), pause)]
    return write_wav(folder / "objector.wav", np.concatenate(sound), 16_000)


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


async def _talk(server: Server, launch: Launch, objector: Path) -> tuple[list[float], list[float]]:
    agent = await (await signed_in(await launch("fake_mic_agent.wav", loop=True), server)).new_page()
    prospects = await stranger(await launch(str(objector), loop=True))
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
    objector: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Both calls give words; the figures are printed."""
    (words, card), (plain_words, plain_card) = await _talk(brokerage.servers[0], launch, objector), await _talk(server, launch, objector)
    with capsys.disabled():
        for what, room, plain in (("last word", words, plain_words), ("card", card, plain_card)):
            tell(f"{what}: in a room {_figures(room)}; browser to browser {_figures(plain)}")
    assert words
    assert plain_words


def _figures(ms: list[float]) -> str:
    return f"p50 {ms[len(ms) // 2]:.0f} ms, p95 {ms[int(len(ms) * 0.95)]:.0f} ms (n={len(ms)})" if ms else "none"
