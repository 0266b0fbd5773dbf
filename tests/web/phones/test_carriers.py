"""Twilio's and Telnyx's calls against a server process: signed questions, streams in their documented shapes, real speech."""

import asyncio
import base64
import json
import random
import time
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import websockets

from scripts.programs.callers import Server
from scripts.programs.forks import NAME, Answer, Twilio, media_messages, send_at_pace, signature, start_message
from tests.web.phones.conftest import TELNYX, newest

ANN, DANA = "+14155550123", "+13125550100"
SILENCE = {"inbound": b"\xff" * 16_000, "outbound": b"\xff" * 16_000}


async def ways(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    return {way["way"]: way for way in (await client.get("/api/phones/ways")).json()["ways"]}


async def test_a_call_to_our_number_becomes_captions_a_card_and_a_summary(
    twilio: Twilio, client: httpx.AsyncClient, voices: dict[str, bytes]
) -> None:
    """The caller is the prospect, both voices are captioned apart, the fee gets its card, hanging up gives the summary."""
    answer = await twilio.voice(ANN, DANA, "CA-in")
    assert answer.verbs == ["Say", "Start", "Dial"]
    assert answer.document.findtext("Dial/Sip") == "sip:dana@pbx.example"
    assert answer.stream == f"wss://{NAME}/carriers/twilio/stream"
    async with twilio.connect(answer.stream) as socket:
        await socket.send('{"event":"connected","protocol":"Call","version":"1.0.0"}')
        await socket.send(start_message(answer.secret, "CA-in"))
        await send_at_pace(socket, media_messages(voices), time.monotonic())
        live = await newest(client, "CA-in", lambda view: bool(view["cards"]))
        assert live["state"] == "live"
        await socket.send('{"event":"stop","sequenceNumber":"999","streamSid":"MZ1","stop":{"accountSid":"AC0","callSid":"CA-in"}}')
        call = await newest(client, "CA-in", lambda view: view["summary"] is not None)
    assert call["line"] == {"way": "twilio", "direction": "inbound", "caller": ANN, "callee": DANA, "id": "CA-in"}
    assert (call["agent_name"], call["contact"]["number"]) == ("Dana Whitfield", ANN)
    said = {who: " ".join(line["text"] for line in call["transcript"] if line["speaker"] == who) for who in ("agent", "prospect")}
    assert "pay you" in said["prospect"].lower()
    assert said["agent"]
    assert "pay you" not in said["agent"].lower()
    assert "commission" in {card["label"] for card in call["cards"]}
    assert call["state"] == "ended"


async def test_the_announcement_opens_the_gate_and_stands_in_the_record(twilio: Twilio, client: httpx.AsyncClient) -> None:
    """Behind an announcement, California's rule allows transcribing; the record holds what was played, and recording stays shut."""
    answer = await twilio.voice(ANN, DANA, "CA-told")
    async with twilio.connect(answer.stream) as socket:
        await socket.send(start_message(answer.secret, "CA-told"))
        call = await newest(client, "CA-told", lambda view: view["consent"]["state"] == "announced")
        consent = call["consent"]
        assert (consent["transcribe"], consent["record"], consent["claude"]) == (True, False, False)
        assert "all-party: Cal. Penal Code 632" in consent["rule"]
        assert "“This call is listened to by an assistant that takes notes.”" in consent["rule"]
    ended = await newest(client, "CA-told", lambda view: view["state"] == "ended")
    events = (await client.get(f"/api/calls/{ended['id']}/events")).json()["events"]
    assert [e["reason"] for e in events if e["type"] == "call_ended"] == ["the carrier's stream broke off"]
    assert [e["by"] for e in events if e["type"] == "consent_changed"] == ["policy", "announcement"]


async def test_an_agents_own_call_is_weighed_announced_and_the_other_way_round(twilio: Twilio, client: httpx.AsyncClient) -> None:
    """From the agent's softphone: inbound is the agent; the callee hears the announcement first, and only then it counts."""
    answer = await twilio.voice("sip:dana@acme.sip.twilio.example", f"sip:{ANN}@acme.sip.twilio.example", "CA-out")
    assert answer.verbs == ["Start", "Dial"]
    dial, number = answer.document.find("Dial"), answer.document.find("Dial/Number")
    assert dial is not None
    assert number is not None
    assert (dial.attrib["callerId"], number.text) == (DANA, ANN)
    async with twilio.connect(answer.stream) as socket:
        await socket.send(start_message(answer.secret, "CA-out"))
        call = await newest(client, "CA-out", lambda view: view["state"] == "live")
        assert call["line"]["direction"] == "outbound"
        assert call["consent"]["state"] == "unknown"
        document = Answer.of((await twilio.post(number.attrib["url"].removeprefix(f"https://{NAME}"), {"CallSid": "CA2"})).text)
        assert document.verbs == ["Say", "Redirect"]
        assert (await newest(client, "CA-out", lambda view: True))["consent"]["state"] == "unknown"
        then = str(document.document.findtext("Redirect")).removeprefix(f"https://{NAME}")
        assert Answer.of((await twilio.post(then, {"CallSid": "CA2"})).text).verbs == []
        assert (await newest(client, "CA-out", lambda view: view["consent"]["state"] == "announced"))["consent"]["transcribe"]
        await client.post(f"/api/calls/{call['id']}/end", json={})  # ended here: the fork is closed, the people go on talking
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 5)


