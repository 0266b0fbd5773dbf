"""What this machine can run live, and why: from the cost of one token and one second of sound."""

from dataclasses import dataclass
from typing import Final

from voice.models.whisper import Costs, Whisper

_TAIL_S, _TAIL_TOKENS = 6.5, 12  # the usual reading at a first silence: 2.5 s of sound, 4 s of silence after it
_FINAL_S, _FINAL_TOKENS = 10.0, 18  # and that of a whole utterance: 4 s and 6 s
_WORDS_LIVE_MS: Final = 350.0  # a last word that takes longer to decode comes later than half a second after it was said
_FINALS_LIVE_MS: Final = 700.0
_SECONDS_MS: Final = 3000.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """``tail_ms``, ``final_ms``: one decode of each kind, alone on this machine."""

    model: str
    device: str
    tail_ms: float
    final_ms: float

    @classmethod
    def of(cls, model: str, device: str, costs: Costs) -> "Calibration":
        def took(seconds: float, tokens: int) -> float:
            return round(seconds * costs.encode_ms + tokens * costs.token_ms + costs.align_ms, 1)

        return cls(model, device, took(_TAIL_S, _TAIL_TOKENS), took(_FINAL_S, _FINAL_TOKENS))

    @property
    def use(self) -> str:
        """live: words while they are said; finals: finished utterances; second: readings when there is time; none."""
        if self.tail_ms <= _WORDS_LIVE_MS and self.final_ms <= _FINALS_LIVE_MS:
            return "live"
        if self.final_ms <= _FINALS_LIVE_MS:
            return "finals"
        return "second" if self.final_ms <= _SECONDS_MS else "none"

    def sentence(self) -> str:
        """For a person: what this model is good for here, and the figure that says so."""
        figures = f"a last word takes {self.tail_ms:.0f} ms, an utterance {self.final_ms:.0f} ms on {self.device}"
        match self.use:
            case "live":
                return f"{self.model} can run live: {figures}"
            case "finals":
                return f"{self.model} can read finished utterances, not live words (limit {_WORDS_LIVE_MS:.0f} ms): {figures}"
            case "second":
                return f"{self.model} is too slow for live words here (limit {_WORDS_LIVE_MS:.0f} ms) but can read finals again: {figures}"
            case _:
                return f"{self.model} is too slow for this computer: {figures}"


def calibrate(whisper: Whisper, device: str) -> Calibration:
    """Takes about a second for tiny.en on two cores. Blocks."""
    return Calibration.of(whisper.name, device, whisper.costs())
