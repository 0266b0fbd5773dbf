"""A browser's sound over real ICE, DTLS, SRTP and Opus on this machine."""

import asyncio
import itertools
import time
import wave
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.voice.legs.peers import Browser, Listener, Microphone, Network
from voice.frames import AudioFrame, Speaker
from voice.legs import FramesDropped, LegJoined, LegLeft, LegLost, LegRefused, LegResumed
from voice.legs.webrtc_peer import HookMissing, WebRtcLeg, WebRtcSettings, check_hook
from voice.listening import ListeningSettings, SpeakerListener
from voice.models.onnx import SpeechModel
from voice.models.weights import SILERO, file_of
from voice.vad import SpeechDetector

SPEECH = Path(__file__).parents[2] / "data" / "fake_mic_prospect.wav"
BEEP_S, EVERY_S = 0.1, 0.5


def beeps(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """A tenth of a second of 800 Hz every half second, and a faint hiss between."""
    hiss = 0.001 * np.sin(times * 12_345)
    return np.where(times % EVERY_S < BEEP_S, 0.3 * np.sin(2 * np.pi * 800 * times), hiss)


def onsets_ms(sound: NDArray[np.int16]) -> NDArray[np.float64]:
    """Where sound begins after at least 200 ms without: ms on the timeline."""
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > 3000)
    return np.asarray(loud[np.diff(loud, prepend=-1_000_000) > 3200] / 16, np.float64)


def errors_ms(onsets: Iterable[float], leg: WebRtcLeg, microphone: Microphone) -> list[float]:
    """How far onsets lie from the nearest beep as it was spoken, least first, of those that this computer sent on time.

    None of a short call's may be, where everything else runs at once.
    """
    origin_ms = (microphone.zero - leg.items._zero) * 1000
    off = [(onset - origin_ms) % (EVERY_S * 1000) for onset in onsets if microphone.on_time(leg.items._zero + onset / 1000)]
    return sorted(float(min(late, EVERY_S * 1000 - late)) for late in off)


def delays_ms(listener: Listener, leg: WebRtcLeg, microphone: Microphone) -> list[float]:
    """How long after their end the agent's frames came, in order, of those that this computer sent on time."""
    heard = [(at - leg.items._zero, frame.end_ms / 1000) for at, frame in listener.frames("agent")[10:] if not frame.silence_filled]
    return [(at - end) * 1000 for at, end in heard if microphone.on_time(leg.items._zero + end)]


async def test_the_inside_of_aiortc_is_as_we_need_it() -> None:
    """The private hook that our buffer uses exists in the installed version."""
    await check_hook()


async def test_another_aiortc_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the buffer of a receiver had another name, the check says so."""
    monkeypatch.setattr("voice.legs.webrtc_peer._BUFFER", "_RTCRtpReceiver__renamed")
    with pytest.raises(HookMissing):
        await check_hook()


async def test_two_tracks_of_one_browser_arrive_apart(leg: WebRtcLeg) -> None:
    """Agent and prospect of one connection come as two speakers, each beep at its time, hardly delayed."""
    zero = time.monotonic()
    silent = Microphone(lambda times: 0 * times, zero)
    microphone = Microphone(beeps, zero)
    browser, listener = Browser({"agent": microphone, "prospect": silent}), Listener(leg)
    await browser.call(leg)
    await asyncio.sleep(2.3)
    await browser.hang_up()
    await listener.finish()
    onsets = onsets_ms(listener.sound("agent"))
    assert len(onsets) >= 4
    assert max(errors_ms(onsets[1:], leg, microphone), default=0.0) < 50
    assert np.abs(listener.sound("prospect")).max() < 200
    assert np.median(delays_ms(listener, leg, microphone) or [0.0]) < 25
    assert [type(event) for _, event in listener.items if not isinstance(event, AudioFrame)] == [LegJoined, LegJoined, LegLeft, LegLeft]
    assert all(frame.arrived_at and abs(frame.arrived_at - time.time()) < 60 for _, frame in listener.frames("agent"))


@pytest.mark.parametrize("codec", ["audio/PCMU", "audio/PCMA", "audio/G722"])
async def test_telephone_codecs_are_heard(leg: WebRtcLeg, codec: str) -> None:
    """A browser that prefers a telephone's codec is understood, at the right times."""
    microphone = Microphone(beeps, time.monotonic())
    browser, listener = Browser({"prospect": microphone}, codec=codec), Listener(leg)
    await browser.call(leg)
    await asyncio.sleep(1.8)
    await browser.hang_up()
    await listener.finish()
    onsets = onsets_ms(listener.sound("prospect"))
    assert len(onsets) >= 2
    assert max(errors_ms(onsets[1:], leg, microphone), default=0.0) < 50