@pytest.mark.parametrize(
    ("callee", "said"),
    [("911", "own telephone line"), ("sip:9911@acme.sip.twilio.example", "own telephone line"), ("+442079460958", "abroad"),
     ("+19005551234", "Premium"), ("+13125550177", "asked not to be called")],
)  # fmt: skip
async def test_what_may_not_be_dialled_is_refused_with_the_reason(
    twilio: Twilio, client: httpx.AsyncClient, callee: str, said: str
) -> None:
    """The agent hears why, nothing is dialled, no call begins."""
    await client.post("/api/do-not-call", json={"number": "+13125550177", "why": "asked by letter"})
    answer = await twilio.voice("sip:dana@acme.sip.twilio.example", callee, "CA-no")
    assert answer.verbs == ["Say", "Hangup"]
    assert said in str(answer.document.findtext("Say"))


async def test_a_number_of_nobody_is_not_put_through(twilio: Twilio, client: httpx.AsyncClient) -> None:
    """A caller of a number that no rule gives to an agent hears so, and the page says it."""
    assert (await twilio.voice(ANN, "+12125550100")).verbs == ["Say", "Hangup"]
    assert "belongs to no agent" in (await ways(client))["twilio"]["refusal"]


async def test_a_wrong_signature_is_refused_and_counted(twilio: Twilio, client: httpx.AsyncClient) -> None:
    """Questions and streams without Twilio's own signature get nothing, whatever else is right."""
    before = (await ways(client))["twilio"]["refused"]
    form = {"CallSid": "CA-x", "From": ANN, "To": DANA}
    assert (await twilio.post("/carriers/twilio/voice", form, token="another")).status_code == 403
    assert (await twilio.post("/carriers/telnyx/voice", form)).status_code == 403
    answer = await twilio.voice(ANN, DANA, "CA-x")
    for sign in ("", signature("another", answer.stream), signature(twilio.token, answer.stream + "/")):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with twilio.connect(answer.stream, sign):
                pass
        assert refused.value.response.status_code == 403
    assert (await ways(client))["twilio"]["refused"] == before + 4


@pytest.mark.parametrize(
    "opening",
    [
        [start_message("a secret of somebody else's")],
        [start_message("{secret}", "CA-of-another-call")],
        ['{"event":"media","media":{"track":"inbound","chunk":"1","timestamp":"5","payload":"AA=="}}'] * 6,
        ["rubbish"],
        ['{"event":"connected"}'] * 6,
        [start_message("{secret}").replace("audio/x-mulaw", "audio/opus")],
    ],
    ids=["secret", "call", "no start", "no message", "only greetings", "coding"],
)  # fmt: skip
async def test_a_stream_that_is_none_is_closed(twilio: Twilio, client: httpx.AsyncClient, opening: list[str]) -> None:
    """A wrong secret, another call's secret, no start, rubbish, a coding that we do not have: closed, no call begins."""
    answer = await twilio.voice(ANN, DANA, "CA1")
    before = len((await client.get("/api/calls?limit=200")).json()["calls"])

    async def sent() -> None:
        async with twilio.connect(answer.stream) as socket:
            for message in opening:
                await socket.send(message.replace("{secret}", answer.secret))
            await asyncio.wait_for(socket.recv(), 5)

    with pytest.raises(websockets.ConnectionClosed) as closed:
        await sent()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert len((await client.get("/api/calls?limit=200")).json()["calls"]) == before


async def test_a_secret_opens_one_stream(twilio: Twilio, client: httpx.AsyncClient) -> None:
    """A second stream with the same secret is closed; the first goes on."""
    answer = await twilio.voice(ANN, DANA, "CA-once")
    async with twilio.connect(answer.stream) as first:
        await first.send(start_message(answer.secret, "CA-once"))
        await newest(client, "CA-once", lambda view: view["state"] == "live")
        async with twilio.connect(answer.stream) as second:
            await second.send(start_message(answer.secret, "CA-once"))
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(second.recv(), 5)
        assert (await newest(client, "CA-once", lambda view: True))["state"] == "live"


