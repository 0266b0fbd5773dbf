"""Calls that pass through the phone process, with Debian's baresip and sipp at the ends and the real server beside it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from scripts.programs.callers import Received, Server, watch
from tests.phones import (
    AGENT_NUMBER,
    PASSWORD,
    PROSPECT_NUMBER,
    Baresip,
    PhoneProcess,
    Sipp,
    ended,
    free_port,
    likeness,
    media_ports,
    need_phones,
    said,
    until,
    write_ulaw,
    write_wav,
)

pytestmark = [pytest.mark.phones, pytest.mark.timeout(180)]
_TO_S = 20.5


@pytest.fixture(scope="module", autouse=True)
def _programs() -> None:
    need_phones()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "phones.toml").write_text(
        '[agents.claire]\nname = "Claire"\nstate = "CO"\n[[who]]\nuri = "sip:dana@*"\nagent = "claire"\n[dialing]\nfrom_hour = 0\nto_hour = 24\n'
    )
    return folder


@pytest.fixture(scope="module")
def server(data: Path) -> Iterator[Server]:
    server = Server.start(data, SOTTOVOCE_MODEL="tiny.en")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def carrier() -> int:
    """The port of the other side's trunk."""
    return free_port()


@pytest.fixture(scope="module")
def phones(data: Path, carrier: int) -> Iterator[PhoneProcess]:
    process = PhoneProcess(data, sip_file(free_port(), carrier))
    yield process
    process.stop()


def sip_file(port: int, carrier: int, more: str = "") -> str:
    return f"""
[listen]
port = {port}
media = {media_ports(30)}
[[phone]]
user = "dana"
password = "{PASSWORD}"
number = "{AGENT_NUMBER}"
[[trunk]]
name = "carrier"
address = "127.0.0.1:{carrier}"
takes = ["127.0.0.1:{carrier}"]
ring = ["dana"]
options_s = 0
{more}"""


@pytest.fixture(scope="module")
def voices() -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    return said(0.0, _TO_S)


def address(phones: PhoneProcess) -> str:
    return str(phones.state()["address"])


async def phone_call(server: Server, before: set[str]) -> str:
    """The id of the call that has begun."""
    async with server.client() as client:
        for _ in range(200):
            rows = (await client.get("/api/calls")).raise_for_status().json()["calls"]
            new = [row for row in rows if row["mode"] == "phone" and row["id"] not in before]
            if new:
                return str(new[0]["id"])
            await asyncio.sleep(0.1)
    raise AssertionError("no call has begun")


async def known_calls(server: Server) -> set[str]:
    async with server.client() as client:
        return {row["id"] for row in (await client.get("/api/calls")).json()["calls"]}


async def grant(server: Server, call: str) -> None:
    async with server.client() as client:
        (await client.post(f"/api/calls/{call}/consent", json={"state": "granted"})).raise_for_status()


def words(received: Received, speaker: str) -> str:
    return " ".join(e["text"] for e in received.events("utterance_final") if e["speaker"] == speaker).lower()


async def linked(phones: PhoneProcess) -> None:
    await asyncio.to_thread(until, lambda: phones.state()["analysis"], 20)


async def test_an_agents_softphone_calls_a_prospect(
    server: Server, phones: PhoneProcess, carrier: int, voices: Any, tmp_path: Path
) -> None:
    """Both are transcribed apart, a card reaches the agent, each hears the other, and hanging up ends both and sums up."""
    await linked(phones)
    before = await known_calls(server)
    prospect = Sipp(
        tmp_path / "carrier", "answer", address(phones), port=carrier, SPEECH=str(write_ulaw(tmp_path / "prospect.ulaw", voices[1]))
    )
    agent = Baresip(
        tmp_path / "agent", "dana", address(phones), write_wav(tmp_path / "agent.wav", voices[0]),
        dial=f"sip:{PROSPECT_NUMBER}@{address(phones)}", for_s=40,
    )  # fmt: skip
    with ended(agent, prospect):
        call = await phone_call(server, before)
        await grant(server, call)
        received = Received()
        await asyncio.wait_for(watch(server, call, received, until=lambda m: m.get("type") == "summary_made"), 60)
        assert await asyncio.to_thread(prospect.wait, 15) == 0, prospect.messages()[-3000:]
    async with server.client() as client:
        view = (await client.get(f"/api/calls/{call}")).json()
    assert view["line"] == {
        "way": "sip", "direction": "outbound", "caller": AGENT_NUMBER, "callee": PROSPECT_NUMBER, "id": view["line"]["id"],
    }  # fmt: skip
    assert view["agent_name"] == "Claire"
    assert view["contact"]["number"] == PROSPECT_NUMBER
    assert "townhouse" in words(received, "agent")
    assert "townhouse" not in words(received, "prospect")
    assert "liked it" in words(received, "prospect")
    assert received.events("suggestion_shown")
    assert likeness(agent.heard(), voices[1]) > 0.9
    assert likeness(agent.heard(), voices[0]) < 0.3