async def test_loss_and_reordering_add_no_lasting_delay(leg: WebRtcLeg) -> None:
    """With 5 % of packets lost and 5 % reordered the second half is no later than the first, and the times stay right."""
    microphone = Microphone(beeps, time.monotonic())
    network = Network(lose=0.05, reorder=0.05)
    browser, listener = Browser({"agent": microphone}, network), Listener(leg)
    await browser.call(leg)
    await asyncio.sleep(12)
    await browser.hang_up()
    await listener.finish()
    assert network.lost > 15
    assert network.reordered > 15
    delays = delays_ms(listener, leg, microphone)
    assert len(delays) > 50, "this computer was too slow to tell"
    half = len(delays) // 2
    assert np.median(delays[half:]) < np.median(delays[:half]) + 5
    assert np.percentile(delays[half:], 90) < 80
    # A lost packet at the very beginning of a beep moves its onset by 20 ms.
    errors = errors_ms(onsets_ms(listener.sound("agent"))[1:], leg, microphone)
    assert errors
    assert errors[-1] < 50
    frames = [frame for _, frame in listener.frames("agent")]
    last_ms = max(frame.start_ms for frame in frames if not frame.silence_filled)
    assert (
        sum(frame.duration_ms for frame in frames if frame.silence_filled and frame.start_ms < last_ms)
        <= (network.lost + network.reordered) * 20
    )
    ends = [frame.end_ms for frame in frames]
    assert ends == sorted(ends)


async def test_packets_that_stop_are_followed_by_silence_at_pace(leg: WebRtcLeg) -> None:
    """Cut in mid-word for 2.5 s: a second later 0.8 s of silence is there; then the sound goes on at its time."""
    zero = time.monotonic()
    network = Network()
    browser, listener = Browser({"agent": Microphone(lambda t: 0.3 * np.sin(2 * np.pi * 300 * t), zero)}, network), Listener(leg)
    await browser.call(leg)
    await asyncio.sleep(1.2)
    network.cut = True
    cut_ms = leg.items.now_ms()
    await asyncio.sleep(1.0)
    silent = sum(frame.duration_ms for _, frame in listener.frames("agent") if frame.silence_filled and frame.end_ms > cut_ms)
    assert 800 <= silent <= 1000
    await asyncio.sleep(1.5)
    network.cut = False
    back_ms = leg.items.now_ms()
    await asyncio.sleep(0.7)
    await browser.hang_up()
    await listener.finish()
    assert [event.at_ms for event in listener.events(LegLost)] == pytest.approx([cut_ms], abs=60)
    assert [event.at_ms for event in listener.events(LegResumed)] == pytest.approx([back_ms], abs=120)
    loud = np.flatnonzero(np.abs(listener.sound("agent").astype(np.int32)) > 3000) / 16
    assert loud[loud > cut_ms + 200][0] == pytest.approx(back_ms, abs=50)
    frames = [frame for _, frame in listener.frames("agent")]
    assert all(a.end_ms == b.start_ms for a, b in itertools.pairwise(frames))


async def test_a_stall_of_our_own_loses_nothing(leg: WebRtcLeg) -> None:
    """Our loop stands still for 0.4 s in the middle of a tone: no hole is heard in it, and the times stay right."""
    zero = time.monotonic()
    listener = Listener(leg)
    # The sender has a loop of its own only in real life; here its packets are handed over when the stall is over, all at once.
    browser = Browser({"agent": Microphone(lambda t: 0.3 * np.sin(2 * np.pi * 300 * t), zero)})
    await browser.call(leg)
    await listener.until(lambda item: isinstance(item, AudioFrame) and item.end_ms > leg.items.now_ms() - 100)
    await asyncio.sleep(0.6)
    begins = len(listener.frames("agent"))
    stalled_ms = leg.items.now_ms()
    time.sleep(0.4)  # noqa: ASYNC251  the stall that is meant
    await asyncio.sleep(0.6)
    during = [frame for _, frame in listener.frames("agent")[begins:] if frame.start_ms < stalled_ms + 500]
    await browser.hang_up()
    await listener.finish()
    assert not any(frame.silence_filled for frame in during)
    assert during[-1].end_ms >= stalled_ms + 400


