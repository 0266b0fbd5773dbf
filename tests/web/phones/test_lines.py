"""What lines do to sound: loss, disorder, silence, other codecs, other senders; and that our own standing still is never heard."""

import asyncio
import random
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest

from scripts.programs.telephone import Telephone, gaps
from tests.phones import (
    CONNECTS,
    PASSWORD,
    PROSPECT_NUMBER,
    Analysis,
    PhoneProcess,
    likeness,
    listening,
    media_ports,
    phone,
    said,
    trunk,
    until,
)
from voice.frames import AudioFrame
from voice.legs import FramesDropped, LegItem
from voice.legs.rtp import RtpSource, rtp_packet, to_g722
from voice.legs.sip_bridge import SipBridgeLeg, ends
from voice.legs.telephony import to_mu_law

pytestmark = [pytest.mark.timeout(90)]
PCMU = {0: ("pcmu", 8000), 101: ("telephone-event", 8000), 13: ("cn", 8000)}


def packets(sound: Any, kind: int = 0, ssrc: int = 7, first: int = 100) -> list[bytes]:
    telephone = Telephone("x", "127.0.0.1")
    telephone.ssrc, telephone.sequence, telephone.stamp = ssrc, first, 1_000_000
    code = to_mu_law(sound)
    return [telephone.packet(code[n : n + 160], kind) for n in range(0, len(code) // 160 * 160, 160)]


def heard(source: RtpSource, sent: list[tuple[float, bytes]]) -> tuple[Any, list[bool]]:
    """(sound at 16 kHz laid by position, which stretches began anew)."""
    stretches = [s for at, data in sent for s in source.feed(data, at)] + source.tick(1e9)
    first = stretches[0].position
    out = np.zeros(max(s.position - first + len(s.samples) for s in stretches), np.int16)
    for s in stretches:
        out[s.position - first : s.position - first + len(s.samples)] = s.samples
    return out, [s.restarted for s in stretches]


@pytest.fixture(scope="module")
def voice() -> Any:
    return said(8.0, 14.0)[1] + said(8.0, 14.0)[0]


def at_pace(sent: list[bytes]) -> list[tuple[float, bytes]]:
    return [(20.0 * n, data) for n, data in enumerate(sent)]


def test_sound_comes_out_where_it_was_spoken(voice: Any) -> None:
    """A clean line: everything, in place."""
    source = RtpSource()
    source.formats = PCMU
    out, _ = heard(source, at_pace(packets(voice)))
    assert likeness(out[::2], voice) > 0.98
    assert abs(len(out) / 2 - len(voice)) < 400


def test_five_percent_lost_and_disordered_cost_five_percent(voice: Any) -> None:
    """Lost packets are holes in their own place; those that overtook each other are put back."""
    source, chance = RtpSource(), random.Random(5)
    source.formats = PCMU
    sent = [data for data in packets(voice) if chance.random() > 0.05]
    for n in range(0, len(sent) - 1, 20):
        sent[n], sent[n + 1] = sent[n + 1], sent[n]
    out, restarted = heard(source, at_pace(sent))
    assert likeness(out[::2], voice[800:]) > 0.85  # the first packet is among the lost
    assert 0.02 < source.figures.loss < 0.09
    assert not any(restarted)
    assert abs(len(out) / 2 - len(voice)) < 1000


def test_silence_suppression_is_a_hole_in_its_own_place(voice: Any) -> None:
    """A second without packets, announced by comfort noise, stays a second."""
    source = RtpSource()
    source.formats = PCMU
    sent = packets(voice)
    noise = sent[100][:1] + bytes([13]) + sent[100][2:12] + b"\x40"
    # The numbers go on, the times leap: what RFC 3551 says of silence.
    rest = [data[:2] + (200 + n).to_bytes(2, "big") + data[4:] for n, data in enumerate(sent[150:], 1)]
    out, _ = heard(source, at_pace([*sent[:100], noise, *rest]))
    assert abs(len(out) / 2 - len(voice)) < 400
    quiet = out[101 * 320 : 149 * 320]
    assert np.max(np.abs(quiet)) < 50


def test_another_sender_and_another_codec_begin_anew(voice: Any) -> None:
    """SSRC changes, then the codec, each with another clock; every part is understood."""
    wide = np.repeat(voice[:16_000], 2)
    coded = to_g722(wide)
    telephone = Telephone("x", "127.0.0.1")
    telephone.ssrc, telephone.sequence, telephone.stamp = 9, 5, 77
    second = packets(voice[16_000:32_000], ssrc=8, first=60_000)
    third = [telephone.packet(coded[n : n + 160], 9) for n in range(0, len(coded), 160)]
    source = RtpSource()
    source.formats = {**PCMU, 9: ("g722", 8000)}
    stretches = [s for at, data in at_pace([*packets(voice[:16_000]), *second, *third]) for s in source.feed(data, at)] + source.tick(1e9)
    assert sum(s.restarted for s in stretches) == 2
    starts = [n for n, s in enumerate(stretches) if s.restarted]
    last = np.concatenate([s.samples for s in stretches[starts[1] :]])
    assert likeness(last[::2], voice[1000:15_000]) > 0.9  # the codec is late by 22 samples
    assert source.figures.coding == "g722"


def test_opus_is_understood(voice: Any) -> None:
    """48 kHz time stamps, variable packets."""
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
    encoder.open()
    telephone = Telephone("x", "127.0.0.1")
    sent = []
    loud = np.repeat(voice, 6)
    for n in range(0, len(loud) - 960, 960):
        frame = av.AudioFrame.from_ndarray(loud[None, n : n + 960], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, n
        sent += [telephone.packet(bytes(p), 96, step=960) for p in encoder.encode(frame)]
    source = RtpSource()
    source.formats = {96: ("opus", 48_000)}
    out, _ = heard(source, at_pace(sent))
    assert likeness(out[::2], voice) > 0.9


@pytest.mark.parametrize("seed", range(3))
def test_no_bytes_break_the_tap(seed: int, voice: Any) -> None:
    """Random and mutated packets are counted; the real ones between them are still heard."""
    source, chance = RtpSource(), random.Random(seed)
    source.formats = {**PCMU, 9: ("g722", 8000), 96: ("opus", 48_000)}
    real = packets(voice)
    for n, data in enumerate(real):
        for _ in range(5):
            junk = bytearray(chance.choice(real)) if chance.random() < 0.5 else bytearray(chance.randbytes(chance.randrange(0, 300)))
            for _ in range(chance.randrange(1, 6)):
                if junk:
                    junk[chance.randrange(len(junk))] = chance.randrange(256)
            if (packet := rtp_packet(bytes(junk))) is None or packet.source != 7:
                source.feed(bytes(junk), 20.0 * n)
        source.feed(data, 20.0 * n)
    assert source.figures.rubbish > 0
    assert source.figures.coding


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory, carrier: int) -> Iterator[PhoneProcess]:
    text = listening(media_ports(60)) + CONNECTS + "calls = 40\nper_source = 40\n" + phone("dana") + trunk("carrier", carrier)
    process = PhoneProcess(tmp_path_factory.mktemp("phone"), text)
    yield process
    process.stop()


class Exchange:
    """The other side's trunk: one SIP port, a Telephone's sound per call. ``formats``: what it answers with, now and to changes."""

    def __init__(self, server: str, port: int, formats: str = "0 101") -> None:
        self.formats = formats
        self.door = Telephone("carrier", server, port=port)
        self.lines: list[Telephone] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Exchange":
        await self.door.open()
        self.door.auto = False
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        for telephone in (self.door, *self.lines):
            telephone.close()

    async def _run(self) -> None:
        while True:
            request = await self.door.requests.get()
            if request.method == "INVITE" and "tag=" not in request.get("to"):
                line = await Telephone("line", "127.0.0.1:9", formats=self.formats).open()
                line._take(request.body)
                self.lines.append(line)
                self.door._mine = ""
                self.door.reply(request, 200, "OK", line.sdp())
            elif request.method != "ACK":
                self.door.reply(request, 200, "OK", self.lines[-1].sdp(formats=self.formats) if request.method == "INVITE" else "")


async def test_ten_calls_while_the_analysis_stands_still(phones: PhoneProcess, carrier: int) -> None:
    """Ten calls at once; an analysis that is stopped for a second costs none of them a packet or a pause."""
    server = str(phones.state()["address"])
    analysis = Analysis(phones)
    agents = [Telephone("dana", server, password=PASSWORD) for _ in range(10)]
    try:
        async with Exchange(server, carrier) as exchange:
            for agent in agents:
                await agent.open()
                calling = asyncio.create_task(agent.call(PROSPECT_NUMBER))
                while not calling.done():
                    analysis.read()
                    await asyncio.sleep(0.01)
                await calling
            calls = await asyncio.to_thread(until, lambda: found if len(found := analysis.events("call")) == 10 else None)
            # From here on the analysis reads nothing: its taps fill and overflow in the kernel.
            left = await asyncio.gather(*(each.speak(b"\xff" * 160 * 100) for each in (*exchange.lines, *agents)))
            await asyncio.sleep(0.3)
            paused = [max(b - a for a, b in pairwise(times)) * 1000 for times in left]  # by ourselves, when this machine is busy
            for n, (agent, line) in enumerate(zip(agents, exchange.lines, strict=True)):
                for heard_, ssrc, own in ((agent.heard, line.ssrc, paused[n]), (line.heard, agent.ssrc, paused[10 + n])):
                    stream = gaps(heard_, ssrc)
                    assert (stream.packets, stream.missing) == (100, 0)
                    assert stream.longest_ms < own + 100
            assert all(len(analysis.heard(call["call"], side)) >= 98 for call in calls for side in ("caller", "callee"))
            for agent in agents:
                await agent.hang_up()
            await asyncio.to_thread(until, lambda: not phones.state()["calls"], 5)
    finally:
        analysis.close()
        for agent in agents:
            agent.close()


@dataclass(slots=True)
class Line:
    """What a side sends, 20 ms by 20 ms: one packet, several, or none; and what of it was speech, from which of them on."""

    telephone: Telephone
    slots: list[tuple[bytes, ...]] = field(default_factory=list)
    parts: list[tuple[int, Any]] = field(default_factory=list)

    def says(self, sound: Any, kind: int = 0, *, marker: bool = False) -> None:
        """Speech at 8 kHz, in PCMU or (9) G.722."""
        self.parts.append((len(self.slots), sound))
        code = to_g722(np.repeat(sound, 2)) if kind == 9 else to_mu_law(sound)
        pieces = [code[n : n + 160] for n in range(0, len(code) // 160 * 160, 160)]
        self.slots += [(self.telephone.packet(piece, kind, marker=marker and not n),) for n, piece in enumerate(pieces)]

    def loses(self, seed: int) -> None:
        """Of everything so far 5 % never leave, and every twentieth is overtaken by the next."""
        chance, first = random.Random(seed), 5  # who calls begins with something
        for n in range(first, len(self.slots) - 1, 20):
            self.slots[n], self.slots[n + 1] = self.slots[n + 1], self.slots[n]
        self.slots = [slot if n < first or chance.random() > 0.05 else () for n, slot in enumerate(self.slots)]

    def pauses(self, slots: int, *, noise: bool = False) -> None:
        """Silence suppression: comfort noise once, if at all, then nothing; the numbers go on, the times leap."""
        if noise:
            self.slots.append((self.telephone.packet(b"\x40", 13),))
        self.slots += [()] * slots
        self.telephone.stamp += 160 * slots

    def another(self) -> None:
        """Another sender: every number anew."""
        self.telephone.ssrc, self.telephone.sequence, self.telephone.stamp = secrets.randbits(32), 65_500, secrets.randbits(32)

    async def send(self) -> float:
        """time.monotonic() of the first."""
        begin = time.monotonic()
        for n, packets in enumerate(self.slots):
            await asyncio.sleep(max(0.0, begin + n * 0.02 - time.monotonic()))
            for data in packets:
                self.telephone.send_rtp(data)
        return begin

    def sent(self) -> list[bytes]:
        return [data for packets in self.slots for data in packets]


async def following(analysis: Analysis, leg: SipBridgeLeg, call: str) -> None:
    """What the phone process tells of the call reaches the leg, as the server does it."""
    done = 0
    while True:
        messages = analysis.read()
        for message in messages[done:]:
            if message["event"] == "media" and message["call"] == call:
                leg.formats(message["side"], message["formats"])
        done = len(messages)
        await asyncio.sleep(0.1)


def side_of(items: Sequence[LegItem], speaker: str) -> tuple[list[Any], list[str]]:
    """(frames, names of the other items) of one speaker; milliseconds dropped where two clocks met again do not count."""
    mine: list[Any] = [item for item in items if getattr(item, "speaker", "") == speaker]
    assert sum(item.lost_ms for item in mine if isinstance(item, FramesDropped)) < 100
    frames = [item for item in mine if isinstance(item, AudioFrame)]
    assert all(a.end_ms == b.start_ms for a, b in pairwise(frames))
    return frames, [type(item).__name__ for item in mine if not isinstance(item, AudioFrame | FramesDropped)]


def in_place(frames: Sequence[Any], line: Line, began_ms: float) -> None:
    """Every half second that was said is in the frames, within 100 ms of where it was said. One of each part may be torn: there
    the two clocks met anew."""
    sound = np.concatenate([frame.samples for frame in frames])[::2]
    for slot, part in line.parts:
        torn = []
        for n in range(0, len(part) - 3999, 4000):
            piece, begin = part[n : n + 4000], int((began_ms + slot * 20 - frames[0].start_ms - 100) * 8) + n
            window = sound[max(0, begin) : begin + len(piece) + 1600]
            if np.sqrt(np.mean(piece.astype(float) ** 2)) > 300 and (like := likeness(window, piece)) < 0.8:
                torn.append((n / 8000, round(like, 2)))
        assert len(torn) <= 1, (slot, torn)


async def test_a_bad_line_is_no_end(phones: PhoneProcess, carrier: int) -> None:
    """One bridged call. The agent's line loses and disorders 5 %, suppresses silence, changes its sender and its codec, while the
    prospect's port is silent for 20 s: everything sent is relayed, all of it is heard where it was said, nobody has hung up."""
    server = str(phones.state()["address"])
    await asyncio.to_thread(until, lambda: not phones.state()["analysis"], 5)
    voice = said(7.0, 27.0)[0] + said(7.0, 27.0)[1]
    piece = lambda begin, end: voice[begin * 8000 : end * 8000]  # noqa: E731  five uses, one line
    analysis = Analysis(phones)
    items: list[LegItem] = []
    try:
        async with (
            Exchange(server, carrier, "0 101 13") as exchange,
            Telephone("dana", server, password=PASSWORD, formats="0 101 13") as agent,
        ):
            calling = asyncio.create_task(agent.call(PROSPECT_NUMBER))
            while not calling.done():
                analysis.read()
                await asyncio.sleep(0.01)
            await calling
            call = (await asyncio.to_thread(until, lambda: analysis.events("call")))[0]
            leg = SipBridgeLeg(ends("agent"))
            for side in ("caller", "callee"):
                leg.formats(side, call["sides"][side]["formats"])
            await leg.open({side: tap.dup() for side, tap in analysis.taps[call["call"]].items()})

            async def listen() -> None:
                async for item in leg:
                    items.append(item)

            listening = asyncio.create_task(listen())
            told = asyncio.create_task(following(analysis, leg, call["call"]))
            prospect = Line(exchange.lines[0])
            prospect.says(piece(16, 17))
            prospect.pauses(1000)
            prospect.says(piece(19, 20))
            line = Line(agent)
            line.says(piece(0, 6))
            line.loses(5)
            line.says(piece(6, 8))
            line.pauses(60, noise=True)
            line.says(piece(8, 10), marker=True)
            line.another()
            line.says(piece(10, 13))
            changes_at = len(line.slots)
            line.says(piece(13, 16), kind=9)
            line.says(np.zeros((len(prospect.slots) - len(line.slots)) * 160, np.int16), kind=9)
            line.parts.pop()  # a quiet room has no place of its own

            async def change() -> None:
                """Another codec is agreed on a second before it is used; the sound does not wait for it."""
                await asyncio.sleep(changes_at * 0.02 - 1)
                exchange.formats = "9 101 13"
                assert (await agent.within("INVITE", agent.sdp(formats="9 101 13", version=2))).status == 200

            zero_ms, zero = leg.items.now_ms(), time.monotonic()
            began, other_began, _ = await asyncio.gather(line.send(), prospect.send(), change())
            await asyncio.sleep(0.3)
            told.cancel()
            assert phones.state()["calls"][0]["up"]
            assert not analysis.events("ended")
            for telephone, sender in ((exchange.lines[0], line), (agent, prospect)):
                assert [packet.data for packet in telephone.heard] == sender.sent()
            figures = leg.figures()["caller"]
            assert figures.coding == "g722"
            await agent.hang_up()
            await asyncio.to_thread(until, lambda: analysis.events("ended"), 5)
            leg.hung_up()
            await asyncio.wait_for(listening, 5)
    finally:
        analysis.close()
    frames, kinds = side_of(items, "agent")
    assert kinds == ["LegJoined", "LegLeft"]
    in_place(frames, line, zero_ms + (began - zero) * 1000)
    frames, kinds = side_of(items, "prospect")
    assert kinds == ["LegJoined", "LegLost", "LegResumed", "LegLeft"]
    in_place(frames, prospect, zero_ms + (other_began - zero) * 1000)
    assert 21_500 < frames[-1].end_ms - frames[0].start_ms < 23_500
