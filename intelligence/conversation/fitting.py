"""A brokerage's own calibration of the chance of a next step: ridge logistic regression on its ended calls. Pure numpy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intelligence.conversation.trajectory import NAMES, PRIOR, Calibration

LEAST: Final = 40  # ended calls with an outcome
LEAST_OF_EACH: Final = 10  # won and lost ones
_FOLDS: Final = 5
_RIDGE: Final = 1.0  # pulls each weight towards the prior's, as one more event of doubt


class NotEnoughCalls(ValueError):
    """Too few ended calls with an outcome; the message says how many there are and how many are needed."""


@dataclass(frozen=True, slots=True)
class Fit:
    """``brier``/``brier_prior``/``brier_rate``: out of fold, of the fit, of the prior, and of saying the base rate always."""

    calibration: Calibration
    brier: float
    brier_prior: float
    brier_rate: float

    @property
    def better(self) -> bool:
        return self.brier < min(self.brier_prior, self.brier_rate)


def fit(features: Sequence[Mapping[str, float]], won: Sequence[bool], as_of: str) -> Fit:
    """Weights in log odds from one feature row a call. Raises NotEnoughCalls."""
    truth = np.array(won, np.float64)
    if len(truth) < LEAST or min(truth.sum(), len(truth) - truth.sum()) < LEAST_OF_EACH:
        raise NotEnoughCalls(
            f"{len(truth)} ended calls have an outcome ({int(truth.sum())} with a next step); "
            f"{LEAST} are needed, {LEAST_OF_EACH} of each kind. Until then the chance is a prior."
        )
    x = np.array([[1.0, *(row.get(name, 0.0) for name in NAMES)] for row in features])
    prior = np.array([PRIOR["bias"], *(PRIOR[name] for name in NAMES)])
    fold = np.arange(len(truth)) % _FOLDS
    out = np.zeros(len(truth))
    for k in range(_FOLDS):
        out[fold == k] = _probability(x[fold == k], _weights(x[fold != k], truth[fold != k], prior))
    weights = _weights(x, truth, prior)
    names = ("bias", *NAMES)
    return Fit(
        Calibration({name: round(float(w), 4) for name, w in zip(names, weights, strict=True)}, len(truth), as_of),
        _brier(out, truth),
        _brier(_probability(x, prior), truth),
        _brier(np.full(len(truth), truth.mean()), truth),
    )


def _weights(x: NDArray[np.float64], truth: NDArray[np.float64], prior: NDArray[np.float64]) -> NDArray[np.float64]:
    """Newton's method with halved steps on the penalised likelihood, which is convex: it converges from anywhere."""
    weights, loss = prior.copy(), _loss(x, truth, prior, prior)
    for _ in range(100):
        p = _probability(x, weights)
        gradient = x.T @ (truth - p) - _RIDGE * (weights - prior)
        hessian = (x * (p * (1 - p))[:, None]).T @ x + _RIDGE * np.eye(x.shape[1])
        step = np.linalg.solve(hessian, gradient)
        while (new := _loss(x, truth, weights + step, prior)) > loss and float(np.abs(step).max()) > 1e-9:
            step = step / 2
        weights, loss = weights + step, new
        if float(np.abs(step).max()) < 1e-7:
            break
    return weights


def _loss(x: NDArray[np.float64], truth: NDArray[np.float64], weights: NDArray[np.float64], prior: NDArray[np.float64]) -> float:
    margin = x @ weights
    return float(np.sum(np.logaddexp(0, margin) - truth * margin) + 0.5 * _RIDGE * np.sum((weights - prior) ** 2))


def _probability(x: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
    return result


def _brier(p: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    return round(float(np.mean((p - truth) ** 2)), 4)
