"""scripts/train sheet [--write]: the head of intelligence/conversation/slot_head.py, from the sheets of the authored calls.

Every amount, time, place, person and meeting that a turn of a call names is a candidate, right where it is the value that the
call's sheet holds; a turn is a candidate for each reason to move, way to pay and word on other agents, right where the sheet says that
it was told. Figures printed are of calls whose writers were left out, five groups of them; thresholds are set on the same figures, so
they are a little kind.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from intelligence.conversation.classifier import save_head  # noqa: E402  the path is set above
from intelligence.conversation.qualification import MOST_PLACES, MOST_REASONS  # noqa: E402
from intelligence.conversation.slot_candidates import Candidate, Candidates  # noqa: E402
from intelligence.conversation.slot_head import WEIGHTS, inputs  # noqa: E402
from intelligence.conversation.turns import Reading, Turn, sentences_of  # noqa: E402
from scripts.evaluations.calls import most_words  # noqa: E402
from scripts.evaluations.labels import sentence_vectors  # noqa: E402
from scripts.training.calls import FOLDER, writer  # noqa: E402

GROUPS: Final = 5
SLOTS: Final = ("timeframe", "location", "price", "decision_makers", "appointment")
TOLD: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "motivation": (),
    "financing": (
        ("must sell first", r"must (?:sell|be sold)|sell (?:first|present|the)|sale of|needs? to sell|until .* sells"),
        ("cash", r"\bcash\b"),
        ("not yet pre-approved", r"no (?:pre-?approval|lender|bank|letter)|not (?:yet )?(?:pre-?approved|talked)"),
        ("pre-approved", r"approv|letter|prequal|good for|qualified"),
        ("paid off", r"no (?:mortgage|loan)|paid off|outright|free and clear|nothing owed"),
        ("a mortgage on it", r"\bowe[sd]?\b|left on|mortgage|loan (?:at|of)|payoff|balance"),
        ("a down payment", r"\bdown\b|saved|savings"),
        ("talking with a lender", r"bank|credit union|lender"),
    ),
    "agency": (
        (
            "none",
            r"^no\b|^none|^not\b|nothing|expired|ended|(?:no|not|none) (?:signed|called|engaged)|handshake|r[au]n out|by (?:owner|himself|herself)",
        ),
        ("has an agent", r"signed|listed|listing|exclusive|agreement"),
    ),
}
LOOSE: Final = 1.0  # inverse penalty of the reasons
TIGHT: Final = 0.3  # and of the slots
WRONG: Final = 0.3  # a wrong fact costs this much of what a right one is worth; a missing one costs nothing
GUESSED: Final = 1.0  # and so much where nothing was read and a whole turn is taken to tell it
CLOSE: Final = 0.8  # margin within which a second reason stands beside the first
PATIENCE: Final = {"decision_makers": (99.0,), "location": (3.0,)}  # several stand beside each other


@dataclass(slots=True, eq=False)
class Case:
    """A candidate, in which turn of which call, and whether it is right; of a whole turn what it tells, as labels."""

    call: str
    candidate: Candidate
    right: bool = False
    tells: frozenset[str] = frozenset()


def cases_of(name: str, call: dict[str, Any], embed: Callable[[list[str]], NDArray[np.float32]]) -> list[Case]:
    candidates, cases, sheet = Candidates(), list[Case](), call["qualification"]
    for number, turn in enumerate(call["turns"]):
        sentences = sentences_of(turn["text"])
        reading = Reading(Turn(turn["speaker"], turn["text"]), sentences, embed(list(sentences)))
        for candidate in candidates.feed(reading, call.get("today", "")):
            case = Case(name, candidate)
            if candidate.slot == "told":
                case.tells = frozenset(
                    label
                    for slot in TOLD
                    if (truth := sheet.get(slot)) and truth.get("heard_at") == number
                    for label in labels_of(slot, truth["value"])
                )
            elif (truth := sheet.get(candidate.slot)) is not None:
                case.right = is_right(candidate, truth["value"], here=truth.get("heard_at") == number)
            cases.append(case)
    return cases


def labels_of(slot: str, truth: Any) -> list[str]:
    """What the sheet says in the head's words, one label or none; the writers put how somebody pays, and other agents, in their own."""
    if slot == "motivation":
        return [f"{slot}:{truth}"]
    return [f"{slot}:{value}" for value, words in TOLD[slot] if re.search(words, str(truth), re.I)][:1]


