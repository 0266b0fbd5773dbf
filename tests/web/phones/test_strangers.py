"""What strangers may send: mutated messages, floods, random bytes on every port. The process lives, other calls go on."""

import asyncio
import random
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.programs.telephone import Telephone, gaps
from tests.phones import (
    AGENT_NUMBER,
    CONNECTS,
    PASSWORD,
    PROSPECT_NUMBER,
    PhoneProcess,
    free_port,
    listening,
    media_ports,
    phone,
    trunk,
    until,
)
from voice.sip.fence import Buckets, Fence

pytestmark = [pytest.mark.timeout(90)]
_METADATA = (Path(__file__).parents[2] / "data" / "siprec.xml").read_text()
_SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9999 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
_ODD = (
    "99999",
    "-1",
    "0",
    "65536",
    "\r\n",
    ";",
    "<",
    ">",
    '"',
    "=",
    "sip:",
    "%00",
    "é",
    "4294967296",
    "evil.example",
    "::1",
    "a" * 5000,
    " ",
    "\t",
)


def template(method: str, n: int, port: int, sdp: str = _SDP, kind: str = "application/sdp") -> str:
    body = sdp if method == "INVITE" else ""
    return (
        f"{method} sip:{PROSPECT_NUMBER}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};rport;branch=z9hG4bK{n:x}\r\nMax-Forwards: 70\r\n"
        f"From: <sip:{AGENT_NUMBER}@127.0.0.1>;tag=f{n:x}\r\nTo: <sip:{PROSPECT_NUMBER}@127.0.0.1>\r\nCall-ID: fuzz{n:x}\r\nCSeq: 1 {method}\r\n"
        f"Contact: <sip:x@127.0.0.1:{port}>\r\nExpires: 60\r\nSession-Expires: 90\r\n"
        f'Authorization: Digest username="dana",realm="127.0.0.1",nonce="abc",uri="sip:x",response="{n:032x}"\r\n'
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )


def mutated(text: str, chance: random.Random) -> bytes:
    match chance.randrange(5):
        case 0:  # a piece is replaced by something odd
            pieces = re.split(r"(\W)", text)
            pieces[chance.randrange(len(pieces))] = chance.choice(_ODD)
            return "".join(pieces).encode()
        case 1:  # a line is gone, or stands twice
            lines = text.split("\r\n")
            at = chance.randrange(len(lines))
            lines[at : at + 1] = [] if chance.random() < 0.5 else [lines[at], lines[at]]
            return "\r\n".join(lines).encode()
        case 2:
            return text.encode()[: chance.randrange(len(text))]
        case 3:
            data = bytearray(text.encode())
            for _ in range(chance.randrange(1, 8)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            return bytes(data)
        case _:
            return chance.randbytes(chance.randrange(1, 600))


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return {"carrier": free_port(), "recorder": free_port(), "own": free_port(), "media": 0}


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int]) -> Iterator[PhoneProcess]:
    media = media_ports(40)
    ports["media"], ports["media_end"] = media
    sbc = trunk("sbc", ports["recorder"], "siprec = true\noutbound = false")
    carrier = trunk("carrier", ports["carrier"], "ring = ['dana']")
    text = listening(media, ports["own"]) + CONNECTS + "calls = 30\n" + phone("dana") + carrier + sbc
    process = PhoneProcess(tmp_path_factory.mktemp("phone"), text)
    yield process
    process.stop()


def memory_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


