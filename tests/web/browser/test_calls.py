"""Two browsers hold a call; then what the agent does with it."""

import contextlib
import json
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from playwright.async_api import TimeoutError as TooLate

from scripts.programs.callers import Server
from tests.web.browser.conftest import Launch
from tests.web.browser.people import SCREENSHOTS, WORDS, Taps, looks, own_fingerprints, places, received, runs, signed_in, stranger, view

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
_PEER_KINDS = {"offer", "answer", "candidate", "bye", "renegotiate"}
_SEAT_KINDS = {"welcome", "present", "consent", "leg", "ended"} | _PEER_KINDS


async def test_two_browsers_hold_a_call(server: Server, launch: Launch, tmp_path: Path) -> None:
    """Captions, a card and the summary come to the agent's page, and none of it reaches the other party's."""
    agent = await (await signed_in(await launch("fake_mic_agent.wav", loop=True), server)).new_page()
    prospect = await (await stranger(await launch("fake_mic_prospect.wav", loop=True))).new_page()
    ours, theirs = Taps(agent), Taps(prospect)
    await agent.goto(server.url)
    await agent.evaluate("window.neverNavigated = true")
    await prospect.goto(await _link(agent, server))
    await prospect.get_by_test_id("join").click()
    await expect(prospect.get_by_test_id("grant")).to_be_visible(timeout=20_000)
    await looks(prospect, "join")

    await _consent_is_read_and_given(agent)
    await expect(prospect.get_by_test_id("revoke")).to_be_visible()
    await expect(prospect.get_by_test_id("yes-record")).to_be_checked()
    await looks(prospect, "join-agreed")
    for side in ("agent", "prospect"):
        await expect(agent.get_by_test_id(f"caption-{side}")).to_contain_text(WORDS, timeout=40_000)
    before = await places(agent)
    await expect(agent.get_by_test_id("card-say")).to_be_visible(timeout=90_000)
    assert await places(agent) == before
    await _overlay_at_a_glance(agent)
    await looks(agent, "overlay")
    await _picture_for_the_readme(agent)
    await _keys_of_the_overlay(agent)
    heard, spoke = await received(prospect), await own_fingerprints(agent)
    await agent.wait_for_timeout(3_000)

    call = await view(agent)
    await agent.keyboard.press("Shift+E")
    await expect(agent.get_by_test_id("outcome-call_back")).to_be_visible()
    await agent.keyboard.press("3")
    await expect(prospect.get_by_text("The call has ended.")).to_be_visible()
    await agent.get_by_test_id("read-call").click()
    await _the_call_is_read(agent, tmp_path)
    after = await view(agent, call["id"])
    assert after["outcome"] == "call_back"
    assert any(card["kind"] == "objection_response" for card in after["cards"])
    assert {line["speaker"] for line in after["transcript"]} == {"agent", "prospect"}

    await _nothing_leaked(after, await ours.everything(), theirs, await theirs.everything())
    assert heard["kinds"] == ["audio"]
    assert heard["packets"] > 100
    assert set(heard["prints"]) <= spoke  # what the other party hears comes from the agent's browser, not from the server
    assert heard["channels"] == []
    await _past_calls_are_found(agent)
    await _deleted(agent)
    assert await agent.evaluate("window.neverNavigated")


async def _link(agent: Page, server: Server) -> str:
    await agent.get_by_test_id("start-call").click()
    await agent.locator("input[name=name]").fill("Marcus Reed")
    await agent.locator("input[name=number]").fill("+1 303 555 0117")
    await agent.locator("input[name=theirs]").fill("ca")
    await agent.locator("input[name=agent]").fill("Claire")
    await agent.locator("input[name=mine]").fill("co")
    await looks(agent, "start-a-call")
    await agent.get_by_test_id("start-call-go").click()
    link = await agent.get_by_test_id("invite-link").input_value()
    assert link.startswith(f"{server.url}/join/")
    return link


