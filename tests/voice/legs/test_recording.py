"""A recording as a call."""

import asyncio
import time
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from voice.frames import AudioFrame
from voice.legs import LegItem, LegJoined, LegLeft
from voice.legs.pcm import RecordingRefused, channels_of
from voice.legs.recording import RecordingLeg, check_recording


def write(file: Path, channels: NDArray[np.float64], rate: int = 16_000, codec: str = "pcm_s16le") -> Path:
    """``channels``: shape (channels, n), -1..1."""
    layout = {1: "mono", 2: "stereo", 3: "2.1"}[len(channels)]
    with av.open(str(file), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels, np.float32), format="fltp", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            format=stream.codec_context.format, layout=layout, rate=rate, frame_size=stream.codec_context.frame_size or None
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return file


def tone(seconds: float, hertz: float, rate: int = 16_000) -> NDArray[np.float64]:
    return 0.4 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def pitch(samples: NDArray[np.int16]) -> float:
    """The loudest frequency, in hertz."""
    return float(np.argmax(np.abs(np.fft.rfft(samples.astype(np.float64)))) * 16_000 / len(samples))


async def played(leg: RecordingLeg) -> list[LegItem]:
    return [item async for item in leg]


def sound(items: list[LegItem], speaker: str) -> NDArray[np.int16]:
    return np.concatenate([item.samples for item in items if isinstance(item, AudioFrame) and item.speaker == speaker])


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.wav", "pcm_s16le", 16_000),
        ("a.wav", "pcm_s24le", 44_100),
        ("a.wav", "pcm_mulaw", 8_000),
        ("a.flac", "flac", 48_000),
        ("a.mp3", "libmp3lame", 44_100),
        ("a.ogg", "libopus", 48_000),
        ("a.m4a", "aac", 44_100),
    ],
)
async def test_usual_files_are_read_one_channel_per_speaker(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    """Left is the agent: its pitch comes as the agent's, the right one as the prospect's, at their full length."""
    file = write(tmp_path / name, np.stack([tone(1.0, 500, rate), tone(1.0, 1500, rate)]), rate, codec)
    items = await played(RecordingLeg(file))
    assert pitch(sound(items, "agent")) == pytest.approx(500, abs=5)
    assert pitch(sound(items, "prospect")) == pytest.approx(1500, abs=5)
    assert len(sound(items, "agent")) / 16 == pytest.approx(1000, abs=60)


async def test_the_agent_may_be_on_the_right(tmp_path: Path) -> None:
    """With agent="right" the channels change sides."""
    file = write(tmp_path / "a.wav", np.stack([tone(0.5, 500), tone(0.5, 1500)]))
    assert pitch(sound(await played(RecordingLeg(file, agent="right")), "agent")) == pytest.approx(1500, abs=5)


async def test_one_channel_is_one_speaker(tmp_path: Path) -> None:
    """A mono file is the prospect; nobody else joins."""
    items = await played(RecordingLeg(write(tmp_path / "a.wav", tone(0.5, 500)[None])))
    assert [item.speaker for item in items if isinstance(item, LegJoined)] == ["prospect"]


async def test_frames_of_both_sides_are_interleaved_by_time(tmp_path: Path) -> None:
    """20 ms of one side, the same 20 ms of the other, then on; every sample once."""
    items = await played(RecordingLeg(write(tmp_path / "a.wav", np.stack([tone(0.51, 500), tone(0.51, 900)]))))
    frames = [item for item in items if isinstance(item, AudioFrame)]
    assert [(frame.speaker, frame.start_ms) for frame in frames] == [(s, t) for t in range(0, 510, 20) for s in ("agent", "prospect")]
    assert {len(frame.samples) for frame in frames[:-2]} == {320}
    assert sum(len(frame.samples) for frame in frames) == 2 * 8160
    assert isinstance(items[-1], LegLeft)
    assert items[-1].reason == "hung_up"


async def test_real_time_is_kept_without_drift(tmp_path: Path) -> None:
    """A frame never comes before its end is due, and the last no later for all that came before."""
    leg = RecordingLeg(write(tmp_path / "a.wav", tone(1.5, 500)[None]), pace=1.0)
    began, early, late = 0.0, 0.0, 0.0
    async for item in leg:
        if isinstance(item, LegJoined):
            began = time.monotonic()
        elif isinstance(item, AudioFrame):
            ahead_ms = item.end_ms - (time.monotonic() - began) * 1000
            early, late = max(early, ahead_ms), -ahead_ms
            assert item.arrived_at is not None
            if item.start_ms < 400:
                await asyncio.sleep(0.025)  # a consumer slower than real time at first
    assert early < 1.5
    assert late < 60


async def test_ending_a_recording_ends_the_iteration(tmp_path: Path) -> None:
    """After end() no frame comes, only LegLeft(ended)."""
    leg = RecordingLeg(write(tmp_path / "a.wav", tone(2.0, 500)[None]))
    items: list[LegItem] = []
    async for item in leg:
        items.append(item)
        if isinstance(item, AudioFrame) and item.start_ms == 200:
            await leg.end()
            await leg.end()
    assert items[-1] == LegLeft("prospect", 220, "ended")


def _text(folder: Path) -> Path:
    (folder / "a.wav").write_text("Dear diary, this is no sound.")
    return folder / "a.wav"


def _empty(folder: Path) -> Path:
    (folder / "a.wav").write_bytes(b"")
    return folder / "a.wav"


def _silent_film(folder: Path) -> Path:
    with av.open(str(folder / "a.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25, width=64, height=64, pix_fmt="yuv420p")
        container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    return folder / "a.mkv"


def _nothing(folder: Path) -> Path:
    with wave.open(str(folder / "a.wav"), "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
    return folder / "a.wav"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_text, "no sound file"),
        (_empty, "no sound file"),
        (lambda folder: folder / "missing.wav", "no sound file"),
        (lambda folder: folder, "no sound file"),
        (_silent_film, "holds no sound"),
        (lambda folder: write(folder / "a.wav", np.stack([tone(0.2, 300)] * 3)), "3 channels"),
        (_nothing, "holds no sound"),
    ],
)
async def test_what_is_no_recording_is_refused(tmp_path: Path, make: object, why: str) -> None:
    """The sentence says what is wrong with the file."""
    file = make(tmp_path)  # type: ignore[operator]  # one of the makers above
    with pytest.raises(RecordingRefused, match=why):
        check_recording(file)
    with pytest.raises(RecordingRefused, match=why):
        await played(RecordingLeg(file))


def test_a_recording_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """The limit is on its sound, not on its bytes."""
    file = write(tmp_path / "a.flac", np.zeros((1, 16_000 * 5)), codec="flac")
    with pytest.raises(RecordingRefused, match="longer than"):
        list(channels_of(file, longest_s=3))


async def test_a_damaged_file_gives_what_can_be_read(tmp_path: Path) -> None:
    """A recording cut off in the middle plays to where it breaks off, or is refused; it never raises anything else."""
    file = write(tmp_path / "a.flac", np.random.default_rng(1).normal(0, 0.1, (2, 32_000)), codec="flac")
    whole = file.read_bytes()
    for cut in (10, 50, len(whole) // 2, len(whole) - 3):
        file.write_bytes(whole[:cut])
        try:
            assert isinstance((await played(RecordingLeg(file)))[-1], LegLeft)
        except RecordingRefused:
            assert cut < len(whole)
