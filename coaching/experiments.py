"""Which way of answering works better: a strategy for each call, what came of it, and what may be said about it when.

A strategy changes one thing: which of the playbook's sayings an answer card prefers. Everything else (what is heard, when a
card comes, every rule) stays as it is, so calls differ in nothing but this. A person who is called again keeps the strategy.

What may be claimed holds at any time, however often somebody looks and whenever they stop:

* **Evidence** that two strategies differ is an e-process: the product, over pairs of one call each, of how much better two
  shares learnt from the earlier pairs foretell the pair than one share does (Turner, Ly and Grünwald, "Generic E-variables
  for exact sequential k-sample tests that allow for optional stopping", J. Stat. Plan. Inference 230, 2024). Where nothing
  differs it ever reaches 1/a with a chance of at most a (Ville 1939). It needs no large numbers.
* **Intervals** are confidence sequences of each share, from the mixture of Bernoulli likelihoods under Beta(1/2, 1/2)
  (Robbins, "Statistical methods related to the law of the iterated logarithm", Ann. Math. Stat. 41, 1970); the uplift lies
  between the differences of their ends (wide, and right).

The error of 5 % is shared by the four comparisons with the playbook as written (Bonferroni). Pure: no clock, no store.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

Strategy: TypeAlias = Literal["as_written", "ask_first", "acknowledge_first", "facts_first", "next_step_first"]
Verdict: TypeAlias = Literal["too_few", "open", "better", "worse", "not_worth_it"]

CONTROL: Final = "as_written"
MEANING: Final[dict[str, str]] = {
    CONTROL: "the playbook's sayings by what they were worth so far",
    "ask_first": "an open question before anything else",
    "acknowledge_first": "words that acknowledge what was said come first",
    "facts_first": "an offer to look at figures, sales or terms side by side",
    "next_step_first": "a step or a time is proposed at once",
}
STRATEGIES: Final = tuple(MEANING)
WON: Final = frozenset({"appointment", "next_step"})
COUNTED: Final = WON | {"call_back", "lost", "do_not_call"}  # nobody spoke in the others
ERROR: Final = 0.05  # the chance of any false claim in an experiment, over all its comparisons and all times
WORTHWHILE: Final = 0.03  # a gain in the share of won calls below this is not worth a change of habit
CHOSEN: Final = frozenset({"objection", "fear_or_pressure", "buying_signal"})  # moments whose words a strategy can choose
LEAST: Final = 30  # calls of each strategy before anything is said in words
_WANTED: Final = {
    "ask_first": re.compile(r"(?:^|[.!,:] )(?:what|how|which|who|when|where)\b[^.!]*\?", re.I),
    "acknowledge_first": re.compile(
        r"^(?:i hear you|that (?:matters|makes sense|sounds)|makes sense|fair|of course|sure|sorry|it's a real|take your time|no rush|good to|glad"
        r"|happy to|anyone would|many do|i'd be careful|you can\.|i understand|please check)\b",
        re.I,
    ),
    "facts_first": re.compile(
        r"\b(?:side by side|numbers?|sales|sold|compare|line by line|one page|quote|a (?:short )?list|net sheet|each plan|clause|facts|figures|public record|keep both ways|recent)\b",
        re.I,
    ),
    "next_step_first": re.compile(
        r"\b(?:shall (?:we|i)|let's|may i (?:send|show)|would (?:you like|talking|it help|a short list)|when could|what day|set a time|find a time)\b",
        re.I,
    ),
}


def assigned(experiment: str, unit: str) -> Strategy:
    """The strategy of a call: by the hash of the experiment's name and the person (a call without one: its own id)."""
    number = int.from_bytes(hashlib.sha256(f"{experiment}\n{unit}".encode()).digest()[:8], "big")
    return STRATEGIES[number % len(STRATEGIES)]  # type: ignore[return-value]  # MEANING has the five


def preferred(sayings: Sequence[str], strategy: str) -> list[str]:
    """Those that suit the strategy; all of them where none does."""
    wanted = _WANTED.get(strategy)
    fit = [s for s in sayings if wanted.search(s)] if wanted is not None else []
    return fit or list(sayings)


@dataclass(slots=True)
class Evidence:
    """How strongly the outcomes of two strategies speak against "no difference", as a product (an e-process)."""

    log: float = 0.0
    most: float = 0.0  # its highest so far: a claim once earned is not lost by looking on
    pairs: int = 0
    _waiting: tuple[list[bool], list[bool]] = field(default_factory=lambda: ([], []))
    _won: list[int] = field(default_factory=lambda: [0, 0])

    def feed(self, side: Literal[0, 1], won: bool) -> None:
        """One call's outcome; ``side`` 0: control, 1: the other. It counts once its counterpart has come."""
        self._waiting[side].append(won)
        if self._waiting[0] and self._waiting[1]:
            self._pair(self._waiting[0].pop(0), self._waiting[1].pop(0))

    def _pair(self, a: bool, b: bool) -> None:
        share = [(won + 0.5) / (self.pairs + 1.0) for won in self._won]  # learnt from earlier pairs only
        one = (share[0] + share[1]) / 2
        self.log += _loglik(a, share[0]) + _loglik(b, share[1]) - _loglik(a, one) - _loglik(b, one)
        self.most = max(self.most, self.log)
        self.pairs += 1
        self._won[0] += a
        self._won[1] += b


