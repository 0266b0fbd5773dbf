"""Puts the pieces together: what a machine shares, and what one call is made of."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coaching.advice import ClaudeAdvisor
from coaching.call import CallParts, SoundSink
from coaching.coaches import Coaches
from coaching.consent import DEFAULT_POLICY, ConsentPolicy
from coaching.events import CallStarted
from coaching.playbook import DEFAULT_PLAYBOOK, Playbook, PlaybookFile
from coaching.record import EventLog
from coaching.suggestions import SuggestionPolicy
from intelligence.conversation.advanced import AdvancedConversationIntelligence
from intelligence.conversation.compliance import ComplianceDetector, breaches
from intelligence.conversation.moments import MomentDetector
from intelligence.conversation.objections import ObjectionDetector
from intelligence.conversation.protected import ProtectedQuestionDetector
from intelligence.conversation.qualification import QualificationSheet
from intelligence.conversation.signals import SignalDetector
from intelligence.conversation.stages import StageTracker
from intelligence.conversation.trajectory import Calibration
from intelligence.conversation.turns import Detector
from voice.frames import Speaker
from voice.legs import Leg
from voice.legs.recording import check_recording
from voice.listening import Hints, ListeningSettings, SpeakerListener
from voice.models.engine import EngineSettings, ThreadModels
from voice.models.link import EngineLink
from voice.models.onnx import SpeechModel
from voice.models.process import EngineProcess, open_models
from voice.models.weights import SILERO, file_of
from voice.speakers import split_recording, voice_prints
from voice.vad import SpeechDetector
from web.phones.plan import PlanFile, plan_file
from web.settings import Settings

if TYPE_CHECKING:  # the SDK takes seconds to import, and most processes never use it
    from intelligence.claude import Claude, Ledger


@dataclass(slots=True)
class Machine:
    """What all calls of this computer share."""

    models: ThreadModels | EngineProcess
    speech: SpeechModel
    playbook: PlaybookFile
    consent: ConsentPolicy
    cache: Path
    phones: PlanFile
    weights: Path | None = None
    reread: bool = False
    claude: "Claude | None" = None  # open_claude() gives it, where there is a key

    @classmethod
    async def open(cls, settings: Settings, *, process: bool = True) -> "Machine":
        """Raises WeightsRefused, RecogniserFailed, PlaybookRefused, PlanRefused or ValueError; each message is for a person."""
        rest = _rest(settings)
        return cls(await open_models(engine_settings(settings), process=process), **rest)

    @classmethod
    def beside(cls, settings: Settings, engine: Path) -> "Machine":
        """For a call in a process of its own: the engine is another's, at this socket; ``models.start()`` is still to be called.

        Blocks for as long as the speech detector takes to load. Raises as open() does."""
        return cls(EngineLink(engine_settings(settings), engine), **_rest(settings))

    def parts(self, call: str, started: CallStarted, leg: Leg, log: EventLog, sink: SoundSink | None = None) -> CallParts:
        hints = Hints(likely_words(started, self.playbook.current()))
        listening = ListeningSettings(reread=self.reread)

        def listener(speaker: Speaker) -> SpeakerListener:
            return SpeakerListener(call, speaker, listening, SpeechDetector(self.speech.stream()), hints)

        sheet, stages = QualificationSheet(), StageTracker()
        coaches = Coaches(
            [*detectors(), sheet, stages], self.models.embed, second=self.models.second, context=self.models.in_context, today=started.today
        )
        policy = SuggestionPolicy(self.playbook.current, breaks_rule, strategy=started.strategy)
        advisor = ClaudeAdvisor(call, started, self.claude, self.playbook.current, breaks_rule) if self.claude is not None else None
        return CallParts(leg, self.models, log, coaches, policy, self.consent, listener, sheet, stages, advisor=advisor, sink=sink)

    def two_sided(self, file: Path, target: Path) -> bool:
        """A one-channel recording is written to ``target`` with a channel per voice, the agent (who speaks first) left.

        False: it has two channels already. Blocks. Raises RecordingRefused."""
        if check_recording(file) != 1:
            return False
        split_recording(file, target, SpeechDetector(self.speech.stream()), voice_prints(self.weights, self.cache))
        return True

    def sentence(self, agent_name: str) -> str:
        """What the agent reads aloud to ask for consent."""
        return self.consent.sentence.replace("{agent}", agent_name or "I")


def _rest(settings: Settings) -> dict[str, Any]:
    """Everything of a machine but the engine. What is wrong with it is said before the engine takes seconds to load."""
    weights, cache = Path(settings.weights) if settings.weights else None, settings.data / "weights"
    return {
        "playbook": PlaybookFile(settings.playbook or DEFAULT_PLAYBOOK, breaks_rule=breaks_rule),
        "consent": ConsentPolicy.load(settings.consent or DEFAULT_POLICY, agent_alone=settings.agent_alone),
        "speech": SpeechModel(file_of(SILERO, "silero_vad.onnx", folder=weights, cache=cache)),
        "cache": cache,
        "phones": plan_file(settings.data, settings.phones),
        "weights": weights,
        "reread": bool(settings.second_model),
    }


def likely_words(started: CallStarted, playbook: Playbook) -> tuple[str, ...]:
    """What the recogniser is told to expect: the people and places of this call, then the playbook's terms."""
    places = (re.sub(r"^\W*\d+\w?\s+", "", each).strip() for each in re.split(r"[,;\n]", started.about))  # numbers are read anyway
    people = (started.contact.name, started.agent_name, *places)
    terms = (word for words in playbook.terms.values() for word in words)
    return tuple(dict.fromkeys(word for word in (*people, *terms) if word))


def open_claude(settings: Settings, ledger: "Ledger") -> "Claude | None":
    """Claude, where a key is set; whoever opens it closes it."""
    if not settings.anthropic_key:
        return None
    from intelligence.claude import Claude, ClaudeSettings

    return Claude(
        ClaudeSettings(
            key=settings.anthropic_key,
            model=settings.claude_model,
            url=settings.claude_url,
            deadline_s=settings.claude_deadline_s,
            monthly_usd=settings.claude_monthly_usd,
            call_usd=settings.claude_call_usd,
            call_tokens=settings.claude_call_tokens,
        ),
        ledger,
    )


def engine_settings(settings: Settings) -> EngineSettings:
    return EngineSettings(
        model=settings.model,
        final_model=settings.final_model,
        second_model=settings.second_model,
        device=settings.device,
        compute=settings.compute,
        workers=settings.workers,
        niceness=settings.niceness,
        weights=settings.weights,
        cache=str(settings.data / "weights"),
    )


def breaks_rule(sentence: str) -> str | None:
    """The rule that a sentence of our own would break, if any."""
    found = breaches(sentence)
    return found[0].rule if found else None


def detectors() -> list[Detector]:
    """The modules that find something; the sheet and the stages, which go on from their findings, come behind them."""
    return [SignalDetector(), ObjectionDetector(), ComplianceDetector(), ProtectedQuestionDetector(), MomentDetector()]


def conversation_intelligence(
    machine: Machine, calibration: Calibration, won_stages: Sequence[Sequence[str]]
) -> AdvancedConversationIntelligence:
    """The analysis of whole histories, with this machine's models and playbook."""
    playbook = machine.playbook.current()
    return AdvancedConversationIntelligence(
        machine.models.embed,
        detectors,
        questions=playbook.questions,
        bridges=playbook.bridges,
        calibration=calibration,
        won_stages=won_stages,
    )
