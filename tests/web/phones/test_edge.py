"""Telephones that speak TLS with SRTP, or TCP: Debian's kamailio and rtpengine with the files of docs/edge before the phone process."""

import asyncio
import contextlib
import re
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from scripts.programs.telephone import Message, Refused, Telephone
from tests.phones import (
    AGENT_NUMBER,
    CONNECTS,
    PASSWORD,
    PROSPECT_NUMBER,
    Baresip,
    Edge,
    PhoneProcess,
    free_port,
    likeness,
    listening,
    media_ports,
    need_edge,
    phone,
    said,
    trunk,
    until,
    write_wav,
)
from voice.legs.telephony import mu_law, to_mu_law

pytestmark = [pytest.mark.phones, pytest.mark.timeout(60)]
Voices = tuple[NDArray[np.int16], NDArray[np.int16]]


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory, carrier: int) -> Iterator[PhoneProcess]:
    need_edge()
    accounts = phone("dana", AGENT_NUMBER) + phone("lee") + phone("kim")
    numbers = "[[number]]\nnumber = '+13125550102'\nring = ['lee']\n[[number]]\nnumber = '+13125550103'\nring = ['kim']\n"
    text = listening(media_ports(12)) + CONNECTS + accounts + trunk("carrier", carrier, "ring = ['dana']") + numbers
    process = PhoneProcess(tmp_path_factory.mktemp("phone"), text)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, phones: PhoneProcess) -> Iterator[Edge]:
    edge = Edge(tmp_path_factory.mktemp("edge"), str(phones.state()["address"]))
    yield edge
    edge.stop()


@pytest.fixture(scope="module")
def voices() -> Voices:
    """Of an agent, of a prospect; both begin and end in silence, for a call's first packets may be lost and its last are on the way."""
    agent, prospect = np.pad(said(0.5, 3.4)[0], 2400), np.pad(said(13.0, 15.9)[1], 2400)
    return agent, prospect


@pytest.fixture(autouse=True)
def _no_call_stays(phones: PhoneProcess) -> Iterator[None]:
    """A test that fails leaves no call to the next."""
    yield
    if phones.process.poll() is None:
        for call in phones.state()["calls"]:
            with contextlib.suppress(TimeoutError):  # it says nothing to that
                phones.ask({"do": "hang_up", "call": call["call"]})


@pytest.fixture
async def prospect(phones: PhoneProcess, carrier: int) -> AsyncIterator[Telephone]:
    async with Telephone("c", str(phones.state()["address"]), port=carrier) as telephone:
        yield telephone


def softphone(edge: Edge, phones: PhoneProcess, folder: Path, user: str, transport: str, speech: NDArray[np.int16]) -> Baresip:
    """Registered by way of the edge."""
    file = write_wav(folder / f"{user}.wav", np.concatenate((speech, np.zeros(60 * 8000, np.int16))))  # at its end it would hang up
    made = Baresip(folder / user, user, edge.server[transport], file, transport=transport, control=free_port(socket.SOCK_STREAM))
    try:
        until(lambda: next(row for row in phones.state()["phones"] if row["user"] == user)["registered"], 10)
    except AssertionError as error:
        made.stop(signal.SIGKILL)
        raise AssertionError(f"{made.log.read_text()[-2000:]}\n{edge.proxy.log.read_text()[-2000:]}") from error
    return made


@pytest.fixture(scope="module")
def dana(edge: Edge, phones: PhoneProcess, tmp_path_factory: pytest.TempPathFactory, voices: Voices) -> Iterator[Baresip]:
    """By TLS; takes and makes calls with SRTP only."""
    made = softphone(edge, phones, tmp_path_factory.mktemp("dana"), "dana", "tls", voices[0])
    yield made
    made.stop(signal.SIGKILL)  # it would wait for an answer to its goodbye


@pytest.fixture(scope="module")
def lee(edge: Edge, phones: PhoneProcess, tmp_path_factory: pytest.TempPathFactory, voices: Voices) -> Iterator[Baresip]:
    """By TCP, with plain sound."""
    made = softphone(edge, phones, tmp_path_factory.mktemp("lee"), "lee", "tcp", voices[0])
    yield made
    made.stop(signal.SIGKILL)  # it would wait for an answer to its goodbye


