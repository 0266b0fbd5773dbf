"""AdvancedConversationIntelligence: what a whole history says about the prospect, where it is going, and what to do next.

Takes a call, e-mails or text messages; needs no key. Every statement carries the words behind it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from intelligence.conversation.emotion import EmotionalState, SentimentReader, emotional_state
from intelligence.conversation.flow import Flow, flow
from intelligence.conversation.history import Heard, Message, hear
from intelligence.conversation.qualification import QualificationSheet
from intelligence.conversation.stages import StageTracker
from intelligence.conversation.trajectory import PRIOR, Calibration, Trajectory, features_of, trajectory, won_path
from intelligence.conversation.turns import Conversation, Detector, Embed, Finding, Reading

_YES: Final = re.compile(r"^\W*(?:(?:oh|um|uh|well|okay|ok)\W+)*(?:yes|yeah|yep|sure|sounds good|that works|works for me|perfect|absolutely|definitely|deal|let's do|i'd love|fine by me)\b", re.I)  # fmt: skip
_NEXT_STEP: Final = re.compile(
    r"\b(?:would|could|can|shall|does|do|should|how about|what about|want|why don't)\b[^.?!]*\b(?:meet|see it|show|come by|stop by|visit|call|talk|sign|schedule|set (?:up )?a time|monday|tuesday|wednesday|thursday|friday|saturday|sunday|tomorrow|this week|next week|o'clock|a\.?m\.?|p\.?m\.?)\b",
    re.I,
)


class AdvancedConversationIntelligence:
    """``detectors`` makes fresh ones for each history; ``questions``/``bridges`` are the playbook's, by slot of the sheet.

    ``won_stages``: the stages of a brokerage's calls that got their next step, for the path from here.
    """

    def __init__(
        self,
        embed: Embed,
        detectors: Callable[[], Sequence[Detector]],
        *,
        questions: Mapping[str, str],
        bridges: Mapping[str, str],
        calibration: Calibration | None = None,
        won_stages: Sequence[Sequence[str]] = (),
        sentiment: SentimentReader | None = None,
    ) -> None:
        self._embed, self._detectors = embed, detectors
        self._questions, self._bridges = questions, bridges
        self._calibration = calibration or Calibration(PRIOR)
        self._won_stages = won_stages
        self._sentiment = sentiment or SentimentReader()

    async def analyze_emotional_state(self, history: Sequence[Message], today: str = "") -> EmotionalState:
        """Stress, sentiment, urgency, motivation and decision makers of the prospect, each with evidence."""
        heard, sheet, _ = await self._hear(history, today)
        return emotional_state(heard, self._sentiment, sheet.slots.get("decision_makers"))

    async def predict_conversation_trajectory(self, history: Sequence[Message], today: str = "") -> Trajectory:
        """The stages so far and the chance of a next step, in words, with reasons; a prior until it was fitted."""
        heard, _, path = await self._hear(history, today)
        return trajectory(heard, self.features(heard), path, self._calibration, won_path(path[-1], self._won_stages))

    async def optimize_conversation_flow(self, history: Sequence[Message], today: str = "") -> Flow:
        """What to ask or do next, the bridge to it, when to be silent, and the health of the conversation by parts."""
        heard, sheet, _ = await self._hear(history, today)
        return flow(heard, list(sheet.slots), self._questions, self._bridges)

    async def measured(self, history: Sequence[Message], today: str = "") -> dict[str, float]:
        """The features that a calibration is fitted on."""
        heard, _, _ = await self._hear(history, today)
        return self.features(heard)

    def features(self, heard: Heard) -> dict[str, float]:
        felt = [f.value for i, r in enumerate(heard.readings) if r.turn.speaker == "prospect" for f in self._sentiment.read(i, r)]
        agreed, asked = agreements(heard)
        return features_of(heard, felt, agreed, asked)

    async def _hear(self, history: Sequence[Message], today: str) -> tuple[Heard, QualificationSheet, list[str]]:
        sheet, stages, path = QualificationSheet(), _Path(), ["opening"]
        heard = await hear(history, self._embed, lambda: [*self._detectors(), sheet, stages], today)
        path += stages.path
        return heard, sheet, path


class _Path(StageTracker):
    """A stage tracker that keeps the way it went."""

    def __init__(self) -> None:
        super().__init__()
        self.path: list[str] = []

    def feed(self, reading: Reading, so_far: Conversation) -> list[Finding]:
        found = super().feed(reading, so_far)
        if (change := self.changed()) is not None:
            self.path.append(change[0])
        return found


def agreements(heard: Heard) -> tuple[list[str], int]:
    """(the prospect's turns that say yes to a next step the agent asked for, how often the agent asked)."""
    agreed, asked, open_ = [], 0, False
    for reading in heard.readings:
        turn = reading.turn
        if turn.speaker == "agent":
            open_ = bool(_NEXT_STEP.search(turn.text))
            asked += open_
        elif open_:
            if _YES.search(turn.text):
                agreed.append(turn.utterance)
            open_ = False
    return agreed, asked
