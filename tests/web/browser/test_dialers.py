"""Beside real dialers: a page of ours in a tab places a WebRTC call, in its tab or in a window of its own."""

import asyncio

import pytest
from playwright.async_api import BrowserContext, Page, expect

from scripts.programs.callers import Server
from tests.web.browser.conftest import Launch
from tests.web.browser.people import ROOT, SCREENSHOTS, WORDS, signed_in, view

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

# The tracks that the page sends to the server, with what the browser was asked to do to them.
_SENT = "() => window.peers.flatMap((p) => p.getSenders()).map((s) => s.track?.getSettings().echoCancellation)"


async def _beside(server: Server, launch: Launch) -> tuple[BrowserContext, Page]:
    """The agent's browser, with the dialer in its first tab."""
    browser = await launch("fake_mic_agent.wav", "--auto-select-tab-capture-source-by-title=The dialer")
    context = await signed_in(browser, server)
    html = (ROOT / "tests" / "web" / "browser" / "dialer.html").read_text()
    await context.route("**/dialer*", lambda route: route.fulfill(body=html, content_type="text/html"))
    dialer = await context.new_page()
    await dialer.goto(f"{server.url}/dialer")
    return context, dialer


async def _coached(context: BrowserContext, server: Server) -> Page:
    page = await context.new_page()
    await page.goto(server.url)
    await page.get_by_test_id("coach-tab").click()
    await expect(page.get_by_test_id("consent-bar")).to_be_visible(timeout=20_000)
    await page.keyboard.press("g")
    return page


async def test_a_dialers_webrtc_call_is_heard_while_both_microphones_are_open(server: Server, launch: Launch) -> None:
    """The dialer has the microphone too; the tab's sound goes untouched by echo removal, the microphone's with it; while it is muted, that is said."""
    context, dialer = await _beside(server, launch)
    await dialer.click("#call")
    await expect(dialer.locator("body")).to_have_attribute("data-state", "talking")
    await dialer.click("#mute")
    page = await _coached(context, server)
    await expect(page.get_by_test_id("notice")).to_contain_text("No sound comes from the other tab", timeout=25_000)
    await page.screenshot(path=SCREENSHOTS / "overlay-silent-tab.png")
    await dialer.evaluate("document.getElementById('mute').click()")
    await expect(page.locator(".o-notice")).not_to_contain_text("No sound comes", timeout=10_000)
    await expect(page.get_by_test_id("caption-prospect")).to_contain_text(WORDS, timeout=75_000)
    await expect(page.get_by_test_id("caption-agent")).to_contain_text(WORDS, timeout=75_000)
    assert set(await page.evaluate(_SENT)) == {False, True}  # a leg made anew sends the same two again
    await page.get_by_test_id("hang-up").click()


async def test_a_call_in_a_window_of_its_own_is_shared_anew(server: Server, launch: Launch) -> None:
    """The dialer's tab is silent while its call window talks: nothing is captioned. Its window shared instead, it is."""
    context, dialer = await _beside(server, launch)
    async with context.expect_page() as opened:
        await dialer.click("#window")
    window = await opened.value
    await expect(window.locator("body")).to_have_attribute("data-state", "talking")
    page = await _coached(context, server)
    await asyncio.sleep(6)  # the window has said its sentence by then
    assert not [line for line in (await view(page))["transcript"] if line["speaker"] == "prospect"]
    await window.evaluate("document.title = 'The dialer: call'")
    await dialer.close()
    await expect(page.get_by_test_id("notice")).to_contain_text("other tab's sound was stopped")
    await page.get_by_test_id("share-again").click()
    await expect(page.get_by_test_id("caption-prospect")).to_contain_text(WORDS, timeout=75_000)
    await page.get_by_test_id("hang-up").click()
