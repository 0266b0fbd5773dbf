"""Authored sentences as our recogniser hears them: said by flite over a telephone, decoded, kept in build/KIND/heard.jsonl."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path
from typing import Final

from scripts.evaluations.spoken import heard_lines

ROOT: Final = Path(__file__).resolve().parent.parent.parent
VOICES: Final = ("awb", "kal16", "kal")  # other voices of flite than those of --through-audio
_AT_ONCE: Final = 50
Take = tuple[str, str]  # a sentence and the voice that says it


def kept(kind: str) -> Path:
    """The folder of a kind's intermediate results; made if need be."""
    folder = ROOT / "build" / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def hear(kind: str, texts: Sequence[str], takes: int = 1) -> None:
    """Notes what our recogniser makes of the sentences, each said ``takes`` times; goes on where it was stopped."""
    known = Counter({text: len(versions) for text, versions in heard_before(kind).items()})
    missing = [(text, VOICES[(n + take) % len(VOICES)]) for take in range(takes) for n, text in enumerate(texts) if known[text] <= take]
    parts = [missing[at : at + _AT_ONCE] for at in range(0, len(missing), _AT_ONCE)]
    with (kept(kind) / "heard.jsonl").open("a") as out, ProcessPoolExecutor(cpu_count(), get_context("spawn")) as workers:
        for rows in workers.map(_said_and_heard, parts):
            out.writelines(json.dumps(row) + "\n" for row in rows)
            out.flush()


def heard_before(kind: str) -> dict[str, list[str]]:
    """Sentence -> what was heard, one for each time that it was said."""
    file, versions = kept(kind) / "heard.jsonl", dict[str, list[str]]()
    for row in map(json.loads, file.read_text().splitlines() if file.exists() else ()):
        versions.setdefault(row["spoken"], []).append(row["text"])
    return versions


def _said_and_heard(takes: list[Take]) -> list[dict[str, str]]:
    return [row for voice in VOICES for row in _by(voice, [text for text, by in takes if by == voice])]


def _by(voice: str, texts: list[str]) -> Iterator[dict[str, str]]:
    for line in heard_lines([{"text": text} for text in texts], voices=(voice,)) if texts else ():
        yield {"spoken": line["spoken"], "text": line["text"], "voice": voice}