def is_right(found: Candidate, truth: Any, *, here: bool) -> bool:
    match found.slot:
        case "price":
            return isinstance(truth, int | float) and isinstance(found.value, int) and abs(found.value - truth) <= 0.02 * abs(truth)
        case "decision_makers":
            return str(found.value) in {str(each).lower() for each in (truth if isinstance(truth, list) else [truth])}
        case "timeframe":
            return here or most_words(truth, found.shown)
        case "location":
            return most_words(truth, found.shown) or most_words(found.shown, str(truth))
        case _:
            return most_words(truth, found.shown)


def standing(cases: Sequence[Case], margins: Sequence[float], threshold: float, patience: float) -> Case | None:
    """What the sheet holds at the end, as QualificationSheet fills it."""
    held, of_held = None, 0.0
    for case, margin in zip(cases, margins, strict=True):
        if margin >= threshold and (held is None or margin >= of_held - patience):
            held, of_held = case, margin
    return held


def judged(
    slot: str, by_call: dict[str, list[tuple[Case, float]]], calls: dict[str, Any], threshold: float, patience: float
) -> tuple[int, int]:
    """(right, wrong) of all calls; what is missing is neither."""
    right = wrong = 0
    for name, call in calls.items():
        truth, own = call["qualification"].get(slot), by_call.get(name, [])
        if slot == "decision_makers":
            held = {str(case.candidate.value) for case, margin in own if margin >= threshold}
            wanted = {str(each).lower() for each in truth["value"]} if truth is not None and isinstance(truth["value"], list) else set()
            good, empty = bool(wanted) and wanted <= held, not held
        else:
            found = standing([c for c, _ in own], [m for _, m in own], threshold, patience)
            good, empty = found is not None and found.right, found is None
        right += empty if truth is None else good
        wrong += not empty and (truth is None or not good)
    return right, wrong


def places_judged(
    by_call: dict[str, list[tuple[Case, float]]], calls: dict[str, Any], threshold: float, patience: float
) -> tuple[int, int]:
    right = wrong = 0
    for name, call in calls.items():
        truth, best = call["qualification"].get("location"), dict[str, tuple[float, bool]]()
        for case, margin in by_call.get(name, []):
            if margin >= threshold:
                place = case.candidate.shown.lower()
                known = next((each for each in best if each in place or place in each), place)
                best[known] = max(best.get(known, (margin, case.right)), (margin, case.right))
        top = max(best.values(), default=(0.0, False))[0]
        held = [good for margin, good in sorted(best.values(), reverse=True)[:MOST_PLACES] if margin >= top - patience]
        right += not held if truth is None else any(held)
        wrong += bool(held) and not any(held)
    return right, wrong


def told_judged(by_call: dict[str, list[tuple[Case, str, float]]], slot: str, calls: dict[str, Any], threshold: float) -> tuple[int, int]:
    """Right is the turn that the sheet names, or one that says most of its words."""
    right = wrong = 0
    for name, call in calls.items():
        truth = call["qualification"].get(slot)
        said = [each for each in by_call.get(name, []) if each[2] >= threshold]
        case, label, _ = max(said, key=lambda each: each[2], default=(None, "", 0.0))
        good = (
            case is not None and truth is not None and (label in case.tells or most_words(truth["value"], f"{label} {case.candidate.said}"))
        )
        right += case is None if truth is None else good
        wrong += case is not None and not good
    return right, wrong


def reasons_judged(by_call: dict[str, NDArray[np.float64]], reasons: list[str], calls: dict[str, Any], threshold: float) -> tuple[int, int]:
    right = wrong = 0
    for name, call in calls.items():
        truth, best = call["qualification"].get("motivation"), by_call[name].max(axis=0)
        order = np.argsort(-best)[:MOST_REASONS]
        held = {reasons[i] for i in order if best[i] >= max(threshold, best[order[0]] - CLOSE)}
        good = truth is not None and f"motivation:{truth['value']}" in held
        right += not held if truth is None else good
        wrong += bool(held) and not good
    return right, wrong


