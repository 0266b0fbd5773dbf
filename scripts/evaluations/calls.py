"""scripts/evaluate calls FILE_OR_FOLDER [--json] [--predictions OUT.jsonl]: whole calls, as text, through the coach.

Turns without times are laid out at 160 words a minute with 0.5 s between, in media time, as fast as it goes. Words become
settled about half a second after they were said, as in a live call, so a card may be up before its turn is over.

Two rows: what was noticed (no pacing), and what an agent sees under the default pacing. A moment of ``coach.speak`` is met
when a card of its kind comes up from the start of that turn until the agent's next line but one begins. A card that comes
up after a turn of ``coach.silent``, and before the next turn ends, is false. Other cards are not scored.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import numpy as np

from coaching.advising import Advising
from coaching.events import AnyEvent, CallStarted, Contact, SheetChanged, StageChanged, SuggestionChanged, SuggestionShown
from coaching.hearing import Tick
from coaching.record import MemoryLog, Record
from coaching.state import CallState
from scripts.evaluations.labels import parser_of
from voice.legs.recording import RecordingLeg
from voice.transcripts import FinalTranscript, PartialTranscript, PausedTranscript, Word
from web.compose import Machine
from web.settings import Settings

WORD_MS = 60_000 / 160
BETWEEN_MS = 500
SETTLES_MS = 500  # behind the last word said
PARTIAL_MS = 480  # between partials
PAUSED_MS = 340  # until all of an utterance has been read, on speculation
ENDPOINT_MS = 500  # until it is final


@dataclass(slots=True)
class Laid:
    """A turn on the call's timeline."""

    number: int
    speaker: str
    text: str
    start_ms: int
    end_ms: int

    def words(self) -> tuple[Word, ...]:
        said = self.text.split()
        each = (self.end_ms - self.start_ms) / max(1, len(said))
        return tuple(Word(w, round(self.start_ms + i * each), round(self.start_ms + (i + 1) * each), 0.95) for i, w in enumerate(said))


@dataclass(slots=True)
class Seen:
    """What one call's coach did."""

    turns: list[Laid]
    cards: list[SuggestionShown] = field(default_factory=list)
    taken_back: set[str] = field(default_factory=set)
    sheet: dict[str, SheetChanged] = field(default_factory=dict)
    stages: list[tuple[int, str]] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)


def laid_out(turns: Sequence[dict[str, Any]]) -> list[Laid]:
    out, at = [], 0.0
    for number, turn in enumerate(turns):
        start = float(turn.get("start_ms", at))
        end = float(turn.get("end_ms", start + len(turn["text"].split()) * WORD_MS))
        out.append(Laid(number, turn["speaker"], turn["text"], round(start), round(end)))
        at = end + BETWEEN_MS
    return out


async def coached(machine: Machine, call: dict[str, Any], *, paced: bool) -> Seen:
    """The call's turns through the same modules, sheet, pacing and log as a live call."""
    started = CallStarted(
        mode="replay", today=call.get("today", ""), contact=Contact(name=call.get("prospect") or ""), agent_name=call.get("agent") or ""
    )
    log = MemoryLog(str(call.get("id", "call")))
    parts = machine.parts(log.call, started, RecordingLeg(Path("none")), log)
    parts.suggestions.paced = paced
    record = Record(log, CallState(call=log.call), lambda _: None)
    consent = machine.consent.begin("replay", "", "")
    await record.log(started, consent)
    advising = Advising(record, parts.coaches, parts.suggestions, parts.sheet, parts.stages, lambda _: None)
    seen = Seen(laid_out(call["turns"]))

    async def feed(item: FinalTranscript | PausedTranscript | PartialTranscript | Tick, now_ms: int) -> None:
        record.live.audio_ms = max(record.live.audio_ms, now_ms)
        began, before = time.perf_counter(), len(log.events)
        await advising.feed(item)
        if isinstance(item, FinalTranscript):
            seen.took_ms.append((time.perf_counter() - began) * 1000)
        for logged in log.events[before:]:
            noted(seen, logged.event)

    clock = 0
    for turn in seen.turns:
        words, utterance = turn.words(), f"{turn.speaker[0]}{turn.start_ms}"
        for now in range(turn.start_ms + PARTIAL_MS, turn.end_ms + PAUSED_MS, PARTIAL_MS):
            settled = tuple(w for w in words if w.end_ms <= now - SETTLES_MS)
            tail = tuple(w for w in words if now - SETTLES_MS < w.end_ms <= now)
            await feed(PartialTranscript(utterance, turn.speaker, turn.start_ms, min(now, turn.end_ms), settled, tail), now)  # type: ignore[arg-type]  # agent or prospect
        clock = turn.end_ms + PAUSED_MS
        await feed(PausedTranscript(utterance, turn.speaker, turn.start_ms, clock, words), clock)  # type: ignore[arg-type]  # as above
        clock = turn.end_ms + ENDPOINT_MS
        await feed(FinalTranscript(utterance, turn.speaker, turn.start_ms, turn.end_ms, words, turn.text), clock)  # type: ignore[arg-type]  # as above
        await feed(Tick(clock + 250), clock + 250)
    for _ in range(8):
        clock += 250
        await feed(Tick(clock), clock)
    return seen


