"""Calls as people hold them: two browsers, a shared tab, the sample."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, WebSocket, expect

from scripts.programs.callers import Server
from tests.web.browser.conftest import SCREENSHOTS, Launch, signed_in
from web.app import SAMPLE

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


class Taps:
    """Every byte that a page receives: answers and socket messages."""

    def __init__(self, page: Page) -> None:
        self.urls: list[str] = []
        self.sockets: list[str] = []
        self._answers: list[Any] = []
        page.on("response", lambda answer: self._answers.append(answer))
        page.on("websocket", self._socket)

    def _socket(self, socket: WebSocket) -> None:
        self.urls.append(socket.url)
        socket.on("framereceived", lambda payload: self.sockets.append(payload if isinstance(payload, str) else payload.decode("latin-1")))

    async def everything(self) -> str:
        texts = list(self.sockets)
        for answer in self._answers:
            self.urls.append(answer.url)
            if answer.status not in (204, 301, 302, 303, 304):
                texts.append((await answer.body()).decode("utf-8", "replace"))
        return "\n".join(texts)


async def test_two_browsers_hold_a_call(server: Server, launch: Launch) -> None:
    """Captions of both, a card and the summary come to the agent's page; the prospect's page receives none of it."""
    ours, theirs = await launch("fake_mic_agent.wav"), await launch("fake_mic_prospect.wav")
    agent = await (await signed_in(ours, server)).new_page()
    await agent.goto(server.url)
    await agent.get_by_test_id("start-call").click()
    await agent.get_by_test_id("start-call-go").click()
    link = await agent.get_by_test_id("invite-link").first.input_value()
    assert link.startswith(f"{server.url}/join/")

    prospect = await (await theirs.new_context(permissions=["microphone"])).new_page()
    taps = Taps(prospect)
    await prospect.goto(link)
    await prospect.get_by_test_id("join").click()
    await prospect.get_by_test_id("grant").click(timeout=20_000)

    await expect(agent.get_by_test_id("caption-agent").first).to_contain_text(re.compile(r"\w{3}"), timeout=40_000)
    await expect(agent.get_by_test_id("caption-prospect").first).to_contain_text(re.compile(r"\w{3}"), timeout=40_000)
    await expect(agent.get_by_test_id("card-say").first).to_be_visible(timeout=90_000)
    say = await agent.get_by_test_id("card-say").first.inner_text()
    await agent.emulate_media(color_scheme="dark")
    await agent.screenshot(path=SCREENSHOTS / "overlay-dark.png")
    await agent.emulate_media(color_scheme="light")
    await agent.screenshot(path=SCREENSHOTS / "overlay-light.png")
    heard = await prospect.evaluate("async () => { const a = document.querySelector('audio'); return a ? !a.paused : null }")
    assert heard in (True, None)

    call = link and (await agent.evaluate("async () => (await (await fetch('/api/calls')).json()).calls[0].id"))
    view = await agent.evaluate(f"async () => (await (await fetch('/api/calls/{call}')).json())")
    await agent.get_by_test_id("hang-up").first.click()
    await agent.locator("[data-testid^=outcome-]").first.click(timeout=20_000)
    await agent.goto(f"{server.url}/calls/{call}")
    await expect(agent.get_by_test_id("summary")).to_be_visible(timeout=20_000)
    await agent.screenshot(path=SCREENSHOTS / "call.png", full_page=True)

    received = await taps.everything()
    assert view["transcript"]
    assert {re.split(r"[/?]", url.split("://", 1)[1])[1] for url in taps.urls} <= {"join", "assets", "api", "ws", "favicon.ico"}
    assert not [url for url in taps.urls if "/api/" in url and not url.endswith("/api/seat")]
    assert say not in received
    for line in view["transcript"]:
        if len(line["text"].split()) > 3:
            assert line["text"] not in received
    for message in map(json.loads, taps.sockets):
        assert message.get("kind") in {
            "welcome",
            "present",
            "consent",
            "leg",
            "ended",
            "offer",
            "answer",
            "candidate",
            "bye",
            "renegotiate",
        }


async def test_a_shared_tab_is_the_other_side(server: Server, launch: Launch, tmp_path: Path) -> None:
    """A tab that plays speech is captioned as the prospect."""
    browser = await launch("fake_mic_agent.wav", "--auto-select-tab-capture-source-by-title=The dialer")
    context = await signed_in(browser, server)
    dialer = await context.new_page()
    await dialer.goto(f"{server.url}/sample/script.json")
    await dialer.set_content(f"<title>The dialer</title><audio src='{server.url}/sample/practice/clip1.flac' autoplay loop></audio>")
    assert list(SAMPLE.glob("practice/clip1.flac"))
    page = await context.new_page()
    await page.goto(server.url)
    await page.get_by_test_id("coach-tab").click()
    grant = page.get_by_test_id("consent-grant")
    await grant.click(timeout=20_000)
    await expect(page.get_by_test_id("caption-prospect").first).to_contain_text(re.compile(r"\w{3}"), timeout=40_000)


async def test_the_sample_gives_a_card(server: Server, launch: Launch) -> None:
    """Playing the sample shows captions and a first card within 30 s, also in the window over the dialer."""
    browser = await launch("fake_mic_agent.wav")
    page = await (await signed_in(browser, server)).new_page()
    await page.goto(server.url)
    await page.screenshot(path=SCREENSHOTS / "home.png")
    await page.get_by_test_id("play-sample").click()
    await expect(page.get_by_test_id("card-say").first).to_be_visible(timeout=30_000)
    async with page.context.expect_page() as opened:
        await page.get_by_test_id("pop-out").first.click()
    popped = await opened.value
    await expect(popped.get_by_test_id("card").first).to_be_visible(timeout=20_000)
    await popped.screenshot(path=SCREENSHOTS / "overlay-popped-out.png")
