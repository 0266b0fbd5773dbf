"""Several processes, one PostgreSQL, one Redis, all real: calls are seen and steered from each, and outlive what dies."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import websockets

from scripts.programs.callers import RATE, Received, Server, Voice, channels, offer, watch
from scripts.programs.services import Postgres, Redis
from tests.services import postgres, redis  # noqa: F401  fixtures
from web.app import SAMPLE

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.timeout(240)]
LEASE_S = 3.0


@pytest.fixture(scope="module")
def sound() -> tuple[Any, Any]:
    agent, prospect = channels(SAMPLE / "call.flac")
    return agent[: 90 * RATE], prospect[: 90 * RATE]


class Machines:
    """Web processes with a data folder each, as on machines of their own."""

    def __init__(self, folder: Path, postgres: Postgres, redis: Redis, sound: tuple[Any, Any]) -> None:  # noqa: F811
        self.folder, self.postgres, self.redis, self.sound = folder, postgres, redis, sound
        self.database, self.servers, self.peers = postgres.fresh(), list[Server](), list[Any]()
        self.zero = 0.0

    async def start(self, name: str) -> Server:
        cookie = self.servers[0].cookie if self.servers else ""
        environment = {
            "SOTTOVOCE_DATABASE": self.database,
            "SOTTOVOCE_REDIS": self.redis.url,
            "SOTTOVOCE_LEASE_S": str(LEASE_S),
            "SOTTOVOCE_WORKERS": "1",
        }
        server = await asyncio.to_thread(Server.start, self.folder / name, 0, cookie, **environment)
        self.servers.append(server)
        return server

    def kill(self, server: Server) -> None:
        assert server.process is not None
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        assert server.process.stdout is not None
        server.process.stdout.close()
        self.servers.remove(server)

    async def begin(self, server: Server) -> str:
        async with server.client() as client:
            return str((await client.post("/api/calls", json={"mode": "sample"})).raise_for_status().json()["id"])

    async def speak(self, server: Server, call: str) -> None:
        """Both voices into this server, from where the conversation is by now."""
        self.zero = self.zero or time.monotonic() + 0.3
        skip = int((time.monotonic() - self.zero) * RATE) // 960 * 960
        voices = {name: Voice(samples, self.zero, skip) for name, samples in zip(("agent", "prospect"), self.sound, strict=True)}
        async with server.client() as client:
            self.peers.append(await offer(client, call, voices))

    async def say(self, server: Server, path: str, body: dict[str, Any]) -> Any:
        async with server.client() as client:
            return (await client.post(path, json=body)).raise_for_status()

    async def log(self, server: Server, call: str) -> list[dict[str, Any]]:
        async with server.client() as client:
            events: list[dict[str, Any]] = (await client.get(f"/api/calls/{call}/events?limit=5000")).raise_for_status().json()["events"]
            return events

    async def close(self) -> None:
        for peer in self.peers:
            await peer.close()
        for server in list(self.servers):
            await asyncio.to_thread(server.stop)


@pytest.fixture
async def machines(tmp_path: Path, postgres: Postgres, redis: Redis, sound: tuple[Any, Any]) -> AsyncIterator[Machines]:  # noqa: F811
    machines = Machines(tmp_path, postgres, redis, sound)
    yield machines
    await machines.close()


def tell(figure: str) -> None:
    print(f"\n  {figure}", end="")  # noqa: T201  a figure for docs/measurements.md


async def until(received: Received, wanted: Any, within_s: float) -> float:
    """Seconds until something received passes ``wanted``."""
    began = time.monotonic()
    while time.monotonic() - began < within_s:
        if any(wanted(message) for _, message in received.messages):
            return time.monotonic() - began
        await asyncio.sleep(0.05)
    raise AssertionError(f"not within {within_s} s; came: {[m.get('type') for _, m in received.messages][-30:]}")


async def more(received: Received, name: str, within_s: float = 30.0) -> float:
    """Seconds until another event of this type comes."""
    before, began = len(received.events(name)), time.monotonic()
    for _ in range(int(within_s / 0.05)):
        if len(received.events(name)) > before:
            return time.monotonic() - began
        await asyncio.sleep(0.05)
    raise AssertionError(f"no {name} within {within_s} s")


def kind(name: str, **fields: Any) -> Any:
    return lambda m: m.get("type") == name and all(m.get(k) == v for k, v in fields.items())


async def watching(server: Server, call: str, received: Received) -> None:
    """As the page does: comes back by number whenever the socket closes."""
    while True:
        with contextlib.suppress(OSError, websockets.ConnectionClosed, websockets.InvalidStatus):
            await watch(server, call, received)
        await asyncio.sleep(0.25)


def shown_is_kept(received: Received, log: list[dict[str, Any]]) -> None:
    """Every event that a viewer had is in the log under its number, and the viewer had each number once."""
    kept = {e["n"]: e for e in log}
    shown = received.events()
    assert [e["n"] for e in shown] == list(range(1, len(shown) + 1))
    for event in shown:
        assert {k: v for k, v in event.items() if k not in ("lane", "unsaved")} == kept[event["n"]]
    assert [e["n"] for e in log] == list(range(1, len(log) + 1))


async def test_two_processes_killed_in_turn(machines: Machines, capsys: pytest.CaptureFixture[str]) -> None:
    """A call is listed, shown and steered at the process that does not run it; each process that dies is replaced by the other
    within 5 s, and the transcript goes on."""
    one, two = await machines.start("one"), await machines.start("two")
    call = await machines.begin(one)
    here, there = Received(), Received()
    looking = [asyncio.create_task(watching(one, call, here)), asyncio.create_task(watching(two, call, there))]
    try:
        async with two.client() as client:
            assert call in [row["id"] for row in (await client.get("/api/calls")).json()["calls"]]
        await machines.speak(two, call)  # the offer is answered by whoever runs the call
        await until(there, kind("utterance_final"), 20)
        await until(there, lambda m: m["lane"] == "state" and any(m["open"].values()), 10)
        await machines.say(two, f"/api/calls/{call}/outcome", {"outcome": "next_step"})
        await until(here, kind("outcome_chosen", outcome="next_step"), 2)
        first = {m["n"]: at for at, m in here.messages if m["lane"] == "event"}
        later = sorted(at - first[m["n"]] for at, m in there.messages if m["lane"] == "event" and m["n"] in first and m["n"] > 6)

        looking[0].cancel()
        machines.kill(one)
        away_s = await until(there, kind("call_resumed"), 10)
        await machines.speak(two, call)
        await more(there, "utterance_final")

        three = await machines.start("three")
        again = Received()
        looking.append(asyncio.create_task(watching(three, call, again)))
        await until(again, kind("call_resumed"), 5)
        looking[1].cancel()
        machines.kill(two)
        second_s = await more(again, "call_resumed")
        await machines.speak(three, call)
        await more(again, "utterance_final")
        await machines.say(three, f"/api/calls/{call}/end", {})
        await until(again, kind("summary_made"), 15)
        log = await machines.log(three, call)
        for received in (here, there, again):
            shown_is_kept(received, log)
        with capsys.disabled():
            p50, p95 = (round(later[int(len(later) * p)] * 1000) for p in (0.5, 0.95))
            tell(f"another process shows an event {p50} ms (p50), {p95} ms (p95) later, n={len(later)}")
            tell(f"take-over of a killed process: {away_s:.1f} s, {second_s:.1f} s")
        assert away_s < 5
        assert second_s < 5
    finally:
        for task in looking:
            task.cancel()
        await asyncio.wait(looking)


async def test_the_database_dies_in_mid_call(machines: Machines, capsys: pytest.CaptureFixture[str]) -> None:
    """With Redis killed a viewer elsewhere goes on by polling; with PostgreSQL killed everything is shown, marked as not yet
    saved, and after its return everything is in the log, and nobody has taken the call over."""
    one, two = await machines.start("one"), await machines.start("two")
    call = await machines.begin(one)
    here, there = Received(), Received()
    looking = [asyncio.create_task(watching(one, call, here)), asyncio.create_task(watching(two, call, there))]
    try:
        await machines.speak(one, call)
        await until(there, kind("utterance_final"), 20)
        machines.redis.kill()
        said = len(there.events())
        await asyncio.sleep(4)
        assert len(there.events()) > said
        await asyncio.to_thread(machines.redis.start)
        seen = len(there.messages)
        await asyncio.sleep(4)
        assert any(m["lane"] == "state" for _, m in there.messages[seen:])

        machines.postgres.kill()
        died = time.monotonic()
        await until(there, kind("notice_raised", notice="not_yet_saved"), 6)
        said = len(there.events("utterance_final"))
        while time.monotonic() - died < 9 or len(there.events("utterance_final")) == said:
            await asyncio.sleep(0.1)
            assert time.monotonic() - died < 30
        assert any(e.get("unsaved") for e in here.events("utterance_final"))
        assert any(e.get("unsaved") for e in there.events("utterance_final"))
        async with two.client() as client:
            assert (await client.get(f"/api/calls/{call}")).status_code == 503
        await asyncio.to_thread(machines.postgres.start)
        back = time.monotonic()
        await until(there, kind("notice_cleared", notice="not_yet_saved"), 10)
        saved_s = time.monotonic() - back
        await asyncio.sleep(2 * LEASE_S)
        assert machines.postgres.run(f"SELECT epoch FROM leases WHERE call = '{call}'", machines.database.rsplit("/", 1)[1]) == "1"
        await machines.say(two, f"/api/calls/{call}/end", {})
        await until(there, kind("summary_made"), 15)
        await asyncio.sleep(0.5)
        log = await machines.log(two, call)
        for received in (here, there):
            shown_is_kept(received, log)
        unsaved = [e for e in there.events() if e.get("unsaved")]
        assert not list((machines.folder / "one" / "journal").iterdir())
        with capsys.disabled():
            lost = len(log) - len(there.events())
            tell(f"PostgreSQL gone for {back - died:.1f} s: {len(unsaved)} events, copied {saved_s:.1f} s after its return; {lost} lost")
    finally:
        for task in looking:
            task.cancel()
        await asyncio.wait(looking)
