"""A server that carriers and a PBX can reach, as a process of its own, one for all tests here."""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scripts.programs.callers import Server
from scripts.programs.forks import Twilio, u_law
from scripts.programs.services import free_port
from tests.web.browser.people import DATA, ROOT
from voice.legs.pcm import channels_of

PLAN = """\
[agents.dana]
name = "Dana Whitfield"
state = "CA"
ring = "sip:dana@pbx.example"
shows = "+13125550100"

[[who]]
number = "+13125550100"
agent = "dana"

[[who]]
uri = "sip:dana@*"
agent = "dana"

[[who]]
number = "1001"
agent = "dana"

[dialing]
from_hour = 0
to_hour = 24

[announcement]
say = "This call is listened to by an assistant that takes notes."
"""
SECRET = "a secret of the dial plan"
TELNYX = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture(scope="module")
def carrier() -> int:
    """The port of the other side's trunk."""
    return free_port(socket.SOCK_DGRAM)


@pytest.fixture(scope="session")
def audio_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, audio_port: int) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("phones")
    (folder / "phones.toml").write_text(PLAN)
    key = base64.b64encode(TELNYX.public_key().public_bytes_raw()).decode()
    phones = {"SOTTOVOCE_AUDIOSOCKET": f"127.0.0.1:{audio_port}", "SOTTOVOCE_AUDIOSOCKET_SECRET": SECRET, "SOTTOVOCE_TELNYX_KEY": key}
    server = Server.start(folder, **Twilio.environment(), **phones)
    yield server
    server.stop()


@pytest.fixture
def twilio(server: Server) -> Twilio:
    return Twilio(server)


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """The agent's own page, signed in."""
    async with server.client() as client:
        yield client


def spoken(name: str, seconds: float = 0.0) -> "np.ndarray[Any, np.dtype[np.int16]]":
    """A recording of the tests, or of the practice seller: one voice at 16 kHz."""
    file = DATA / name if (DATA / name).exists() else ROOT / "web" / "sample" / "practice" / name
    sound = np.concatenate([block[0] for block in channels_of(file)])
    return sound[: int(seconds * 16_000)] if seconds else sound


@pytest.fixture(scope="session")
def voices() -> dict[str, bytes]:
    """A seller who asks about the fee after an agent has said something: µ-law, 8 kHz."""
    agent = spoken("fake_mic_agent.wav", 4.0)
    seller = np.concatenate((np.zeros(4 * 16_000, np.int16), spoken("clip1.flac"), np.zeros(3 * 16_000, np.int16)))
    return {"inbound": u_law(seller, 16_000), "outbound": u_law(agent, 16_000)}


_FOUND: dict[str, str] = {}  # the carrier's id -> ours


async def newest(
    client: httpx.AsyncClient, carriers_id: str, wanted: Callable[[dict[str, Any]], bool], seconds: float = 40.0
) -> dict[str, Any]:
    """The call that carries this id of the carrier's, once it is as wanted."""
    view: dict[str, Any] = {}
    until = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        if carriers_id not in _FOUND:
            for row in (await client.get("/api/calls?limit=20")).json()["calls"]:
                if row["id"] not in _FOUND.values() and (line := (await client.get(f"/api/calls/{row['id']}")).json()["line"]):
                    _FOUND[line["id"]] = row["id"]
        if carriers_id in _FOUND:
            view = (await client.get(f"/api/calls/{_FOUND[carriers_id]}")).json()
            if wanted(view):
                return view
        await asyncio.sleep(0.2)
    raise AssertionError(f"not as wanted within {seconds} s: {view or 'no such call'}")
