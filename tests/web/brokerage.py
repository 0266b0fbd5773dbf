"""A brokerage on one computer: web processes, workers, livekit-server, PostgreSQL and Redis, all real, and people in its rooms."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import websockets

from scripts.programs.callers import Received, Server, watch
from scripts.programs.services import LIVEKIT_KEY, LIVEKIT_SECRET, LiveKit, Postgres, Redis, children, tree_cpu_s
from tests.patience import PATIENCE
from tests.rooms import RATE, Person, speech, until

ROOT: Final = Path(__file__).parents[2]
LEASE_S: Final = 3.0 * PATIENCE


class Agent:
    """A worker process, `sottovoce agent`. start() waits until it is registered."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment, self.log = environment, log
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> "Agent":
        registered = threading.Event()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "web.cli", "agent"], env={**os.environ, **self._environment}, stdout=subprocess.PIPE,
                stderr=log, text=True, start_new_session=True, cwd=ROOT,
            )  # fmt: skip
        assert self.process.stdout is not None
        out = self.process.stdout

        def read() -> None:
            with out, self.log.open("a") as log:
                for line in out:
                    log.write(line)
                    log.flush()
                    if "takes up to" in line:
                        registered.set()

        threading.Thread(target=read, daemon=True).start()
        if not registered.wait(120 * PATIENCE):
            self.kill()
            raise AssertionError(f"the agent did not register: {self.log.read_text()[-2000:]}")
        return self

    def jobs(self) -> list[int]:
        """Processes that run a call or wait for one: children of the framework's fork server."""
        assert self.process is not None
        found = []
        for child in children(self.process.pid):
            with contextlib.suppress(OSError):
                if b"forkserver" in Path(f"/proc/{child}/cmdline").read_bytes() and not children(child):
                    found.append(child)
        return found

    def processes(self) -> list[int]:
        """The worker itself, its engine, its jobs and those that wait to be one."""
        assert self.process is not None
        return [self.process.pid, *children(self.process.pid)]

    def cpu_s(self) -> float:
        """CPU seconds of the worker, its jobs and its engine so far."""
        assert self.process is not None
        return tree_cpu_s(self.process.pid)

    def terminate(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """The worker alone, as when it runs out of memory: nobody tells its jobs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None


class Brokerage:
    """The processes: for a whole module, because each takes seconds to start."""

    def __init__(self, folder: Path, postgres: Postgres, redis: Redis, livekit: LiveKit, **settings: str) -> None:
        self.folder, self.livekit, self._postgres = folder, livekit, postgres
        self.database = postgres.fresh()
        self.environment = {
            "SOTTOVOCE_DATABASE": self.database,
            "SOTTOVOCE_REDIS": redis.url,
            "SOTTOVOCE_LIVEKIT_URL": livekit.url,
            "SOTTOVOCE_LIVEKIT_KEY": LIVEKIT_KEY,
            "SOTTOVOCE_LIVEKIT_SECRET": LIVEKIT_SECRET,
            "SOTTOVOCE_LEASE_S": str(LEASE_S),
            "SOTTOVOCE_WORKERS": "1",
            "SOTTOVOCE_DRAIN_S": "1",
            "SOTTOVOCE_AGENT_CALLS": "6",
            "PYTHONPATH": str(ROOT),
            **settings,
        }
        self.servers, self.agents = list[Server](), list[Agent]()

    def web(self) -> Server:
        cookie = self.servers[0].cookie if self.servers else ""
        server = Server.start(self.folder / f"web{len(self.servers)}", 0, cookie, **self.environment)
        self.servers.append(server)
        return server

    def agent(self) -> Agent:
        name = f"agent{len(self.agents)}"
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        agent = Agent({**self.environment, "SOTTOVOCE_DATA": str(self.folder / name)}, self.folder / f"{name}.log")
        self.agents.append(agent)
        return agent.start()

    def open(self, *, webs: int = 1, agents: int = 1) -> "Brokerage":
        with ThreadPoolExecutor(webs + agents) as at_once:
            self.web()  # the first makes the tables
            started = [at_once.submit(self.web) for _ in range(webs - 1)] + [at_once.submit(self.agent) for _ in range(agents)]
        for each in started:
            each.result()
        return self

    def close(self) -> None:
        with ThreadPoolExecutor(4) as at_once:
            list(at_once.map(lambda process: process.stop(), [*self.agents, *self.servers]))

    def query(self, sql: str) -> str:
        return self._postgres.run(sql, self.database.rsplit("/", 1)[1])

    def room(self, call: str) -> str:
        return self.query(f"SELECT room FROM rooms WHERE call = '{call}'")

    def holder(self, call: str) -> tuple[int, int]:
        """(process, epoch) of whoever runs the call; process 0 when nobody does."""
        name, epoch = self.query(f"SELECT holder, epoch FROM leases WHERE call = '{call}'").split("|")
        return int(name.split(":")[1]) if name else 0, int(epoch)

    def agent_of(self, call: str) -> Agent:
        """The worker whose job runs this call."""
        job = self.holder(call)[0]
        return next(agent for agent in self.agents if agent.process is not None and job in agent.jobs())

    def logs(self) -> str:
        return "\n".join(agent.log.read_text()[-3000:] for agent in self.agents)


class Crowd:
    """The people of one test, and who watches."""

    def __init__(self, brokerage: Brokerage) -> None:
        self.brokerage = brokerage
        self._people, self._watching = list[Person](), list[asyncio.Task[None]]()
        self._calls: list[str] = []

    @property
    def server(self) -> Server:
        return self.brokerage.servers[0]

    async def say(self, path: str, body: dict[str, Any] | None = None) -> Any:
        async with self.server.client() as client:
            return (await client.post(path, json=body or {})).raise_for_status().json()

    async def begin(self, **wanted: Any) -> str:
        """A call to which everybody has agreed."""
        call = str((await self.say("/api/calls", {"mode": "livekit", **wanted}))["id"])
        self._calls.append(call)
        await self.say(f"/api/calls/{call}/consent", {"state": "granted"})
        return call

    async def agent_joins(self, call: str) -> Person:
        given = await self.say(f"/api/calls/{call}/room")
        return await self._in(Person(given["url"], "", "agent", given=given["token"]))

    async def prospect_joins(self, call: str) -> Person:
        """By the link, as a stranger."""
        link = (await self.say(f"/api/calls/{call}/link"))["url"]
        async with self.server.client() as client:
            client.headers.pop("cookie")
            seat = (await client.get(link.replace(self.server.url, ""))).cookies["sottovoce_seat"]
            given = (await client.post("/api/seat/room", headers={"cookie": f"sottovoce_seat={seat}"})).raise_for_status().json()
        return await self._in(Person(given["url"], "", "prospect", given=given["token"]))

    async def phone_joins(self, room: str, number: str, **attributes: str) -> Person:
        phone = {"sip.callStatus": "active", "sip.phoneNumber": number, **attributes}
        return await self._in(Person(self.brokerage.livekit.url, room, f"sip_{number}", phone=phone))

    async def supervisor_joins(self, given: dict[str, str]) -> tuple[Person, Person]:
        """In the call's room, where they only hear, and in the one where they speak to the agent."""
        boss = Person(given["url"], "", "supervisor", given=given["token"])
        self._people.append(boss)
        return await boss.join(publish=False), await self._in(Person(given["url"], "", "supervisor", given=given["whisper"]))

    async def ear(self, token: str) -> Person:
        """Somebody who only hears."""
        person = Person(self.brokerage.livekit.url, "", "ear", given=token)
        self._people.append(person)
        return await person.join(publish=False)

    async def talk(self, call: str, pause_s: float = 1.0) -> tuple[Person, Person]:
        """Agent and prospect, who say the same over and over, with a pause so that utterances end."""
        agent, prospect = await self.agent_joins(call), await self.prospect_joins(call)
        for person, speaker in ((agent, "agent"), (prospect, "prospect")):
            person.say(np.pad(speech(speaker, words=True), (0, int(pause_s * RATE))), loop=True)
        return agent, prospect

    async def _in(self, person: Person) -> Person:
        self._people.append(person)
        return await person.join()

    def watch(self, call: str, server: Server | None = None) -> Received:
        """As the page does: comes back by number whenever the socket closes."""
        received = Received()

        async def watching() -> None:
            while True:
                with contextlib.suppress(OSError, websockets.ConnectionClosed, websockets.InvalidStatus):
                    await watch(server or self.server, call, received)
                await asyncio.sleep(0.25)

        self._watching.append(asyncio.create_task(watching(), name=f"watch {call}"))
        return received

    async def end(self, call: str, viewer: Received) -> list[dict[str, Any]]:
        """Hangs up; the whole log, in which nothing that the viewer had is missing."""
        await self.say(f"/api/calls/{call}/end")
        await until(lambda: viewer.events("summary_made"), 20 * PATIENCE)
        log = await self.log(call)
        nothing_is_lost(viewer, log)
        return log

    async def log(self, call: str) -> list[dict[str, Any]]:
        async with self.server.client() as client:
            events: list[dict[str, Any]] = (await client.get(f"/api/calls/{call}/events?limit=5000")).raise_for_status().json()["events"]
            return events

    async def close(self) -> None:
        for task in self._watching:
            task.cancel()
        if self._watching:
            await asyncio.wait(self._watching)
        for person in self._people:
            await person.leave()
        async with self.server.client() as client:  # what a failed test leaves running must not spoil the next
            for call in self._calls:
                if (await client.get(f"/api/calls/{call}")).json()["state"] == "live":
                    await client.post(f"/api/calls/{call}/end", json={})


def nothing_is_lost(received: Received, log: list[dict[str, Any]]) -> None:
    """Every event that a viewer had is in the log under its number; the log has no hole."""
    kept = {event["n"]: event for event in log}
    for event in received.events():
        assert {k: v for k, v in event.items() if k not in ("lane", "unsaved")} == kept[event["n"]]
    assert [event["n"] for event in log] == list(range(1, len(log) + 1))


def finals(received: Received, speaker: str = "") -> list[str]:
    return [e["text"] for e in received.events("utterance_final") if e["text"] and speaker in ("", e["speaker"])]


async def more(received: Received, kind: str, within_s: float = 20.0, count: int = 1) -> float:
    """Seconds until so many more events of this type have come."""
    before, began = len(received.events(kind)), time.monotonic()
    await until(lambda: len(received.events(kind)) >= before + count, within_s * PATIENCE)
    return time.monotonic() - began


def tell(figure: str) -> None:
    print(f"\n  {figure}", end="")  # noqa: T201  a figure for docs/measurements.md
