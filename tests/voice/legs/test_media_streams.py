"""Twilio's and Telnyx's forked calls, in the shapes of their documents."""

import asyncio
import base64
import itertools
import json
import random
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.voice.legs.peers import Listener
from voice.frames import AudioFrame
from voice.legs import LegJoined, LegLeft, LegRefused
from voice.legs.media_streams import KeyPressed, MediaStreamLeg, StreamOther, StreamStarted, StreamStopped, signed_by_twilio, stream_message
from voice.legs.telephony import a_law, mu_law

TWILIO_START = {
    "event": "start",
    "sequenceNumber": "1",
    "streamSid": "MZ18ad3ab5a668481ce02b83e7395059f0",
    "start": {
        "streamSid": "MZ18ad3ab5a668481ce02b83e7395059f0",
        "accountSid": "AC00000000000000000000000000000000",
        "callSid": "CA00000000000000000000000000000000",
        "tracks": ["inbound", "outbound"],
        "customParameters": {"secret": "s"},
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    },
}
TELNYX_START = {
    "event": "start",
    "sequence_number": "1",
    "stream_id": "32DE0DEA-53CB-4B21-89A4-9E1819C043BC",
    "start": {
        "user_id": "3E6F995F",
        "call_control_id": "v2:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ",
        "from": "+13122010094",
        "to": "+13122123456",
        "custom_parameters": {"secret": "s"},
        "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
    },
}
LOUD, QUIET = (b"\x8a" * 8 + b"\x0a" * 8) * 10, b"\xff" * 160  # 500 Hz, loud; silence


def media(track: str, chunk: int, payload: bytes = LOUD, at_ms: int | None = None) -> str:
    stamp = (chunk - 1) * 20 + 5 if at_ms is None else at_ms
    body = {"track": track, "chunk": str(chunk), "timestamp": str(stamp), "payload": base64.b64encode(payload).decode()}
    return json.dumps({"event": "media", "sequenceNumber": str(chunk + 1), "streamSid": "MZ", "media": body})


def coded(name: str, samples: "np.ndarray[Any, Any]") -> bytes:
    """FFmpeg's own encoder, as the reference."""
    codec: Any = av.CodecContext.create(name, "w")
    codec.format, codec.layout, codec.sample_rate = "s16", "mono", 8000
    frame = av.AudioFrame.from_ndarray(samples[None].astype(np.int16), format="s16", layout="mono")
    frame.sample_rate = 8000
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])


@pytest.mark.parametrize(("decode", "name"), [(mu_law, "pcm_mulaw"), (a_law, "pcm_alaw")])
def test_every_code_of_g711_is_what_it_should_be(decode: Any, name: str) -> None:
    """Each of the 256 codes decodes to a value that FFmpeg encodes as that code again."""
    codes = bytes(range(256))
    again = np.frombuffer(coded(name, decode(codes)), np.uint8)
    same = (again == np.arange(256)) | (decode(codes) == 0)  # mu-law has two zeros
    assert same.all()


@pytest.mark.parametrize("start", [TWILIO_START, TELNYX_START])
def test_both_carriers_say_which_call_it_is(start: dict[str, Any]) -> None:
    """Stream, call, coding and our own parameters are read from either spelling."""
    started = stream_message(json.dumps(start))
    assert isinstance(started, StreamStarted)
    assert started.call[:2] in ("CA", "v2")
    assert (started.sample_rate, started.parameters["secret"]) == (8000, "s")


def test_the_other_messages_are_told_apart() -> None:
    """Keys, stops, marks and things invented later."""
    assert stream_message('{"event":"dtmf","dtmf":{"track":"inbound_track","digit":"5"}}') == KeyPressed("5")
    assert stream_message('{"event":"stop","stop":{"callSid":"CA"}}') == StreamStopped()
    assert stream_message('{"event":"connected","protocol":"Call","version":"1.0.0"}') == StreamOther("connected")


async def play(messages: list[str], leg: MediaStreamLeg, pace_ms: float = 20.0) -> Listener:
    """Two messages (one per track) per 20 ms, faster where the pace says so."""
    listener = Listener(leg)  # type: ignore[arg-type]  # any leg that can be iterated and ended
    leg.message(json.dumps(TWILIO_START))
    await asyncio.sleep(0.1)
    for pair in range(0, len(messages), 2):
        for message in messages[pair : pair + 2]:
            if message:  # else it was lost on the way
                leg.message(message)
        await asyncio.sleep(pace_ms / 1000)
    return listener


