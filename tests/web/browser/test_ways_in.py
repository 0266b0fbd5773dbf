"""The other ways in: the sample, the practice seller, another tab; and the window over the dialer."""

import asyncio
import time

import pytest
from playwright.async_api import Page, expect

from scripts.programs.callers import Server
from tests.web.browser.conftest import Launch
from tests.web.browser.people import SCREENSHOTS, WORDS, looks, signed_in, view

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


async def _dialer(page: Page, server: Server) -> None:
    """A page that plays speech, as a dialer in a tab does."""
    await page.goto(f"{server.url}/sample/script.json")
    sound = f"{server.url}/sample/practice/clip2.flac"
    await page.evaluate("(src) => { document.title = 'The dialer'; const a = new Audio(src); a.loop = true; void a.play(); }", sound)


async def test_a_shared_tab_is_the_other_side(server: Server, launch: Launch) -> None:
    """A tab's speech is captioned as the other side, but only after a yes; after a no the agent's own notes remain."""
    browser = await launch("fake_mic_agent.wav", "--auto-select-tab-capture-source-by-title=The dialer")
    context = await signed_in(browser, server)
    dialer = await context.new_page()
    await _dialer(dialer, server)
    page = await context.new_page()
    await page.goto(server.url)
    await page.get_by_test_id("coach-tab").click()
    await expect(page.get_by_test_id("consent-bar")).to_be_visible(timeout=20_000)
    await page.keyboard.press("r")
    await expect(page.get_by_role("status").first).to_have_text("Not listening")
    await page.get_by_test_id("notes").fill("Wants the keys by June.")
    await looks(page, "not-listening")
    await page.get_by_test_id("book").get_by_role("button", name="Fee questioned").click()
    await expect(page.get_by_test_id("book-page")).to_contain_text(WORDS)
    await looks(page, "not-listening-playbook")
    await page.keyboard.press("Escape")
    await asyncio.sleep(4)
    refused = await view(page)
    assert refused["transcript"] == []
    assert refused["consent"]["state"] == "refused"
    await page.get_by_test_id("agree-now").click()
    await expect(page.get_by_test_id("caption-prospect")).to_contain_text(WORDS, timeout=40_000)
    await dialer.close()
    await expect(page.get_by_test_id("notice")).to_contain_text("other tab's sound was stopped")
    await page.keyboard.press("c")
    await page.get_by_test_id("revoke").click()
    await expect(page.get_by_test_id("notes")).to_have_value("Wants the keys by June.")
    await page.get_by_test_id("hang-up").click()


async def test_a_tab_without_its_sound_is_said(server: Server, launch: Launch) -> None:
    """With the box for tab audio left unticked the page says what to do, and no call is begun."""
    browser = await launch("fake_mic_agent.wav", "--auto-select-tab-capture-source-by-title=The dialer")
    context = await signed_in(browser, server)
    # What an unticked box gives: the same tab, its picture only.
    await context.add_init_script(
        "const real = MediaDevices.prototype.getDisplayMedia;"
        "MediaDevices.prototype.getDisplayMedia = function (wish) { return real.call(this, { ...wish, audio: false }); };"
    )
    await _dialer(await context.new_page(), server)
    page = await context.new_page()
    await page.goto(server.url)
    count = "async () => (await (await fetch('/api/calls')).json()).calls.length"
    before = await page.evaluate(count)
    await page.get_by_test_id("coach-tab").click()
    await expect(page.get_by_role("alert").filter(has_text="Also share tab audio")).to_be_visible()
    await expect(page.get_by_test_id("coach-tab")).to_be_enabled()
    assert await page.evaluate(count) == before


async def test_the_practice_seller_asks_and_the_window_lives_on(server: Server, launch: Launch) -> None:
    """A card on the fee stands within 20 s; the window on top shows it, and the next call begins in the same window."""
    page = await (await signed_in(await launch("fake_mic_agent.wav"), server)).new_page()
    await page.goto(server.url)
    await page.evaluate("window.neverNavigated = true")
    clicked = time.monotonic()
    await page.get_by_test_id("try-mic").click()
    await expect(page.get_by_test_id("card-say")).to_be_visible(timeout=20_000)
    print(f"practice: first card {time.monotonic() - clicked:.1f} s after the click")  # noqa: T201  a figure for docs/measurements.md
    call = await view(page)
    assert any(card["label"] == "commission" for card in call["cards"])
    async with asyncio.timeout(5):  # the card may be there before her sentence is final
        while not any(line["speaker"] == "prospect" and "3" in line["text"].replace("three", "3") for line in call["transcript"]):
            await asyncio.sleep(0.1)
            call = await view(page)
    assert not [n for n in call["notices"] if n["notice"] == "audio_lost" and n["speaker"] == "prospect"]  # she is silent, not gone

    window = await _popped_out(page)
    await window.keyboard.press("Shift+E")
    await expect(window.get_by_test_id("outcome-no_answer")).to_be_visible(timeout=20_000)
    await window.screenshot(path=SCREENSHOTS / "popped-out-outcome.png")
    await window.keyboard.press("5")
    await expect(window.get_by_text("Noted: No answer.")).to_be_visible()
    assert (await view(page, call["id"]))["outcome"] == "no_answer"
    await window.get_by_test_id("play-sample").click()
    await expect(window.get_by_test_id("hang-up")).to_be_visible(timeout=30_000)
    await expect(window.get_by_test_id("caption-agent")).to_contain_text(WORDS, timeout=30_000)
    assert (await view(page))["id"] != call["id"]
    assert not window.is_closed()
    assert await page.evaluate("window.neverNavigated && documentPictureInPicture.window !== null")
    await window.get_by_test_id("hang-up").click()


async def _popped_out(page: Page) -> Page:
    """The overlay in a window that stays on top, with the card in it, in both themes."""
    async with page.context.expect_page() as opened:
        await page.get_by_test_id("pop-out").click()
    window = await opened.value
    assert await page.evaluate("documentPictureInPicture.window !== null")  # on top, not a plain pop-up
    await window.set_viewport_size({"width": 420, "height": 640})
    await expect(window.get_by_test_id("card")).to_be_visible()
    faces = await window.evaluate("[...document.querySelectorAll('.overlay *')].map((e) => getComputedStyle(e).fontFamily.split(',')[0])")
    assert {face.strip('"') for face in faces} == {"Atkinson"}  # the window wears what the page wears
    await looks(window, "popped-out")
    return window


async def test_the_sample_gives_a_card(server: Server, launch: Launch) -> None:
    """The sample's first card stands within 30 s after play."""
    page = await (await signed_in(await launch("fake_mic_agent.wav"), server)).new_page()
    await page.goto(server.url)
    clicked = time.monotonic()
    await page.get_by_test_id("play-sample").click()
    await expect(page.get_by_test_id("card-say")).to_be_visible(timeout=30_000)
    print(f"sample: first card {time.monotonic() - clicked:.1f} s after the click")  # noqa: T201  a figure for docs/measurements.md
    await page.get_by_test_id("hang-up").click()