async def test_a_new_source_number_goes_on_in_place(leg: WebRtcLeg) -> None:
    """A sender that changes its SSRC, its sequence and its time stamps in mid-call stays on its time."""
    microphone = Microphone(beeps, time.monotonic())
    listener, browser = Listener(leg), Browser({"agent": microphone})
    await browser.call(leg)
    await asyncio.sleep(1.2)
    transport = browser.senders[0].transport
    real = transport._send_rtp

    async def renumbered(data: bytes) -> None:
        packet = bytearray(data)
        if not 192 <= packet[1] <= 223:
            packet[2:4] = ((int.from_bytes(packet[2:4], "big") + 40_000) % (1 << 16)).to_bytes(2, "big")
            packet[4:8] = ((int.from_bytes(packet[4:8], "big") + 3_000_000_000) % (1 << 32)).to_bytes(4, "big")
            packet[8:12] = (4711).to_bytes(4, "big")
        await real(bytes(packet))

    transport._send_rtp = renumbered
    changed_ms = leg.items.now_ms()
    await asyncio.sleep(1.8)
    await browser.hang_up()
    await listener.finish()
    onsets = [onset for onset in onsets_ms(listener.sound("agent")) if onset > changed_ms + 100]
    assert len(onsets) >= 3
    assert max(errors_ms(onsets, leg, microphone), default=0.0) < 50
    assert len(listener.events(LegJoined)) == 1


async def test_both_sides_stay_true_after_a_rejoin(leg: WebRtcLeg) -> None:
    """Two browsers vanish and come back with new connections: their beeps are within 50 ms of the reference."""
    zero = time.monotonic()
    sides: tuple[Speaker, Speaker] = ("agent", "prospect")
    listener = Listener(leg)
    first = [Browser({side: Microphone(beeps, zero)}) for side in sides]
    for browser in first:
        await browser.call(leg)
    await asyncio.sleep(1.5)
    for browser in first:
        await browser.hang_up()
    await asyncio.sleep(1.0)
    microphones = {side: Microphone(beeps, zero) for side in sides}
    again = [Browser({side: microphones[side]}) for side in sides]
    back_ms = leg.items.now_ms()
    for browser in again:
        await browser.call(leg)
    await asyncio.sleep(2.0)
    for browser in again:
        await browser.hang_up()
    await listener.finish()
    for side in sides:
        onsets = [onset for onset in onsets_ms(listener.sound(side)) if onset > back_ms + 300]
        assert len(onsets) >= 2
        assert max(errors_ms(onsets, leg, microphones[side]), default=0.0) < 50
    assert sorted(event.speaker for event in listener.events(LegJoined) if event.rejoined) == ["agent", "prospect"]


async def test_a_second_offer_of_the_same_side_takes_over(leg: WebRtcLeg) -> None:
    """The newer connection is heard, the older one closed; the other side goes on."""
    zero = time.monotonic()
    listener = Listener(leg)
    old = Browser({"agent": Microphone(lambda t: 0.3 * np.sin(2 * np.pi * 300 * t), zero)})
    other = Browser({"prospect": Microphone(beeps, zero)})
    await old.call(leg)
    await other.call(leg)
    await listener.until(lambda item: isinstance(item, AudioFrame) and item.speaker == "agent")
    new = Browser({"agent": Microphone(lambda t: 0 * t, zero)})
    await new.call(leg)
    await listener.until(lambda item: isinstance(item, LegJoined) and item.rejoined)
    taken_over_ms = leg.items.now_ms()
    await asyncio.sleep(0.8)
    assert len(leg._peers) == 2
    assert np.abs(listener.sound("agent")[int(taken_over_ms + 200) * 16 :]).max() < 300
    assert listener.frames("prospect")[-1][1].end_ms > taken_over_ms + 500
    for browser in (old, other, new):
        await browser.hang_up()
    await listener.finish()