async def _consent_is_read_and_given(agent: Page) -> None:
    """California asks for everybody's yes, though Colorado does not; nobody is heard before."""
    await expect(agent.get_by_test_id("consent-bar")).to_contain_text("everybody must agree")
    assert len((await agent.get_by_test_id("consent-sentence").inner_text()).split()) > 8
    await looks(agent, "consent")
    before = await view(agent)
    assert before["consent"]["state"] == "unknown"
    assert before["transcript"] == []
    await agent.keyboard.press("1")
    await expect(agent.get_by_test_id("also-record")).to_be_checked()
    await agent.keyboard.press("g")
    await expect(agent.get_by_test_id("consent-bar")).to_have_count(0)
    now = (await view(agent))["consent"]
    assert (now["transcribe"], now["record"], now["claude"]) == (True, True, False)


async def _overlay_at_a_glance(agent: Page) -> None:
    """One card, at most twenty words in letters for a metre, captions uncovered, no score."""
    say = agent.get_by_test_id("card-say")
    assert await agent.get_by_test_id("card").count() == 1
    assert len((await say.inner_text()).split()) <= 22
    assert await say.evaluate("(e) => parseFloat(getComputedStyle(e).fontSize)") >= 28
    assert await say.evaluate("(e) => e.scrollHeight <= e.clientHeight + 2")  # all of it is in sight
    captions = await agent.locator(".captions").bounding_box()
    assert captions is not None
    for x, y in ((0.1, 0.25), (0.5, 0.5), (0.9, 0.75)):
        point = [captions["x"] + x * captions["width"], captions["y"] + y * captions["height"]]
        assert await agent.evaluate("([x, y]) => document.elementFromPoint(x, y).closest('.captions') !== null", point)
    shown = (await agent.locator(".stage").inner_text()).lower()
    assert not [word for word in ("health", "sentiment", "stress", "score", "confidence") if word in shown]
    assert await agent.evaluate("document.getAnimations().length") == 0


async def _picture_for_the_readme(agent: Page) -> None:
    """build/screenshots/readme.png, of which docs/overlay.png is a copy."""
    await agent.set_viewport_size({"width": 1180, "height": 700})
    await agent.emulate_media(color_scheme="dark")
    with contextlib.suppress(TooLate):  # better without a notice of a busy machine
        await agent.get_by_test_id("notice").wait_for(state="detached", timeout=5_000)
    controls = await agent.locator(".controls").bounding_box()
    assert controls is not None
    assert controls["y"] + controls["height"] <= 700  # nothing is cut off in a low window
    assert await agent.get_by_test_id("card-say").evaluate("(e) => e.scrollHeight <= e.clientHeight + 2")
    await agent.screenshot(path=SCREENSHOTS / "readme.png")
    await agent.set_viewport_size({"width": 1280, "height": 720})


async def _keys_of_the_overlay(agent: Page) -> None:
    await agent.keyboard.press("w")
    await expect(agent.get_by_test_id("card-why")).to_contain_text("ms")
    await expect(agent.get_by_test_id("card-why").locator(".quote")).to_contain_text(WORDS)
    await looks(agent, "overlay-why")
    await agent.keyboard.press("Escape")
    await expect(agent.get_by_test_id("card-why")).to_have_count(0)
    await _thumbs_up(agent)
    await agent.keyboard.press("h")
    await expect(agent.locator(".captions")).to_have_count(0)
    await agent.keyboard.press("h")
    await expect(agent.locator(".captions")).to_be_visible()
    await agent.locator("body").focus()
    stops = []
    for _ in range(16):
        await agent.keyboard.press("Tab")
        stops.append(await agent.evaluate("document.activeElement.dataset.testid ?? document.activeElement.textContent.trim()"))
    order = [stop for stop in stops if stop in ("card-why-open", "thumbs-up", "thumbs-down", "dismiss", "hang-up", "open-sheet", "pop-out")]
    assert order[:7] == ["card-why-open", "thumbs-up", "thumbs-down", "dismiss", "hang-up", "open-sheet", "pop-out"]


async def _thumbs_up(agent: Page) -> None:
    """The verdict is on the button; where another card took the place meanwhile, that one is judged as well."""
    for _ in range(3):
        await agent.keyboard.press("ArrowUp")
        with contextlib.suppress(TooLate, AssertionError):
            await expect(agent.get_by_test_id("thumbs-up")).to_have_attribute("aria-pressed", "true", timeout=4_000)
            return
    notices = await agent.get_by_test_id("notice").all_inner_texts()
    raise AssertionError(f"no verdict on a card: {(await view(agent))['cards']}, {notices}")


