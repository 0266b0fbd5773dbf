"""This computer's sound card: two null sinks of a PulseAudio server of our own stand in for it."""

import asyncio
import ctypes.util
import json
import os
import shutil
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from voice.legs import microphone
from voice.legs.live import LiveItems
from voice.legs.microphone import MicrophoneMissing, devices

ASOUNDRC = 'pcm.agent { type pulse device "agent.monitor" }\npcm.other { type pulse device "other.monitor" }\n'

# PortAudio reads its surroundings once per process; so the leg runs in one of its own.
LISTEN = """
import asyncio, json, sys
import numpy as np
from voice.frames import AudioFrame
from voice.legs import LegJoined
from voice.legs.microphone import MicrophoneLeg, devices

async def main():
    leg = MicrophoneLeg("agent", "other" if sys.argv[1] == "two" else None)
    loud, joined, ends, starts = {"agent": 0, "prospect": 0}, [], {}, {}
    names = [device.name for device in devices()]
    async def stop():
        await asyncio.sleep(float(sys.argv[2]))
        await leg.end()
    stopper = asyncio.create_task(stop())
    async for item in leg:
        if isinstance(item, LegJoined):
            joined.append(item.speaker)
            print("joined", item.speaker, file=sys.stderr, flush=True)
        elif isinstance(item, AudioFrame):
            assert starts.setdefault(item.speaker, item.start_ms) <= item.start_ms == ends.get(item.speaker, item.start_ms)
            ends[item.speaker] = item.end_ms
            if np.abs(item.samples.astype(int)).max() > 1000:
                loud[item.speaker] += item.duration_ms
    await stopper
    print(json.dumps({"names": names, "joined": joined, "loud": loud, "heard": {s: ends[s] - starts[s] for s in ends}}))

asyncio.run(main())
"""


@pytest.fixture
def card(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which PortAudio sees the devices ``agent`` and ``other``."""
    if shutil.which("pulseaudio") is None or shutil.which("paplay") is None or ctypes.util.find_library("portaudio") is None:
        pytest.skip("PulseAudio (pulseaudio, pulseaudio-utils, libasound2-plugins) or PortAudio (libportaudio2) is not installed")
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    (tmp_path / ".asoundrc").write_text(ASOUNDRC)
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "HOME": str(tmp_path), "PULSE_RUNTIME_PATH": str(runtime / "pulse")}
    modules = ["module-native-protocol-unix", "module-null-sink sink_name=agent", "module-null-sink sink_name=other"]
    server = subprocess.Popen(
        ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", *(f"-L{module}" for module in modules)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            if subprocess.run(["pactl", "info"], env=environment, capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)
        yield environment
    finally:
        server.terminate()
        server.wait(10)


def tone(file: Path, seconds: float) -> Path:
    samples = (8000 * np.sin(np.arange(int(seconds * 16_000)) * 0.3)).astype(np.int16)
    with wave.open(str(file), "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        out.writeframes(samples.tobytes())
    return file


async def listen(card: dict[str, str], sides: str, seconds: float, play: Path, sink: str) -> dict[str, Any]:
    """What a leg in a process of its own heard while a file was played on one sink."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LISTEN, sides, str(seconds), env=card, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stderr is not None
    wanted = {"joined agent"} | ({"joined prospect"} if sides == "two" else set())
    seen: list[str] = []
    while wanted - set(seen) and (line := await asyncio.wait_for(child.stderr.readline(), 20)):
        seen.append(line.decode().strip())
    player = await asyncio.create_subprocess_exec("paplay", f"--device={sink}", str(play), env=card)
    out, rest = await asyncio.wait_for(child.communicate(), 30)
    await player.wait()
    assert child.returncode == 0, "\n".join(seen) + rest.decode()
    heard: dict[str, Any] = json.loads(out)
    return heard


@pytest.mark.sound
async def test_each_device_is_one_speaker(card: dict[str, str], tmp_path: Path) -> None:
    """What is played on the second device is the prospect's, and the agent's stays silent."""
    heard = await listen(card, "two", 4.0, tone(tmp_path / "a.wav", 1.0), "other")
    assert {"agent", "other"} <= set(heard["names"])
    assert sorted(heard["joined"]) == ["agent", "prospect"]
    assert heard["loud"]["prospect"] == pytest.approx(1000, abs=120)
    assert heard["loud"]["agent"] == 0
    assert heard["heard"]["agent"] == pytest.approx(heard["heard"]["prospect"], abs=300)


@pytest.mark.sound
async def test_one_device_is_the_agent(card: dict[str, str], tmp_path: Path) -> None:
    """Without a second device only the agent joins and is heard."""
    heard = await listen(card, "one", 3.0, tone(tmp_path / "a.wav", 0.8), "agent")
    assert heard["joined"] == ["agent"]
    assert heard["loud"]["agent"] == pytest.approx(800, abs=120)


@pytest.mark.sound
def test_a_device_that_does_not_exist_is_named(card: dict[str, str]) -> None:
    """The sentence names the device and says what to do."""
    ask = "import asyncio\nfrom voice.legs.microphone import *\nasync def f():\n  async for _ in MicrophoneLeg('nowhere'): pass\n"
    ask += "try: asyncio.run(f())\nexcept MicrophoneMissing as e: print(e)"
    said = subprocess.run([sys.executable, "-c", ask], env=card, capture_output=True, text=True, check=True).stdout
    assert "“nowhere” cannot be opened" in said


def test_without_portaudio_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A computer without the library gets the name of the package, not a traceback of an import."""

    def missing(*_: object, **__: object) -> None:
        raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr("ctypes.util.find_library", missing)
    with pytest.raises(MicrophoneMissing, match="libportaudio2"):
        devices()


async def test_a_card_of_another_rate_keeps_time() -> None:
    """Blocks of 44.1 kHz come out as 16 kHz of the same length."""
    items = LiveItems()
    source = microphone._Source("agent", items, asyncio.get_running_loop())
    source.at_rate(44_100)
    block: NDArray[np.int16] = np.full(882, 500, np.int16)
    for _ in range(100):
        source._heard(block, False, items.now_ms())
    assert source._position == pytest.approx(32_000, abs=64)
