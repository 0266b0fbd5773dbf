"""Any history as turns: a call, e-mails, text messages; read once, and judged by every detector."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from intelligence.conversation.findings import settled
from intelligence.conversation.turns import Conversation, Detector, Embed, Finding, Reading, Speaker, Turn, read

Channel: TypeAlias = Literal["call", "email", "text"]
_QUOTED = (">", "On ", "From:", "Sent:", "To:", "Subject:")  # lines of an e-mail that are not its writer's words


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a call, one e-mail or one text message. ``at_ms``: media time in a call; 0 where there is none."""

    speaker: Speaker
    text: str
    channel: Channel = "call"
    at_ms: int = 0


@dataclass(slots=True)
class Heard:
    """The history as the detectors heard it."""

    readings: list[Reading] = field(default_factory=list)
    conversation: Conversation = field(default_factory=Conversation)

    @property
    def findings(self) -> list[Finding]:
        return self.conversation.findings

    def of(self, speaker: Speaker) -> list[Reading]:
        return [r for r in self.readings if r.turn.speaker == speaker]


def turns_of(messages: Sequence[Message]) -> list[Turn]:
    """Turns in their order; what an e-mail quotes from earlier ones is left out, because somebody else said it before."""
    turns = []
    for number, message in enumerate(messages):
        text = _own_words(message.text) if message.channel == "email" else message.text
        if text.strip():
            turns.append(Turn(message.speaker, text.strip(), message.at_ms, message.at_ms, f"m{number}"))
    return turns


async def hear(messages: Sequence[Message], embed: Embed, detectors: Callable[[], Sequence[Detector]], today: str = "") -> Heard:
    """Every turn read and fed to fresh detectors, in order. ``today``: ISO date from which relative dates count."""
    heard, listening = Heard(conversation=Conversation(today=today)), list(detectors())
    for turn in turns_of(messages):
        reading = await read(turn, embed)
        findings: list[Finding] = []
        heard.conversation.fresh = findings
        for detector in listening:
            findings = settled([*findings, *detector.feed(reading, heard.conversation)])
            heard.conversation.fresh = findings
        heard.readings.append(reading)
        heard.conversation.add(turn, findings)
    return heard


def _own_words(email: str) -> str:
    lines = []
    for line in email.splitlines():
        if line.strip().startswith("-----Original") or (line.startswith("On ") and line.rstrip().endswith("wrote:")):
            break
        if not line.lstrip().startswith(_QUOTED[0]) and not line.startswith(_QUOTED[2:]):
            lines.append(line)
    return "\n".join(lines)
