"""What a live call costs in time and CPU: two aiortc senders per call into a running server, times at a viewer's socket.

Every time counts from the end of the spoken word (of the words file, made once with the sample) to the receipt of a
message that shows it. A card counts from the end of the utterance that raised it; one that is up earlier is negative. A turn
often holds several utterances, so how many objection cards were up before the turn was over is counted beside it.
"""

import argparse
import asyncio
import contextlib
import difflib
import itertools
import json
import re
import secrets
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.programs.callers import RATE, Received, Server, Voice, channels, offer, watch
from scripts.programs.forks import Twilio, media_messages, send_at_pace, start_message, u_law

SAMPLE = Path(__file__).parents[2] / "web" / "sample"
CALLED = "+13125550100"
PLAN = (
    f'[agents.bench]\nring = "+13125550101"\n[[who]]\nnumber = "{CALLED}"\nagent = "bench"\n[announcement]\nsay = "An assistant listens."\n'
)
_PAUSE_MS = 600  # words of one speaker further apart than this are two utterances


@dataclass(slots=True)
class Spoken:
    """A word of the reference, and when the overlay first showed it (seconds on the recording's clock)."""

    plain: str
    end_ms: int
    last: bool
    group: int
    turn_end_ms: int = 0  # of the last word before the other side speaks
    shown: float | None = None


def reference(file: Path) -> dict[str, list[Spoken]]:
    by_speaker: dict[str, list[Spoken]] = {}
    for word in json.loads(file.read_text()):
        spoken = by_speaker.setdefault(word["speaker"], [])
        start = word.get("start_ms", word["end_ms"])
        new = not spoken or start - spoken[-1].end_ms > _PAUSE_MS
        if new and spoken:
            spoken[-1].last = True
        spoken.append(Spoken(plain(word["word"]), word["end_ms"], False, (spoken[-1].group + new) if spoken else 0))
    for words in by_speaker.values():
        words[-1].last = True
    everything = sorted(((w, speaker) for speaker, words in by_speaker.items() for w in words), key=lambda each: each[0].end_ms)
    for _, turn in itertools.groupby(everything, key=lambda each: each[1]):
        said = [word for word, _ in turn]
        for word in said:
            word.turn_end_ms = said[-1].end_ms
    return by_speaker


def plain(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.lower())


class Page:
    """What the overlay shows, message by message; marks when a reference word is first seen."""

    def __init__(self, words: dict[str, list[Spoken]]) -> None:
        self._words = words
        self._done: dict[str, list[str]] = {s: [] for s in words}  # words of final utterances, the newest few
        self._settled: dict[str, list[str]] = {}
        self.finals: dict[str, tuple[float, list[Spoken]]] = {}
        self.cards: list[tuple[float, dict[str, Any]]] = []

    def feed(self, at: float, message: dict[str, Any]) -> None:
        if message["lane"] == "state":
            for speaker, text in message["open"].items():
                self._show(speaker, [*self._settled.get(speaker, []), *text.split()], at)
            return
        if message["lane"] != "event":
            return
        match message["type"]:
            case "words_settled":
                settled = self._settled.setdefault(message["speaker"], [])
                settled += [w["text"] for w in message["words"]]
                self._show(message["speaker"], settled, at)
            case "utterance_final":
                speaker, words = message["speaker"], message["text"].split()
                self._settled.pop(speaker, None)
                spoken = (message.get("spoken") or message["text"]).split()
                seen = self._show(speaker, spoken, at)
                if words:
                    self.finals[message["utterance"]] = (at, seen)
                self._done[speaker] = [*self._done[speaker], *spoken][-12:]
            case "suggestion_shown":
                self.cards.append((at, message["card"]))

    def _show(self, speaker: str, words: list[str], at: float) -> list[Spoken]:
        """Aligns what is shown with what was spoken lately; the matched words of this utterance."""
        before = len(self._done[speaker])
        shown = [plain(w) for w in (*self._done[speaker], *words)]
        near = [w for w in self._words[speaker] if at * 1000 - 40_000 < w.end_ms <= at * 1000 + 700]
        seen = []
        for block in difflib.SequenceMatcher(None, [w.plain for w in near], shown, autojunk=False).get_matching_blocks():
            for k in range(block.size):
                if block.b + k >= before:
                    word = near[block.a + k]
                    seen.append(word)
                    if word.shown is None:
                        word.shown = at
        return seen


@dataclass(slots=True)
class Times:
    words: list[float]
    last_words: list[float]
    finals: list[float]
    cards: list[float]
    objections: list[float]  # those of the cards that answer one
    in_turns: list[float]  # the same cards, from the end of the turn
    spoken: int
    unseen: int
    hops: dict[str, list[float]]


async def one_forked(server: Server, sound: tuple[Any, Any], words: dict[str, list[Spoken]], seconds: float) -> Times:
    """As one_call, but by a carrier's stream: both voices as 8 kHz µ-law in messages of 20 ms."""
    twilio, call = Twilio(server), f"CA{secrets.token_hex(8)}"
    answer = await twilio.voice("+14155550123", CALLED, call)
    messages = media_messages({"inbound": u_law(sound[1], RATE), "outbound": u_law(sound[0], RATE)})
    async with server.client() as client, twilio.connect(answer.stream) as socket:
        await socket.send(start_message(answer.secret, call))
        row: dict[str, Any] = {}
        while row.get("line", {}).get("id") != call:
            for each in (await client.get("/api/calls")).raise_for_status().json()["calls"]:
                row = (await client.get(f"/api/calls/{each['id']}")).json()
                if (row["line"] or {}).get("id") == call:
                    break
        received = Received()
        watching = asyncio.create_task(watch(server, row["id"], received, lambda m: m["type"] == "summary_made"))
        zero = time.monotonic() + 1.0
        await send_at_pace(socket, messages, zero)
        await asyncio.sleep(3.0)
        await socket.send('{"event":"stop","stop":{}}')
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(watching, 10)
    return times_of(received, words, zero, seconds)