def noted(seen: Seen, event: AnyEvent) -> None:
    match event:
        case SuggestionShown():
            seen.cards.append(event)
        case SuggestionChanged(change="taken_back", card=card):
            seen.taken_back.add(card)
        case SheetChanged():
            seen.sheet[event.slot] = event
        case StageChanged():
            seen.stages.append((event.audio_ms or 0, event.stage))
        case _:
            pass


def turn_of(card: SuggestionShown, turns: list[Laid]) -> Laid:
    """The turn that raised a card: the one it quotes, else the last that had begun."""
    for turn in turns:
        if card.card.utterance == f"{turn.speaker[0]}{turn.start_ms}":
            return turn
    return max((t for t in turns if t.start_ms <= (card.audio_ms or 0)), key=lambda t: t.start_ms, default=turns[0])


@dataclass(slots=True)
class Score:
    met: int = 0
    moments: int = 0
    false: int = 0
    met_weighty: int = 0
    weighty: int = 0
    minutes: float = 0.0
    lead_ms: list[float] = field(default_factory=list)
    early: int = 0
    objection_cards: int = 0

    def row(self) -> dict[str, Any]:
        return {
            "recall": share(self.met, self.moments),
            "precision": share(self.met, self.met + self.false),
            "false_per_10_min": round(10 * self.false / self.minutes, 2) if self.minutes else None,
            "weighty_recall": share(self.met_weighty, self.weighty),
            "moments": self.moments,
            "false": self.false,
            "early_objection_cards": share(self.early, self.objection_cards),
            "lead_ms_p50": round(float(np.median(self.lead_ms))) if self.lead_ms else None,
        }


