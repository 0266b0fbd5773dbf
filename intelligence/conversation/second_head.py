"""Second opinions, on objections and on an agent's slips: a linear head over a sentence model that was trained with it.

The work is in the model's layers (voice/models/trained.py); what stands here is their last step and its calibration. Pure numpy.
"""

import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from intelligence.conversation.classifier import read_checked
from intelligence.conversation.objection_head import weighed
from intelligence.conversation.turns import Reading, Turn
from voice.models import Vectors
from voice.models.weights import WeightSet, WeightsRefused

_BARE_AMOUNT: Final = re.compile(r"(?<![$\d.,-])(?:\d{2,3},\d{3}(?:,\d{3})?|\d{6,7})(?![\d-])")
_NAMES: Final = frozenset({"labels", "weights", "bias", "scale", "thresholds", "layers"})
WHOLE_WORDS: Final = 80  # of a turn that is read as a whole, too, when it is over
_LEAST: Final = 1e-4  # chance: nothing is surer
MOST_DOUBTS: Final = 9  # a turn, sentences and pairs of them that are asked about: some 4 ms each, 7 where two models read


def all_of_few(texts: Iterable[str]) -> list[str]:
    """What is asked of a turn that is over whatever the first head says: each text once, or none where it has to choose."""
    asked = list(dict.fromkeys(texts))
    return asked if len(asked) <= MOST_DOUBTS else []


def whole_turn(turn: Turn, sentences: Sequence[str]) -> list[str]:
    """What is asked about beside the parts of a turn: "I was sure that drive would kill us. It was twelve minutes." is an objection in its
    first half only. One text, or none while the turn grows, where it is long, and where its only sentence is the whole."""
    said = " ".join(sentences)
    return [said] if len(sentences) > 1 and not turn.growing and len(said.split()) <= WHOLE_WORDS else []


def in_its_turn(parts: NDArray[np.float32], whole: NDArray[np.float32], sentences: int) -> NDArray[np.float32]:
    """What is said of parts of a turn, shape (n, labels), drawn towards what is said of the whole, shape (labels,), in log odds: half of
    the way where the turn has two sentences, and the less the more it has.

    Parts alone are wrong where the next sentence takes one back, the whole alone where one sentence is lost among many others.
    """
    odds = _log_odds(parts)
    return (1 / (1 + np.exp(-(odds + (_log_odds(whole) - odds) / sentences)))).astype(np.float32)


def _log_odds(chances: NDArray[np.float32]) -> NDArray[np.float64]:
    sure = np.clip(chances.astype(np.float64), _LEAST, 1 - _LEAST)
    return np.log(sure / (1 - sure))


def as_money(text: str) -> str:
    """A bare number of five digits and more, in talk about homes, is dollars; the recogniser often leaves the sign out."""
    return _BARE_AMOUNT.sub(r"$\g<0>", text)


class FirstWord:
    """What a first head says of the newest reading: asked for by doubts() and by feed(), judged once."""

    def __init__(self, judge: Callable[[Reading], NDArray[np.float32]]) -> None:
        """``judge``: probabilities, shape (texts, labels)."""
        self._judge = judge
        self._newest: tuple[Reading, NDArray[np.float32]] | None = None

    def table(self, reading: Reading) -> NDArray[np.float32]:
        """A copy, to be written into."""
        newest = self._newest
        if newest is None or newest[0].sentences != reading.sentences or newest[0].vectors is not reading.vectors:
            self._newest = newest = (reading, self._judge(reading))
        return newest[1].copy()

    def doubtful(self, reading: Reading, likely: float) -> list[int]:
        """Rows of the table, likeliest first; none while the turn is not over and nothing in it is ``likely``."""
        heard = self.table(reading).max(axis=1)
        if reading.turn.growing and heard.max() < likely:
            return []
        rows: list[int] = np.argsort(-heard, kind="stable").tolist()
        return rows


@dataclass(frozen=True, slots=True, eq=False)
class SecondHead:
    """A margin for each label and for "any", then a logistic calibration per label over ``evidence``."""

    labels: tuple[str, ...]
    weights: NDArray[np.float32]  # (labels + 1, width)
    bias: NDArray[np.float32]  # (labels + 1,)
    scale: NDArray[np.float32]  # (labels, 4)
    thresholds: NDArray[np.float32]  # (labels,)
    digest: str

    def probabilities(self, second: Vectors) -> NDArray[np.float32]:
        """float32, shape (n, labels), each in [0, 1]. ``second``: unit vectors of the head's model, shape (n, width)."""
        return weighed((second @ self.weights.T + self.bias).astype(np.float64), self.scale)

    def seen_in_turn(self, parts: Sequence[str], whole: Iterable[str], reading: Reading) -> NDArray[np.float32]:
        """The same of parts of a reading, each of which has its vector in ``second``, seen in their turn where that has one as well."""
        said = self.probabilities(np.stack([reading.second[part] for part in parts]))
        for text in whole:
            if text in reading.second:
                said = in_its_turn(said, self.probabilities(reading.second[text][None])[0], len(reading.sentences))
        return said


def load_second_head(file: Path, layers: WeightSet) -> SecondHead:
    """Raises WeightsRefused when the file is missing, is not the one its hash names, or belongs to other layers."""
    raw, digest = read_checked(file)
    with np.load(io.BytesIO(raw), allow_pickle=False) as held:
        if not set(held) >= _NAMES:
            raise WeightsRefused(f"{file.name} is of an older make; train it anew")
        if bytes(held["layers"]).hex() != layers.files[0].sha256:
            raise WeightsRefused(f"{file.name} was trained with other layers; train it anew (scripts/train {file.stem})")
        weights, bias, scale, thresholds = (held[n].astype(np.float32) for n in ("weights", "bias", "scale", "thresholds"))
        labels = tuple(str(label) for label in held["labels"])
        return SecondHead(labels, weights, bias, scale, thresholds, digest)
