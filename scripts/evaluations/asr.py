"""scripts/evaluate asr MANIFEST.jsonl: words wrong when streamed and offline, and how late they are on the screen.

The manifest's lines are {"audio": path, "text": reference}; paths are relative to the manifest. Files are streamed at
1.0x one after another, as scripts/stream_wav does. Offline is the same weights with beam 5 on whole files (a file over
28 s is cut at its pauses), padded to 30 s. The end of an utterance is where the speech detector, run by itself over the
file, hears its speech end: no time of the measured run goes into it.
"""

import argparse
import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from scripts.programs.stream_wav import CACHE, Printer, stream  # noqa: E402  the path is set above
from voice.agreement import plain  # noqa: E402
from voice.legs.pcm import channels_of  # noqa: E402
from voice.listening import ListeningSettings, SpeakerListener  # noqa: E402
from voice.models import Window  # noqa: E402
from voice.models.engine import EngineSettings  # noqa: E402
from voice.models.onnx import SpeechModel  # noqa: E402
from voice.models.process import open_models  # noqa: E402
from voice.models.weights import SILERO, WHISPER, file_of, folder_of  # noqa: E402
from voice.models.whisper import Decoding, Whisper  # noqa: E402
from voice.numerals import written  # noqa: E402
from voice.utterances import Segmenter, UtteranceEnded  # noqa: E402
from voice.vad import CHUNK, SpeechDetector  # noqa: E402


def counted(text: str) -> list[str]:
    """Words as they count for the word error rate: numbers in their written form, no case, no punctuation."""
    apart = written(text).replace("-", " ").replace("$", " $ ").replace("%", " % ")
    return [p for w in apart.split() if (p := plain(w))]


