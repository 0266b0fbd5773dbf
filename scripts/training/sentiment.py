"""scripts/train sentiment: the head of intelligence/conversation/emotion.py, from the authored sentences beside it.

Figures printed are out of fold, a sentence and its recogniser's copy always in the same fold; of our own sentences, so kind.
"""

import random
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from intelligence.conversation.classifier import features, save_head  # noqa: E402  the path is set above
from intelligence.conversation.emotion import SENTIMENT  # noqa: E402
from scripts.training.objections import as_heard, threshold_of  # noqa: E402
from voice.models.onnx import SentenceVectors  # noqa: E402
from voice.models.weights import MINILM, files_of  # noqa: E402

LABELS = ("positive", "negative")
FOLDS = 5


def main() -> None:
    dice = random.Random(3)
    lines = [line.split("|", 1) for line in (SENTIMENT.parent / "sentiment_one.txt").read_text().splitlines() if line and line[0] != "#"]
    dice.shuffle(lines)
    texts = [t for _, line in lines for t in (line.strip(), as_heard(line, dice))]
    truth = np.array([[label == named.strip() for label in LABELS] for named, _ in lines for _ in range(2)])
    fold = np.repeat(np.arange(len(lines)) % FOLDS, 2)
    cache = Path(tempfile.gettempdir())
    model = SentenceVectors(*files_of(MINILM, folder=None, cache=cache))
    x = features(texts, np.concatenate([model.embed(texts[i : i + 32]) for i in range(0, len(texts), 32)]))
    weights, bias, scale, bars = [], [], [], []
    for column, label in enumerate(LABELS):
        margin = np.zeros(len(texts), np.float32)
        for k in range(FOLDS):
            part = LogisticRegression(C=4.0, class_weight="balanced", solver="liblinear").fit(x[fold != k], truth[fold != k, column])
            margin[fold == k] = part.decision_function(x[fold == k])
        platt = LogisticRegression(C=100.0).fit(margin[:, None], truth[:, column])
        probability = platt.predict_proba(margin[:, None])[:, 1].astype(np.float32)
        bar = threshold_of(probability, truth[:, column])
        hit = probability >= bar
        print(
            f"{label:9} F1 {2 * (hit & truth[:, column]).sum() / (hit.sum() + truth[:, column].sum()):.3f}  of {truth[:, column].sum() // 2}"
        )
        whole = LogisticRegression(C=4.0, class_weight="balanced", solver="liblinear").fit(x, truth[:, column])
        weights.append(whole.coef_[0])
        bias.append(whole.intercept_[0])
        scale.append([platt.coef_[0, 0], platt.intercept_[0]])
        bars.append(bar)
    arrays = {"weights": weights, "bias": bias, "scale": scale, "thresholds": bars}
    print(save_head(SENTIMENT, LABELS, {k: np.array(v, np.float32) for k, v in arrays.items()}))


if __name__ == "__main__":
    main()
