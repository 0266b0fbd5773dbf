"""Asterisk's AudioSocket against a server process, as its documents describe it: a call told by the dial plan, two connections."""

import asyncio
import time
from uuid import UUID, uuid4

import httpx
import numpy as np
import pytest

from coaching.events import CallStarted, Line
from scripts.programs.callers import Server
from tests.web.phones.conftest import SECRET, newest, spoken
from web.app import Guarded
from web.log import CallLog

ANN = "+14155550123"


async def tell(server: Server, **form: str) -> httpx.Response:
    """What CURL() of the dial plan does: a form, no Origin, no cookie."""
    async with httpx.AsyncClient(base_url=server.url) as asterisk:
        return await asterisk.post("/carriers/asterisk/calls", data={"secret": SECRET, **form})


def packet(kind: int, payload: bytes = b"") -> bytes:
    return bytes([kind]) + len(payload).to_bytes(2, "big") + payload


def line(name: str, seconds: float, wait_s: float = 0.0) -> "np.ndarray":
    """A voice as a telephone line has it: 8 kHz, 16 bit."""
    voice = spoken(name, seconds)
    voice = np.concatenate((np.zeros(int(wait_s * 16_000), np.int16), voice))[: len(voice) // 2 * 2 + int(wait_s * 16_000)]
    return voice.reshape(-1, 2).mean(axis=1).astype("<i2")


async def talk(port: int, name: str, voice: "np.ndarray", zero: float) -> None:
    """One channel under AudioSocket(): its name, then 20 ms of sound at a time, then the hang-up."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(packet(0x01, UUID(name).bytes))
    for k in range(len(voice) // 160):
        await asyncio.sleep(max(0.0, zero + (k + 1) * 0.02 - time.monotonic()))
        writer.write(packet(0x10, voice[k * 160 : (k + 1) * 160].tobytes()))
        await writer.drain()
    writer.write(packet(0x00))
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def test_both_directions_are_one_call(server: Server, client: httpx.AsyncClient, audio_port: int) -> None:
    """An extension calls out: its channel is the agent, the trunk's the prospect; captions apart, a card, and the summary at the end."""
    told = await tell(server, caller="1001", callee=ANN, id="1732.9", announced="greeting.wav")
    assert told.status_code == 200, told.text
    ours, theirs, verdict = told.text.split(",")
    assert verdict == "go"
    zero = time.monotonic()
    await asyncio.gather(
        talk(audio_port, ours, line("fake_mic_agent.wav", 4.0), zero),
        talk(audio_port, theirs, np.concatenate((line("clip1.flac", 0.0, wait_s=3.0), np.zeros(16_000, "<i2"))), zero),
    )
    call = await newest(client, "1732.9", lambda view: view["summary"] is not None)
    assert call["line"] == {"way": "audiosocket", "direction": "outbound", "caller": "1001", "callee": ANN, "id": "1732.9"}
    assert call["agent_name"] == "Dana Whitfield"
    said = {who: " ".join(line["text"] for line in call["transcript"] if line["speaker"] == who) for who in ("agent", "prospect")}
    assert "pay you" in said["prospect"].lower()
    assert said["agent"]
    assert "commission" in {card["label"] for card in call["cards"]}
    assert "announcement played by the PBX before the call was connected: greeting.wav" in call["consent"]["rule"]


@pytest.mark.parametrize(
    ("form", "status", "answer"),
    [
        ({"secret": "wrong", "caller": "1001", "callee": ANN}, 403, ""),
        ({"secret": "", "caller": "1001", "callee": ANN}, 403, ""),
        ({"caller": "1001", "callee": "911"}, 200, ",,refused emergency"),
        ({"caller": "1001", "callee": "9911"}, 200, ",,refused emergency"),
        ({"caller": "1001", "callee": "01144207946095"}, 200, ",,refused foreign"),
        ({"caller": "1001", "callee": "1001"}, 200, ",,go"),
    ],
)
async def test_the_dial_plan_is_answered(server: Server, form: dict[str, str], status: int, answer: str) -> None:
    """A wrong secret gets nothing; what may not be dialled is refused with the reason; a call between agents goes on uncoached."""
    told = await tell(server, **form)
    assert told.status_code == status, told.text
    if status == 200:
        assert told.text == answer


async def test_a_call_nobody_answered_leaves_nothing(server: Server, client: httpx.AsyncClient) -> None:
    """Told, and never connected: no call begins."""
    before = len((await client.get("/api/calls?limit=200")).json()["calls"])
    assert (await tell(server, caller="1001", callee=ANN, id="none")).text.endswith(",go")
    await asyncio.sleep(0.3)
    assert len((await client.get("/api/calls?limit=200")).json()["calls"]) == before


async def test_an_unknown_name_is_turned_away(server: Server, audio_port: int) -> None:
    """A connection that no call expects is closed; the next call is taken."""
    reader, writer = await asyncio.open_connection("127.0.0.1", audio_port)
    writer.write(packet(0x01, uuid4().bytes) + packet(0x10, b"\0\0" * 160))
    await writer.drain()
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    await writer.wait_closed()


async def test_a_streamed_call_does_not_wait_for_a_sound_that_never_returns(app: Guarded) -> None:
    """After a crash in mid-call nobody sends the stream again: the call is closed with its summary."""
    calls = app.app.state.calls
    call = CallStarted(mode="phone", line=Line(way="twilio", id="CA"))
    await CallLog(calls.store, "crashed").append([await calls.store.start_call("crashed", None, call)])
    await calls.resume_all()
    state = await calls.state("crashed")
    assert state.ended is not None
    assert state.ended.reason == "the server was stopped"
    assert state.summary is not None
