"""Consent is a gate in the media path: which state of it lets sound through, by the places of both ends. Pure."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from coaching.events import ConsentChanged, ConsentState

DEFAULT_POLICY: Final = Path(__file__).parent / "data" / "consent.toml"
Rule = Literal["one", "all"]

# Calls in which nobody but the agent speaks, or everything was recorded with consent long ago.
_OWN_RECORDING: Final = {
    "sample": "the sample call: two voices made for it",
    "microphone": "practice: only the agent speaks",
    "replay": "a recording of one's own",
}
_ALLOWED: Final[dict[ConsentState, frozenset[ConsentState]]] = {
    "unknown": frozenset({"announced", "granted", "refused"}),
    "announced": frozenset({"granted", "refused", "revoked"}),
    "granted": frozenset({"revoked", "granted"}),
    "refused": frozenset({"granted"}),
    "revoked": frozenset({"granted"}),
}


class ConsentRefused(ValueError):
    """This change of consent is not possible from the state it is in."""


@dataclass(frozen=True, slots=True)
class Place:
    rule: Rule
    source: str


@dataclass(frozen=True, slots=True)
class ConsentPolicy:
    """The policy file, read. ``agent_alone``: with a refusal the agent's own track may still be coached (off at first)."""

    as_of: str
    federal: Place
    states: dict[str, Place]
    opens: dict[Rule, frozenset[str]]
    sentence: str
    agent_alone: bool = False

    @classmethod
    def load(cls, file: Path = DEFAULT_POLICY, *, agent_alone: bool = False) -> "ConsentPolicy":
        """Raises ValueError with the file and the place in it."""
        try:
            raw = tomllib.loads(file.read_text())
            states = {code: Place(entry["rule"], entry["source"]) for code, entry in raw["states"].items()}
            opens: dict[Rule, frozenset[str]] = {"one": frozenset(raw["opens"]["one"]), "all": frozenset(raw["opens"]["all"])}
            federal = Place(raw["federal"]["rule"], raw["federal"]["source"])
        except (tomllib.TOMLDecodeError, KeyError, TypeError) as failure:
            raise ValueError(f"{file}: {failure}") from failure
        wrong = [code for code, place in states.items() if place.rule not in opens]
        if wrong:
            raise ValueError(f"{file}: a rule is one or all: {', '.join(wrong)}")
        return cls(str(raw["as_of"]), federal, states, opens, raw["sentence"], agent_alone)

    def rule_for(self, *places: str) -> Place:
        """The stricter end of the line; an unknown place counts as one where all parties must agree."""
        known = [self.states.get(p.upper()) for p in places]
        strict = next((p for p in known if p is not None and p.rule == "all"), None)
        if strict is not None:
            return strict
        if any(p is None for p in known) or not known:
            return Place("all", "the place of an end is unknown: all parties must agree")
        return next(p for p in known if p is not None)

    def begin(self, mode: str, agent_state: str, prospect_state: str) -> ConsentChanged:
        """The consent of a call that begins."""
        if mode in _OWN_RECORDING:
            return ConsentChanged(state="granted", transcribe=True, record=False, claude=False, by="policy", rule=_OWN_RECORDING[mode])
        return self._decide("unknown", agent_state, prospect_state, record=False, claude=False, by="policy", loudspeaker=False)

    def change(
        self, now: ConsentChanged, state: ConsentState, *, agent_state: str, prospect_state: str, by: str,
        record: bool | None = None, claude: bool | None = None, loudspeaker: bool = False, told: str = "",
    ) -> ConsentChanged:  # fmt: skip
        """The consent after somebody's word; what was ``told`` is written beside the rule. Raises ConsentRefused."""
        if state not in _ALLOWED[now.state] and state != now.state:
            raise ConsentRefused(f"consent cannot go from {now.state} to {state}")
        record = now.record if record is None else record
        claude = now.claude if claude is None else claude
        changed = self._decide(state, agent_state, prospect_state, record=record, claude=claude, by=by, loudspeaker=loudspeaker)
        return changed.model_copy(update={"rule": f"{changed.rule}; {told}"}) if told else changed

    def _decide(
        self, state: ConsentState, agent_state: str, prospect_state: str, *, record: bool, claude: bool, by: str, loudspeaker: bool
    ) -> ConsentChanged:
        place = self.rule_for(agent_state, prospect_state)
        open_ = state in self.opens[place.rule]
        spoken = state == "granted"  # recording and Claude need the person's own yes
        alone = not open_ and state == "refused" and self.agent_alone and not loudspeaker
        return ConsentChanged(
            state=state, transcribe=open_, record=record and spoken, claude=claude and spoken, agent_only=alone, by=by,
            rule=f"{place.rule}-party: {place.source} (policy of {self.as_of})",
        )  # fmt: skip