async def test_disorder_holes_and_rubbish_leave_the_words(twilio: Twilio, client: httpx.AsyncClient, voices: dict[str, bytes]) -> None:
    """Messages swapped, one of fifty lost, unknown events, broken ones among them: the question is still read."""
    answer, chance = await twilio.voice(ANN, DANA, "CA-torn"), random.Random(5)
    pairs = media_messages({"inbound": voices["inbound"][3 * 8000 :], "outbound": b""})
    torn: list[list[str]] = []
    for k, pair in enumerate(pairs):
        torn.append([] if chance.random() < 0.02 else pair)
        if chance.random() < 0.1 and k:
            torn[-1], torn[-2] = torn[-2], torn[-1]
        if k % 60 == 7:
            torn[-1] = [
                *torn[-1],
                chance.choice(['{"event":"mark","mark":{"name":"x"}}', "{", '{"event":"media","media":{}}', '{"event":"later"}']),
            ]
    async with twilio.connect(answer.stream) as socket:
        await socket.send(start_message(answer.secret, "CA-torn"))
        await send_at_pace(socket, torn, time.monotonic())
        await newest(client, "CA-torn", lambda view: any("percent" in line["text"] or "%" in line["text"] for line in view["transcript"]))
    call = await newest(client, "CA-torn", lambda view: view["state"] == "ended")
    assert {line["speaker"] for line in call["transcript"]} == {"prospect"}
    assert (await ways(client))["twilio"]["lost_chunks"] > 0


async def test_an_oversized_message_costs_this_stream_only(twilio: Twilio, client: httpx.AsyncClient) -> None:
    """A message beyond any that a carrier sends ends its own stream; the server goes on."""
    answer = await twilio.voice(ANN, DANA, "CA-big")
    async with twilio.connect(answer.stream) as socket:
        await socket.send(start_message(answer.secret, "CA-big"))
        await newest(client, "CA-big", lambda view: view["state"] == "live")
        await socket.send(json.dumps({"event": "media", "media": {"payload": "A" * 300_000}}))
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
    await newest(client, "CA-big", lambda view: view["state"] == "ended")
    assert (await client.get("/api/status")).status_code == 200


# ---- Telnyx


def telnyx_start(secret: str) -> str:
    form = {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
    started = {
        "user_id": "u",
        "call_control_id": "v3:abc",
        "from": ANN,
        "to": DANA,
        "custom_parameters": {"secret": secret},
        "media_format": form,
    }
    return json.dumps({"event": "start", "sequence_number": "1", "stream_id": "32DE0DEA", "start": started})


async def telnyx_asks(server: Server, form: dict[str, str], *, age_s: float = 0.0, altered: bool = False) -> httpx.Response:
    body, stamp = urlencode(form).encode(), str(int(time.time() - age_s))
    made = TELNYX.sign(stamp.encode() + b"|" + body)
    headers = {"host": NAME, "telnyx-timestamp": stamp, "telnyx-signature-ed25519": base64.b64encode(made).decode()}
    headers["content-type"] = "application/x-www-form-urlencoded"
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as client:
        return await client.post("/carriers/telnyx/voice", content=body + b"&x=1" if altered else body)


async def test_telnyx_signs_with_its_own_key(server: Server, client: httpx.AsyncClient) -> None:
    """A right signature is answered; an altered body, an old request and a stream without our secret are not."""
    form = {"CallSid": "v3:abc", "From": ANN, "To": DANA, "ConnectionId": "7"}
    assert (await telnyx_asks(server, form, altered=True)).status_code == 403
    assert (await telnyx_asks(server, form, age_s=400)).status_code == 403
    right = await telnyx_asks(server, form)
    assert right.status_code == 200, right.text
    answer = Answer.of(right.text)
    stream = answer.document.find("Start/Stream")
    assert stream is not None
    assert (stream.attrib["track"], stream.attrib["codec"]) == ("both_tracks", "PCMU")
    plain = Twilio(server)
    async with plain.connect(answer.stream, sign="") as socket:
        await socket.send(telnyx_start("wrong"))
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 5)


async def test_a_telnyx_stream_is_a_call(server: Server, client: httpx.AsyncClient) -> None:
    """Its spelling of the same messages begins a call with both sides, and its stop ends it."""
    answer = Answer.of((await telnyx_asks(server, {"CallSid": "v3:abc", "From": ANN, "To": DANA})).text)
    async with Twilio(server).connect(answer.stream, sign="") as socket:
        await socket.send('{"event":"connected","version":"1.0.0"}')
        await socket.send(telnyx_start(answer.secret))
        for pair in media_messages(SILENCE)[:40]:
            for text in pair:
                message = json.loads(text)
                message["stream_id"], message["sequence_number"] = message.pop("streamSid"), message.pop("sequenceNumber")
                await socket.send(json.dumps(message))
            await asyncio.sleep(0.01)
        live = await newest(client, "v3:abc", lambda view: view["legs"] == {"agent": "joined", "prospect": "joined"})
        assert live["line"]["way"] == "telnyx"
        await socket.send(
            '{"event":"stop","sequence_number":"99","stream_id":"32DE0DEA","stop":{"user_id":"u","call_control_id":"v3:abc"}}'
        )
        await newest(client, "v3:abc", lambda view: view["state"] == "ended")
