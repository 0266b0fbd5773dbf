"""Real Chromium browsers with fake microphones, against a server process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright

from scripts.programs.callers import Server

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data"
SCREENSHOTS = ROOT / "build" / "screenshots"
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
]

Launch = Callable[..., Any]


@pytest.fixture
async def launch() -> AsyncIterator[Launch]:
    """launch(microphone, *flags) -> a browser of its own."""
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed (apt install chromium)")
    if not (ROOT / "web" / "ui" / "dist" / "index.html").exists():
        pytest.skip("the front end is not built (scripts/setup)")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    browsers: list[Browser] = []
    async with async_playwright() as playwright:

        async def start(microphone: str, *flags: str) -> Browser:
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM,
                args=[*FLAGS, f"--use-file-for-fake-audio-capture={DATA / microphone}%noloop", *flags],
                ignore_default_args=["--mute-audio"],
            )
            browsers.append(browser)
            return browser

        yield start
        for browser in browsers:
            with contextlib.suppress(Exception):  # it may be gone already
                await browser.close()
    await asyncio.sleep(0)


async def signed_in(browser: Browser, server: Server, **options: Any) -> BrowserContext:
    context = await browser.new_context(permissions=["microphone"], **options)
    await context.add_cookies(
        [{"name": "sottovoce_session", "value": server.cookie, "url": server.url, "httpOnly": True, "sameSite": "Strict"}]
    )
    return context
