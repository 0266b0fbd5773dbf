"""What may go wrong in mid-call: the server or the engine killed, consent refused, modules that raise, rude viewers."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from coaching.events import CallStarted
from intelligence.conversation.qualification import QualificationSheet
from intelligence.conversation.stages import StageTracker
from scripts.programs.callers import RATE, Received, Server, Voice, channels, offer, watch
from tests.patience import PATIENCE
from web.app import SAMPLE, Guarded
from web.calls import Calls
from web.compose import detectors

_WORDS = json.loads((SAMPLE / "words.json").read_text())


@pytest.fixture(scope="module")
def sound() -> tuple[Any, Any]:
    agent, prospect = channels(SAMPLE / "call.flac")
    return agent[: 40 * RATE], prospect[: 40 * RATE]


def voices(sound: tuple[Any, Any], zero: float, skip_s: float = 0.0) -> dict[str, Voice]:
    return {name: Voice(samples, zero, int(skip_s * RATE) // 960 * 960) for name, samples in zip(("agent", "prospect"), sound, strict=True)}


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def begin(server: Server, mode: str = "sample") -> str:
    async with server.client() as client:
        return str((await client.post("/api/calls", json={"mode": mode})).raise_for_status().json()["id"])


async def all_events(server: Server, call: str) -> list[dict[str, Any]]:
    async with server.client() as client:
        events: list[dict[str, Any]] = (await client.get(f"/api/calls/{call}/events?limit=5000")).raise_for_status().json()["events"]
        return events


@pytest.mark.timeout(180)
async def test_a_killed_server_loses_nothing_that_was_shown(tmp_path: Path, sound: tuple[Any, Any]) -> None:
    """After SIGKILL and a new start every event that a viewer had is there, and the transcript goes on behind a marked gap."""
    first = await asyncio.to_thread(Server.start, tmp_path)
    received = Received()
    zero = time.monotonic() + 0.5
    try:
        call = await begin(first)
        async with first.client() as client:
            peer = await offer(client, call, voices(sound, zero))
        watching = asyncio.create_task(watch(first, call, received))
        await asyncio.sleep(zero + 14 - time.monotonic())
    finally:
        assert first.process is not None
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        assert first.process.stdout is not None
        first.process.stdout.close()
    with contextlib.suppress(websockets.ConnectionClosed):
        await watching
    await peer.close()
    shown = received.events()
    assert any(event["type"] == "utterance_final" for event in shown)

    port = int(first.url.rsplit(":", 1)[1])
    second = await asyncio.to_thread(Server.start, tmp_path, port, first.cookie)
    try:
        assert [e for e in await all_events(second, call) if e["n"] <= received.last] == [
            {k: v for k, v in event.items() if k != "lane"} for event in shown
        ]
        watching = asyncio.create_task(watch(second, call, received))
        away_s = time.monotonic() - zero
        async with second.client() as client:
            peer = await offer(client, call, voices(sound, zero, away_s))
            await asyncio.sleep(12)
            view = (await client.get(f"/api/calls/{call}")).json()
        watching.cancel()
        await asyncio.wait({watching})
        await peer.close()
        kinds = [e["type"] for e in received.events()]
        assert [e["n"] for e in received.events()] == list(range(1, received.last + 1))
        after = kinds[kinds.index("call_resumed") :]
        assert "utterance_final" in after
        assert "gap_marked" in after
        assert view["gaps"]
        assert view["gaps"][0]["end_ms"] - view["gaps"][0]["start_ms"] > 1000
        again = [line for line in view["transcript"] if line["start_ms"] > view["gaps"][0]["end_ms"]]
        assert again
        assert abs(again[0]["start_ms"] - away_s * 1000) < 15_000
    finally:
        second.stop()


@pytest.mark.timeout(180)
async def test_a_killed_engine_loses_no_final(server: Server, sound: tuple[Any, Any]) -> None:
    """After the engine is killed captions come within 3 s (longer on a busy computer) of its death, and no utterance is missing."""
    call, received, zero = await begin(server), Received(), time.monotonic() + 0.5
    watching = asyncio.create_task(watch(server, call, received, lambda m: m["type"] == "summary_made"))
    async with server.client() as client:
        peer = await offer(client, call, voices(sound, zero))
        await asyncio.sleep(zero + 14.5 - time.monotonic())
        assert server.process is not None
        (engine,) = children(server.process.pid)
        killed = time.monotonic()
        os.kill(engine, signal.SIGKILL)
        await asyncio.sleep(zero + 32 - time.monotonic())
        await client.post(f"/api/calls/{call}/end", json={})
        await asyncio.wait_for(watching, 15)
        await peer.close()
        assert (await client.get("/api/status")).json()["engine"]["restarts"] == 1
    shown = [m["open"] for at, m in received.messages if at <= killed and m["lane"] == "state"][-1]
    captions = [
        at
        for at, m in received.messages  # new words on the overlay: settled, final, or an open tail that is another than before
        if at > killed + 0.3
        and (
            m.get("type") in ("words_settled", "utterance_final")
            or (m["lane"] == "state" and any(m["open"].values()) and m["open"] != shown)
        )
    ]
    assert captions[0] - killed < 3.0 * PATIENCE
    spoken = {re.sub(r"\W", "", w["word"].lower()) for w in _WORDS if w["end_ms"] < 30_000 and len(w["word"]) > 3}
    heard = {re.sub(r"\W", "", w.lower()) for e in received.events("utterance_final") for w in (e["spoken"] or e["text"]).split()}
    assert len(spoken & heard) / len(spoken) > 0.8, spoken - heard


async def test_a_refusal_reaches_no_recogniser(server: Server, sound: tuple[Any, Any]) -> None:
    """With consent refused the engine's own counters show that it received nothing."""
    async with server.client() as client:
        call, before = await begin(server, "browser"), (await client.get("/api/status")).json()["engine"]["windows"]
        peer = await offer(client, call, voices(sound, time.monotonic()))
        await client.post(f"/api/calls/{call}/consent", json={"state": "refused"})
        await asyncio.sleep(8)
        view = (await client.get(f"/api/calls/{call}")).json()
        assert view["legs"] == {"agent": "joined", "prospect": "joined"}
        assert view["transcript"] == []
        assert (await client.get("/api/status")).json()["engine"]["windows"] == before
        await peer.close()