async def talked(prospect: Telephone, agent: Baresip, voices: Voices) -> None:
    """Each hears the other's words and not the own."""
    prospect.heard.clear()
    await prospect.speak(to_mu_law(voices[1]))
    heard = mu_law(b"".join(h.data[12:] for h in prospect.heard if h.data[1] & 0x7F == 0))
    assert likeness(heard, voices[0]) > 0.9
    assert likeness(heard, voices[1]) < 0.3
    assert likeness(agent.heard(), voices[1]) > 0.9
    assert likeness(agent.heard(), voices[0]) < 0.3


async def changed(prospect: Telephone, agent: Baresip, command: str, direction: str, answer: str) -> None:
    """The agent's re-INVITE, its answer and its ACK."""
    agent.command(command)
    change = await prospect.asked("INVITE")
    assert f"a={direction}" in change.body
    prospect.reply(change, 200, "OK", prospect.sdp(answer))
    assert (await prospect.asked("ACK")).method == "ACK"


async def dialled(agent: Baresip, prospect: Telephone, edge: Edge, transport: str) -> Message:
    taking = asyncio.create_task(prospect.answer())
    agent.command("dial", f"sip:{PROSPECT_NUMBER}@{edge.server[transport]}")
    return await taking


async def told(agent: Baresip, words: str, times: int = 1, within_s: float = 5.0) -> None:
    """So often stands in its log."""
    await asyncio.to_thread(until, lambda: agent.log.read_text(errors="replace").count(words) >= times, within_s)


def anew(telephone: Telephone) -> None:
    """Its next call is another one."""
    telephone.call_id, telephone.remote, telephone.tag = "", "", ""


async def over(phones: PhoneProcess) -> None:
    await asyncio.to_thread(until, lambda: not phones.state()["calls"], 5)


async def test_a_phone_with_tls_and_srtp_calls_out(
    edge: Edge, dana: Baresip, prospect: Telephone, phones: PhoneProcess, voices: Voices
) -> None:
    """What reaches the carrier is plain; speech passes both ways, changes of either side too, and the carrier's hanging up ends it."""
    invite = await dialled(dana, prospect, edge, "tls")
    assert re.search(r"m=audio \d+ RTP/AVP ", invite.body)
    assert "crypto" not in invite.body
    await talked(prospect, dana, voices)
    await changed(prospect, dana, "hold", "sendonly", "recvonly")
    await changed(prospect, dana, "resume", "sendrecv", "sendrecv")
    answer = await prospect.within("INVITE", prospect.sdp("sendonly", version=2))
    assert answer.status == 200
    assert "a=recvonly" in answer.body
    assert len(phones.state()["calls"]) == 1
    assert "session closed" not in dana.log.read_text(errors="replace")
    await prospect.hang_up()
    await told(dana, "session closed")
    await over(phones)


async def test_a_phone_with_tls_and_srtp_is_called(dana: Baresip, prospect: Telephone, phones: PhoneProcess, voices: Voices) -> None:
    """A call from the trunk rings it by the connection that it registered on; its hanging up ends the call."""
    calling = await prospect.call(AGENT_NUMBER)
    assert "crypto" not in calling.body
    await talked(prospect, dana, voices)
    dana.command("hangup")
    await asyncio.wait_for(prospect.ended.wait(), 5)
    await over(phones)


async def test_an_offer_in_the_answer_is_encrypted_too(dana: Baresip, prospect: Telephone, phones: PhoneProcess, voices: Voices) -> None:
    """An INVITE without a session description: the phone offers SRTP in its 200, and the carrier's ACK answers it in plain."""
    offer = await prospect.call(AGENT_NUMBER, sdp="", ack=prospect.sdp())
    assert re.search(r"m=audio \d+ RTP/AVP ", offer.body)
    assert "crypto" not in offer.body
    await talked(prospect, dana, voices)
    await prospect.hang_up()
    await over(phones)


async def test_a_phone_with_tcp_calls_and_is_called(
    edge: Edge, lee: Baresip, prospect: Telephone, phones: PhoneProcess, voices: Voices
) -> None:
    """The same without encryption; this time each direction is ended by the other side."""
    await dialled(lee, prospect, edge, "tcp")
    await talked(prospect, lee, voices)
    lee.command("hangup")
    await asyncio.wait_for(prospect.ended.wait(), 5)
    await over(phones)
    prospect.ended.clear()
    anew(prospect)
    await prospect.call("+13125550102")
    await told(lee, "Call established", 2)
    await prospect.hang_up()
    await told(lee, "session closed")
    await over(phones)


