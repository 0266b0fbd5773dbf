"""A telephone in a browser (JsSIP, as it comes from npm) at `sottovoce phone`: WSS, digest, ICE and DTLS-SRTP on its side, plain UDP and RTP
on the other."""

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from scripts.programs.telephone import Refused, Telephone
from tests.phones import (
    AGENT_NUMBER,
    PASSWORD,
    Analysis,
    Baresip,
    PhoneProcess,
    certificate,
    ended,
    free_port,
    likeness,
    listening,
    media_ports,
    need_phones,
    phone,
    said,
    trunk,
    until,
    write_wav,
)
from tests.web.browser.conftest import Launch
from tests.web.browser.people import ROOT
from voice.legs.telephony import mu_law, to_mu_law

pytestmark = [pytest.mark.browser, pytest.mark.phones, pytest.mark.timeout(90)]
UI = ROOT / "web" / "ui"
# A certificate of our own, and a page without an address of its own that calls this machine.
FLAGS = ("--ignore-certificate-errors", "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets")


@pytest.fixture(scope="module")
def carrier() -> int:
    return free_port()


@pytest.fixture(scope="module")
def wss() -> int:
    return free_port(socket.SOCK_STREAM)


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory, carrier: int, wss: int) -> Iterator[PhoneProcess]:
    need_phones()
    folder = tmp_path_factory.mktemp("phone")
    certificate(folder)
    wss_part = f"[wss]\nport = {wss}\ncertificate = '{folder}/cert.pem'\nkey = '{folder}/key.pem'\nclosed_s = 1\n"
    accounts = phone("dana", AGENT_NUMBER) + phone("bob")
    process = PhoneProcess(folder, listening(media_ports(20)) + wss_part + accounts + trunk("carrier", carrier, "ring = ['dana']"))
    yield process
    process.stop()


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The telephone's page, in one file. rolldown comes with Vite."""
    if not (UI / "node_modules" / "jssip").exists():
        pytest.skip("JsSIP is not installed (scripts/setup --dev)")
    folder = tmp_path_factory.mktemp("softphone")
    (folder / "node_modules").symlink_to(UI / "node_modules")  # where its import is looked for
    source, out = folder / "source.js", folder / "softphone.js"
    source.write_text((ROOT / "tests" / "web" / "browser" / "softphone.js").read_text())
    subprocess.run([UI / "node_modules" / ".bin" / "rolldown", source, "--format", "iife", "--file", out], check=True, capture_output=True)
    return out.read_text()


@pytest.fixture(scope="module")
def voices() -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Four seconds and eight, each dense with speech: both sides of the sample call at once."""
    return sum(said(8.0, 12.0)), sum(said(30.0, 38.0))  # type: ignore[return-value]  # arrays


@pytest.fixture
async def page(launch: Launch, script: str, voices: Any, tmp_path: Path) -> Page:
    browser = await launch(str(write_wav(tmp_path / "microphone.wav", voices[0])), *FLAGS, loop=True)
    context = await browser.new_context(permissions=["microphone"])
    page = await context.new_page()
    await page.route("**/*", lambda route: route.fulfill(body="<!doctype html><title>softphone</title>", content_type="text/html"))
    await page.goto("http://127.0.0.1/")
    await page.evaluate(script)
    return page


async def register(page: Page, port: int, password: str = PASSWORD) -> None:
    await page.evaluate("([url, user, password]) => phone.register(url, user, password)", [f"wss://127.0.0.1:{port}", "dana", password])


def holds(sound: NDArray[np.int16], voice: NDArray[np.int16]) -> bool:
    """Half of what is loud in that voice is in it, in pieces: a microphone that is a file begins anywhere, and a browser stretches what
    it plays when packets are late."""
    pieces = [piece for n in range(0, len(voice) - 3199, 3200) if np.std(piece := voice[n : n + 3200]) > 500]
    return sum(likeness(sound, piece) > 0.85 for piece in pieces) > len(pieces) / 2


async def heard(page: Page) -> NDArray[np.int16]:
    return np.array(await page.evaluate("phone.heard()"), np.int16)


def spoken(packets: list[bytes]) -> NDArray[np.int16]:
    """PCMU's, without what is none."""
    return np.concatenate([mu_law(data[12:]) for data in packets if data[1] & 127 == 0] or [np.zeros(0, np.int16)])


