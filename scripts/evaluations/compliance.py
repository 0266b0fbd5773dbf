"""scripts/evaluate compliance FILE.jsonl [--json] [--predictions OUT.jsonl]: how well slips in an agent's words are told.

The lines and the counting are described in scripts/evaluations/labels.py; a line without a speaker is the agent's.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from intelligence.conversation.compliance import ComplianceDetector
from intelligence.conversation.turns import Conversation
from scripts.evaluations.labels import hear, lines_of, parser_of, printed, report_of, sentence_vectors, write_predictions


def main() -> None:
    arguments = parser_of(__doc__).parse_args()
    lines = lines_of(arguments.file)
    detector = ComplianceDetector()
    heard = hear(lines, lambda _, reading: detector.feed(reading, Conversation()), sentence_vectors(), speaker="agent")
    report = report_of(lines, heard)
    printed(report)
    if arguments.predictions:
        write_predictions(arguments.predictions, lines, heard)
    if arguments.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
