"""`sottovoce listen` on two PulseAudio null sinks: what is played there is captioned."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from scripts.programs.callers import channels
from tests.voice.legs.test_microphone import card  # noqa: F401  a fixture
from web.app import SAMPLE


def voice(file: Path, samples: np.ndarray) -> Path:
    with av.open(str(file), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], format="s16", layout="mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
    return file


@pytest.mark.sound
async def test_two_devices_are_captioned(card: dict[str, str], tmp_path: Path) -> None:  # noqa: F811  the fixture
    """What is played on the agent's and the other side's device is printed as theirs, and a summary at the end."""
    sides = [voice(tmp_path / f"{n}.wav", samples[: 48_000 * 12]) for n, samples in enumerate(channels(SAMPLE / "call.flac"))]
    environment = {**card, "SOTTOVOCE_DATA": str(tmp_path / "data")}
    command = ["-m", "web.cli", "listen", "--agent", "agent", "--prospect", "other", "--granted"]
    child = await asyncio.create_subprocess_exec(sys.executable, *command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    while b"Listening" not in await asyncio.wait_for(child.stdout.readline(), 40):
        pass
    await asyncio.sleep(1)
    players = [
        await asyncio.create_subprocess_exec("paplay", f"--device={sink}", str(file), env=card)
        for sink, file in zip(("agent", "other"), sides, strict=True)
    ]
    for player in players:
        await asyncio.wait_for(player.wait(), 30)
    await asyncio.sleep(1.5)
    child.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(child.communicate(), 30)
    assert child.returncode == 0, err.decode()
    said = out.decode()
    assert "  you  " in said
    assert " them  " in said
    assert "sure" in said.lower()


def test_an_unknown_device_is_said(tmp_path: Path) -> None:
    """A device that is not there gives a sentence that says what to do."""
    environment = {"PATH": "/usr/bin:/bin", "SOTTOVOCE_DATA": str(tmp_path), "HOME": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-m", "web.cli", "listen", "--agent", "nothing"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.strip()
    assert "Traceback" not in ran.stderr