async def test_a_browser_calls_a_plain_telephone(phones: PhoneProcess, wss: int, page: Page, voices: Any, tmp_path: Path) -> None:
    """Digest by WSS; the call goes to baresip by UDP. Both hear each other, both sides are tapped, before and after a hold; baresip hangs up."""
    agent_voice, prospect_voice = voices
    analysis = Analysis(phones)
    prospect = Baresip(tmp_path / "bob", "bob", str(phones.state()["address"]), write_wav(tmp_path / "bob.wav", np.tile(prospect_voice, 5)))
    try:
        with ended(prospect):
            with pytest.raises(Exception, match="registrationFailed"):
                await register(page, wss, "wrong-password")
            await register(page, wss)
            await asyncio.to_thread(until, lambda: all(row["registered"] for row in phones.state()["phones"]), 20)
            assert "JsSIP" in phones.state()["phones"][0]["program"]
            await page.evaluate("phone.call('bob')")
            call = (await asyncio.to_thread(until, lambda: analysis.events("call")))[0]
            assert (call["sides"]["caller"]["uri"], call["sides"]["callee"]["number"]) == ("sip:dana@127.0.0.1", "bob")
            await asyncio.sleep(5)
            taps = {side: spoken(analysis.heard(call["call"], side)) for side in ("caller", "callee")}
            assert holds(taps["caller"], agent_voice)
            assert holds(taps["callee"], prospect_voice[:40_000])
            assert holds(await heard(page), prospect_voice[:40_000])
            await page.evaluate("phone.hold()")
            await asyncio.to_thread(until, lambda: analysis.events("held"), 5)
            await page.evaluate("phone.unhold()")
            await asyncio.to_thread(until, lambda: analysis.events("resumed"), 5)
            analysis.heard(call["call"], "caller")
            await asyncio.sleep(5)
            assert holds(prospect.heard()[-32_000:], agent_voice)
            assert holds(spoken(analysis.heard(call["call"], "caller")), agent_voice)
            assert await page.evaluate("phone.state()") == "talking"
        await asyncio.to_thread(until, lambda: analysis.events("ended"), 5)
        assert await page.evaluate("phone.state()") == "ended"
    finally:
        analysis.close()


async def test_a_browser_is_called(phones: PhoneProcess, wss: int, page: Page, voices: Any, carrier: int) -> None:
    """From a trunk to the browser that registered, which answers and hangs up. A second call ends though its page died without a word;
    then the browser rings no more."""
    await register(page, wss)
    async with Telephone("c", str(phones.state()["address"]), port=carrier) as prospect:
        await prospect.call(AGENT_NUMBER)
        await asyncio.sleep(1)  # ICE, DTLS
        await prospect.speak(to_mu_law(voices[1][:32_000]))
        assert holds(await heard(page), voices[1][:32_000])
        assert holds(spoken([packet.data for packet in prospect.heard]), voices[0])
        await page.evaluate("phone.hangUp()")
        await asyncio.wait_for(prospect.ended.wait(), 5)
    async with Telephone("c", str(phones.state()["address"]), port=carrier) as prospect:
        await prospect.call(AGENT_NUMBER)
        speaking = asyncio.create_task(prospect.speak(b"\xff" * 160 * 1000))
        await asyncio.sleep(1)
        assert prospect.heard
        with contextlib.suppress(PlaywrightError):
            await page.goto("chrome://crash", timeout=1000)
        await asyncio.wait_for(prospect.ended.wait(), 15)
        speaking.cancel()
        await asyncio.wait([speaking])
    await asyncio.to_thread(until, lambda: not phones.state()["phones"][0]["registered"], 5)
    async with Telephone("c", str(phones.state()["address"]), port=carrier) as prospect:
        with pytest.raises(Refused, match="404"):
            await prospect.call(AGENT_NUMBER)
