"""Where a conversation is going: its stages so far, and the chance of a next step, with the reasons.

Without a brokerage's own outcomes the chance is a prior: weights set by hand from what sales practice holds to matter,
and called so. `sottovoce calls fit` replaces them by a logistic regression on that brokerage's ended calls.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from intelligence.conversation.history import Heard
from intelligence.conversation.turns import Finding

Chance: TypeAlias = Literal["low", "even", "high"]

# Log odds per event; recent ones count more. A prior, not a measurement.
PRIOR: Final[Mapping[str, float]] = {
    "bias": -0.35,
    "appointment": 1.6,
    "buying_interest": 0.5,
    "urgency": 0.2,
    "timeframe_named": 0.1,
    "price_named": 0.1,
    "decision_makers": 0.1,
    "agreed": 1.8,
    "asked_by_agent": 0.2,
    "positive": 0.2,
    "commitment_refused": -1.8,
    "do_not_call": -4.0,
    "stall": -1.2,
    "has_agent": -0.9,
    "trust": -0.2,
    "objection": -0.15,
    "negative": -0.1,
}
NAMES: Final = tuple(name for name in PRIOR if name != "bias")
_HALF_LIFE: Final = 6.0
_WORDS: Final = {
    "appointment": "a time was named", "buying_interest": "leans forward", "urgency": "must act soon", "timeframe_named": "has a date",
    "price_named": "speaks of figures", "decision_makers": "named who decides", "agreed": "said yes", "asked_by_agent": "the agent asked for a next step",
    "positive": "speaks well of it", "commitment_refused": "turned a next step down", "do_not_call": "asked not to be called", "stall": "puts it off",
    "has_agent": "has another agent", "trust": "doubts the agent", "objection": "objections", "negative": "speaks ill of it",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Calibration:
    """Weights in log odds. ``n``: ended calls behind them; 0 is the prior."""

    weights: Mapping[str, float]
    n: int = 0
    as_of: str = ""

    @classmethod
    def load(cls, file: Path) -> "Calibration":
        """The brokerage's own where it was fitted, else the prior."""
        if not file.exists():
            return cls(PRIOR)
        raw = json.loads(file.read_text())
        return cls({k: float(v) for k, v in raw["weights"].items()}, int(raw["n"]), str(raw["as_of"]))


@dataclass(frozen=True, slots=True)
class Reason:
    """``effect``: log odds it adds; ``quote``: the words, where one turn stands for it."""

    what: str
    effect: float
    quote: str = ""


@dataclass(frozen=True, slots=True)
class WonPath:
    """How calls that got their next step went on from this stage: the commonest next stages, of n such calls."""

    stages: tuple[str, ...]
    n: int


@dataclass(frozen=True, slots=True)
class Trajectory:
    """``probability`` in [0, 1] is for sorting and for calibration; people are shown ``chance``. ``prior``: not yet calibrated."""

    stages: tuple[str, ...]
    stage: str
    chance: Chance
    probability: float
    prior: bool
    n: int
    reasons: tuple[Reason, ...]
    won_path: WonPath | None


def features_of(heard: Heard, felt: Sequence[float], agreed: Sequence[str], asked: int) -> dict[str, float]:
    """name -> weight of its events in [0, 3]: an event counts half for every six turns that came after it, because what
    was said last says most of what comes next.

    ``felt``: sentiment of each prospect turn; ``agreed``: turns in which the prospect said yes to something asked.
    """
    order = {r.turn.utterance: i for i, r in enumerate(heard.readings)}
    last = len(heard.readings) - 1
    out: dict[str, float] = dict.fromkeys(NAMES, 0.0)

    def add(name: str, place: int, times: float = 1.0) -> None:
        out[name] = min(3.0, out[name] + times * 0.5 ** ((last - place) / _HALF_LIFE))

    for finding in heard.findings:
        if finding.speaker != "prospect" or finding.utterance not in order:
            continue
        name = finding.label if finding.label in out else "objection" if finding.family == "objection" else ""
        if name:
            add(name, order[finding.utterance], finding.confidence)
    for utterance in agreed:
        add("agreed", order[utterance])
    out["asked_by_agent"] = min(3.0, float(asked))
    out["positive"] = min(3.0, sum(v for v in felt if v > 0))
    out["negative"] = min(3.0, -sum(v for v in felt if v < 0))
    return out


def trajectory(
    heard: Heard, features: Mapping[str, float], stages: Sequence[str], calibration: Calibration, won: WonPath | None = None
) -> Trajectory:
    weights = calibration.weights
    effects = {name: features.get(name, 0.0) * weights.get(name, 0.0) for name in NAMES}
    odds = weights.get("bias", 0.0) + sum(effects.values())
    probability = 1 / (1 + math.exp(-max(-20.0, min(20.0, odds))))
    strongest = sorted((n for n in NAMES if abs(effects[n]) >= 0.1), key=lambda n: -abs(effects[n]))[:5]
    quotes = _quotes(heard.findings)
    return Trajectory(
        stages=tuple(stages),
        stage=stages[-1] if stages else "opening",
        chance="low" if probability < 0.35 else "high" if probability > 0.65 else "even",
        probability=round(probability, 3),
        prior=calibration.n == 0,
        n=calibration.n,
        reasons=tuple(Reason(_WORDS[n], round(effects[n], 2), quotes.get(n, "")) for n in strongest),
        won_path=won,
    )


def won_path(stage: str, paths: Sequence[Sequence[str]], least: int = 5) -> WonPath | None:
    """What followed ``stage`` in calls that were won (each a list of stages); None below ``least`` such calls."""
    rests = [tuple(path[path.index(stage) + 1 :]) for path in paths if stage in path]
    if len(rests) < least:
        return None
    steps: list[str] = []
    while rests:
        nexts = Counter(rest[0] for rest in rests if rest and rest[0] not in steps)
        if not nexts or nexts.most_common(1)[0][1] < max(2, len(rests) // 3):
            break
        step = nexts.most_common(1)[0][0]
        steps.append(step)
        rests = [rest[rest.index(step) + 1 :] for rest in rests if step in rest]
    return WonPath(tuple(steps), len([p for p in paths if stage in p]))


def _quotes(findings: Sequence[Finding]) -> dict[str, str]:
    quotes: dict[str, str] = {}
    for finding in findings:
        if finding.speaker == "prospect":
            quotes[finding.label if finding.label in PRIOR else "objection"] = finding.quote
    return quotes
