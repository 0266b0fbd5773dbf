"""scripts/evaluate compliance FILE.jsonl [--json] [--predictions OUT.jsonl] [--through-audio]: how well slips in an agent's words are told.

The lines and the counting are described in scripts/evaluations/labels.py; a line without a speaker is the agent's.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from intelligence.conversation.compliance import ComplianceDetector
from intelligence.conversation.turns import Conversation
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
from voice.models.weights import COMPLIANCE


def main() -> None:
    arguments = with_audio(parser_of(__doc__)).parse_args()
    lines, detector = lines_of(arguments.file), ComplianceDetector()
    reader = Reader(detector, COMPLIANCE)

    def judged(of: list[Line]) -> Heard:
        return hear(of, lambda _, reading: detector.feed(reading, Conversation()), reader, speaker="agent")

    heard = judged(lines)
    report = report_of(lines, heard)
    printed(report)
    if arguments.through_audio:
        lines = heard_lines(lines)
        heard = judged(lines)
        report = compared(report, report_of(lines, heard))
    if arguments.predictions:
        write_predictions(arguments.predictions, lines, heard)
    if arguments.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