async def _the_call_is_read(agent: Page, folder: Path) -> None:
    """Summary, to do, objections; a line is heard by a click; three exports; the note for the CRM is in the clipboard."""
    await expect(agent.get_by_test_id("copy-note")).to_be_visible(timeout=20_000)
    await expect(agent.get_by_test_id("summary")).to_contain_text("Objections")
    await expect(agent.get_by_role("heading", name="Marcus Reed")).to_be_visible()
    await looks(agent, "call", full_page=True)
    async with agent.expect_response("**/audio?*") as answer:
        await agent.get_by_test_id("hear").nth(1).click()
    sound = await (await answer.value).body()
    assert sound[:4] == b"RIFF"
    assert max(sound[44:]) > 20
    heard_s = 0.0
    for _ in range(25):
        heard_s = await agent.evaluate("document.querySelector('.transcript audio').currentTime")
        if heard_s > 0.2:
            break
        await agent.wait_for_timeout(200)
    assert heard_s > 0.2

    files = {}
    for kind in ("json", "md", "vtt"):
        async with agent.expect_download() as download:
            await agent.get_by_test_id(f"export-{kind}").click()
        await (await download.value).save_as(folder / kind)
        files[kind] = (folder / kind).read_text()
    lines = json.loads(files["json"])["transcript"]
    assert lines
    assert files["vtt"].startswith("WEBVTT\n\n00:00:")
    assert files["md"].startswith("# Call with Marcus Reed")
    for line in lines:
        assert line["text"] in files["md"]
    await agent.get_by_test_id("copy-note").click()
    await expect(agent.get_by_test_id("copy-note")).to_have_text("Copied")
    assert await agent.evaluate("navigator.clipboard.readText()") == json.loads(files["json"])["summary"]["crm_note"]


async def _nothing_leaked(call: dict[str, object], seen: str, theirs: Taps, leaked: str) -> None:
    """No four words in a row of transcript or coaching; the same look does find them at the agent's page."""
    cards: list[dict[str, str]] = call["cards"]  # type: ignore[assignment]  # CallView
    lines: list[dict[str, str]] = call["transcript"]  # type: ignore[assignment]  # CallView
    secret = set[str]().union(*(runs(line["text"]) for line in lines))
    secret = secret.union(*(runs(" ".join((card["say"], card["why"], card["quote"]))) for card in cards))
    assert len(secret) > 40
    assert len(secret & runs(seen)) > len(secret) * 0.8
    assert secret & runs(leaked) == set()
    assert {url.split("://", 1)[1].split("/")[1].split("?")[0] for url in theirs.urls} <= {"join", "assets", "api", "ws", "favicon.ico"}
    assert [url for url in theirs.urls if "/api/" in url and not url.endswith("/api/seat")] == []
    assert [url for url in theirs.urls if "/ws/" in url and "/ws/seats/" not in url] == []
    for message in map(json.loads, theirs.sockets):
        assert message["kind"] in _SEAT_KINDS
        assert message.get("from") == "server" or message["kind"] in _PEER_KINDS


async def _past_calls_are_found(agent: Page) -> None:
    """By name, by a spoken word, and not by one that nobody said."""
    await agent.get_by_role("link", name="Calls").click()
    await expect(agent.get_by_test_id("call-row").first).to_be_visible()
    search = agent.get_by_role("searchbox")
    for asked in ("marcus", "union"):
        await search.fill(asked)
        await expect(agent.get_by_test_id("call-row")).to_have_count(1)
        await expect(agent.get_by_test_id("call-row")).to_contain_text("Marcus Reed")
    await search.fill("zeppelin")
    await expect(agent.get_by_text("Nothing found.")).to_be_visible()
    await search.fill("")
    await expect(agent.get_by_test_id("call-row").first).to_be_visible()
    await looks(agent, "calls")
    await agent.get_by_role("link", name="Begin").click()
    await looks(agent, "home")


async def _deleted(agent: Page) -> None:
    await agent.get_by_role("link", name="Calls").click()
    await agent.get_by_text("Marcus Reed").click()
    agent.once("dialog", lambda dialog: dialog.accept())
    await agent.get_by_test_id("delete").click()
    await expect(agent.get_by_role("heading", name="Calls")).to_be_visible()
    await expect(agent.get_by_text("Marcus Reed")).to_have_count(0)
