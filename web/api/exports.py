"""A call as a file: Markdown for people, WebVTT for players. JSON is the CallView itself."""

from typing import Any

_WHO = {"agent": "Agent", "prospect": "Prospect"}


def markdown(view: dict[str, Any]) -> str:
    summary = view["summary"] or {"lines": [], "action_items": [], "objections": [], "crm_note": ""}
    name = (view["contact"] or {}).get("name") or "unknown"
    out = [f"# Call with {name}", ""]
    for title, lines in (
        ("Summary", [line["text"] for line in summary["lines"]]),
        ("Action items", [f"{_WHO[i['who']]}: {i['what']}" + (f" ({i['due']})" if i["due"] else "") for i in summary["action_items"]]),
        ("Objections", [f"{o['label']} ({o['handled']}): “{o['quote']}”" for o in summary["objections"]]),
    ):
        if lines:
            out += [f"## {title}", "", *(f"- {line}" for line in lines), ""]
    out += ["## Transcript", ""]
    for line in view["transcript"]:
        out.append(f"**{_WHO[line['speaker']]}** {_clock(line['start_ms'])[3:8]}  {line['text']}  ")
    return "\n".join(out) + "\n"


def webvtt(view: dict[str, Any]) -> str:
    """WebVTT with a voice span per line (W3C WebVTT section 3.1)."""
    out = ["WEBVTT", ""]
    for line in view["transcript"]:
        text = line["text"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        end = max(line["end_ms"], line["start_ms"] + 1)
        out += [f"{_clock(line['start_ms'])} --> {_clock(end)}", f"<v {_WHO[line['speaker']]}>{text}", ""]
    return "\n".join(out)


def _clock(ms: int) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{ms:03}"