async def test_5000_mutated_packets_end_nothing(phones: PhoneProcess, ports: dict[str, int]) -> None:
    """SIP from strangers, from a trunk and from a recorder, RTP and random bytes on every port, while a call is up."""
    server, chance = f"127.0.0.1:{ports['own']}", random.Random(7)
    before = memory_mb(phones.pid)
    async with (
        Telephone("c", server, port=ports["carrier"]) as carrier,
        Telephone("r", server, port=ports["recorder"]) as recorder,
        Telephone("s", server) as stranger,
        Telephone("dana", server, password=PASSWORD) as agent,
    ):
        taking = asyncio.create_task(carrier.answer())
        await agent.call(PROSPECT_NUMBER)
        await taking
        carrier.auto = False
        talking = [asyncio.create_task(each.speak(b"\xff" * 160 * 400)) for each in (agent, carrier)]
        multipart = f"--b\r\nContent-Type: application/sdp\r\n\r\n{_SDP}\r\n--b\r\nContent-Type: application/rs-metadata+xml\r\n\r\n{_METADATA}\r\n--b--\r\n"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
            raw.bind(("127.0.0.1", 0))
            for n in range(5000):
                sender = (stranger, carrier, recorder)[n % 3]
                method = chance.choice(
                    ("INVITE", "INVITE", "REGISTER", "OPTIONS", "BYE", "ACK", "CANCEL", "UPDATE", "INFO", "SIP/2.0 200 OK")
                )
                text = template(method, n, sender.port, *((multipart, "multipart/mixed;boundary=b") if sender is recorder else ()))
                sender._sip.sendto(mutated(text, chance), ("127.0.0.1", ports["own"]))
                port = chance.randrange(ports["media"], ports["media_end"])
                junk = agent.remote_rtp[1] if n % 50 == 0 else port
                raw.sendto(chance.randbytes(chance.randrange(1, 300)), ("127.0.0.1", junk))
                if n % 10 == 0:
                    await asyncio.sleep(0.012)
        await asyncio.wait(talking)
        await asyncio.sleep(0.3)
        for heard, ssrc in ((agent.heard, carrier.ssrc), (carrier.heard, agent.ssrc)):
            line = gaps(heard, ssrc)
            assert line.packets >= 395
            assert line.missing <= 2
        assert phones.process.poll() is None
        counts = phones.state()["counts"]
        assert counts["malformed"] > 100
        assert counts["unauthenticated"] > 10
        await agent.hang_up()
    async with Telephone("dana", server, password=PASSWORD) as agent, Telephone("lee", server, password="nobody-here") as other:
        assert (await agent.register()).status == 200
        assert (await other.register()).status == 401
    assert memory_mb(phones.pid) - before < 60


async def test_a_flood_of_registrations_is_refused_and_counted(phones: PhoneProcess, ports: dict[str, int]) -> None:
    """3,000 from one address within a second: most are not even looked at, and a phone elsewhere registers meanwhile."""
    server = f"127.0.0.1:{ports['own']}"
    before = phones.state()["counts"].get("flooded", 0)
    async with Telephone("mallory", server, host="127.0.0.2") as flood, Telephone("dana", server, password=PASSWORD) as agent:
        for n in range(3000):
            flood._sip.sendto(template("REGISTER", 100_000 + n, flood.port).encode(), ("127.0.0.1", ports["own"]))
            if n % 100 == 0:
                await asyncio.sleep(0.02)
            if n == 1500:
                assert (await agent.register()).status == 200
        await asyncio.to_thread(until, lambda: phones.state()["counts"]["flooded"] - before > 2000, 10)


async def test_calls_without_a_password_are_refused_and_counted(phones: PhoneProcess, ports: dict[str, int]) -> None:
    """401, and nothing of them stays."""
    before = phones.state()["counts"]["unauthenticated"]
    async with Telephone("mallory", f"127.0.0.1:{ports['own']}", host="127.0.0.3") as stranger:
        for _ in range(5):
            stranger.request("INVITE", f"sip:{PROSPECT_NUMBER}@127.0.0.1", stranger.sdp())
            assert (await stranger.final("INVITE")).status == 401
            stranger.call_id = ""
    assert phones.state()["counts"]["unauthenticated"] >= before + 5


def test_a_bucket_fills_again() -> None:
    """Ten seconds' worth at once, then the rate; and no number of sources fills the memory."""
    now = [0.0]
    buckets = Buckets(2.0, lambda: now[0])
    assert [buckets.take("a") for _ in range(21)] == [True] * 20 + [False]
    now[0] = 1.0
    assert [buckets.take("a") for _ in range(3)] == [True, True, False]
    for n in range(10_000):
        buckets.take(str(n))
    assert len(buckets._left) <= 4096


def test_only_names_that_known_peers_gave_themselves_are_reached() -> None:
    """No packet makes us ask a name server."""
    fence = Fence(20)
    fence.known = {"127.0.0.1"}
    message = b"SIP/2.0 200 OK\r\nContact: <sip:x@sbc1.carrier.example:5060>\r\n\r\n"
    assert fence.lets_in(message, "127.0.0.9")
    assert fence.address(("sbc1.carrier.example", 5060)) is None
    assert fence.lets_in(message, "127.0.0.1")
    assert fence.address(("sbc1.carrier.example", 5060)) == ("127.0.0.1", 5060)
    assert fence.address(("10.0.0.1", 99_999)) is None
    assert fence.address(("evil.example", 5060)) is None
