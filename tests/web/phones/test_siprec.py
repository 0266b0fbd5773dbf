"""A recorder's copies of a call: two labelled streams, participants by the metadata, and the proper error for what is none."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.programs.telephone import Refused, Telephone
from tests.phones import Analysis, PhoneProcess, Sipp, ended, free_port, listening, media_ports, need_phones, trunk, until
from voice.legs.siprec import MetadataRefused, recorded

pytestmark = [pytest.mark.timeout(60)]
METADATA = (Path(__file__).parents[2] / "data" / "siprec.xml").read_text()
KIND = "multipart/mixed;boundary=boundary"


def body(sdp: str, metadata: str = METADATA, boundary: str = "boundary") -> str:
    return (
        f"--{boundary}\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--{boundary}\r\nContent-Type: application/rs-metadata+xml\r\n"
        f"Content-Disposition: recording-session\r\n\r\n{metadata}\r\n--{boundary}--\r\n"
    )


def offer(one: Telephone, other: Telephone, direction: str = "sendonly", version: int = 1) -> str:
    streams = "".join(
        f"m=audio {telephone.rtp_port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=label:{label}\r\na={direction}\r\n"
        for telephone, label in ((one, 96), (other, 97))
    )
    return f"v=0\r\no=src 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n{streams}"


@pytest.fixture(scope="module")
def recorder() -> int:
    return free_port()


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory, recorder: int) -> Iterator[PhoneProcess]:
    text = listening(media_ports(30)) + trunk("sbc", recorder, "siprec = true\noutbound = false", takes="127.0.0.1")
    process = PhoneProcess(tmp_path_factory.mktemp("phone"), text)
    yield process
    process.stop()


@pytest.fixture
def analysis(phones: PhoneProcess) -> Iterator[Analysis]:
    until(lambda: not phones.state()["analysis"], 5)
    listening = Analysis(phones)
    yield listening
    listening.close()


def server(phones: PhoneProcess) -> str:
    return str(phones.state()["address"])


async def test_two_streams_are_heard_apart_by_what_the_metadata_says(phones: PhoneProcess, analysis: Analysis) -> None:
    """The first participant's voice is the stream that it sends, whatever the order of the sections; hold and resume are told."""
    async with Telephone("src", server(phones)) as one, Telephone("x", server(phones)) as other:
        answer = await one.call("record", sdp=body(offer(one, other)), kind=KIND, more=["Require: siprec"])
        assert "+sip.srs" in answer.get("contact")
        sections = answer.body.split("m=audio ")[1:]
        assert [("recvonly" in s, "label:96" in s, "label:97" in s) for s in sections] == [(True, True, False), (True, False, True)]
        ports = [int(s.split()[0]) for s in sections]
        call = (await asyncio.to_thread(until, lambda: analysis.events("call")))[0]
        assert (call["way"], call["sip_id"]) == ("siprec", "hVpd7YQgRW2nD22h7q60JQ==")
        assert (call["sides"]["caller"]["uri"], call["sides"]["callee"]["number"]) == ("sip:claire@office.example", "+13125550177")
        for _ in range(20):
            for telephone, port in ((one, ports[0]), (other, ports[1])):
                telephone.remote_rtp = ("127.0.0.1", port)
                telephone.send_rtp(telephone.packet(b"\xff" * 160))
            await asyncio.sleep(0.02)
        sources = {side: {p[8:12] for p in analysis.heard(call["call"], side)} for side in ("caller", "callee")}
        assert sources == {"caller": {other.ssrc.to_bytes(4, "big")}, "callee": {one.ssrc.to_bytes(4, "big")}}
        held = await one.within("INVITE", body(offer(one, other, "inactive", 2)), kind=KIND)
        assert held.status == 200
        assert held.body.count("a=inactive") == 2
        assert [int(s.split()[0]) for s in held.body.split("m=audio ")[1:]] == ports
        assert len(await asyncio.to_thread(until, lambda: analysis.events("held"))) == 2
        resumed = await one.within("INVITE", offer(one, other, "sendonly", 3))
        assert resumed.body.count("a=recvonly") == 2
        assert len(await asyncio.to_thread(until, lambda: analysis.events("resumed"))) == 2
        await one.hang_up()
        assert (await asyncio.to_thread(until, lambda: analysis.events("ended")))[0]["call"] == call["call"]


