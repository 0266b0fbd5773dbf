"""scripts/evaluate objections FILE.jsonl [--json] [--predictions OUT.jsonl]: how well objections are told.

Signals are heard beside them, as in a call: a request not to be called again is no objection. The lines and the counting are described in scripts/evaluations/labels.py.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from intelligence.conversation.findings import together
from intelligence.conversation.objections import ObjectionDetector
from intelligence.conversation.signals import SignalDetector
from intelligence.conversation.turns import Conversation, Finding, Reading
from scripts.evaluations.labels import Line, hear, lines_of, parser_of, printed, report_of, sentence_vectors, write_predictions


def main() -> None:
    arguments = parser_of(__doc__).parse_args()
    lines = lines_of(arguments.file)
    modules = [SignalDetector(), ObjectionDetector()]

    def judge(_: Line, reading: Reading) -> list[Finding]:
        return [f for f in together(modules, reading, Conversation()) if f.family == "objection"]

    heard = hear(lines, judge, sentence_vectors())
    report = report_of(lines, heard)
    printed(report)
    if arguments.predictions:
        write_predictions(arguments.predictions, lines, heard)
    if arguments.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