def fitted(x: NDArray[np.float32], y: NDArray[np.bool_], c: float) -> LogisticRegression:
    return LogisticRegression(C=c, max_iter=400).fit(x, y)


def out_of_fold(x: NDArray[np.float32], y: NDArray[np.bool_], group: NDArray[np.int64], c: float) -> NDArray[np.float64]:
    margins = np.zeros(len(y))
    for k in range(GROUPS):
        margins[group == k] = fitted(x[group != k], y[group != k], c).decision_function(x[group == k])
    return margins


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    calls = {file.stem: json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))}
    embed = sentence_vectors().embed
    cases = [case for name, call in calls.items() for case in cases_of(name, call, embed)]
    names = sorted({writer(name) for name in calls})
    labels, weights, bias, thresholds, patiences = list[str](), list[NDArray[np.float64]](), list[float](), list[float](), list[float]()

    def keep(label: str, model: LogisticRegression, threshold: float, patience: float) -> None:
        labels.append(label)
        weights.append(model.coef_[0])
        bias.append(float(model.intercept_[0]))
        thresholds.append(threshold)
        patiences.append(patience)

    for slot in SLOTS:
        own = [case for case in cases if case.candidate.slot == slot]
        x, y = inputs([case.candidate for case in own]), np.array([case.right for case in own])
        group = np.array([names.index(writer(case.call)) % GROUPS for case in own])
        margins = out_of_fold(x, y, group, TIGHT)
        by_call: dict[str, list[tuple[Case, float]]] = {}
        for case, margin in zip(own, margins.tolist(), strict=True):
            by_call.setdefault(case.call, []).append((case, margin + case.candidate.prior))
        best = (-1.0, 0.0, 0.0, 0, 0)
        for threshold in np.arange(-3.0, 2.0, 0.25).tolist():
            for patience in PATIENCE.get(slot, (-0.5, 0.0, 0.5, 1.0, 2.0)):
                right, wrong = (
                    places_judged(by_call, calls, threshold, patience)
                    if slot == "location"
                    else judged(slot, by_call, calls, threshold, patience)
                )
                best = max(best, (right - WRONG * wrong, threshold, patience, right, wrong))
        _, threshold, patience, right, wrong = best
        print(
            f"{slot:16} right {right / len(calls):.3f}  wrong {wrong / len(calls):.3f}  of {len(calls)}  threshold {threshold:.2f}  patience {patience:.1f}"
        )
        keep(slot, fitted(x, y, TIGHT), threshold, patience)

    own = [case for case in cases if case.candidate.slot == "told"]
    x, group = inputs([case.candidate for case in own]), np.array([names.index(writer(case.call)) % GROUPS for case in own])
    for slot in TOLD:
        told = sorted({label for case in own for label in case.tells if label.startswith(f"{slot}:")})
        table = np.stack([out_of_fold(x, np.array([label in c.tells for c in own]), group, LOOSE) for label in told], axis=1)
        if slot == "motivation":
            rows = {name: table[[i for i, case in enumerate(own) if case.call == name]] for name in calls}
            scored = [(reasons_judged(rows, told, calls, t), t) for t in np.arange(-6.0, 0.0, 0.25).tolist()]
        else:
            heads: dict[str, list[tuple[Case, str, float]]] = {}
            for case, row in zip(own, table.tolist(), strict=True):
                if not case.candidate.cues[0]:  # the prospect's turns
                    heads.setdefault(case.call, []).append((case, told[int(np.argmax(row))], max(row)))
            scored = [(told_judged(heads, slot, calls, t), t) for t in np.arange(-6.0, 0.0, 0.25).tolist()]
        (right, wrong), threshold = max(scored, key=lambda each: each[0][0] - GUESSED * each[0][1])
        print(f"{slot:16} right {right / len(calls):.3f}  wrong {wrong / len(calls):.3f}  of {len(calls)}  threshold {threshold:.2f}")
        for label in told:
            keep(label, fitted(x, np.array([label in c.tells for c in own]), LOOSE), threshold, CLOSE)
    if chosen.write:
        arrays = {"weights": np.stack(weights), "bias": np.array(bias), "thresholds": np.array(thresholds), "patience": np.array(patiences)}
        print(save_head(WEIGHTS, labels, arrays))


if __name__ == "__main__":
    main()
