"""Two browsers in a LiveKit room: what the agent sees, and what the room does not."""

from collections.abc import Iterator

import pytest
from playwright.async_api import Page, expect

from scripts.programs.callers import Server
from scripts.programs.services import LiveKit, Postgres, Redis
from tests.patience import PATIENCE
from tests.services import livekit, postgres, redis  # noqa: F401  fixtures
from tests.web.brokerage import Brokerage
from tests.web.browser.conftest import Launch
from tests.web.browser.people import WORDS, Taps, runs, signed_in, stranger, view

pytestmark = [pytest.mark.browser, pytest.mark.livekit, pytest.mark.postgres, pytest.mark.redis, pytest.mark.timeout(300 * PATIENCE)]


@pytest.fixture(scope="module")
def brokerage(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, redis: Redis, livekit: LiveKit) -> Iterator[Brokerage]:  # noqa: F811
    opened = Brokerage(tmp_path_factory.mktemp("brokerage"), postgres, redis, livekit)
    try:
        yield opened.open()
    finally:
        opened.close()


async def in_a_call(agent: Page, prospect: Page, server: Server) -> None:
    """Both have joined and agreed, both are captioned, and a card is shown."""
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


async def test_two_browsers_in_a_room(brokerage: Brokerage, launch: Launch) -> None:
    """Captions and cards come to the agent's overlay and nothing of them to the other page; hanging up ends it for both."""
    server = brokerage.servers[0]
    agent = await (await signed_in(await launch("fake_mic_agent.wav", loop=True), server)).new_page()
    prospect = await (await stranger(await launch("fake_mic_prospect.wav", loop=True))).new_page()
    ours, theirs = Taps(agent), Taps(prospect)
    await in_a_call(agent, prospect, server)
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
