"""A whole call with Claude beside it: the sample through real recogniser, coach and server; the Messages API on this machine."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest

from tests.intelligence.messages_server import MessagesServer, says
from web.app import SAMPLE, Guarded
from web.calls import Calls
from web.settings import SettingRefused, Settings

BETTER = "Would it help to go through what you would need to feel sure?"
_PACE = 3.0
_SECONDS = 32


@pytest.fixture
async def messages() -> AsyncIterator[MessagesServer]:
    async with MessagesServer(otherwise=lambda _: says({"better": True, "say": BETTER, "why": "They hesitate."})) as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path, messages: MessagesServer) -> Settings:
    return Settings.read(
        {
            "SOTTOVOCE_DATA": str(tmp_path), "ANTHROPIC_API_KEY": "sk-test", "SOTTOVOCE_CLAUDE_URL": messages.url,
            "SOTTOVOCE_CLAUDE_DEADLINE_S": "3",
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The beginning of the sample, up to its first objections."""
    file = tmp_path_factory.mktemp("sound") / "beginning.wav"
    with av.open(str(SAMPLE / "call.flac")) as source, av.open(str(file), "w") as target:
        sound = np.concatenate([frame.to_ndarray().reshape(-1, 2) for frame in source.decode(audio=0)])[: _SECONDS * 16_000]
        stream = target.add_stream("pcm_s16le", rate=16_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.reshape(1, -1)), format="s16", layout="stereo")
        frame.sample_rate = 16_000
        target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return file


async def played(app: Guarded, recording: Path, tmp_path: Path, *, claude: bool = True) -> tuple[dict[str, Any], list[Any]]:
    """The call's view and its events."""
    calls: Calls = app.app.state.calls
    copy = tmp_path / "played.wav"
    copy.write_bytes(recording.read_bytes())
    live = await calls.replay(None, copy, "left", _PACE)
    await live.call.consent("granted", by="agent", claude=claude)
    assert live.task is not None
    await asyncio.wait_for(asyncio.shield(live.task), 60)
    return await calls.view(live.call.id), await calls.store.all_events(live.call.id)


async def test_a_card_is_refined_in_place(app: Guarded, agent: httpx.AsyncClient, recording: Path, tmp_path: Path) -> None:
    """A card comes from the local coach first; then the same card has Claude's words, and the money is on the books."""
    view, events = await played(app, recording, tmp_path)
    kinds = [(e.event.type, e.event.card.id) for e in events if e.event.type in ("suggestion_shown", "suggestion_refined")]
    refined = [card for kind, card in kinds if kind == "suggestion_refined"]
    assert refined
    assert kinds.index(("suggestion_shown", refined[0])) < kinds.index(("suggestion_refined", refined[0]))
    card = next(c for c in view["cards"] if c["id"] == refined[0])
    assert (card["say"], card["tier"]) == (BETTER, "claude")
    assert card["rule"]
    spent = (await agent.get("/api/spend")).raise_for_status().json()
    assert spent["cap_usd"] == 20.0
    assert spent["agents"][0]["questions"] >= 1
    assert spent["agents"][0]["usd"] > 0
    assert "Claude" not in [m["what"] for m in (await agent.get("/api/status")).json()["missing"]]


async def test_a_slow_claude_delays_nothing(app: Guarded, recording: Path, tmp_path: Path, messages: MessagesServer) -> None:
    """While Claude says nothing the call goes on: its words, its local card and its summary come, and a notice says why."""
    messages._otherwise = lambda _: says({"better": True, "say": BETTER, "why": ""}, pause_s=30.0)
    claude = app.app.state.calls.machine.claude
    claude.settings = dataclasses.replace(claude.settings, deadline_s=0.4)
    began = asyncio.get_running_loop().time()
    view, events = await played(app, recording, tmp_path)
    assert asyncio.get_running_loop().time() - began < _SECONDS / _PACE + 15
    types = [e.event.type for e in events]
    assert messages.requests
    assert "suggestion_refined" not in types
    assert "utterance_final" in types[types.index("suggestion_shown") :]
    assert {c["tier"] for c in view["cards"]} == {"local"}
    assert [e.event.detail for e in events if e.event.type == "notice_raised" and e.event.notice == "claude_off"] == ["TooSlow"]
    assert view["summary"]["tier"] == "local"


async def test_without_a_yes_nothing_leaves(app: Guarded, recording: Path, tmp_path: Path, messages: MessagesServer) -> None:
    """A call whose prospect agreed to be listened to but not to Claude sends nothing."""
    view, _ = await played(app, recording, tmp_path, claude=False)
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