def _loglik(won: bool, share: float) -> float:
    return math.log(share if won else 1.0 - share)


def interval(won: int, n: int, error: float) -> tuple[float, float]:
    """A confidence sequence for a share: it holds at all n at once with a chance of at least 1 - ``error``."""
    if n == 0:
        return 0.0, 1.0
    mixture = _log_beta(won + 0.5, n - won + 0.5) - _log_beta(0.5, 0.5)

    def refuted(p: float) -> bool:
        return mixture - won * math.log(p) - (n - won) * math.log(1 - p) >= math.log(1 / error)

    best, tiny = min(max(won / n, 1e-9), 1 - 1e-9), 1e-9
    ends = []
    for outer in (tiny, 1 - tiny):
        inner = best
        if not refuted(outer):
            ends.append(0.0 if outer == tiny else 1.0)
            continue
        for _ in range(50):
            middle = (outer + inner) / 2
            outer, inner = (middle, inner) if refuted(middle) else (outer, middle)
        ends.append(inner)
    return ends[0], ends[1]


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A call of an experiment that is over. ``unit``: the person called; only their first exposed call counts."""

    strategy: str
    unit: str
    exposed: bool
    outcome: str


@dataclass(frozen=True, slots=True)
class Arm:
    """``uplift``: the gain in the share of won calls over the playbook as written, with its interval; None for that one."""

    strategy: str
    calls: int
    won: int
    share: float | None
    low: float
    high: float
    uplift: float | None = None
    uplift_low: float | None = None
    uplift_high: float | None = None
    evidence: float | None = None  # 1: none; at ``needed`` a difference may be claimed
    verdict: Verdict = "too_few"


@dataclass(frozen=True, slots=True)
class Report:
    """``left_out``: calls that do not count, by why. ``stop``: nothing is left to learn; ``says``: in a sentence."""

    arms: list[Arm]
    needed: float
    left_out: dict[str, int]
    stop: bool
    says: str


def report_of(outcomes: Iterable[Outcome]) -> Report:
    """What may be said now. ``outcomes`` in the order in which the calls ended."""
    others = STRATEGIES[1:]
    error = ERROR / len(others)
    won, n = dict.fromkeys(STRATEGIES, 0), dict.fromkeys(STRATEGIES, 0)
    evidence = {s: Evidence() for s in others}
    left_out = {"not_exposed": 0, "no_outcome": 0, "called_again": 0}
    seen: set[str] = set()
    for each in outcomes:
        why = _why_not(each, seen)
        if why or each.strategy not in n:
            left_out[why or "no_outcome"] += 1
            continue
        seen.add(each.unit)
        success = each.outcome in WON
        won[each.strategy] += success
        n[each.strategy] += 1
        for other in others:
            if each.strategy in (CONTROL, other):
                evidence[other].feed(0 if each.strategy == CONTROL else 1, success)
    arms = [_arm(s, won, n, evidence.get(s), error) for s in STRATEGIES]
    better = [a.strategy for a in arms if a.verdict == "better"]
    stop = all(a.verdict not in ("too_few", "open") for a in arms[1:])
    return Report(arms, 1 / error, left_out, stop, _sentence(arms, better, stop))


def _why_not(each: Outcome, seen: set[str]) -> str:
    if not each.exposed:
        return "not_exposed"
    if each.outcome not in COUNTED:
        return "no_outcome"
    return "called_again" if each.unit in seen else ""


def _arm(strategy: str, won: dict[str, int], n: dict[str, int], evidence: Evidence | None, error: float) -> Arm:
    low, high = interval(won[strategy], n[strategy], error / 2)
    share = won[strategy] / n[strategy] if n[strategy] else None
    if evidence is None:
        return Arm(strategy, n[strategy], won[strategy], share, low, high, verdict="open" if n[strategy] >= LEAST else "too_few")
    base_low, base_high = interval(won[CONTROL], n[CONTROL], error / 2)
    base = won[CONTROL] / n[CONTROL] if n[CONTROL] else None
    uplift = share - base if share is not None and base is not None else None
    verdict: Verdict = "open"
    if min(n[strategy], n[CONTROL]) < LEAST or uplift is None:
        verdict = "too_few"
    elif evidence.most >= math.log(1 / error) and uplift:
        verdict = "better" if uplift > 0 else "worse"
    elif high - base_low < WORTHWHILE:
        verdict = "not_worth_it"
    return Arm(
        strategy, n[strategy], won[strategy], share, low, high, uplift, low - base_high, high - base_low,
        math.exp(min(evidence.log, 700.0)), verdict,
    )  # fmt: skip


def _sentence(arms: Sequence[Arm], better: Sequence[str], stop: bool) -> str:
    if better:
        best = max((a for a in arms if a.strategy in better), key=lambda a: a.uplift or 0.0)
        return (
            f"{best.strategy}: {100 * (best.uplift or 0):+.0f} points of won calls over {CONTROL} in {best.calls} calls "
            f"(between {100 * (best.uplift_low or 0):+.0f} and {100 * (best.uplift_high or 0):+.0f})."
        )
    if stop:
        return "No strategy gains enough over the playbook as written to be worth a change."
    few = sum(a.verdict == "too_few" for a in arms)
    return f"No claim yet: {sum(a.calls for a in arms)} calls count" + (f", {few} strategies have fewer than {LEAST}." if few else ".")