@pytest.mark.parametrize("module", [*(type(d) for d in detectors()), QualificationSheet, StageTracker], ids=lambda m: m.__name__)
async def test_a_module_that_raises_is_switched_off(
    app: Guarded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: type[Any]
) -> None:
    """A coaching module that raises is switched off with a notice, and the call goes on to its summary."""

    def broken(*_: object) -> list[object]:
        raise RuntimeError

    monkeypatch.setattr(module, "feed", broken)
    file = tmp_path / "cut.flac"
    file.write_bytes((SAMPLE / "call.flac").read_bytes())
    calls: Calls = app.app.state.calls
    live = await calls.replay(None, file, "left", 0.0)
    for _ in range(600):
        await asyncio.sleep(0.05)
        if len(live.call.state.lines) > 4:
            break
    await calls.end(live.call.id, "enough")
    state = await calls.state(live.call.id)
    assert state.summary is not None
    assert state.ended is not None
    assert state.ended.reason == "enough"
    assert [n.detail.split()[0] for n in state.notices.values() if n.notice == "module_off"] == [module.name]


async def test_a_log_that_fails_ends_its_call_only(app: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """When one call's log cannot be written, that call ends and another goes on."""
    calls: Calls = app.app.state.calls
    one = await calls.start(None, CallStarted(mode="sample"))
    other = await calls.start(None, CallStarted(mode="sample"))

    async def full(_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(one.log, "_commit", full)
    with pytest.raises(OSError, match="no space"):
        await one.call.notice("no_talk")
    monkeypatch.undo()
    assert other.call.id in calls.live
    await other.call.notice("no_talk")
    assert ("no_talk", None) in other.call.state.notices


@pytest.mark.parametrize("rubbish", ["", "{", "[]", "null", '{"to":"peer"}', "[" * 50_000, "x" * 100_000, b"\0\1"])
async def test_rubbish_on_a_seat_is_answered(server: Server, rubbish: str | bytes) -> None:
    """A seat that sends rubbish is told so and stays."""
    call = await begin(server, "browser")
    async with server.socket(f"/ws/seats/{call}?speaker=agent") as seat:
        assert json.loads(await seat.recv())["kind"] == "welcome"
        await seat.send(rubbish)
        assert json.loads(await asyncio.wait_for(seat.recv(), 5))["kind"] == "error"
        await seat.send(json.dumps({"to": "server", "kind": "leg", "sdp": "garbage"}))
        assert json.loads(await asyncio.wait_for(seat.recv(), 5))["kind"] == "error"


async def test_sockets_have_doors(server: Server) -> None:
    """A socket without a session, for an unknown call or from another site is closed with the code that says so."""
    call = await begin(server)
    stranger = Server(server.url, "nothing")
    for who, path, code in (
        (stranger, f"/ws/calls/{call}", 4001),
        (stranger, f"/ws/seats/{call}?speaker=prospect", 4001),
        (server, "/ws/calls/unknown", 4004),
        (server, f"/ws/seats/{call}?speaker=prospect", 4001),
    ):
        async with who.socket(path) as socket:
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await asyncio.wait_for(socket.recv(), 5)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == code
    with pytest.raises(websockets.InvalidStatus):
        await websockets.connect(server.url.replace("http", "ws") + f"/ws/calls/{call}", origin="https://evil.example")  # type: ignore[arg-type]  # a str


async def test_the_prospects_seat_carries_no_word(server: Server, sound: tuple[Any, Any]) -> None:
    """Everything that the prospect's socket receives while both speak holds no word of the transcript and no event."""
    call = await begin(server, "browser")
    async with server.client() as client:
        link = (await client.post(f"/api/calls/{call}/link")).json()["url"]
        async with httpx.AsyncClient() as browser:
            seat_cookie = (await browser.get(link)).cookies["sottovoce_seat"]
        url = server.url.replace("http", "ws") + f"/ws/seats/{call}?speaker=prospect"
        async with websockets.connect(url, origin=server.url, additional_headers={"cookie": f"sottovoce_seat={seat_cookie}"}) as seat:  # type: ignore[arg-type]  # a str
            peer = await offer(client, call, voices(sound, time.monotonic()))
            await seat.send(json.dumps({"to": "server", "kind": "consent", "state": "granted"}))
            await asyncio.sleep(12)
            assert (await client.get(f"/api/calls/{call}")).json()["transcript"]
            got = []
            with contextlib.suppress(TimeoutError):
                while True:
                    got.append(json.loads(await asyncio.wait_for(seat.recv(), 0.3)))
            await peer.close()
        assert [m["kind"] for m in got] == ["welcome", "consent"]
        assert set().union(*got) <= {"from", "kind", "speaker", "present", "consent", "sentence", "state", "record", "claude"}
        assert all(isinstance(m.get(given, False), bool) for m in got for given in ("record", "claude"))


async def test_a_viewer_that_stops_reading_is_closed(server: Server) -> None:
    """A viewer that reads nothing holds up neither the call nor the other viewers."""
    call = await begin(server)
    rude = await server.socket(f"/ws/calls/{call}")
    rude.transport.pause_reading()
    async with server.client() as client, server.socket(f"/ws/calls/{call}") as polite:
        for _ in range(5):
            await client.post(f"/api/calls/{call}/outcome", json={"outcome": "lost"})
        seen = 0
        while seen < 5:
            seen += json.loads(await asyncio.wait_for(polite.recv(), 5)).get("type") == "outcome_chosen"
    rude.transport.abort()


def test_a_busy_port_is_said(server: Server, tmp_path: Path) -> None:
    """A second server on the same port says what to do and ends with 1."""
    port = server.url.rsplit(":", 1)[1]
    env = {**os.environ, "SOTTOVOCE_PORT": port, "SOTTOVOCE_DATA": str(tmp_path / "other")}
    ran = subprocess.run([sys.executable, "-m", "web.cli", "serve"], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert f"Port {port} is in use" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_corrupt_weights_are_said(tmp_path: Path) -> None:
    """A weights file with other bytes is refused by a sentence, not by a traceback."""
    (tmp_path / "weights" / "silero").mkdir(parents=True)
    (tmp_path / "weights" / "silero" / "silero_vad.onnx").write_bytes(b"not a model")
    env = {**os.environ, "SOTTOVOCE_PORT": "0", "SOTTOVOCE_DATA": str(tmp_path / "d"), "SOTTOVOCE_WEIGHTS": str(tmp_path / "weights")}
    ran = subprocess.run([sys.executable, "-m", "web.cli", "serve"], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert "silero_vad.onnx" in ran.stderr
    assert "Traceback" not in ran.stderr
