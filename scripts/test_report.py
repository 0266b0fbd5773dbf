"""Adds up what the test parts said: skips with their reasons, then one closing line."""

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree


def main(folder: Path) -> int:
    passed = failed = 0
    skipped: Counter[str] = Counter()
    for file in sorted(folder.glob("*.xml")):
        for case in ElementTree.parse(file).iter("testcase"):
            skip = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
            elif skip is not None:
                skipped[skip.get("message") or "no reason given"] += 1
            else:
                passed += 1
    print("\n== skipped" if skipped else "\n== nothing was skipped")
    for reason, count in skipped.most_common():
        print(f"{count:4d}  {reason}")
    print(f"\n{passed} passed, {failed} failed, {sum(skipped.values())} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
