"""scripts/bench_engine --calls N: N two-sided calls at once at 1.0x through one engine process, as the server runs it.

Each call is the same recording, begun a little later than the one before. Latencies count from the end of an utterance,
as the speech detector alone hears it, to the recogniser's answer in this process. --largest tries more and more calls
until finals come later than 1.5 s (p95) and says how many this machine holds.
"""

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scripts.evaluations.asr import Tally, centiles, timed, utterances_of
from scripts.programs.services import cpu_s
from scripts.programs.stream_wav import CACHE, Printer, stream
from voice.frames import Speaker
from voice.legs.pcm import channels_of
from voice.listening import ListeningSettings, SpeakerListener
from voice.models.engine import EngineSettings
from voice.models.onnx import SpeechModel
from voice.models.process import EngineProcess, open_models
from voice.models.weights import SILERO, file_of
from voice.models.whisper import cuda_devices
from voice.vad import SpeechDetector

SAMPLE: Final = Path(__file__).parents[2] / "web" / "sample" / "call.flac"
_LATE_MS: Final = 1500.0
_STAGGER_S: Final = 0.7
_SPEAKERS: Final[tuple[Speaker, Speaker]] = ("agent", "prospect")


def rss_mb(pid: int) -> float:
    line = next(each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def beginning(file: Path, seconds: float, folder: Path) -> tuple[Path, NDArray[np.int16]]:
    """So many seconds of a two-channel recording, repeated if need be, as a WAV file; and its samples, shape (2, n)."""
    sound = np.concatenate(list(channels_of(file)), axis=1)
    if sound.shape[0] != 2:
        raise SystemExit(f"{file} has one channel; a call has two")
    wanted = int(seconds * 16_000)
    sound = np.tile(sound, (1, -(-wanted // sound.shape[1])))[:, :wanted]
    cut = folder / "call.wav"
    with wave.open(str(cut), "wb") as out:
        out.setparams((2, 2, 16_000, 0, "NONE", ""))
        out.writeframes(np.ascontiguousarray(sound.T).tobytes())
    return cut, sound


async def calls_at_once(count: int, file: Path, ends: dict[Speaker, list[float]], seconds: float, models: EngineProcess) -> dict[str, Any]:
    speech = SpeechModel(file_of(SILERO, "silero_vad.onnx", folder=None, cache=CACHE))
    tally, halves, replaced = Tally(), (Tally(), Tally()), 0

    async def one(number: int) -> None:
        nonlocal replaced
        await asyncio.sleep(number * _STAGGER_S)
        printers = {speaker: Printer(quiet=True) for speaker in _SPEAKERS}
        listeners = {s: SpeakerListener(f"bench{number}", s, ListeningSettings(), SpeechDetector(speech.stream())) for s in _SPEAKERS}
        for printer in printers.values():
            printer.start()
        windows = await stream(file, models, listeners, printers)
        replaced += windows.replaced
        for speaker in _SPEAKERS:
            lines = printers[speaker].lines
            timed(lines, ends[speaker], tally)
            for half, late in zip(halves, (False, True), strict=True):
                mine = [line for line in lines if "text" in line and (line["audio_time_fed"] > seconds / 2) == late]
                timed(mine, [end for end in ends[speaker] if (end > seconds / 2) == late], half)

    pid = models.pid
    assert pid is not None
    own, engine, began = time.process_time(), cpu_s(pid), time.monotonic()
    await asyncio.gather(*(one(number) for number in range(count)))
    took = time.monotonic() - began
    spent = time.process_time() - own + cpu_s(pid) - engine
    return {
        "calls": count,
        "last_word_ms": centiles(tally.last_word_ms),
        "final_ms": centiles(tally.final_ms),
        "final_ms_halves": [centiles(half.final_ms) for half in halves],
        "partials_dropped": replaced,
        "cpu_cores": round(spent / took, 2),
        "cpu_per_audio_s": round(spent / (count * seconds * 2), 3),
        "rss_mb": round(rss_mb(pid) + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    speech = SpeechModel(file_of(SILERO, "silero_vad.onnx", folder=None, cache=CACHE))
    with tempfile.TemporaryDirectory() as folder:
        file, sound = beginning(options.file, options.seconds, Path(folder))
        seconds = sound.shape[1] / 16_000
        ends: dict[Speaker, list[float]] = {
            speaker: [each.speech_end / 16_000 for each in utterances_of(channel, SpeechDetector(speech.stream()))]
            for speaker, channel in zip(_SPEAKERS, sound, strict=True)
        }
        models = await open_models(EngineSettings(model=options.model, device=options.device, cache=str(CACHE)))
        assert isinstance(models, EngineProcess)
        try:
            result = await calls_at_once(options.calls, file, ends, seconds, models)
            if not options.largest:
                return result
            holds, count = 0, options.calls
            while result["final_ms"] and result["final_ms"]["p95"] <= _LATE_MS:
                holds, last = count, result
                print(json.dumps(result), file=sys.stderr, flush=True)
                count = count + max(1, count // 3)
                result = await calls_at_once(count, file, ends, seconds, models)
            return {**(last if holds else result), "largest": holds}
        finally:
            await models.aclose()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=SAMPLE, help="a recording with two channels, the agent left")
    parser.add_argument("--calls", type=int, default=1)
    parser.add_argument("--largest", action="store_true", help="go on with more calls until finals are late")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="so much of the recording, repeated if need be (600: is it flat over ten minutes?)"
    )
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--json", action="store_true", help="the last line is the result as JSON")
    options = parser.parse_args()
    if not cuda_devices() and not options.json:
        print("no GPU that CTranslate2 can use here: figures are the CPU's")
    result = asyncio.run(measure(options))
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"  {name:18} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
