"""REST of whole histories, and the calibration on ended calls."""

import asyncio

import httpx
import pytest

from coaching.events import CallStarted
from web.app import Guarded
from web.calls import Calls
from web.cli import main

TURNS = [
    {"speaker": "agent", "text": "Would Saturday at ten work for you?", "channel": "text"},
    {"speaker": "prospect", "text": "Yes, Saturday works. We're excited to see it.", "channel": "text"},
]


async def test_a_history_is_read_by_each_method(agent: httpx.AsyncClient) -> None:
    """The three paths answer for text messages, and the chance is called a prior."""
    for path in ("emotional-state", "trajectory", "flow"):
        answer = await agent.post(f"/api/conversations/{path}", json={"turns": TURNS})
        assert answer.status_code == 200, answer.text
    said = (await agent.post("/api/conversations/trajectory", json={"turns": TURNS})).json()
    assert said["prior"] is True
    assert said["chance"] in ("even", "high")


async def test_neither_or_both_is_refused(agent: httpx.AsyncClient) -> None:
    """A history is turns or a call, not none and not both."""
    assert (await agent.post("/api/conversations/flow", json={})).status_code == 422
    assert (await agent.post("/api/conversations/flow", json={"turns": TURNS, "call": "x"})).status_code == 422
    assert (await agent.post("/api/conversations/flow", json={"call": "unknown"})).status_code == 404


async def test_a_day_that_is_none_is_refused(agent: httpx.AsyncClient) -> None:
    """The day from which dates count must exist."""
    for today, status in (("2026-13-01", 422), ("2026-02-30", 422), ("9999-12-31", 422), ("2026-03-02", 200)):
        assert (await agent.post("/api/conversations/emotional-state", json={"turns": TURNS, "today": today})).status_code == status


async def test_a_stranger_reads_nothing(stranger: httpx.AsyncClient) -> None:
    """Without a session there is no answer."""
    assert (await stranger.post("/api/conversations/flow", json={"turns": TURNS})).status_code == 401


async def test_a_call_can_be_read_by_its_id(agent: httpx.AsyncClient, app: Guarded) -> None:
    """The id of a call stands for its transcript."""
    calls: Calls = app.app.state.calls
    live = await calls.start(None, CallStarted(mode="sample"))
    answer = await agent.post("/api/conversations/emotional-state", json={"call": live.call.id})
    assert answer.status_code == 200
    assert answer.json()["sentiment"] == "unknown"
    await asyncio.wait_for(calls.end(live.call.id, "enough"), 10)


def test_a_fit_without_calls_says_what_is_needed(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`sottovoce calls fit` on a fresh server ends with 1 and the numbers."""
    monkeypatch.setenv("SOTTOVOCE_DATA", str(tmp_path_factory.mktemp("data")))
    assert main(["calls", "fit"]) == 1
    assert "40 are needed" in capsys.readouterr().err