async def test_both_tracks_arrive_apart() -> None:
    """Inbound is the prospect, outbound the agent; when the stream stops, both have hung up."""
    leg = MediaStreamLeg()
    messages = [text for k in range(1, 41) for text in (media("inbound", k), media("outbound", k, QUIET))]
    listener = await play(messages, leg)
    leg.message('{"event":"stop","stop":{}}')
    await listener.finish()
    assert np.abs(listener.sound("prospect")).max() > 8000
    assert np.abs(listener.sound("agent")).max() < 100
    assert {(left.speaker, left.reason) for left in listener.events(LegLeft)} == {("prospect", "hung_up"), ("agent", "hung_up")}
    assert sum(frame.duration_ms for _, frame in listener.frames("prospect") if not frame.silence_filled) == pytest.approx(800, abs=8)


async def test_disorder_and_holes_leave_the_times_right() -> None:
    """Chunks swapped and lost: what is left is in order, and the holes are silence of their own length."""
    leg = MediaStreamLeg()
    chance = random.Random(3)
    order = sorted(range(1, 61), key=lambda k: k + chance.choice([0, 0, 0, 1.5]))
    listener = await play(["" if k in (24, 25, 26) else media("inbound", k, LOUD if k % 10 else QUIET) for k in order], leg, pace_ms=40)
    await listener.finish()
    frames = [frame for _, frame in listener.frames("prospect")]
    assert all(a.end_ms == b.start_ms for a, b in itertools.pairwise(frames))
    loud = np.abs(listener.sound("prospect")[frames[0].start_ms * 16 :].astype(np.int32)) > 4000
    by_chunk = [bool(loud[(k - 1) * 320 + 100 : k * 320 - 100].mean() > 0.5) for k in range(1, 60)]
    assert by_chunk == [bool(k % 10) and k not in (24, 25, 26) for k in range(1, 60)]


async def test_a_stream_that_sends_rubbish_is_refused() -> None:
    """Sound before the start, a second start, another coding."""
    with pytest.raises(LegRefused, match="before"):
        MediaStreamLeg().message(media("inbound", 1))
    leg = MediaStreamLeg()
    leg.message(json.dumps(TWILIO_START))
    with pytest.raises(LegRefused, match="twice"):
        leg.message(json.dumps(TWILIO_START))
    other = json.loads(json.dumps(TELNYX_START).replace("PCMU", "AMR-WB"))
    with pytest.raises(LegRefused, match="AMR-WB"):
        MediaStreamLeg().message(json.dumps(other))


async def test_a_stream_without_sound_ends_too() -> None:
    """A call that is hung up before anybody speaks leaves no leg behind."""
    leg = MediaStreamLeg()
    listener = Listener(leg)  # type: ignore[arg-type]  # any leg that can be iterated and ended
    leg.message(json.dumps(TWILIO_START))
    leg.disconnected()
    await asyncio.wait_for(listener._task, 2)
    assert not listener.events(LegJoined)
    assert not listener.events(AudioFrame)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["media", "start", "inbound", "PCMU", "1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["event", "media", "start", "track", "chunk", "timestamp", "payload", "mediaFormat", "encoding", "streamSid"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(JSON.map(json.dumps) | st.text(max_size=60))
def test_whatever_comes_is_a_message_or_refused(text: str) -> None:
    """No text raises anything but LegRefused."""
    try:
        stream_message(text)
    except LegRefused:
        return


def test_twilios_signature_is_checked() -> None:
    """The signature over the address with the account's token passes; any change of either fails."""
    url, token = "wss://coach.example/streams/1", "12345"
    assert signed_by_twilio(url, token, _reference(url, token))
    assert not signed_by_twilio(url + "?", token, _reference(url, token))
    assert not signed_by_twilio(url, token + "6", _reference(url, token))
    assert not signed_by_twilio(url, token, "é")


def _reference(url: str, token: str) -> str:
    import hashlib

    block = token.encode().ljust(64, b"\0")  # RFC 2104, written out
    inner = hashlib.sha1(bytes(b ^ 0x36 for b in block) + url.encode()).digest()
    return base64.b64encode(hashlib.sha1(bytes(b ^ 0x5C for b in block) + inner).digest()).decode()
