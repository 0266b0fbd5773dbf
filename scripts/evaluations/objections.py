"""scripts/evaluate objections FILE.jsonl [--json] [--predictions OUT.jsonl] [--through-audio]: how well objections are told.

As in a call, the second sentence model is asked, and signals are heard beside them: a request not to be called again is no
objection. The lines and the counting are described in scripts/evaluations/labels.py.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from intelligence.conversation.findings import together
from intelligence.conversation.objections import ObjectionDetector
from intelligence.conversation.signals import SignalDetector
from intelligence.conversation.turns import Conversation, Finding, Reading
from scripts.evaluations.labels import (
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
from voice.models.weights import OBJECTIONS


def main() -> None:
    arguments = with_audio(parser_of(__doc__)).parse_args()
    lines, objections = lines_of(arguments.file), ObjectionDetector()
    reader = Reader(objections, OBJECTIONS)
    modules = [SignalDetector(), objections]

    def judge(_: Line, reading: Reading) -> list[Finding]:
        heard = together(modules, reading, Conversation())
        return [f for f in heard if f.family == "objection"]

    heard = hear(lines, judge, reader)
    report = report_of(lines, heard)
    printed(report)
    if arguments.through_audio:
        lines = heard_lines(lines)
        heard = hear(lines, judge, reader)
        report = compared(report, report_of(lines, heard))
    if arguments.predictions:
        write_predictions(arguments.predictions, lines, heard)
    if arguments.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