@pytest.mark.phones
def test_sipps_recorder_is_served_several_times_at_once(phones: PhoneProcess, recorder: int, analysis: Analysis, tmp_path: Path) -> None:
    """sipp: multipart body, two streams, hold, resume, BYE; eight sessions, four at once."""
    need_phones()
    client = Sipp(tmp_path, "siprec", server(phones), "-s", "record", "-m", "8", "-r", "4", "-l", "4", port=recorder)
    with ended(client):
        assert client.wait(40) == 0, client.messages()[-3000:]
    until(lambda: not phones.state()["calls"], 5)
    assert len(analysis.events("call")) == 8
    assert len(analysis.events("held")) == len(analysis.events("resumed")) == 16


@pytest.mark.parametrize(
    ("kind", "broken", "status"),
    [
        (KIND, lambda text: text[: len(text) // 2], 400),
        (KIND, lambda text: text.replace("<recording", "<recordin"), 400),
        (KIND, lambda text: text.replace("application/sdp", "text/plain"), 400),
        ("multipart/mixed;boundary=other", lambda text: text, 400),
        ("multipart/mixed", lambda text: text, 400),
        ("application/sdp", lambda text: text, 415),
        ("text/plain", lambda text: "hello", 415),
        (KIND, lambda text: text.replace("a=label:97", "a=label:99"), 488),
        (KIND, lambda text: text.replace("RTP/AVP 0", "RTP/AVP 18").replace("rtpmap:0 PCMU", "rtpmap:18 G729"), 488),
        (KIND, lambda text: text.replace("c=IN IP4 127.0.0.1", "c=IN IP4 evil.example"), 488),
        (KIND, lambda text: text.replace("<send>s2</send>", ""), 400),
        (KIND, lambda text: text.replace("<recording", "<!DOCTYPE a [<!ENTITY b 'c'>]><recording"), 400),
        (KIND, lambda text: "", 415),
    ],
)  # fmt: skip
async def test_a_wrong_body_gets_its_proper_error(phones: PhoneProcess, kind: str, broken: Any, status: int) -> None:
    """And nothing of it stays."""
    async with Telephone("src", server(phones)) as one, Telephone("x", server(phones)) as other:
        with pytest.raises(Refused, match=f"SIP/2.0 {status}"):
            await one.call("record", sdp=broken(body(offer(one, other))), kind=kind)
    await asyncio.to_thread(until, lambda: not phones.state()["calls"], 5)


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ('multipart/mixed; boundary="boundary"', lambda text: text),
        ("Multipart/Mixed;boundary=boundary", lambda text: text),
        (KIND, lambda text: "\r\n" + text),
        (KIND, lambda text: "a preamble\r\n" + text),
        (KIND, lambda text: text.replace("rs-metadata+xml", "rs-metadata")),
        (KIND, lambda text: text.replace("\r\n", "\n")),
        (KIND, lambda text: text.replace("Content-Type", "content-type")),
        (KIND, lambda text: text + "\r\nan epilogue"),
        (KIND, lambda text: text.replace('xmlns="urn:ietf:params:xml:ns:recording:1"', 'xmlns:r="urn:ietf:params:xml:ns:recording:1"')),
    ],
)  # fmt: skip
def test_spellings_of_the_same_body_are_the_same(kind: str, changed: Any) -> None:
    """What recorders differ in does not matter."""
    sdp = "v=0\r\no=src 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    found = recorded(kind, changed(body(sdp)))
    assert found.sdp.startswith("v=0\r\n")
    assert [(p.aor, p.name, p.labels) for p in found.participants] == [
        ("sip:claire@office.example", "Claire", ("97",)),
        ("sip:+13125550177@trunk.example", "", ("96",)),
    ]


def test_metadata_without_end_is_refused() -> None:
    """A body of any length is not parsed."""
    with pytest.raises(MetadataRefused):
        recorded(KIND, "x" * 200_000)
