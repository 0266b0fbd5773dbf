"""What SIP demands of a bridge, told packet by packet; no server beside it: the phone process stands alone."""

import asyncio
import fcntl
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.programs.telephone import Refused, Telephone, gaps
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

pytestmark = [pytest.mark.timeout(60)]
QUIET = b"\xff" * 160


def sip_file(port: int, carrier: int, pbx: int, limits: str = "") -> str:
    carriers = trunk("carrier", carrier, f"ring = ['dana']\nuser = 'acme'\npassword = '{PASSWORD}'")
    pbxs = trunk("pbx", pbx, "to = 'carrier'\noutbound = false")
    return listening(media_ports(60), port) + CONNECTS + limits + "\n" + phone("dana", AGENT_NUMBER) + phone("lee") + carriers + pbxs


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return {"carrier": free_port(), "pbx": free_port(), "own": free_port()}


def _spool(phones: PhoneProcess) -> Path:
    """Where the relay writes a line per call; resolved in our own /proc it would be ours."""
    (link,) = phones.data.rglob("rtpproxy_acct.csv")
    return Path(str(link.readlink()).replace("/self/", f"/{phones.process.pid}/"))


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int]) -> Iterator[PhoneProcess]:
    process = PhoneProcess(tmp_path_factory.mktemp("phone"), sip_file(ports["own"], ports["carrier"], ports["pbx"]))
    yield process
    process.stop()


@pytest.fixture(autouse=True)
def _no_call_stays(phones: PhoneProcess) -> Iterator[None]:
    """Whatever a test did, its calls are over in the phone process too."""
    yield
    until(lambda: not phones.state()["calls"], 5)


@pytest.fixture
def server(ports: dict[str, int]) -> str:
    return f"127.0.0.1:{ports['own']}"


@pytest.fixture
async def carrier(phones: PhoneProcess, ports: dict[str, int], server: str) -> AsyncIterator[Telephone]:
    async with Telephone("carrier", server, port=ports["carrier"]) as telephone:
        yield telephone


@pytest.fixture
async def agent(phones: PhoneProcess, server: str) -> AsyncIterator[Telephone]:
    async with Telephone("dana", server, password=PASSWORD) as telephone:
        yield telephone


async def bridged(agent: Telephone, carrier: Telephone, **options: Any) -> None:
    taking = asyncio.create_task(carrier.answer(**options))
    await agent.call(PROSPECT_NUMBER)
    await taking


async def exchange(one: Telephone, other: Telephone, packets: int = 10) -> None:
    """Sound passes both ways."""
    before = len(one.heard), len(other.heard)
    for _ in range(packets):
        one.send_rtp(one.packet(QUIET))
        other.send_rtp(other.packet(QUIET))
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)
    assert len(one.heard) - before[0] >= packets - 2
    assert len(other.heard) - before[1] >= packets - 2


async def test_a_call_is_bridged_and_either_end_hangs_up(agent: Telephone, carrier: Telephone) -> None:
    """Sound passes both ways, and the end of one side is the end of the other."""
    await bridged(agent, carrier)
    await exchange(agent, carrier)
    await carrier.hang_up()
    await asyncio.wait_for(agent.ended.wait(), 5)


async def test_a_phone_registers_with_its_password_and_is_called(carrier: Telephone, agent: Telephone, phones: PhoneProcess) -> None:
    """The registrar takes digest, names the phone, and a call from outside reaches it at its own Contact."""
    assert (await agent.register()).status == 200
    assert next(p for p in phones.state()["phones"] if p["user"] == "dana")["registered"]
    taking = asyncio.create_task(agent.answer())
    await carrier.call(AGENT_NUMBER)
    invite = await taking
    assert invite.first.startswith(f"INVITE sip:dana@127.0.0.1:{agent.port}")
    await exchange(agent, carrier)
    await agent.hang_up()
    await asyncio.wait_for(carrier.ended.wait(), 5)
    assert (await agent.register(expires=0)).status == 200
    assert not next(p for p in phones.state()["phones"] if p["user"] == "dana")["registered"]


async def test_a_wrong_password_opens_nothing(phones: PhoneProcess, server: str) -> None:
    """Neither registration nor call; both are counted."""
    before = phones.state()["counts"].get("refused", 0)
    async with Telephone("dana", server, password="guess-guess") as thief:
        assert (await thief.register()).status == 401
        with pytest.raises(Refused, match="401"):
            await thief.call(PROSPECT_NUMBER)
    assert phones.state()["counts"]["refused"] >= before + 2


