"""scripts/train roles [--write]: the head of intelligence/conversation/amount_roles.py, from the authored lines beside it.

Each line is used as written and as a recogniser might give it (seeded), with the amounts that amounts.py reads there; one that it
does not read cannot be told. The lines of signals_read_*.jsonl (tests, until they had been read) add those amounts whose role
their writers name. Figures printed leave out one writer at a time, beside those of the rules alone; --write saves the weights.
"""

import argparse
import random
import re
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from intelligence.conversation.amount_roles import LABELS, WEIGHTS, Spoken, inputs  # noqa: E402  the path is set above
from intelligence.conversation.classifier import write_checked  # noqa: E402
from intelligence.conversation.signal_cues import values_of_sentences  # noqa: E402
from intelligence.conversation.turns import sentences_of  # noqa: E402
from scripts.evaluations.labels import lines_of, sentence_vectors  # noqa: E402

PENALTY = 0.5
_ANY_DAY = date(2026, 3, 2)  # amounts have none


def lower(text: str) -> str:
    """As a recogniser without punctuation gives it; the amounts keep their signs."""
    return text.lower().replace(",", "").replace("?", "").replace("!", "")


def authored(line: str, where: str) -> tuple[list[str], str]:
    """The roles of a line, and its sentence with each amount in brackets."""
    head, bar, text = line.partition("|")
    roles = [role.strip() for role in head.split(",")]
    if not bar or not set(roles) <= set(LABELS) or len(roles) != text.count("["):
        raise SystemExit(f"{where}: want `role, role | sentence with [each amount]`")
    return roles, text.strip()


def amounts_of(text: str, embed: Any) -> list[Spoken]:
    """The amounts that are read in a text, each with its sentence's vector."""
    sentences = sentences_of(text)
    there = values_of_sentences(text, sentences, _ANY_DAY)
    if not any(values.amounts for values in there):
        return []
    vectors = [(amount, vector) for values, vector in zip(there, embed(sentences), strict=True) for amount in values.amounts]
    amounts = tuple(amount for amount, _ in vectors)
    return [Spoken(text, amount, amounts, vector) for amount, vector in vectors]


def spoken_in(marked: str, roles: Sequence[str], embed: Any) -> list[tuple[Spoken, int]]:
    """Each amount that is read, with the number of its role."""
    there, found = amounts_of(marked.replace("[", "").replace("]", ""), embed), []
    for number, (role, mark) in enumerate(zip(roles, re.finditer(r"\[([^]]*)\]", marked), strict=True)):
        start = mark.start() - 2 * number
        end = start + len(mark[1])
        found += [(each, LABELS.index(role)) for each in there if each.amount.start < end and start < each.amount.end][:1]
    return found


def read_before(file: Path, embed: Any) -> list[tuple[Spoken, int]]:
    """The amounts of a file of signals that are read with the bounds and have the role which its writer gives them."""
    found = []
    for line in lines_of(file):
        wanted = [a for a in (line["values"] or {}).get("price_named", ()) if a.get("role")]
        for spoken in amounts_of(line["text"], embed) if wanted else []:
            bounds = (spoken.amount.usd_min, spoken.amount.usd_max)
            found += [(spoken, LABELS.index(a["role"])) for a in wanted if (a.get("usd_min"), a.get("usd_max")) == bounds][:1]
    return found


def fitted(x: NDArray[np.float32], y: NDArray[np.int64]) -> LogisticRegression:
    return LogisticRegression(C=PENALTY, max_iter=2000).fit(x, y)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    dice, model = random.Random(11), sentence_vectors()
    rows: list[tuple[Spoken, int]] = []
    voices: list[str] = []
    read = named = 0
    for file in sorted(WEIGHTS.parent.glob("roles*.txt")):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if line.startswith("#"):
                continue
            roles, text = authored(line, f"{file.name}:{number}")
            found = spoken_in(text, roles, model.embed)
            read, named = read + len(found), named + len(roles)
            found += spoken_in(lower(text), roles, model.embed) if dice.random() < 0.7 else []
            rows += found
            voices += [file.stem] * len(found)
    for file in sorted(WEIGHTS.parent.glob("signals_read_*.jsonl")):
        before = read_before(file, model.embed)
        rows, voices = rows + before, voices + [file.stem] * len(before)
    x, y, voice = inputs([spoken for spoken, _ in rows]), np.array([role for _, role in rows]), np.array(voices)
    rules = np.array([LABELS.index(spoken.amount.role or "none") for spoken, _ in rows])
    print(f"{read} of {named} amounts are read; {len(rows)} with their copies")
    out = np.zeros(len(y), np.int64)
    for each in sorted(set(voices)):
        out[voice == each] = fitted(x[voice != each], y[voice != each]).predict(x[voice == each])
        print(
            f"{each}: right {np.mean(out[voice == each] == y[voice == each]):.3f}, rules {np.mean(rules[voice == each] == y[voice == each]):.3f}"
        )
    for number, label in enumerate(LABELS):
        both = ((out == number) & (y == number)).sum()
        print(
            f"{label:8} P {both / max(1, (out == number).sum()):.3f}  R {both / max(1, (y == number).sum()):.3f}  of {(y == number).sum()}"
        )
    print(f"all: right {np.mean(out == y):.3f}, rules {np.mean(rules == y):.3f}")
    if options.write:
        whole = fitted(x, y)
        arrays = {"weights": whole.coef_.astype(np.float16), "bias": whole.intercept_.astype(np.float16)}
        print(write_checked(WEIGHTS, labels=np.array(LABELS), **arrays))


if __name__ == "__main__":
    main()
