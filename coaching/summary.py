"""After the call: summary, action items, objections and how they were handled, the outcome that was heard. Extractive:
every line is somebody's words with their place in the call; nothing is made up."""

import datetime
import re
from typing import Final

from coaching.events import ActionItem, FindingNoted, ObjectionHandled, SummaryLine, SummaryMade
from coaching.state import CallState, Line

_PROMISE: Final = re.compile(
    r"\b(?:I'll|I will|I can|let me|I'm going to|I'm gonna|we'll)\s+(?:also\s+|go ahead and\s+|just\s+)?"
    r"(send|call|e-?mail|text|check|find|get|book|schedule|set|put|forward|look|prepare|pull|confirm|write|talk|ask|draft|share|bring|meet|see)\b", re.I
)  # fmt: skip
_NO_PROMISE: Final = re.compile(
    r"\b(?:I'll be honest|let me (?:ask|see|tell|think|be|put)|I'll see|we'll see|get back to you|I can see)\b", re.I
)
_AND_THEN: Final = re.compile(r",? and (?=(?:I|we)'ll\s)", re.I)
_POINTS_BACK: Final = re.compile(r"^\w[\w-]* (?:it|them|that|this|those|you that)\b", re.I)
_AGREES: Final = re.compile(
    r"^\W*(?:yes|yeah|yep|sure|okay|ok|sounds good|that works|works for me|perfect|great|absolutely|definitely|fine|deal|let's do)\b", re.I
)
_CONFIRMS: Final = re.compile(
    r"\b(?:(?:that |it )?works|could work|perfect|see you|talk to you|sounds good|i'll be there|we'll be there|put (?:you|us) down|booked|confirmed|it's a date|let's do)\b", re.I
)  # fmt: skip
_PUSHES_BACK: Final = re.compile(
    r"^\W*(?:no\b|but\b|well, but|still\b|(?:hey,? )?(?:yeah,? )?i (?:don't|do not) (?:know|think|believe|buy)|i'm not (?:sure|convinced)|i doubt|that's not|really\?)|\banybody can promise\b",
    re.I,
)  # fmt: skip
_GONE: Final = re.compile(
    r"\b(?:not interested|we're going with (?:someone|another)|decided against|take me off|no thank you|no thanks|already (?:sold|signed|bought))\b",
    re.I,
)
_LATER: Final = re.compile(r"\bcall (?:me |us )?(?:back|again|later|tomorrow|next week|in)\b", re.I)
_MACHINE: Final = re.compile(
    r"\b(?:leave (?:me )?a message|after the (?:tone|beep)|voice ?mail|not available|can't come to the phone|record your message)\b", re.I
)
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY: Final = re.compile(
    rf"\b(?:today|tonight|tomorrow|this (?:week|weekend|afternoon|evening|morning)|next week|(?:next )?(?:{'|'.join(_WEEKDAYS)}))\b", re.I
)
# slots of the sheet in the order in which somebody who calls again wants to read them
_SLOTS: Final = {
    "appointment": "Next meeting", "motivation": "Why they move", "timeframe": "When", "location": "Where", "price": "Price", "financing": "Financing",
    "decision_makers": "Decides with them", "agency": "Agent",
}  # fmt: skip
_SUBSTANTIAL: Final = 4  # words


def summarise(state: CallState) -> SummaryMade:
    """The summary of a call from its events alone."""
    objections = handled(state)
    items = action_items(state)
    lines = _lines(state, objections)
    return SummaryMade(lines=lines, action_items=items, objections=objections, crm_note=_note(state, lines, items))


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
    """What somebody said they would do, in their words; the meeting first."""
    items: list[ActionItem] = []
    appointment = state.sheet.get("appointment")
    if appointment is not None and _agreed_time(state) is not None:
        due = _date(appointment.shown, state) or appointment.shown
        what = f"meet as agreed: {appointment.shown}"
        items.append(ActionItem(who="agent", what=what, due=due, quote=appointment.quote, utterance=appointment.utterance))
    putting_off = {f.utterance for f in state.findings if f.label == "stall"}
    before: Line | None = None
    for line in state.transcript():
        if line.utterance not in putting_off:
            items += _promises(state, line, before)
        before = line if line.speaker == "prospect" and len(line.text.split()) >= _SUBSTANTIAL else before
    seen: set[str] = set()
    return [i for i in items if not (i.what.lower() in seen or seen.add(i.what.lower()))][:12]  # type: ignore[func-returns-value]  # set.add gives None


def _promises(state: CallState, line: Line, before: Line | None) -> list[ActionItem]:
    found, day = [], ""
    for sentence in _sentences(line.text):
        day = (named.group() if (named := _DAY.search(sentence)) else "") or day  # "Sunday at 2 is perfect. I'll bring the sheet."
        if sentence.endswith("?"):
            continue
        for part in _AND_THEN.split(sentence):
            promise = _PROMISE.search(part)
            if promise is None or _NO_PROMISE.search(part):
                continue
            what = part[promise.start(1) :].strip(" .!,")
            if len(what.split()) < 3 and not _DAY.search(part):
                continue
            day = (named.group() if (named := _DAY.search(part)) else "") or day
            if _POINTS_BACK.match(what) and before is not None and line.speaker == "agent":
                what += f" (they: “{_short(_sentences(before.text)[-1], 14)}”)"
            due = _date(day, state) or day or None
            found.append(ActionItem(who=line.speaker, what=what, due=due, quote=sentence, utterance=line.utterance))
    return found


