"""Real Chromium browsers with fake microphones, against a server process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright

from scripts.programs.callers import Server
from scripts.programs.forks import Twilio
from tests.web.browser.people import CHROMIUM, DATA, FLAGS, ROOT, SCREENSHOTS

Launch = Callable[..., Any]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server process for all browsers, as a brokerage has one."""
    server = Server.start(tmp_path_factory.mktemp("served"), **Twilio.environment())
    yield server
    server.stop()


@pytest.fixture
async def launch() -> AsyncIterator[Launch]:
    """launch(microphone, *flags, loop=False) -> a browser of its own, whose microphone is that file."""
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed (apt install chromium)")
    if not (ROOT / "web" / "ui" / "dist" / "index.html").exists():
        pytest.skip("the front end is not built (scripts/setup)")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    browsers: list[Browser] = []
    async with async_playwright() as playwright:

        async def start(microphone: str, *flags: str, loop: bool = False) -> Browser:
            once = "" if loop else "%noloop"
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM,
                args=[*FLAGS, f"--use-file-for-fake-audio-capture={DATA / microphone}{once}", *flags],
                ignore_default_args=["--mute-audio"],
            )
            browsers.append(browser)
            return browser

        yield start
        for browser in browsers:
            with contextlib.suppress(Exception):  # it may be gone already
                await browser.close()
    await asyncio.sleep(0)
