"""After the call: summary, action items, objections and how they were handled, the outcome that was heard. Extractive:
every line is somebody's words with their place in the call; nothing is made up."""

import re
from typing import Final

from coaching.events import ActionItem, FindingNoted, ObjectionHandled, SummaryLine, SummaryMade
from coaching.state import CallState, Line

_PROMISE: Final = re.compile(
    r"\b(?:I'll|I will|I can|let me|I'm going to|I'm gonna|we'll)\s+(?:also\s+|go ahead and\s+|just\s+)?"
    r"(send|call|e-?mail|text|check|find|get|book|schedule|set|put|forward|look|prepare|pull|confirm|write|talk|ask|draft|share|bring|meet|see)\b", re.I
)  # fmt: skip
_AGREES: Final = re.compile(
    r"^\W*(?:yes|yeah|yep|sure|okay|ok|sounds good|that works|works for me|perfect|great|absolutely|definitely|fine|deal|let's do)\b", re.I
)
_GONE: Final = re.compile(
    r"\b(?:not interested|we're going with (?:someone|another)|decided against|take me off|no thank you|no thanks|already (?:sold|signed|bought))\b",
    re.I,
)
_LATER: Final = re.compile(r"\bcall (?:me |us )?(?:back|again|later|tomorrow|next week|in)\b", re.I)
_MACHINE: Final = re.compile(
    r"\b(?:leave (?:me )?a message|after the (?:tone|beep)|voice ?mail|not available|can't come to the phone|record your message)\b", re.I
)


def summarise(state: CallState) -> SummaryMade:
    """The summary of a call from its events alone."""
    objections = handled(state)
    items = action_items(state)
    lines = _lines(state, objections)
    return SummaryMade(lines=lines, action_items=items, objections=objections, crm_note=_note(state, lines, items, objections))


def outcome_preset(state: CallState) -> tuple[str, str]:
    """(outcome of the taxonomy, why) as it was heard; ("", "") when nothing was said."""
    lines = [line for line in state.transcript() if line.final]
    prospect = [line for line in lines if line.speaker == "prospect"]
    labels = {f.label: f for f in state.findings if f.speaker == "prospect"}
    if (refusal := labels.get("do_not_call")) is not None:
        return "do_not_call", refusal.quote
    if not prospect:
        return "no_answer", "nobody spoke on the other side"
    if machine := next((line for line in prospect if _MACHINE.search(line.text)), None):
        return "voicemail", machine.text
    if (agreed := _agreed_time(state)) is not None:
        return "appointment", agreed
    if gone := next((line for line in reversed(prospect) if _GONE.search(line.text)), None):
        return "lost", gone.text
    if later := next((line for line in reversed(prospect) if _LATER.search(line.text)), None):
        return "call_back", later.text
    if items := action_items(state):
        return "next_step", items[-1].what
    return "", ""


def action_items(state: CallState) -> list[ActionItem]:
    """What somebody said they would do, in their words."""
    items: list[ActionItem] = []
    for line in state.transcript():
        for sentence in re.split(r"(?<=[.?!])\s+", line.text):
            promise = _PROMISE.search(sentence)
            if (
                promise is None
                or sentence.rstrip().endswith("?")
                or re.search(r"\b(?:I'll be honest|let me (?:ask|see|tell|think|be|put))\b", sentence, re.I)
            ):
                continue
            what = sentence[promise.start(1) :].strip(" .!,")
            if len(what.split()) >= 3:
                items.append(ActionItem(who=line.speaker, what=what, due=_due(state, line), quote=sentence, utterance=line.utterance))
    appointment = state.sheet.get("appointment")
    if appointment is not None and not any(appointment.shown.lower() in i.what.lower() for i in items):
        items.append(
            ActionItem(
                who="agent",
                what=f"confirm the appointment: {appointment.shown}",
                due=appointment.shown,
                quote=appointment.quote,
                utterance=appointment.utterance,
            )
        )
    seen: set[str] = set()
    return [i for i in items if not (i.what.lower() in seen or seen.add(i.what.lower()))][:12]  # type: ignore[func-returns-value]  # set.add gives None