def handled(state: CallState) -> list[ObjectionHandled]:
    """Each objection once, with the agent's next words and what the prospect then did.

    Moved on: the prospect's next words neither push back nor bring the same objection or a brush-off, and it does not come again.
    """
    lines = state.transcript()
    order = {line.utterance: i for i, line in enumerate(lines)}
    objections = [f for f in state.findings if f.family == "objection" and f.utterance in order]
    found: list[ObjectionHandled] = []
    for finding in objections:
        at = order[finding.utterance]
        answer = next((x for x in lines[at + 1 : at + 6] if x.speaker == "agent" and len(x.text.split()) >= _SUBSTANTIAL), None)
        behind = lines[order[answer.utterance] + 1 :] if answer else []
        reaction = next((x for x in behind if x.speaker == "prospect"), None)
        after = {f.label for f in objections if answer and order[f.utterance] > order[answer.utterance]}
        at_once = {f.label for f in objections if reaction and f.utterance == reaction.utterance}
        moved = reaction is not None and finding.label not in after and "stall" not in at_once and not _PUSHES_BACK.search(reaction.text)
        found.append(ObjectionHandled(
            label=finding.label, quote=finding.quote, utterance=finding.utterance, at_ms=finding.start_ms, answer=answer.text if answer else "",
            answer_utterance=answer.utterance if answer else "", handled="moved_on" if moved else "answered" if answer else "open",
        ))  # fmt: skip
    return found


def _agreed_time(state: CallState) -> str | None:
    """The words of a meeting that both took as agreed: a time alone, or one that was put off, is none."""
    appointment = state.sheet.get("appointment")
    if appointment is None or "?" in appointment.shown:
        return None
    if any(f.utterance == appointment.utterance and (f.label == "commitment_refused" or f.family == "objection") for f in state.findings):
        return None
    lines = state.transcript()
    at = next((i for i, line in enumerate(lines) if line.utterance == appointment.utterance), None)
    if at is None:
        return None
    agreed = any(_CONFIRMS.search(line.text) or _AGREES.search(line.text) for line in lines[at : at + 4])
    return (appointment.quote or appointment.shown) if agreed else None


def _date(said: str, state: CallState) -> str | None:
    """ "Sunday 14:00", "tonight" -> the ISO date it is, counted from the day of the call; None where it is no single day."""
    found = _DAY.search(said)
    if found is None or state.started is None or not state.started.today:
        return None
    today, word = datetime.date.fromisoformat(state.started.today), found.group().lower()
    if word in ("today", "tonight", "this afternoon", "this evening", "this morning"):
        return today.isoformat()
    if word == "tomorrow":
        return (today + datetime.timedelta(days=1)).isoformat()
    if word in _WEEKDAYS:
        ahead = (_WEEKDAYS.index(word) - today.weekday()) % 7 or 7
        return (today + datetime.timedelta(days=ahead)).isoformat()
    return None  # "next Sunday" is two days to two people


def _lines(state: CallState, objections: list[ObjectionHandled]) -> list[SummaryLine]:
    lines: list[SummaryLine] = []
    for slot, name in _SLOTS.items():
        if (entry := state.sheet.get(slot)) is None or (slot == "appointment" and _agreed_time(state) is None):
            continue
        words = f" “{_short(_telling(entry.quote, entry.shown), 16)}”" if slot in ("motivation", "timeframe", "decision_makers") else ""
        lines.append(SummaryLine(text=f"{name}: {entry.shown}.{words}", utterance=entry.utterance, at_ms=_at(state, entry.utterance)))
    ends = {"moved_on": "then moved on", "answered": "answered, not settled", "open": "left open"}
    for objection in {o.label: o for o in objections}.values():  # the last time counts
        text = f"Objection, {objection.label.replace('_', ' ')}: “{_short(objection.quote, 16)}” ({ends[objection.handled]})."
        lines.append(SummaryLine(text=text, utterance=objection.utterance, at_ms=objection.at_ms))
    for slip in _once([f for f in state.findings if f.family == "compliance"]):
        text = f"To check, {slip.label.replace('_', ' ')}: “{_short(slip.quote, 16)}”."
        lines.append(SummaryLine(text=text, utterance=slip.utterance, at_ms=slip.start_ms))
    if not lines:
        who = state.started.contact.name if state.started and state.started.contact.name else "The prospect"
        longest = max((line for line in state.transcript() if line.speaker == "prospect"), key=lambda line: len(line.text), default=None)
        text = f"{who} said: “{_short(longest.text)}”" if longest else "Nothing was heard from the other side."
        lines.append(SummaryLine(text=text, utterance=longest.utterance if longest else "", at_ms=longest.start_ms if longest else None))
    return lines[:14]


def _note(state: CallState, lines: list[SummaryLine], items: list[ActionItem]) -> str:
    """Plain text for a CRM's note field."""
    contact, day = (state.started.contact, state.started.today) if state.started else (None, "")
    who = " ".join(part for part in ((contact.name, contact.number) if contact else ()) if part) or "unknown"
    head = ", ".join(part for part in (f"Call with {who}", day, f"{round(state.audio_ms / 60_000, 1)} min") if part)
    parts = [head, *[f"- {line.text}" for line in lines]]
    if items:
        parts += ["To do:", *[f"- {i.who}: {i.what}{f' [{i.due}]' if i.due else ''}" for i in items]]
    return "\n".join(parts)


def _sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.?!])\s+", text.strip()) if part] or [text]


def _telling(quote: str, shown: str) -> str:
    """The sentence of a quote that says what is shown; the longest where none does."""
    words = {w for w in re.findall(r"\w+", shown.lower()) if len(w) > 2}
    return max(_sentences(quote), key=lambda s: (len(words & set(re.findall(r"\w+", s.lower()))), len(s)))


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
