"""Telephones in the agent's browser: the page that sets them up, and the overlay that takes a call up by itself."""

import time

import numpy as np
import pytest
from playwright.async_api import Page, expect

from scripts.programs.callers import Server
from scripts.programs.forks import Twilio, media_messages, send_at_pace, start_message, u_law
from tests.web.browser.conftest import Launch
from tests.web.browser.people import SCREENSHOTS, WORDS, looks, signed_in, view
from tests.web.phones.conftest import PLAN, spoken

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


async def _set_up(page: Page, server: Server) -> None:
    """Rules by hand: what is wrong is said with its line, what is right is in force; a number goes on the list and off again."""
    await page.goto(f"{server.url}/settings")
    await expect(page.get_by_test_id("way-twilio")).to_contain_text("https://coach.example/carriers/twilio/voice")
    await expect(page.get_by_test_id("way-telnyx")).to_contain_text("Off")
    plan = page.get_by_test_id("plan")
    await plan.fill(PLAN.replace('agent = "dana"', 'agent = "dan"', 1))
    await page.get_by_test_id("plan-save").click()
    await expect(page.get_by_test_id("plan-wrong")).to_contain_text("line 9: who.0.agent")
    await looks(page, "phones-wrong", full_page=True)
    await plan.fill(PLAN)
    await page.get_by_test_id("plan-save").click()
    await expect(page.get_by_test_id("in-force")).to_contain_text("Dana Whitfield")
    await expect(page.get_by_test_id("plan-wrong")).to_be_empty()
    await page.get_by_test_id("weigh-number").fill("911")
    await page.get_by_test_id("weigh").click()
    await expect(page.get_by_test_id("weighed")).to_contain_text("own telephone line")
    listed = page.get_by_test_id("do-not-call")
    await listed.get_by_label("Number that asked not to be called").fill("(312) 555-0142")
    await listed.get_by_label("How they asked").fill("by letter of 3 May")
    await listed.get_by_role("button", name="Add").click()
    await expect(listed).to_contain_text("3125550142")
    await looks(page, "phones", full_page=True)
    for width in (1280, 420):
        await page.set_viewport_size({"width": width, "height": 720})
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"scrolls sideways at {width}"
    await page.screenshot(path=SCREENSHOTS / "phones-narrow.png", full_page=True)
    await page.set_viewport_size({"width": 1280, "height": 720})
    page.once("dialog", lambda dialog: dialog.accept("mistyped, it was 0124"))
    await listed.get_by_role("button", name="Take off").click()
    await expect(listed).to_contain_text("1 taken off")
    await expect(listed).to_contain_text("Nobody is on the list.")


async def test_a_telephone_call_comes_up_on_the_overlay(server: Server, launch: Launch) -> None:
    """Set up on the page, then a call by Twilio's stream: the open overlay takes it up, shows captions and the card, and stops with it."""
    page = await (await signed_in(await launch("fake_mic_agent.wav"), server)).new_page()
    await _set_up(page, server)
    await page.get_by_role("link", name="Live").click()
    twilio = Twilio(server)
    answer = await twilio.voice("+14155550123", "+13125550100", "CA-page")
    seller = np.concatenate((np.zeros(3 * 16_000, np.int16), spoken("clip1.flac"), np.zeros(12 * 16_000, np.int16)))
    voices = {"inbound": u_law(seller, 16_000), "outbound": u_law(spoken("fake_mic_agent.wav", 3.0), 16_000)}
    async with twilio.connect(answer.stream) as socket:
        await socket.send(start_message(answer.secret, "CA-page"))
        await send_at_pace(socket, media_messages(voices), time.monotonic())
        await expect(page.locator(".o-who")).to_have_text("+14155550123")
        await expect(page.get_by_test_id("caption-prospect")).to_contain_text(WORDS, timeout=30_000)
        await expect(page.get_by_test_id("card-say")).to_be_visible(timeout=30_000)
        await expect(page.get_by_test_id("hang-up")).to_have_text("Stop coaching")
        await looks(page, "overlay-phone")
        await page.reload()
        await expect(page.get_by_test_id("hang-up")).to_have_text("Stop coaching")
        await expect(page.locator(".o-notice")).not_to_contain_text("reloaded")  # its sound never came from this page
    await expect(page.get_by_test_id("outcome-no_answer")).to_be_visible(timeout=20_000)
    await page.keyboard.press("5")
    call = await view(page)
    assert call["mode"] == "phone"
    assert call["summary"] is not None