def handled(state: CallState) -> list[ObjectionHandled]:
    """Each objection once, with the agent's next words and what the prospect then did."""
    lines = state.transcript()
    order = {line.utterance: i for i, line in enumerate(lines)}
    found: list[ObjectionHandled] = []
    for finding in (f for f in state.findings if f.family == "objection"):
        at = order.get(finding.utterance)
        if at is None:
            continue
        answer = next((line for line in lines[at + 1 : at + 6] if line.speaker == "agent" and len(line.text.split()) >= 4), None)
        later = lines[order[answer.utterance] + 1 :] if answer else []
        again = (
            any(
                f.label == finding.label and order.get(f.utterance, 0) > order[answer.utterance]
                for f in state.findings
                if f.family == "objection"
            )
            if answer
            else False
        )
        moved = bool(later) and not again
        found.append(ObjectionHandled(
            label=finding.label, quote=finding.quote, utterance=finding.utterance, at_ms=finding.start_ms, answer=answer.text if answer else "",
            answer_utterance=answer.utterance if answer else "", handled="moved_on" if moved else "answered" if answer else "open",
        ))  # fmt: skip
    return found


def _agreed_time(state: CallState) -> str | None:
    appointment = state.sheet.get("appointment")
    if appointment is not None and "?" not in appointment.shown:
        return appointment.quote or appointment.shown
    proposed = [f for f in state.findings if f.label == "appointment"]
    return proposed[-1].quote if proposed else None


def _due(state: CallState, line: Line) -> str | None:
    for finding in state.findings:
        if finding.utterance == line.utterance and finding.label in ("appointment", "timeframe_named"):
            return finding.quote
    day = re.search(
        r"\b(?:today|tonight|tomorrow|this (?:week|afternoon|evening)|(?:by |on |next )?(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday))\b",
        line.text,
        re.I,
    )
    return day.group() if day else None


def _lines(state: CallState, objections: list[ObjectionHandled]) -> list[SummaryLine]:
    who = state.started.contact.name if state.started and state.started.contact.name else "The prospect"
    lines: list[SummaryLine] = []
    names = {
        "motivation": "why they move", "timeframe": "when", "location": "where", "price": "price", "financing": "financing",
        "decision_makers": "who decides with them", "agency": "another agent", "appointment": "next meeting",
    }  # fmt: skip
    known = [(names[s], e) for s, e in state.sheet.items() if s in names]
    for name, entry in known:
        lines.append(
            SummaryLine(
                text=f"{who}, {name}: {entry.shown} (“{_short(entry.quote)}”).",
                utterance=entry.utterance,
                at_ms=_at(state, entry.utterance),
            )
        )
    for objection in objections:
        end = {"moved_on": "then moved on", "answered": "answered", "open": "left open"}[objection.handled]
        lines.append(
            SummaryLine(
                text=f"Objection, {objection.label.replace('_', ' ')}: “{_short(objection.quote)}”; {end}.",
                utterance=objection.utterance,
                at_ms=objection.at_ms,
            )
        )
    for slip in _once([f for f in state.findings if f.family == "compliance"]):
        lines.append(
            SummaryLine(
                text=f"To check, {slip.label.replace('_', ' ')}: “{_short(slip.quote)}”.", utterance=slip.utterance, at_ms=slip.start_ms
            )
        )
    if not lines:
        longest = max((line for line in state.transcript() if line.speaker == "prospect"), key=lambda line: len(line.text), default=None)
        text = f"{who} said: “{_short(longest.text)}”" if longest else "Nothing was heard from the other side."
        lines.append(SummaryLine(text=text, utterance=longest.utterance if longest else "", at_ms=longest.start_ms if longest else None))
    return lines[:14]


def _note(state: CallState, lines: list[SummaryLine], items: list[ActionItem], objections: list[ObjectionHandled]) -> str:
    """Plain text for a CRM's note field."""
    contact = state.started.contact if state.started else None
    minutes = round(state.audio_ms / 60_000, 1)
    head = (
        f"Call with {contact.name or 'unknown'}{' ' + contact.number if contact and contact.number else ''}, {minutes} min"
        if contact
        else "Call"
    )
    parts = [head, *[f"- {line.text}" for line in lines]]
    if items:
        parts += ["To do:", *[f"- {i.who}: {i.what}{f' ({i.due})' if i.due else ''}" for i in items]]
    if objections:
        parts.append("Objections: " + ", ".join(sorted({o.label.replace("_", " ") for o in objections})))
    return "\n".join(parts)


def _once(findings: list[FindingNoted]) -> list[FindingNoted]:
    seen: dict[tuple[str, str], FindingNoted] = {}
    for finding in findings:
        seen.setdefault((finding.label, finding.utterance), finding)
    return list(seen.values())


def _at(state: CallState, utterance: str) -> int | None:
    line = state.lines.get(utterance)
    return line.start_ms if line else None


def _short(text: str, words: int = 24) -> str:
    parts = text.split()
    return " ".join(parts[:words]) + ("…" if len(parts) > words else "")