async def test_a_muted_side_goes_on_as_silence(leg: WebRtcLeg) -> None:
    """After mute() the frames keep coming, all zeros, until it is taken back."""
    listener = Listener(leg)
    browser = Browser({"prospect": Microphone(lambda t: 0.3 * np.sin(2 * np.pi * 300 * t), time.monotonic())})
    await browser.call(leg)
    await listener.until(lambda item: isinstance(item, AudioFrame))
    leg.mute("prospect", True)
    muted_ms = leg.items.now_ms()
    await asyncio.sleep(0.8)
    leg.mute("prospect", False)
    unmuted_ms = leg.items.now_ms()
    await asyncio.sleep(0.4)
    await browser.hang_up()
    await listener.finish()
    sound = listener.sound("prospect")
    assert not sound[int(muted_ms + 100) * 16 : int(unmuted_ms - 100) * 16].any()
    assert np.abs(sound[int(unmuted_ms + 100) * 16 :]).max() > 3000


async def test_a_consumer_that_stands_still_loses_the_oldest_sound(loopback: None) -> None:
    """At most the buffer's length waits; what went is reported once the consumer takes frames again."""
    leg = WebRtcLeg(WebRtcSettings(buffer_ms=500))
    browser = Browser({"agent": Microphone(beeps, time.monotonic())})
    await browser.call(leg)
    items = aiter(leg)
    assert isinstance(await anext(items), LegJoined)
    await asyncio.sleep(1.5)
    held: list[AudioFrame] = []
    dropped: list[FramesDropped] = []
    while sum(frame.duration_ms for frame in held) < 700:
        item = await anext(items)
        held += [item] if isinstance(item, AudioFrame) else []
        dropped += [item] if isinstance(item, FramesDropped) else []
    await leg.end()
    async for _ in items:
        pass
    await browser.hang_up()
    assert dropped[0].lost_ms > 700
    assert [frame.start_ms for frame in held] == sorted(frame.start_ms for frame in held)


async def test_ending_twice_is_ending_once(leg: WebRtcLeg) -> None:
    """end() may be called again; the iteration ends with one LegLeft per speaker."""
    listener = Listener(leg)
    browser = Browser({"agent": Microphone(beeps, time.monotonic())})
    await browser.call(leg)
    await listener.until(lambda item: isinstance(item, AudioFrame))
    await leg.end()
    await leg.end()
    await listener.finish()
    await leg.end()
    assert [event.reason for event in listener.events(LegLeft)] == ["ended"]
    assert isinstance(listener.items[-1][1], LegLeft)
    with pytest.raises(LegRefused):
        await leg.answer("v=0\r\n", {"0": "agent"})
    await browser.hang_up()


async def test_a_resumed_call_keeps_its_timeline(loopback: None) -> None:
    """A leg made for a call that began ten seconds ago lays the first sound ten seconds into it."""
    leg = WebRtcLeg(began_at=time.time() - 10)
    listener, browser = Listener(leg), Browser({"agent": Microphone(beeps, time.monotonic())})
    await browser.call(leg)
    joined = await listener.until(lambda item: isinstance(item, LegJoined))
    await listener.finish()
    await browser.hang_up()
    assert isinstance(joined, LegJoined)
    assert 10_000 <= joined.offset_ms < 12_000


async def test_words_cut_off_in_the_middle_become_final_within_a_second(leg: WebRtcLeg, tmp_path: Path) -> None:
    """Packets stop in mid-word: the utterance's end is found on the silence that the leg feeds."""
    with wave.open(str(SPEECH)) as file:
        speech = np.frombuffer(file.readframes(file.getnframes()), np.int16) / 32768
    zero = time.monotonic()
    spoken = Microphone(lambda t: speech[np.clip(np.round((t + 4.2) * 48_000).astype(int), 0, len(speech) - 1)], zero)
    detector = SpeechDetector(SpeechModel(file_of(SILERO, "silero_vad.onnx", folder=None, cache=tmp_path)).stream())
    listener = SpeakerListener("call", "prospect", ListeningSettings(), detector)
    network = Network()
    browser = Browser({"prospect": spoken}, network)
    await browser.call(leg)
    cut_at: float | None = None
    ended_after: float | None = None
    async with asyncio.timeout(15):
        async for item in leg:
            if not isinstance(item, AudioFrame):
                continue
            listener.feed(item)
            if cut_at is None and listener.speaking and item.end_ms > 2000 and np.abs(item.samples.astype(np.int32)).max() > 3000:
                network.cut, cut_at = True, time.monotonic()
            elif cut_at is not None and not listener.speaking:
                ended_after = time.monotonic() - cut_at
                await leg.end()
    await browser.hang_up()
    assert ended_after is not None
    assert 0.3 < ended_after < 1.0
