"""The README's tables as the code has them: settings and events. Run it after a change of either; a test compares."""

import re
import sys
from pathlib import Path
from typing import get_args

from coaching.events import AnyEvent, Event
from web.settings import SETTINGS

README = Path(__file__).parents[2] / "README.md"


def settings_table() -> str:
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    lines += [f"| `{s.name}` | {f'`{s.default}`' if s.default else ''} | {s.meaning} |" for s in SETTINGS]
    return "\n".join(lines)


def events_table() -> str:
    lines = ["| event | v | fields | what happened |", "|---|---|---|---|"]
    for event in sorted(get_args(get_args(AnyEvent)[0]), key=lambda e: str(e.model_fields["type"].default)):
        own = [name for name in event.model_fields if name not in Event.model_fields and name != "type"]
        told = (event.__doc__ or "").strip().splitlines()[0].replace("``", "`")
        fields = ", ".join(f"`{name}`" for name in own)
        lines.append(f"| `{event.model_fields['type'].default}` | {event.model_fields['v'].default} | {fields} | {told} |")
    return "\n".join(lines)


TABLES = {"settings": settings_table, "events": events_table}


def written(text: str) -> str:
    """The text with each ``<!-- name -->`` … ``<!-- /name -->`` filled from the code. Raises ValueError when a mark is missing."""
    for name, table in TABLES.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
        if not mark.search(text):
            raise ValueError(f"README.md has no <!-- {name} --> … <!-- /{name} -->")
        text = mark.sub(lambda m, t=table: f"{m[1]}{t()}\n{m[2]}", text)  # type: ignore[misc]  # t is bound at once
    return text


def main() -> int:
    README.write_text(written(README.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
