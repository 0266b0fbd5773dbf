"""The server dies in mid-call; the two people need not notice."""

import asyncio
import signal
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from scripts.programs.callers import Server
from tests.web.browser.conftest import Launch
from tests.web.browser.people import WORDS, looks, received, signed_in, stranger, view

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


async def test_a_killed_server_does_not_part_the_two(launch: Launch, tmp_path: Path) -> None:
    """They go on hearing each other, both pages come back by themselves, and the transcript goes on behind a marked gap."""
    server = await asyncio.to_thread(Server.start, tmp_path)
    port, again = int(server.url.rsplit(":", 1)[1]), None
    try:
        agent = await (await signed_in(await launch("fake_mic_agent.wav", loop=True), server)).new_page()
        prospect = await (await stranger(await launch("fake_mic_prospect.wav", loop=True))).new_page()
        await agent.goto(server.url)
        await agent.get_by_test_id("start-call").click()
        await agent.get_by_test_id("start-call-go").click()
        await prospect.goto(await agent.get_by_test_id("invite-link").input_value())
        await prospect.get_by_test_id("join").click()
        await prospect.get_by_test_id("grant").click(timeout=20_000)
        await prospect.get_by_test_id("yes-record").check()
        await expect(prospect.get_by_test_id("yes-record")).to_be_checked()
        consent = (await view(agent))["consent"]
        assert (consent["transcribe"], consent["record"], consent["claude"]) == (True, True, False)  # three yeses of their own
        await expect(agent.locator(".said").nth(1)).to_contain_text(WORDS, timeout=60_000)
        shown = await agent.locator(".said").all_inner_texts()
        final = [line for line in (await view(agent))["transcript"] if line["final"]]

        assert server.process is not None
        server.process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(server.process.wait)
        await expect(agent.get_by_text("Reconnecting")).to_be_visible()
        await expect(prospect.get_by_text("you still hear each other")).to_be_visible()
        before = [await received(page) for page in (agent, prospect)]
        await asyncio.sleep(6)
        after = [await received(page) for page in (agent, prospect)]
        for then, now in zip(before, after, strict=True):
            assert now["packets"] - then["packets"] > 200  # 50 packets a second, 6 s
        # In six seconds of this talk at least one of the two speaks; the energy is that of sound that arrived.
        assert sum(now["energy"] - then["energy"] for then, now in zip(before, after, strict=True)) > 1e-4

        again = await asyncio.to_thread(Server.start, tmp_path, port, server.cookie)
        await expect(agent.get_by_text("Reconnecting")).to_have_count(0, timeout=20_000)
        await expect(prospect.get_by_text("you still hear each other")).to_have_count(0, timeout=20_000)
        await expect(agent.locator(".said").nth(len(shown) + 1)).to_contain_text(WORDS, timeout=60_000)
        now = await view(agent)
        kept = {line["utterance"]: line["text"] for line in now["transcript"]}
        assert final
        for line in final:
            assert kept[line["utterance"]] == line["text"]
        assert now["gaps"]
        assert now["gaps"][0]["end_ms"] - now["gaps"][0]["start_ms"] > 4_000
        heard = [line for line in now["transcript"] if line["start_ms"] > now["gaps"][0]["start_ms"]]
        assert {line["speaker"] for line in heard} <= {"agent", "prospect"}
        assert heard
        await expect(agent.locator(".talk .gap").first).to_contain_text("not heard")
        await looks(agent, "after-a-crash")
        await agent.reload()  # a page loaded anew in mid-call takes its seat and every line again
        await expect(agent.locator(".said").nth(len(shown))).to_contain_text(WORDS, timeout=20_000)
        await expect(agent.get_by_text("Listening", exact=True)).to_be_visible()
        prospect = await _joined_in_another_page(prospect)
        await prospect.get_by_test_id("hang-up").click()
        await expect(agent.locator("[data-testid^=outcome-]").first).to_be_visible(timeout=20_000)
        await agent.keyboard.press("2")
        await expect(agent.get_by_text("Noted: Next step.")).to_be_visible()
    finally:
        for each in (server, again):
            if each is not None:
                await asyncio.to_thread(each.stop)


async def _joined_in_another_page(older: Page) -> Page:
    """The link opened twice in one browser: the newer page has the seat, and the older one says so instead of fighting for it."""
    newer = await older.context.new_page()
    await newer.goto(older.url)
    await newer.get_by_test_id("join").click()
    await expect(newer.get_by_text("You are in the call.")).to_be_visible(timeout=20_000)
    await expect(older.get_by_text("opened in another page")).to_be_visible()
    await asyncio.sleep(1.5)
    await expect(newer.get_by_text("You are in the call.")).to_be_visible()
    return newer