async def test_one_phone_calls_another(agent: Telephone, phones: PhoneProcess, server: str) -> None:
    """By its user's name."""
    async with Telephone("lee", server, password=PASSWORD) as other:
        assert (await other.register()).status == 200
        taking = asyncio.create_task(other.answer())
        await agent.call("lee")
        await taking
        await exchange(agent, other)
        await agent.hang_up()
        await asyncio.wait_for(other.ended.wait(), 5)


@pytest.mark.parametrize("number", ["911", "933", "9911", "+911", "112", "+442079460000", "+19005550100"])
async def test_what_is_closed_is_never_put_through(agent: Telephone, carrier: Telephone, number: str) -> None:
    """Emergency calls, foreign and premium numbers are refused, with the reason, before any trunk hears of them."""
    with pytest.raises(Refused, match=r"403 .*(Emergency|abroad|[Pp]remium)"):
        await agent.call(number)
    assert carrier.requests.empty()


async def test_the_pbx_passes_through_to_the_carrier(carrier: Telephone, phones: PhoneProcess, ports: dict[str, int], server: str) -> None:
    """A trunk that passes on to another needs no phone; emergency calls do not pass there either."""
    async with Telephone("1001", server, port=ports["pbx"]) as pbx:
        taking = asyncio.create_task(carrier.answer())
        await pbx.call(PROSPECT_NUMBER)
        assert (await taking).first.startswith(f"INVITE sip:{PROSPECT_NUMBER}@")
        await exchange(pbx, carrier)
        await pbx.hang_up()
        await asyncio.wait_for(carrier.ended.wait(), 5)
        pbx.call_id = pbx.remote = ""
        with pytest.raises(Refused, match="403 Emergency"):
            await pbx.call("911")


async def test_a_hold_reaches_the_other_side_and_is_taken_back(agent: Telephone, carrier: Telephone) -> None:
    """re-INVITE sendonly, then sendrecv; the ports of the sound stay."""
    await bridged(agent, carrier)
    before = agent.remote_rtp
    for direction, version in (("sendonly", 2), ("sendrecv", 3)):
        changing = asyncio.create_task(agent.within("INVITE", agent.sdp(direction, version=version)))
        change = await carrier.asked("INVITE")
        assert f"a={direction}" in change.body
        carrier.reply(change, 200, "OK", carrier.sdp("recvonly" if direction == "sendonly" else "sendrecv"))
        assert (await changing).status == 200
    assert agent.remote_rtp == before
    await exchange(agent, carrier)
    await agent.hang_up()


async def test_a_refused_change_ends_nothing(agent: Telephone, carrier: Telephone) -> None:
    """488 to a re-INVITE goes back to who asked, and the two go on."""
    await bridged(agent, carrier)
    changing = asyncio.create_task(agent.within("INVITE", agent.sdp("sendonly", version=2)))
    carrier.reply(await carrier.asked("INVITE"), 488, "Not Acceptable Here")
    assert (await changing).status == 488
    await exchange(agent, carrier)
    await agent.hang_up()


async def test_session_timers_are_answered(agent: Telephone, carrier: Telephone) -> None:
    """A refresh by re-INVITE and one by UPDATE get their 200."""
    await bridged(agent, carrier)
    refresh = ["Session-Expires: 90;refresher=uac", "Supported: timer"]
    assert (await agent.within("UPDATE", more=refresh)).status == 200
    assert (await carrier.within("UPDATE", more=refresh)).status == 200
    assert (await agent.within("INVITE", agent.sdp(), more=refresh)).status == 200
    await exchange(agent, carrier)
    await agent.hang_up()


async def test_a_call_that_is_taken_back_stops_ringing(agent: Telephone, carrier: Telephone) -> None:
    """CANCEL: 200 and 487 here, a CANCEL there."""
    uri = f"sip:{PROSPECT_NUMBER}@127.0.0.1:{agent.server[1]}"
    with pytest.raises(TimeoutError):
        await agent.call(PROSPECT_NUMBER, within_s=0.5)
    invite = await carrier.asked("INVITE")
    carrier.reply(invite, 180, "Ringing")
    await asyncio.sleep(0.2)
    agent.request("CANCEL", uri, to=f"<{uri}>", branch=agent.branch)
    assert (await agent.final("CANCEL")).status == 200
    cancel = await carrier.asked("CANCEL")
    carrier.reply(cancel, 200, "OK")
    carrier.reply(invite, 487, "Request Terminated")
    assert (await carrier.asked("ACK")).method == "ACK"