def wrong_words(reference: list[str], said: list[str]) -> int:
    """Insertions, deletions and substitutions: the Levenshtein distance by words."""
    row = list(range(len(said) + 1))
    for i, word in enumerate(reference, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(said, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


def rewritten(shown: list[list[str]]) -> tuple[int, int]:
    """Successive texts of the screen -> (words that changed or vanished later, words that appeared)."""
    changed = appeared = 0
    before: list[str] = []
    for words in shown:
        for kind, i, i_end, j, j_end in SequenceMatcher(None, before, words, autojunk=False).get_opcodes():
            if kind != "equal":
                changed += i_end - i
                appeared += j_end - j
        before = words
    return changed, appeared


@dataclass(slots=True)
class Tally:
    words: int = 0
    streamed: int = 0
    offline: int = 0
    audio_s: float = 0.0
    cpu_s: float = 0.0
    changed: int = 0
    appeared: int = 0
    revised: int = 0
    word_ms: list[float] = field(default_factory=list)
    last_word_ms: list[float] = field(default_factory=list)
    final_ms: list[float] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        return {
            "wer_streamed": round(100 * self.streamed / max(1, self.words), 2),
            "wer_offline": round(100 * self.offline / max(1, self.words), 2),
            "wer_second": round(100 * self.revised / max(1, self.words), 2),
            "last_word_ms": centiles(self.last_word_ms),
            "final_ms": centiles(self.final_ms),
            "word_ms": centiles(self.word_ms),
            "cpu_per_audio_s": round(self.cpu_s / max(0.001, self.audio_s), 3),
            "rewritten": round(self.changed / max(1, self.appeared), 4),
        }


def centiles(times: list[float]) -> dict[str, float]:
    if not times:
        return {}
    return {"p50": round(float(np.percentile(times, 50)), 1), "p95": round(float(np.percentile(times, 95)), 1)}


def timed(lines: list[dict[str, Any]], ends_s: list[float], tally: Tally) -> None:
    """Adds, per utterance with words, how long after its end its last word and its final were on the screen."""
    screen: list[tuple[float, list[str]]] = []
    left = list(ends_s)
    for line in lines:
        if line["kind"] not in ("partial", "final"):
            continue
        words = counted(line["text"])
        screen.append((line["t_wall_since_start"], words))
        if line["kind"] == "partial":
            continue
        changed, appeared = rewritten([w for _, w in screen])
        tally.changed, tally.appeared = tally.changed + changed, tally.appeared + appeared
        ended = [e for e in left if e <= line["audio_time_fed"]]
        if ended and words:
            end = ended[-1]
            left = [e for e in left if e > end]
            since = screen[-1][0]
            for at, shown in reversed(screen):
                if not shown or shown[-1] != words[-1] or abs(len(shown) - len(words)) > 1:
                    break
                since = at
            tally.last_word_ms.append((since - end) * 1000)
            tally.final_ms.append((line["t_wall_since_start"] - end) * 1000)
        screen = []


def any_word(printer: Printer, tally: Tally) -> None:
    """Adds, per word of a final, how long after its end (as the final aligned it) it stood on the screen to stay."""
    screen: list[tuple[float, list[str]]] = []
    finals = iter(printer.words)
    for line in printer.lines:
        if line["kind"] not in ("partial", "final"):
            continue
        screen.append((line["t_wall_since_start"], [plain(w) for w in line["text"].split()]))
        if line["kind"] == "partial":
            continue
        words = next(finals)
        final = [plain(w.text) for w in words]
        standing = set(range(len(words)))
        since = dict.fromkeys(standing, line["t_wall_since_start"])
        for when, shown in reversed(screen[:-1]):
            blocks = SequenceMatcher(None, shown, final, autojunk=False).get_matching_blocks()
            standing &= {block.b + at for block in blocks for at in range(block.size)}
            since.update(dict.fromkeys(standing, when))
        tally.word_ms += [(since[at] - word.end_ms / 1000) * 1000 for at, word in enumerate(words)]
        screen = []


def sound_of(file: Path) -> NDArray[np.int16]:
    blocks = [block[0] for block in channels_of(file)]
    return np.concatenate(blocks) if blocks else np.zeros(0, np.int16)


def utterances_of(sound: NDArray[np.int16], detector: SpeechDetector) -> list[UtteranceEnded]:
    segmenter, found = Segmenter(), []
    for at in range(0, len(sound) - CHUNK + 1, CHUNK):
        found += segmenter.feed(detector.feed(sound[at : at + CHUNK]))
    found += segmenter.finish()
    return [each for each in found if isinstance(each, UtteranceEnded)]


def offline(whisper: Whisper, sound: NDArray[np.int16], ended: list[UtteranceEnded]) -> str:
    begin, cuts = 0, [0]
    for each in ended:
        if each.end_sample - begin > 28 * 16_000:
            begin = cuts[-1] if cuts[-1] > begin else begin
            cuts.append(each.start_sample)
            begin = each.start_sample
    texts = []
    for start, stop in zip(cuts, [*cuts[1:], len(sound)], strict=True):
        window = Window("offline", "agent", "", sound[start:stop], 0, "final")
        texts += [w.text for w in whisper.decode(window, Decoding(trailing_s=30.0, beam=5)).words]
    return " ".join(texts)


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--final-model", default="", help="another model for finished utterances")
    parser.add_argument("--second-model", default="", help="reads finals again (wer_second)")
    parser.add_argument("--pace", type=float, default=1.0, help="0: as fast as it goes (word errors only, no latencies)")
    parser.add_argument("--every", type=int, default=1, help="take each n-th file")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--predictions", type=Path)
    options = parser.parse_args()
    items = [json.loads(line) for line in options.manifest.read_text().splitlines() if line.strip()][:: options.every]
    models = await open_models(EngineSettings(options.model, options.final_model, options.second_model, cache=str(CACHE)), process=False)
    folder = folder_of(WHISPER[options.model], folder=None, cache=CACHE) if options.model in WHISPER else Path(options.model)
    whisper = Whisper(folder, options.model, workers=1)
    speech = SpeechModel(file_of(SILERO, "silero_vad.onnx", folder=None, cache=CACHE))
    total, telephone, predictions = Tally(), Tally(), []
    for item in items:
        file, reference, one = options.manifest.parent / item["audio"], counted(item["text"]), Tally()
        sound = sound_of(file)
        ended = utterances_of(sound, SpeechDetector(speech.stream()))
        printer = Printer(quiet=True)
        settings = ListeningSettings(reread=bool(options.second_model))
        listener = SpeakerListener("evaluation", "agent", settings, SpeechDetector(speech.stream()))
        before = time.process_time()
        printer.start()
        await stream(file, models, {"agent": listener}, {"agent": printer}, options.pace)
        one.cpu_s, one.audio_s, one.words = time.process_time() - before, len(sound) / 16_000, len(reference)
        said = " ".join(text for _, text in printer.finals)
        again = " ".join(printer.revised.get(utterance, text) for utterance, text in printer.finals)
        one.revised = wrong_words(reference, counted(again))
        whole = await asyncio.to_thread(offline, whisper, sound, ended)
        one.streamed, one.offline = wrong_words(reference, counted(said)), wrong_words(reference, counted(whole))
        if options.pace:
            timed(printer.lines, [each.speech_end / 16_000 for each in ended], one)
            any_word(printer, one)
        for tally in (total, telephone) if item.get("telephone") else (total,):
            for name in ("words", "streamed", "offline", "revised", "audio_s", "cpu_s", "changed", "appeared"):
                setattr(tally, name, getattr(tally, name) + getattr(one, name))
            tally.last_word_ms += one.last_word_ms
            tally.final_ms += one.final_ms
            tally.word_ms += one.word_ms
        predictions.append({"audio": item["audio"], "text": item["text"], "streamed": said, "offline": whole})
        if not options.json:
            print(f"{item['audio']}: {one.streamed} / {one.offline} of {one.words} words wrong, streamed / offline", flush=True)
    await models.aclose()
    if options.predictions:
        options.predictions.write_text("".join(json.dumps(each) + "\n" for each in predictions))
    print(json.dumps({**total.report(), "telephone": telephone.report()}))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
