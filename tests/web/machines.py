"""Web processes as on machines of their own, one PostgreSQL and one Redis, all real; and what a viewer must have seen."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any, Final

import websockets

from scripts.programs.callers import RATE, Received, Server, Voice, offer, watch
from scripts.programs.services import Postgres, Redis
from tests.patience import PATIENCE

LEASE_S: Final = 3.0 * PATIENCE


class Machines:
    """``sound``: what the agent and the prospect say from ``zero`` on, into whichever process they are connected to."""

    def __init__(self, folder: Path, postgres: Postgres, redis: Redis, sound: tuple[Any, Any]) -> None:
        self.folder, self.postgres, self.redis, self.sound = folder, postgres, redis, sound
        self.database, self.servers, self.peers = postgres.fresh(), list[Server](), list[Any]()
        self.zero, self._cookie = 0.0, ""
        self._watching: list[tuple[Received, asyncio.Task[None]]] = []

    async def start(self, name: str) -> Server:
        """A process whose data folder has this name: started again, it finds what it left."""
        environment = {
            "SOTTOVOCE_DATABASE": self.database,
            "SOTTOVOCE_REDIS": self.redis.url,
            "SOTTOVOCE_LEASE_S": str(LEASE_S),
            "SOTTOVOCE_WORKERS": "1",
        }
        server = await asyncio.to_thread(Server.start, self.folder / name, 0, self._cookie, **environment)
        self._cookie = server.cookie
        self.servers.append(server)
        return server

    def kill(self, server: Server) -> None:
        self.servers.remove(server)
        self.signal(server, signal.SIGKILL)
        assert server.process is not None
        server.process.wait()
        assert server.process.stdout is not None
        server.process.stdout.close()

    async def drain(self, server: Server) -> None:
        """SIGTERM, as in a rolling update."""
        self.servers.remove(server)
        await asyncio.to_thread(server.stop)

    def signal(self, server: Server, number: signal.Signals) -> None:
        assert server.process is not None
        os.kill(server.process.pid, number)

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

    def view(self, server: Server, call: str) -> Received:
        """A page that watches this call there: it comes back by number whenever the socket closes."""
        received = Received()
        self._watching.append((received, asyncio.create_task(_watching(server, call, received))))
        return received

    async def leave(self, *which: Received) -> None:
        """These pages are closed; without names all."""
        closed = [task for received, task in self._watching if not which or any(received is each for each in which)]
        for task in closed:
            task.cancel()
        if closed:
            await asyncio.wait(closed)

    async def close(self) -> None:
        await self.leave()
        for peer in self.peers:
            await peer.close()
        for server in list(self.servers):
            await asyncio.to_thread(server.stop)


async def _watching(server: Server, call: str, received: Received) -> None:
    while True:
        try:
            await watch(server, call, received)
        except websockets.ConnectionClosed as closed:
            if closed.rcvd is not None and closed.rcvd.code == 4011:  # the page is loaded anew
                received.messages.clear()
                received.last = 0
        except (OSError, websockets.InvalidStatus):
            pass
        await asyncio.sleep(0.25)


def tell(figure: str) -> None:
    print(f"\n  {figure}", end="")  # noqa: T201  a figure for docs/measurements.md


async def until(received: Received, wanted: Any, within_s: float) -> float:
    """Seconds until something received passes ``wanted``."""
    began = time.monotonic()
    while time.monotonic() - began < within_s * PATIENCE:
        if any(wanted(message) for _, message in received.messages):
            return time.monotonic() - began
        await asyncio.sleep(0.05)
    raise AssertionError(f"not within {within_s * PATIENCE} s; came: {[(e['n'], e['type']) for e in received.events()][-30:]}")


async def more(received: Received, name: str, within_s: float = 60.0) -> float:
    """Seconds until another event of this type comes."""
    before, began = len(received.events(name)), time.monotonic()
    while time.monotonic() - began < within_s * PATIENCE:
        if len(received.events(name)) > before:
            return time.monotonic() - began
        await asyncio.sleep(0.05)
    raise AssertionError(f"no {name} within {within_s * PATIENCE} s")


def kind(name: str, **fields: Any) -> Any:
    return lambda m: m.get("type") == name and all(m.get(k) == v for k, v in fields.items())


def shown_is_kept(received: Received, log: list[dict[str, Any]]) -> None:
    """Every event that a viewer had is in the log under its number, and the viewer had each number once."""
    kept = {e["n"]: e for e in log}
    shown = received.events()
    numbers = [e["n"] for e in shown]
    assert numbers == list(range(1, len(shown) + 1)), (numbers, received.last)
    for event in shown:
        assert {k: v for k, v in event.items() if k not in ("lane", "unsaved")} == kept[event["n"]]
    assert [e["n"] for e in log] == list(range(1, len(log) + 1))