async def test_early_sound_is_heard_before_the_answer(agent: Telephone, carrier: Telephone) -> None:
    """183 with a session description opens the way from the other side."""
    calling = asyncio.create_task(agent.call(PROSPECT_NUMBER))
    invite = await carrier.asked("INVITE")
    carrier._take(invite.body)
    carrier.reply(invite, 183, "Session Progress", carrier.sdp())
    await asyncio.sleep(0.2)
    for _ in range(10):
        carrier.send_rtp(carrier.packet(QUIET))
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)
    assert len(agent.heard) >= 8
    carrier.accept(invite)
    await calling
    await agent.hang_up()


async def test_keys_pass_in_both_ways_of_sending_them(agent: Telephone, carrier: Telephone) -> None:
    """RFC 4733 packets and SIP INFO reach the other side as they were."""
    await bridged(agent, carrier)
    key = agent.packet(bytes([5, 0x80, 1, 64]), 101)
    agent.send_rtp(key)
    assert (await agent.within("INFO", "Signal=5\r\nDuration=160\r\n", kind="application/dtmf-relay")).status == 200
    assert "Signal=5" in (await carrier.asked("INFO")).body
    await asyncio.sleep(0.2)
    assert any(h.data == key for h in carrier.heard)
    await agent.hang_up()


async def test_an_offer_in_the_answer_works(agent: Telephone, carrier: Telephone) -> None:
    """An INVITE without a session description: the other side offers in its 200, the caller answers in its ACK."""
    taking = asyncio.create_task(carrier.answer())
    await agent.call(PROSPECT_NUMBER, sdp="", ack=agent.sdp())
    await taking
    await exchange(agent, carrier)
    await agent.hang_up()


async def test_the_carriers_demand_for_a_password_is_met(agent: Telephone, carrier: Telephone) -> None:
    """407: the INVITE goes again, signed."""
    calling = asyncio.create_task(agent.call(PROSPECT_NUMBER))
    invite = await carrier.asked("INVITE")
    carrier.reply(invite, 407, "Proxy Authentication Required", more=['Proxy-Authenticate: Digest realm="carrier",nonce="abc123"'])
    await carrier.asked("ACK")
    signed = await carrier.asked("INVITE")
    assert 'username="acme"' in signed.get("proxy-authorization")
    carrier._take(signed.body)
    carrier.accept(signed)
    await calling
    await agent.hang_up()


async def test_a_busy_line_is_busy(agent: Telephone, carrier: Telephone) -> None:
    """486 comes back as it is."""
    calling = asyncio.create_task(agent.call(PROSPECT_NUMBER))
    invite = await carrier.asked("INVITE")
    carrier.reply(invite, 486, "Busy Here")
    with pytest.raises(Refused, match="486"):
        await calling


async def test_a_proxy_on_the_way_keeps_its_place_in_the_call(agent: Telephone, carrier: Telephone) -> None:
    """Record-Route: what we ask within the call goes by that proxy, with the Contact as it was said, though it is a private address."""
    calling = asyncio.create_task(agent.call(PROSPECT_NUMBER))
    invite = await carrier.asked("INVITE")
    far = "sip:far@10.77.0.9:5070;alias=198.51.100.7~40001~3"
    routes = ["sip:198.51.100.7:5061;transport=tls;r2=on;lr", f"sip:127.0.0.1:{carrier.port};r2=on;lr"]
    lines = [f"Record-Route: <{routes[0]}>,<{routes[1]}>", f"Contact: <{far}>"]
    carrier._take(invite.body)
    carrier.call_id, carrier._mine = invite.get("call-id"), "far"
    answer = [f"Via: {invite.get('via')}", f"From: {invite.get('from')}", f"To: {invite.get('to')};tag=far", f"Call-ID: {carrier.call_id}"]
    body = carrier.sdp()
    answer += [f"CSeq: {invite.get('cseq')}", *lines, "Content-Type: application/sdp", f"Content-Length: {len(body)}", "", body]
    carrier.send("\r\n".join(["SIP/2.0 200 OK", *answer]))
    await calling
    acknowledged = await carrier.asked("ACK")
    carrier.call_id = ""  # so that it does not answer by itself
    await agent.hang_up()
    bye = await carrier.asked("BYE")
    carrier.reply(bye, 200, "OK")
    for request in (acknowledged, bye):
        assert request.first.split()[1] == far
        assert re.findall(r"<([^>]+)>", ",".join(request.all("route"))) == routes[::-1]


