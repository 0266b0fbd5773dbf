"""scripts/evaluate signals FILE.jsonl [--json] [--predictions OUT.jsonl] [--through-audio]: how well signals and their values are told.

The lines and the counting are described in scripts/evaluations/labels.py; a line's "signals" are its labels, "values" holds
for a label a list of what was named, "today" the day of the call. A value counts as right when one of those heard agrees:
an amount in each bound (and in its role, counted beside it) that is not null, a time in each given bound within "tol_days",
a relation, place or reason without case. All modules that raise signals are heard together, as in a call.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from intelligence.conversation.findings import together
from intelligence.conversation.turns import Conversation, Finding, Json, Reading
from scripts.evaluations.labels import (
    Heard,
    Line,
    Reader,
    compared,
    hear,
    lines_of,
    parser_of,
    printed,
    report_of,
    with_audio,
    write_predictions,
)
from scripts.evaluations.spoken import heard_lines
from web.compose import detectors

Item = dict[str, Any]
KEY = {"price_named": "amounts", "timeframe_named": "timeframes", "location_named": "places", "decision_makers": "relations"}
NAMED = {"location_named": "place", "decision_makers": "relation", "competitor_named": "name", "motivation": "reason"}


def values_of(findings: Sequence[Finding]) -> dict[str, list[Item]]:
    """Label -> what was named, in the shape of the evaluation files."""
    values: dict[str, list[Item]] = {}
    for finding in findings:
        values.setdefault(finding.label, []).extend(items_of(finding.label, finding.values))
    return {label: items for label, items in values.items() if items}


def items_of(label: str, said: Any) -> list[Item]:
    match label:
        case "price_named" | "timeframe_named":
            return [{k: v for k, v in each.items() if k not in ("quote", "sure")} for each in said.get(KEY[label], [])]
        case "location_named" | "decision_makers":
            return [{NAMED[label]: name} for name in said.get(KEY[label], [])]
        case "competitor_named":
            return [{"name": name} for name in said.get("names", [])]
        case "motivation":
            return [{"reason": said["reason"]}]
        case "appointment" if said.get("when"):
            return [{"when": said["when"]}]
    return []


def same_amount(wanted: Item, heard: Item) -> bool:
    return all(wanted.get(k) is None or wanted[k] == heard.get(k) for k in ("usd_min", "usd_max"))


def same_role(wanted: Item, heard: Item) -> bool:
    return same_amount(wanted, heard) and (wanted.get("role") is None or wanted["role"] == heard.get("role"))


def same_time(wanted: Item, heard: Item) -> bool:
    within = wanted.get("tol_days", 0)
    pairs = [(wanted.get(k), heard.get(k)) for k in ("earliest_days", "latest_days")]
    return all(want is None or (got is not None and abs(want - got) <= within) for want, got in pairs)


def same_name(key: str) -> Callable[[Item, Item], bool]:
    """Without case, and without a leading "the"."""

    def bare(item: Item) -> str:
        return str(item.get(key, "")).lower().removeprefix("the ").strip()

    return lambda wanted, heard: bare(wanted) == bare(heard)


def same_reason(wanted: Item, heard: Item) -> bool:
    """The evaluation files name it by either word."""
    return bool(wanted.get("reason", wanted.get("motivation")) == heard.get("reason"))


CHECKS: dict[str, tuple[str, Callable[[Item, Item], bool]]] = {
    "amounts": ("price_named", same_amount),
    "amounts_with_role": ("price_named", same_role),
    "times": ("timeframe_named", same_time),
    "relations": ("decision_makers", same_name("relation")),
    "places": ("location_named", same_name("place")),
    "reasons": ("motivation", same_reason),
}


def values_right(lines: Sequence[Line], heard: Heard) -> dict[str, dict[str, Json]]:
    """Per kind: how many of the values wanted were heard (right), and how many that were heard were wanted (of lines with any)."""
    table: dict[str, dict[str, Json]] = {}
    said = [values_of(findings) for findings in heard.findings]
    for kind, (label, same) in CHECKS.items():
        wanted = right = extra = total = 0
        wrong = {"nothing heard": 0, "a bound left open": 0, "another value": 0}
        for line, values in zip(lines, said, strict=True):
            want, got = (line.get("values") or {}).get(label) or [], values.get(label, [])
            wanted += len(want)
            right += sum(any(same(w, g) for g in got) for w in want)
            for w in want:
                if not any(same(w, g) for g in got):
                    wrong[_why_wrong(w, got)] += 1
            if want:
                total += len(got)
                extra += sum(not any(same(w, g) for w in want) for g in got)
        table[kind] = {
            "wanted": wanted,
            "right": right / wanted if wanted else None,
            "heard": total,
            "not_wanted": extra,
            "wrong": dict(wrong),
        }
    return table


def _why_wrong(wanted: Item, heard: Sequence[Item]) -> str:
    if not heard:
        return "nothing heard"
    bounds = [k for k in ("usd_min", "usd_max", "earliest_days", "latest_days") if wanted.get(k) is not None]
    return "a bound left open" if bounds and all(any(g.get(k) is None for k in bounds) for g in heard) else "another value"


def main() -> None:
    arguments = with_audio(parser_of(__doc__)).parse_args()
    lines, reader = lines_of(arguments.file), Reader()
    modules = detectors()

    def judge(line: Line, reading: Reading) -> list[Finding]:
        return [f for f in together(modules, reading, Conversation(today=line.get("today", ""))) if f.family == "signal"]

    heard = hear(lines, judge, reader)
    report = report_of(lines, heard, key="signals")
    report["values"] = values_right(lines, heard)
    printed(report)
    told(report)
    if arguments.through_audio:
        lines = heard_lines(lines)
        heard = hear(lines, judge, reader)
        through = report_of(lines, heard, key="signals")
        through["values"] = values_right(lines, heard)
        report = compared(report, through)
        told(through)
    if arguments.predictions:
        write_predictions(arguments.predictions, lines, heard, values=values_of)
    if arguments.json:
        print(json.dumps(report))


def told(report: dict[str, Any]) -> None:
    for kind, row in report["values"].items():
        share = "none" if row["right"] is None else f"{row['right']:.3f}"
        print(
            f"{kind}: {share} of {row['wanted']} right; {row['not_wanted']} of {row['heard']} heard there were not wanted; wrong: {row['wrong']}"
        )


if __name__ == "__main__":
    main()
