"""Offers that are no offers: each gets a sentence, none disturbs the leg."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.voice.legs.peers import Browser, Listener, Microphone
from voice.frames import AudioFrame, Speaker
from voice.legs import LegRefused
from voice.legs.offers import LONGEST, accepted_offer, with_own_addresses
from voice.legs.webrtc_peer import WebRtcLeg

AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=sendonly\r\na=rtpmap:111 opus/48000/2\r\n"
HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"


def offer(*mids: str) -> str:
    return HEAD + "".join(AUDIO.format(mid=mid) for mid in mids)


@pytest.mark.parametrize(
    ("sdp", "tracks", "why"),
    [
        ("", {"0": "agent"}, "no session description"),
        ("rubbish", {"0": "agent"}, "no session description"),
        ("v=0\r\n" + "a=x\r\n" * 30_000, {"0": "agent"}, "too long"),
        (offer("0").replace("s=-", "s=\x00"), {"0": "agent"}, "no session description"),
        (offer("0"), {}, "whose sound"),
        (offer("0", "1"), {"0": "agent"}, "2 tracks"),
        (offer("0", "1", "2"), {"0": "agent", "1": "prospect"}, "3 tracks"),
        (offer("0", "1"), {"0": "agent", "1": "agent"}, "same speaker"),
        (offer("0", "0"), {"0": "agent", "1": "prospect"}, "no name"),
        (offer("0"), {"0": "agent", "1": "prospect"}, "not in the offer"),
        (offer("7"), {"0": "agent"}, "no name"),
        (offer("0").replace("audio", "video"), {"0": "agent"}, "Only sound"),
        (offer("0").replace("m=audio 9 UDP", "m=application 9 UDP"), {"0": "agent"}, "Only sound"),
        (offer("0").replace("sendonly", "recvonly"), {"0": "agent"}, "sends no sound"),
        (offer("0") + "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n" * 101, {"0": "agent"}, "too many addresses"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_reason(sdp: str, tracks: dict[str, Speaker], why: str) -> None:
    """The sentence names what is wrong."""
    with pytest.raises(LegRefused, match=why):
        accepted_offer(sdp, tracks)


def test_a_good_offer_passes_unchanged() -> None:
    """Two audio sections for two speakers are what we want."""
    assert accepted_offer(offer("a", "b"), {"a": "agent", "b": "prospect"}) == offer("a", "b")


def test_hidden_addresses_are_replaced() -> None:
    """A ``.local`` name becomes the address given; a real address stays."""
    hidden = "a=candidate:1 1 udp 2113937151 7181b49a-4249.local 36716 typ host\r\n"
    real = "a=candidate:1 1 udp 2113937151 192.0.2.7 36716 typ host\r\n"
    assert with_own_addresses(hidden + real, "192.0.2.9") == hidden.replace("7181b49a-4249.local", "192.0.2.9") + real


async def test_an_unknown_codec_is_refused(leg: WebRtcLeg) -> None:
    """A browser that speaks none of our codecs is told which ones we know."""
    browser = Browser({"agent": Microphone(lambda t: 0 * t, 0.0)})
    sdp, tracks = await browser.offer()
    with pytest.raises(LegRefused, match="codec"):
        await leg.answer(sdp.replace("opus/48000/2", "AMR-WB/16000/1"), tracks)
    assert not leg._peers
    await browser.hang_up()


WOUND = st.tuples(
    st.sampled_from(["remove", "double", "cut", "replace", "lengthen"]), st.integers(0, 99), st.integers(0, 20), st.text(max_size=20)
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wounds=st.lists(WOUND, min_size=1, max_size=4))
async def test_mutilated_offers_are_refused_or_answered(loopback: None, wounds: list[tuple[str, int, int, str]]) -> None:
    """Lines removed, doubled, cut or replaced: the leg answers or refuses, and raises nothing else."""
    leg = WebRtcLeg()
    browser = Browser({"agent": Microphone(lambda t: 0 * t, 0.0)})
    sdp, tracks = await browser.offer()
    lines = sdp.split("\r\n")
    for kind, where, length, text in wounds:
        place = where % len(lines)
        line = lines[place]
        changed = {"remove": [], "double": [line, line], "cut": [line[:length]], "replace": [text], "lengthen": [line + text]}
        lines[place : place + 1] = changed[kind]
    try:
        assert "m=audio" in await leg.answer("\r\n".join(lines), tracks)
    except LegRefused:
        assert not leg._peers
    await leg.end()
    await browser.hang_up()


async def test_a_running_side_hears_nothing_of_bad_offers(leg: WebRtcLeg) -> None:
    """While rubbish is refused, the other side's frames go on."""
    listener = Listener(leg)
    browser = Browser({"prospect": Microphone(lambda t: 0 * t, 0.0)})
    await browser.call(leg)
    await listener.until(lambda item: isinstance(item, AudioFrame))
    for rubbish in ("", "v=0", offer("0"), "v=0\r\n" + "x" * LONGEST):
        with pytest.raises(LegRefused):
            await leg.answer(rubbish, {"0": "agent"})
    seen = len(listener.frames("prospect"))
    await listener.until(lambda item: len(listener.frames("prospect")) > seen + 10, 2.0)
    await browser.hang_up()
    await listener.finish()
