"""scripts/stream_wav FILE.wav: a 16 kHz mono file at exactly 1.0x through the real recogniser; JSON Lines, flushed.

Chunk k (20 ms) is handed over at start + (k + 1) * 20 ms, never earlier. Model loading comes before "start".
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from voice.frames import AudioFrame, Speaker
from voice.legs.recording import RecordingLeg
from voice.listening import ListeningSettings, SpeakerListener
from voice.models import Models, Window
from voice.models.engine import EngineSettings
from voice.models.onnx import SpeechModel
from voice.models.process import open_models
from voice.models.weights import SILERO, file_of
from voice.transcripts import FinalTranscript, PartialTranscript, PausedTranscript, Transcript, TranscriptRevision, Word
from voice.vad import SpeechDetector
from voice.windows import WindowQueue, WindowsClosed

CACHE = Path.home() / ".cache" / "sottovoce"


class Printer:
    """Times every line from the start of the stream. One line of partial text is shown, so the next utterance's waits for the final."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.revised: dict[str, str] = {}  # utterance -> what a second reading made of it
        self.began = 0.0
        self.fed = 0.0
        self.lines: list[dict[str, Any]] = []
        self.finals: list[tuple[str, str]] = []
        self.words: list[tuple[Word, ...]] = []  # of each final
        self._shown = ""  # the utterance whose partial is on the screen
        self._next: PartialTranscript | None = None  # the newest one of the utterance behind it

    def start(self) -> None:
        self.began = time.monotonic()
        self.say({"kind": "start"})

    def say(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        if not self.quiet:
            print(json.dumps(line), flush=True)

    def transcript(self, transcript: Transcript) -> None:
        at = {"t_wall_since_start": round(time.monotonic() - self.began, 3), "audio_time_fed": round(self.fed, 3)}
        match transcript:
            case PausedTranscript():
                pass  # its words are on the screen
            case PartialTranscript() if self._shown not in ("", transcript.utterance):
                self._next = transcript
            case PartialTranscript():
                self._shown = transcript.utterance
                text = " ".join(w.text for w in (*transcript.settled, *transcript.open_tail))
                self.say({"kind": "partial", **at, "text": text})
            case FinalTranscript():
                if transcript.text:
                    self.say({"kind": "final", **at, "text": transcript.text})
                    self.finals.append((transcript.utterance, transcript.text))
                    self.words.append(transcript.words)
                waiting, self._shown, self._next = self._next, "", None
                if waiting is not None and waiting.utterance != transcript.utterance:
                    self.transcript(waiting)
            case TranscriptRevision():
                self.revised[transcript.final.utterance] = transcript.final.text  # a final line stands; only figures use this


async def stream(
    file: Path, models: Models, listeners: dict[Speaker, SpeakerListener], printers: dict[Speaker, Printer], pace: float = 1.0
) -> WindowQueue:
    """Feed a recording at its pace, one channel per speaker, and print what is recognised. A file with one channel is the agent."""
    windows = WindowQueue()

    async def tell(speaker: Speaker, ready: list[Transcript]) -> None:
        for transcript in ready:
            printers[speaker].transcript(transcript)
        for window in listeners[speaker].rereads():
            await windows.put(window)

    async def hear() -> None:
        mono = len(listeners) == 1
        async for item in RecordingLeg(file, agent="mono" if mono else "left", pace=pace):
            if isinstance(item, AudioFrame):
                printers[item.speaker].fed = item.end_ms / 1000
                for window in listeners[item.speaker].feed(item):
                    await windows.put(window)
                await tell(item.speaker, listeners[item.speaker].settled())
        for speaker, listener in listeners.items():
            for window in listener.finish():
                await windows.put(window)
            await tell(speaker, listener.settled())
            printers[speaker].say({"kind": "eof"})
        await windows.close()

    async def decode(following: Callable[[], Awaitable[Window]]) -> None:
        while True:
            try:
                window = await following()
            except WindowsClosed:
                return
            speaker: Speaker = "agent" if window.speaker == "agent" else "prospect"
            asked = time.monotonic()
            hypothesis = await models.transcribe(window)
            if window.purpose in ("partial", "settle"):
                listeners[speaker].pace((time.monotonic() - asked) * 1000)
            await tell(speaker, listeners[speaker].heard(window, hypothesis))

    async with asyncio.TaskGroup() as group:
        group.create_task(hear())
        for following in (windows.final, windows.tail, windows.partial, windows.second):
            group.create_task(decode(following))
    return windows


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--final-model", default="", help="another model for finished utterances")
    parser.add_argument("--pace", type=float, default=1.0)
    options = parser.parse_args()
    models = await open_models(EngineSettings(model=options.model, final_model=options.final_model, cache=str(CACHE), niceness=0))
    detector = SpeechDetector(SpeechModel(file_of(SILERO, "silero_vad.onnx", folder=None, cache=CACHE)).stream())
    printer = Printer()
    printer.start()
    listener = SpeakerListener("stream", "agent", ListeningSettings(), detector)
    await stream(options.file, models, {"agent": listener}, {"agent": printer}, options.pace)
    printer.say({"kind": "end"})
    await models.aclose()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
