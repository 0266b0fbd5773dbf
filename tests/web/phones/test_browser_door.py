"""The door for browsers' telephones: what strangers send there ends nothing, and nobody comes in by his address alone."""

import asyncio
import random
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from scripts.programs.telephone import Message, Telephone
from tests.phones import CONNECTS, PASSWORD, PROSPECT_NUMBER, PhoneProcess, certificate, free_port, listening, media_ports, phone, trunk
from voice.sip.accounts import SipRefused
from voice.sip.browsers import BrowserDoor, is_secure, reachable
from voice.sip.fence import Fence

pytestmark = [pytest.mark.timeout(60)]


@pytest.fixture(scope="module")
def port() -> int:
    return free_port(socket.SOCK_STREAM)


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory, port: int, carrier: int) -> Iterator[PhoneProcess]:
    folder = tmp_path_factory.mktemp("phone")
    certificate(folder)
    wss = f"[wss]\nport = {port}\ncertificate = 'cert.pem'\nkey = 'key.pem'\n"
    text = listening(media_ports(20)) + CONNECTS + wss + phone("dana") + trunk("carrier", carrier, "ring = ['dana']", takes="127.0.0.1")
    process = PhoneProcess(folder, text)
    yield process
    process.stop()


def link(port: int, *, sip: bool = True, host: str = "127.0.0.1") -> connect:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    protocols = ["sip"] if sip else None
    return connect(f"wss://127.0.0.1:{port}", ssl=context, max_queue=None, subprotocols=protocols, local_addr=(host, 0))  # type: ignore[arg-type]  # str


def invite(n: int) -> str:
    return (
        f"INVITE sip:{PROSPECT_NUMBER}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bK{n:x}\r\nMax-Forwards: 70\r\n"
        f"From: <sip:dana@127.0.0.1>;tag=f{n:x}\r\nTo: <sip:{PROSPECT_NUMBER}@127.0.0.1>\r\nCall-ID: c{n:x}\r\nCSeq: 1 INVITE\r\n"
        "Contact: <sip:dana@x.invalid;transport=ws>\r\nContent-Length: 0\r\n\r\n"
    )


async def answer(connection: ClientConnection) -> Message:
    async with asyncio.timeout(5):
        data = await connection.recv()
    assert isinstance(data, str)  # what browsers read; sippy's own server sends bytes
    return Message.read(data.encode())


async def test_an_address_of_a_trunk_is_nobody_here(phones: PhoneProcess, port: int) -> None:
    """The trunk at this address may call by UDP without a word; a browser at it is asked who it is."""
    async with link(port) as connection:
        await connection.send(invite(1))
        assert (await answer(connection)).status == 401
    assert phones.state()["counts"]["unauthenticated"] == 1


async def test_rubbish_ends_nothing(phones: PhoneProcess, port: int, carrier: int) -> None:
    """Mutated messages, bytes, floods, messages too long, another protocol: the door stays open, and a call by UDP comes up."""
    chance = random.Random(3)
    async with link(port, host="127.0.0.3") as connection:
        for n in range(600):
            data = bytearray(invite(100 + n).encode())
            for _ in range(chance.randrange(1, 9)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            await connection.send(bytes(data) if n % 2 else data.decode("latin-1"))
        await asyncio.sleep(0.3)
    async with link(port) as connection:
        await connection.send("x" * 20_000)
        with pytest.raises(ConnectionClosed):
            await connection.recv()
    with pytest.raises(InvalidStatus):
        await link(port, sip=False)
    assert phones.state()["counts"]["flooded"] > 300
    async with (
        Telephone("c", str(phones.state()["address"]), port=carrier) as prospect,
        Telephone("dana", str(phones.state()["address"]), password=PASSWORD, host="127.0.0.2") as agent,
    ):
        taking = asyncio.create_task(prospect.answer())
        await agent.call(PROSPECT_NUMBER)
        await taking
        await agent.hang_up()
    async with link(port) as connection:
        await connection.send(invite(2))
        assert (await answer(connection)).status == 401


def test_files_that_are_no_certificate_are_named(tmp_path: Path) -> None:
    """The phone process does not start without its door."""
    (tmp_path / "cert.pem").write_text("nothing")
    door = BrowserDoor(("127.0.0.1", 1), lambda *_: None, Fence(1), lambda _: None)
    with pytest.raises(SipRefused, match=r"cert.pem and .*key.pem cannot be used"):
        door.open(tmp_path / "cert.pem", tmp_path / "key.pem")


def test_of_a_browsers_description_stays_what_the_relay_can_use() -> None:
    """UDP candidates with an IPv4 address; names, TCP and IPv6 go, and so does the address that is none."""
    offer = "\r\n".join([
        "v=0", "m=audio 51000 UDP/TLS/RTP/SAVPF 111 0", "c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0",
        "a=candidate:1 1 udp 2122194687 192.0.2.7 51000 typ host", "a=candidate:2 1 udp 2122194687 7f3a-11.local 51001 typ host",
        "a=candidate:3 1 tcp 1518214911 192.0.2.7 9 typ host tcptype active", "a=candidate:4 1 udp 2122267903 fd00::2 51002 typ host",
    ]) + "\r\n"  # fmt: skip
    assert is_secure(offer)
    assert not is_secure(offer.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"))
    kept = reachable(offer, "192.0.2.1").splitlines()
    assert kept == [
        "v=0", "m=audio 9 UDP/TLS/RTP/SAVPF 111 0", "c=IN IP4 192.0.2.1", "a=candidate:1 1 udp 2122194687 192.0.2.7 51000 typ host",
    ]  # fmt: skip