async def one_call(server: Server, sound: tuple[Any, Any], words: dict[str, list[Spoken]], seconds: float) -> Times:
    async with server.client() as client:
        call = (await client.post("/api/calls", json={"mode": "sample"})).raise_for_status().json()["id"]
        received = Received()
        watching = asyncio.create_task(watch(server, call, received, lambda m: m["type"] == "summary_made"))
        zero = time.monotonic() + 2.0
        agent, prospect = (Voice(samples, zero, skip=-2 * RATE) for samples in sound)
        peer = await offer(client, call, {"agent": agent, "prospect": prospect})
        await asyncio.sleep(max(0.0, zero + seconds + 3.0 - time.monotonic()))
        (await client.post(f"/api/calls/{call}/end", json={})).raise_for_status()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(watching, 10)
        await peer.close()
    return times_of(received, words, zero, seconds)


def times_of(received: Received, words: dict[str, list[Spoken]], zero: float, seconds: float) -> Times:
    page = Page(words)
    for at, message in received.messages:
        page.feed(at - zero, message)
    everything = [w for spoken in words.values() for w in spoken if w.end_ms <= seconds * 1000]
    seen = [w for w in everything if w.shown is not None]
    finals = [at * 1000 - max(w.end_ms for w in said) for at, said in page.finals.values() if said]
    cards, objections, in_turns = list[float](), list[float](), list[float]()
    for at, card in page.cards:
        final = page.finals.get(card["utterance"])
        if final and final[1]:
            late_ms = at * 1000 - max(w.end_ms for w in final[1])
            cards.append(late_ms)
            if card["moment"] == "objection":
                objections.append(late_ms)
                in_turns.append(at * 1000 - max(w.turn_end_ms for w in final[1]))
    return Times(
        [w.shown * 1000 - w.end_ms for w in seen if w.shown is not None],
        [w.shown * 1000 - w.end_ms for w in seen if w.last and w.shown is not None],
        finals,
        cards,
        objections,
        in_turns,
        len(everything),
        len(everything) - len(seen),
        hops(received),
    )


def hops(received: Received) -> dict[str, list[float]]:
    """The latency ledger: milliseconds between each stamp and the next, on finals."""
    out: dict[str, list[float]] = {}
    for event in received.events("utterance_final"):
        stamps = sorted(event["stamps"].items(), key=lambda s: s[1])
        stamps.append(("committed", event["at"]))
        for (a, t0), (b, t1) in itertools.pairwise(stamps):
            out.setdefault(f"{a} → {b}", []).append((t1 - t0) * 1000)
    return out


def quantiles(values: list[float]) -> dict[str, float | None]:
    if not values:
        return {"p50": None, "p95": None}
    return {"p50": round(float(np.percentile(values, 50)), 1), "p95": round(float(np.percentile(values, 95)), 1)}


async def measure(options: argparse.Namespace, server: Server) -> dict[str, Any]:
    sound = channels(options.file, options.agent)
    seconds = min(len(sound[0]) / RATE, options.seconds or 1e9)
    sound = (sound[0][: int(seconds * RATE)], sound[1][: int(seconds * RATE)])
    cpu = server.cpu_s()
    one = one_call if options.way == "webrtc" else one_forked
    runs = await asyncio.gather(*(one(server, sound, reference(options.words), seconds) for _ in range(options.calls)))
    spent = server.cpu_s() - cpu
    for hop in sorted({h for run in runs for h in run.hops}):
        print(f"  {hop:44} {quantiles([v for run in runs for v in run.hops.get(hop, [])])}")
    print(f"  reference words {sum(r.spoken for r in runs)}, never shown as spoken {sum(r.unseen for r in runs)}")
    cards, objections = [v for run in runs for v in run.cards], [v for run in runs for v in run.objections]
    return {
        "last_word_ms": quantiles([v for run in runs for v in run.last_words]),
        "word_ms": quantiles([v for run in runs for v in run.words]),
        "final_ms": quantiles([v for run in runs for v in run.finals]),
        "card_ms": quantiles(cards),
        "cards": len(cards),
        "objection_cards": len(objections),
        "before_the_last_word": sum(v < 0 for v in objections),
        "before_the_turn_was_over": sum(v < 0 for run in runs for v in run.in_turns),
        "cpu_per_audio_s": None if np.isnan(spent) else round(spent / (seconds * options.calls), 3),
    }


def started(options: argparse.Namespace) -> Server:
    if options.url:
        return Server(options.url.split("/sign-in")[0], Server.signed_in(options.url))
    if options.way == "webrtc":
        return Server.start()
    folder = Path(tempfile.mkdtemp(prefix="sottovoce-bench-"))
    (folder / "phones.toml").write_text(PLAN)
    return Server.start(folder, **Twilio.environment())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=SAMPLE / "call.flac", help="a recording with two channels")
    parser.add_argument("--words", type=Path, default=SAMPLE / "words.json")
    parser.add_argument("--agent", choices=("left", "right"), default="left")
    parser.add_argument("--calls", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.0, help="only the beginning")
    parser.add_argument(
        "--way", choices=("webrtc", "twilio"), default="webrtc", help="how the sound comes; twilio needs a server of its own"
    )
    parser.add_argument("--url", help="the one-time sign-in link of a running server; else one is started")
    parser.add_argument("--json", action="store_true", help="the last line is the result as JSON")
    options = parser.parse_args()
    server = started(options)
    try:
        result = asyncio.run(measure(options, server))
    finally:
        server.stop()
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"  {name:18} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
