"""scripts/evaluate trajectory FILE.jsonl [--json] [--predictions OUT.jsonl]: dialogues with an outcome, cut at 25/50/75/100 %.

A line is {"turns": [{"speaker", "text"}], "outcome": 0 or 1} (1: the agent got the next step). AUC, Brier score and a
reliability table of the probability behind the words low, even and high. ``--calibration FILE`` uses fitted weights.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import numpy as np
from numpy.typing import NDArray

from intelligence.conversation.advanced import AdvancedConversationIntelligence
from intelligence.conversation.history import Message
from intelligence.conversation.trajectory import Calibration
from scripts.evaluations.labels import lines_of, parser_of, sentence_vectors
from voice.models import Vectors
from web.compose import detectors

CUTS = (25, 50, 75, 100)


def auc(truth: NDArray[np.int_], p: NDArray[np.float64]) -> float | None:
    """The chance that a won dialogue is ranked above a lost one; ties count half (Mann-Whitney)."""
    won, lost = p[truth == 1], p[truth == 0]
    if not len(won) or not len(lost):
        return None
    wins = (won[:, None] > lost[None, :]).sum() + 0.5 * (won[:, None] == lost[None, :]).sum()
    return round(float(wins / (len(won) * len(lost))), 3)


def reliability(truth: NDArray[np.int_], p: NDArray[np.float64]) -> list[dict[str, Any]]:
    table = []
    for low in np.arange(0.0, 1.0, 0.2):
        within = (p >= low) & ((p < low + 0.2) | (low > 0.79))
        if within.any():
            table.append(
                {
                    "from": round(float(low), 1),
                    "n": int(within.sum()),
                    "said": round(float(p[within].mean()), 2),
                    "was": round(float(truth[within].mean()), 2),
                }
            )
    return table


async def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--calibration", type=Path, help="weights fitted by sottovoce calls fit")
    arguments = parser.parse_args()
    lines, model = lines_of(arguments.file), sentence_vectors()

    async def embed(sentences: list[str]) -> Vectors:
        return model.embed(sentences)

    calibration = Calibration.load(arguments.calibration) if arguments.calibration else None
    intelligence = AdvancedConversationIntelligence(embed, detectors, questions={}, bridges={}, calibration=calibration)
    truth = np.array([int(line["outcome"]) for line in lines])
    report: dict[str, Any] = {"dialogues": len(lines), "cuts": {}}
    predictions = []
    for cut in CUTS:
        p = []
        for line in lines:
            turns = line["turns"][: max(1, round(len(line["turns"]) * cut / 100))]
            said = await intelligence.predict_conversation_trajectory(
                [Message(t["speaker"], t["text"]) for t in turns], line.get("today", "")
            )
            p.append(said.probability)
            if cut == 100:
                predictions.append(
                    {
                        "id": line.get("id"),
                        "chance": said.chance,
                        "probability": said.probability,
                        "reasons": [r.what for r in said.reasons],
                    }
                )
        scores = np.array(p)
        brier = round(float(np.mean((scores - truth) ** 2)), 3)
        report["cuts"][str(cut)] = {"auc": auc(truth, scores), "brier": brier, "reliability": reliability(truth, scores)}
    for cut, row in report["cuts"].items():
        print(
            f"{cut:>4} %  AUC {row['auc']}  Brier {row['brier']}  "
            + "  ".join(f"{r['from']:.1f}: said {r['said']} was {r['was']} ({r['n']})" for r in row["reliability"])
        )
    if arguments.predictions:
        arguments.predictions.write_text("".join(json.dumps(p) + "\n" for p in predictions))
    if arguments.json:
        print(json.dumps(report))


if __name__ == "__main__":
    asyncio.run(main())