async def test_another_codec_is_passed_through(agent: Telephone, carrier: Telephone) -> None:
    """What the two agree on is theirs: here G.722, then Opus by a re-INVITE."""
    taking = asyncio.create_task(carrier.answer(sdp=carrier.sdp(formats="9 101")))
    await agent.call(PROSPECT_NUMBER, sdp=agent.sdp(formats="9 0 8 101"))
    assert "RTP/AVP 9 101" in agent.answer_sdp
    await taking
    changing = asyncio.create_task(agent.within("INVITE", agent.sdp(formats="96 101", version=2)))
    change = await carrier.asked("INVITE")
    assert "opus/48000" in change.body
    carrier.reply(change, 200, "OK", carrier.sdp(formats="96 101"))
    assert (await changing).status == 200
    await agent.hang_up()


async def test_a_host_name_in_the_session_description_is_refused(agent: Telephone, carrier: Telephone) -> None:
    """Nobody can make the media ask a name server."""
    with pytest.raises(Refused, match="488"):
        await agent.call(PROSPECT_NUMBER, sdp=agent.sdp(address="evil.example"))
    assert carrier.requests.empty()


async def test_one_way_sound_is_noticed_with_its_cause(agent: Telephone, carrier: Telephone, phones: PhoneProcess) -> None:
    """Only the carrier sends; the agent's description named a private address that is not its own."""
    taking = asyncio.create_task(carrier.answer())
    await agent.call(PROSPECT_NUMBER, sdp=agent.sdp(address="10.77.0.9"))
    await taking
    speaking = asyncio.create_task(carrier.speak(QUIET * 1500))
    trouble = await asyncio.to_thread(until, lambda: next((c["trouble"] for c in phones.state()["calls"]), ""), 20)
    speaking.cancel()
    await asyncio.wait([speaking])
    assert "caller" in trouble
    assert "10.77.0.9" in trouble
    await agent.hang_up()


async def test_a_call_loses_no_packet(agent: Telephone, carrier: Telephone) -> None:
    """Two seconds at pace, both ways."""
    await bridged(agent, carrier)
    await asyncio.gather(agent.speak(QUIET * 100), carrier.speak(QUIET * 100))
    await asyncio.sleep(0.2)
    for heard, ssrc in ((carrier.heard, agent.ssrc), (agent.heard, carrier.ssrc)):
        line = gaps(heard, ssrc)
        assert line.packets == 100
        assert line.missing == 0
    await agent.hang_up()


async def test_over_the_limit_a_call_is_refused(tmp_path: Path) -> None:
    """Calls of one source are limited in number."""
    ports = [free_port() for _ in range(3)]
    process = PhoneProcess(tmp_path, sip_file(*ports, limits="per_source = 1"))
    try:
        server = f"127.0.0.1:{ports[0]}"
        async with Telephone("c", server, port=ports[1]) as carrier, Telephone("dana", server, password=PASSWORD) as one:
            await bridged(one, carrier)
            async with Telephone("dana", server, password=PASSWORD) as two:
                with pytest.raises(Refused, match="503"):
                    await two.call(PROSPECT_NUMBER)
            await one.hang_up()
            assert process.state()["counts"]["over_limit"] == 1
    finally:
        process.stop()


def test_a_lock_of_another_program_stops_nothing(tmp_path: Path) -> None:
    """The relay locks the file that it writes its calls to; Docker, for one, holds a lock on /dev/null."""
    with Path(os.devnull).open("r+b") as theirs:
        fcntl.lockf(theirs, fcntl.LOCK_SH)
        process = PhoneProcess(tmp_path / "phone", listening(media_ports(2)) + phone("dana"))
        process.stop()


def test_the_relays_own_list_of_calls_is_in_no_file(phones: PhoneProcess) -> None:
    """It stands in memory, and for some seconds: the calls of the tests above are not in it any more."""
    spool = _spool(phones)
    assert "memfd" in str(spool.readlink())
    assert phones.state()["calls"] == []
    until(lambda: spool.stat().st_size == 0, 12)
