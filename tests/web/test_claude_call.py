"""A whole call with Claude beside it: sound through the server's call, the Messages API on this machine."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from coaching.call import Call, CallParts
from coaching.events import CallStarted, Contact
from tests.intelligence.messages_server import MessagesServer, Scene, says
from tests.scripted_call import Cue, Cued, ScriptedLeg, Stage, agent, laid_out, parts_of, prospect, silence
from web.app import Guarded
from web.calls import Calls
from web.compose import Machine
from web.settings import SettingRefused, Settings

BETTER = "Would it help to go through what you would need to feel sure?"
NOTE = "They are not sure yet."


def answered(request: dict[str, Any]) -> Scene:
    """A card's or a summary's answer, by the schema that was asked for."""
    if "lines" in request["output_config"]["format"]["schema"]["properties"]:
        return says({"lines": [{"text": NOTE, "turn": 1}]})
    return says({"better": True, "say": BETTER, "why": "They hesitate."})


@pytest.fixture
async def messages() -> AsyncIterator[MessagesServer]:
    async with MessagesServer(otherwise=answered) as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path, messages: MessagesServer) -> Settings:
    return Settings.read(
        {
            "SOTTOVOCE_DATA": str(tmp_path), "ANTHROPIC_API_KEY": "sk-test", "SOTTOVOCE_CLAUDE_URL": messages.url,
            "SOTTOVOCE_CLAUDE_DEADLINE_S": "3",
        }
    )  # fmt: skip


async def played(app: Guarded, monkeypatch: pytest.MonkeyPatch, *, claude: bool = True) -> tuple[dict[str, Any], list[Any]]:
    """A scene as sound through the server's own call: store, log, consent, adviser; only the recogniser is a double."""
    calls: Calls = app.app.state.calls

    def here() -> Call:
        return next(iter(calls.live.values())).call

    async def settled() -> None:
        """Nobody speaks until Claude has answered, or is given up."""
        async with asyncio.timeout(20):
            while (  # noqa: ASYNC110  any state of the call may end it
                claude
                and ("claude_off", None) not in here().state.notices
                and not any(shown.card.tier == "claude" for shown in here().state.cards.values())
            ):
                await asyncio.sleep(0.02)

    scene = [
        Cue(lambda _: here().consent("granted", by="agent", claude=claude)), agent("What did you think of it?"),
        prospect("Honestly it is too expensive for the two of us."), silence(3000), Cue(lambda _: settled()),
        agent("I hear you."), prospect("We will see what we can do."),
    ]  # fmt: skip
    lines, cues, length_ms = laid_out(scene)
    leg, real = ScriptedLeg(lines, cues, length_ms), Machine.parts
    leg.call = object()  # type: ignore[assignment]  # the cues find the call by themselves

    def parts(self: Machine, call: str, started: CallStarted, leg: Any, log: Any, sink: Any = None) -> CallParts:
        stage = Stage(detectors=[Cued({"expensive": ("objection", "price")})], started=started)
        scripted, _ = parts_of(stage, lines, leg, log)
        scripted.advisor = real(self, call, started, leg, log, sink).advisor
        return scripted

    monkeypatch.setattr(Machine, "parts", parts)
    live = await calls._begin(None, CallStarted(mode="replay", contact=Contact(name="Karen Lewis")), leg)
    assert live.task is not None
    await asyncio.wait_for(asyncio.shield(live.task), 60)
    if summing := [task for task in calls._watching if task.get_name() == f"summary of {live.call.id}"]:
        await asyncio.wait(summing, timeout=10)
    return await calls.view(live.call.id), await calls.store.all_events(live.call.id)


async def test_a_card_is_refined_in_place(app: Guarded, agent: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card comes from the local coach first; then the same card has Claude's words, and the money is on the books."""
    view, events = await played(app, monkeypatch)
    kinds = [(e.event.type, e.event.card.id) for e in events if e.event.type in ("suggestion_shown", "suggestion_refined")]
    refined = [card for kind, card in kinds if kind == "suggestion_refined"]
    assert refined
    assert kinds.index(("suggestion_shown", refined[0])) < kinds.index(("suggestion_refined", refined[0]))
    card = next(c for c in view["cards"] if c["id"] == refined[0])
    assert (card["say"], card["tier"]) == (BETTER, "claude")
    assert card["rule"]
    assert [e.event.tier for e in events if e.event.type == "summary_made"] == ["local", "claude"]
    assert [line["text"] for line in view["summary"]["lines"]] == [NOTE]
    spent = (await agent.get("/api/spend")).raise_for_status().json()
    assert spent["cap_usd"] == 20.0
    assert spent["agents"][0]["questions"] >= 1
    assert spent["agents"][0]["usd"] > 0
    assert "Claude" not in [m["what"] for m in (await agent.get("/api/status")).json()["missing"]]


async def test_a_slow_claude_delays_nothing(app: Guarded, monkeypatch: pytest.MonkeyPatch, messages: MessagesServer) -> None:
    """While Claude says nothing the call goes on: its words, its local card and its summary come, and a notice says why."""
    messages._otherwise = lambda _: says({"better": True, "say": BETTER, "why": ""}, pause_s=300.0)
    claude = app.app.state.calls.machine.claude
    claude.settings = dataclasses.replace(claude.settings, deadline_s=0.4)
    view, events = await played(app, monkeypatch)
    types = [e.event.type for e in events]
    assert messages.requests
    assert "suggestion_refined" not in types
    assert "utterance_final" in types[types.index("suggestion_shown") :]
    assert {c["tier"] for c in view["cards"]} == {"local"}
    assert [e.event.detail for e in events if e.event.type == "notice_raised" and e.event.notice == "claude_off"] == ["TooSlow"]
    assert view["summary"]["tier"] == "local"


async def test_without_a_yes_nothing_leaves(app: Guarded, monkeypatch: pytest.MonkeyPatch, messages: MessagesServer) -> None:
    """A call whose prospect agreed to be listened to but not to Claude sends nothing."""
    view, _ = await played(app, monkeypatch, claude=False)
    assert view["cards"]
    assert messages.requests == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("CLAUDE_DEADLINE_S", "0"), ("CLAUDE_DEADLINE_S", "soon"), ("CLAUDE_MONTHLY_USD", "-1"), ("CLAUDE_URL", "localhost")],
)
def test_a_wrong_setting_is_refused(name: str, value: str) -> None:
    """A setting that cannot be used is refused by its name."""
    with pytest.raises(SettingRefused, match=f"SOTTOVOCE_{name}"):
        Settings.read({f"SOTTOVOCE_{name}": value})


def test_our_own_key_goes_first() -> None:
    """SOTTOVOCE_ANTHROPIC_KEY counts before ANTHROPIC_API_KEY, and neither shows when settings are printed."""
    settings = Settings.read({"SOTTOVOCE_ANTHROPIC_KEY": "sk-ours", "ANTHROPIC_API_KEY": "sk-other"})
    assert settings.anthropic_key == "sk-ours"
    assert "sk-ours" not in repr(settings)