class BehindRouter(Telephone):
    """By TCP, and the address that it gives itself is one that nobody else can reach."""

    async def open(self) -> Telephone:
        await super().open()
        self._reader, self._writer = await asyncio.open_connection(*self.server)
        self._reading = asyncio.create_task(self._read())
        self.host = "10.77.0.9"
        return self

    def send(self, text: str, to: tuple[str, int] | None = None) -> None:
        self._writer.write(text.encode())

    async def _read(self) -> None:
        while True:
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"\r\nContent-Length:\s*(\d+)", head, re.I)
            body = await self._reader.readexactly(int(length[1]) if length else 0)
            self._sip_heard(head + body, self.server)

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])
        self._writer.close()
        await self._writer.wait_closed()
        await super().__aexit__(*_)


async def test_a_phone_behind_a_router_is_called(edge: Edge, prospect: Telephone, phones: PhoneProcess) -> None:
    """All that is asked within the call reaches it by its connection, and sound goes to where its own comes from."""
    async with BehindRouter("kim", edge.server["tcp"], password=PASSWORD) as kim:
        assert (await kim.register()).status == 200
        taking = asyncio.create_task(kim.answer())
        await prospect.call("+13125550103")
        assert "@10.77.0.9:" in (await taking).first
        for _ in range(20):
            kim.send_rtp(kim.packet(b"\xff" * 160))
            prospect.send_rtp(prospect.packet(b"\xff" * 160))
            await asyncio.sleep(0.02)
        assert min(len(kim.heard), len(prospect.heard)) >= 10
        holding = asyncio.create_task(kim.within("INVITE", kim.sdp("sendonly", version=2)))
        prospect.reply(await prospect.asked("INVITE"), 200, "OK", prospect.sdp("recvonly"))
        assert (await holding).status == 200
        await prospect.hang_up()
        await asyncio.wait_for(kim.ended.wait(), 5)
    await over(phones)
    anew(prospect)
    with pytest.raises(Refused, match="480"):  # its connection is gone
        await prospect.call("+13125550103", within_s=3)
    assert edge.relays_nothing()


async def test_whoever_asks_to_be_relayed_elsewhere_is_not(edge: Edge, prospect: Telephone, phones: PhoneProcess) -> None:
    """The edge leads to the phone process alone, whatever a stranger's Route, number or To tag says, and keeps no port for him."""
    elsewhere = f"sip:x@127.0.0.1:{prospect.port}"
    for tag in ("", ";tag=made-up"):
        lines = [
            f"INVITE {elsewhere} SIP/2.0", f"Via: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK{secrets.token_hex(8)}", "Max-Forwards: 70",
            f"Route: <sip:127.0.0.1:{prospect.port};lr>", "From: <sip:x@y>;tag=1", f"To: <{elsewhere}>{tag}", f"Call-ID: {secrets.token_hex(8)}",
            "CSeq: 1 INVITE", f"Contact: <{elsewhere}>", "Content-Type: application/sdp", f"Content-Length: {len(prospect.sdp())}", "",
            prospect.sdp(),
        ]  # fmt: skip
        host, _, port = edge.server["tcp"].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write("\r\n".join(lines).encode())
        answer = b""
        while not re.search(rb"SIP/2.0 [2-6]", answer):
            answer += await asyncio.wait_for(reader.read(4096), 5)
        assert re.search(rb"SIP/2.0 481 " if tag else rb"SIP/2.0 401 ", answer)
        writer.close()
        await writer.wait_closed()
    assert prospect.requests.empty()
    assert edge.relays_nothing()


async def test_a_call_is_refused_soon_when_we_are_down(edge: Edge, dana: Baresip, phones: PhoneProcess) -> None:
    """The last test here: without the phone process the softphone hears 408 after 5 s, and its owner dials by the other account."""
    phones.stop()
    dana.command("dial", f"sip:{PROSPECT_NUMBER}@{edge.server['tls']}")
    await told(dana, "408 Request Timeout", within_s=10)
    assert edge.relays_nothing()