def share(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None


def scored(score: Score, call: dict[str, Any], seen: Seen) -> None:
    turns = seen.turns
    score.minutes += turns[-1].end_ms / 60_000
    standing = list(seen.cards)
    used: set[str] = set()
    for moment in call["coach"]["speak"]:
        turn = turns[moment["turn"]]
        agents = [t.start_ms for t in turns if t.speaker == "agent" and t.number > turn.number]
        until = agents[1] if len(agents) > 1 else turns[-1].end_ms + 5000
        hit = next(
            (
                c
                for c in standing
                if c.card.id not in used
                and c.card.id not in seen.taken_back
                and c.card.kind == moment["kind"]
                and turn.start_ms <= (c.audio_ms or 0) < until
            ),
            None,
        )
        score.moments += 1
        score.met += hit is not None
        if moment["kind"] in ("compliance_warning", "neutral_answer"):
            score.weighty += 1
            score.met_weighty += hit is not None
        if hit is not None:
            used.add(hit.card.id)
            score.lead_ms.append(turn.end_ms - (hit.audio_ms or 0))
    for silent in call["coach"]["silent"]:
        number = silent["turn"]
        begins = turns[number].end_ms
        ends = turns[number + 1].end_ms if number + 1 < len(turns) else begins + 10_000
        fresh = [c for c in standing if c.card.id not in used and turn_of(c, turns).number == number]
        fresh += [c for c in standing if c.card.id not in used and not c.card.utterance and begins <= (c.audio_ms or 0) < ends]
        score.false += len(fresh)
        used.update(c.card.id for c in fresh)
    score.false += len([c for c in standing if c.card.id in seen.taken_back and c.card.id not in used])
    for card in (c for c in standing if c.card.kind == "objection_response" and c.card.id not in seen.taken_back):
        score.objection_cards += 1
        score.early += (card.audio_ms or 0) < turn_of(card, turns).end_ms


def stage_accuracy(call: dict[str, Any], seen: Seen) -> tuple[int, int]:
    right = total = 0
    for turn in seen.turns:
        truth = next((s["stage"] for s in call.get("stages", []) if s["from"] <= turn.number <= s["to"]), None)
        if truth is None:
            continue
        said = "opening"
        for at, stage in seen.stages:
            if at <= turn.end_ms:
                said = stage
        right, total = right + (said == truth), total + 1
    return right, total


def slot_right(truth: Any, found: SheetChanged | None) -> bool:
    """A slot that nobody named must be empty; a named one must hold the value (text: most of its words)."""
    if truth is None:
        return found is None
    if found is None:
        return False
    wanted, said = truth["value"], found.value
    if isinstance(wanted, bool | int | float):
        return isinstance(said, int | float) and abs(float(said) - float(wanted)) <= 0.02 * abs(float(wanted))
    if isinstance(wanted, list):
        return {str(w).lower() for w in wanted} <= {str(s).lower() for s in (said if isinstance(said, list) else [said])}
    return most_words(wanted, f"{said} {found.shown} {found.quote}")


def most_words(wanted: Any, text: str) -> bool:
    """Whether six in ten of the words that count stand in the text."""
    words = [w for w in str(wanted).lower().replace("_", " ").replace(",", " ").split() if len(w) > 2] or [str(wanted).lower()]
    text = text.lower().replace("_", " ")
    return sum(w in text for w in words) >= max(1, round(0.6 * len(words)))


def files_of(path: Path) -> list[Path]:
    return sorted(path.glob("*.json")) if path.is_dir() else [path]


async def main() -> None:
    arguments = parser_of(__doc__).parse_args()
    calls = [json.loads(file.read_text()) for file in files_of(arguments.file)]
    if not calls:
        raise SystemExit(f"{arguments.file}: no .json file of a call in this folder")
    machine = await Machine.open(Settings.read(), process=False)
    rows, slots, stages, took, predictions = {}, [0, 0], [0, 0], list[float](), list[dict[str, Any]]()
    try:
        for name, paced in (("noticed", False), ("seen", True)):
            score = Score()
            for call in calls:
                seen = await coached(machine, call, paced=paced)
                scored(score, call, seen)
                if paced:
                    truth = call.get("qualification", {})
                    slots = [slots[0] + sum(slot_right(v, seen.sheet.get(s)) for s, v in truth.items()), slots[1] + len(truth)]
                    right, total = stage_accuracy(call, seen)
                    stages, took = [stages[0] + right, stages[1] + total], took + seen.took_ms
                    predictions += [shown_line(call, seen, card) for card in seen.cards]
            rows[name] = score.row()
    finally:
        await machine.models.aclose()
    report: dict[str, Any] = {
        **rows,
        "qualification_right": share(*slots),
        "stage_accuracy": share(*stages),
        "turn_ms": {"p50": round(float(np.percentile(took, 50)), 1), "p99": round(float(np.percentile(took, 99)), 1)},
        "calls": len(calls),
    }
    for key, value in report.items():
        print(f"{key:20} {value}")
    if arguments.predictions:
        arguments.predictions.write_text("".join(json.dumps(p) + "\n" for p in predictions))
    if arguments.json:
        print(json.dumps(report))


def shown_line(call: dict[str, Any], seen: Seen, card: SuggestionShown) -> dict[str, Any]:
    turn = turn_of(card, seen.turns)
    lead = turn.end_ms - (card.audio_ms or 0)
    return {
        "call": call.get("id"),
        "turn": turn.number,
        "kind": card.card.kind,
        "title": card.card.title,
        "say": card.card.say,
        "lead_ms": lead,
    }


if __name__ == "__main__":
    asyncio.run(main())
