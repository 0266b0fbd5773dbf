"""Calls in rooms that one worker holds at once, and what each costs. Not part of the test run: minutes of real time, and figures
instead of bounds. Run it with CALLS=3 scripts/test tests/web/measure_workers.py -s.

All people, the server of the rooms, database, Redis and web process are on this computer too; only the worker, its jobs and its
engine are counted.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from scripts.programs.bench_live import quantiles
from scripts.programs.services import LiveKit, Postgres, Redis, cpu_s
from tests.patience import PATIENCE
from tests.rooms import speech, until
from tests.services import livekit, postgres, redis  # noqa: F401  fixtures
from tests.web.brokerage import Agent, Brokerage, Crowd, finals, tell

pytestmark = [pytest.mark.livekit, pytest.mark.postgres, pytest.mark.redis, pytest.mark.timeout(900)]
CALLS: Final = int(os.environ.get("CALLS", "3"))
TALK_S: Final = float(os.environ.get("SECONDS", "100"))
_BEFORE_S: Final = 10.0  # the first words are behind, and the processes' own beginning


@pytest.fixture
def brokerage(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, redis: Redis, livekit: LiveKit) -> Iterator[Brokerage]:  # noqa: F811
    opened = Brokerage(tmp_path_factory.mktemp("brokerage"), postgres, redis, livekit, SOTTOVOCE_AGENT_CALLS=str(CALLS))
    try:
        yield opened.open()
    finally:
        opened.close()


def spent_by(worker: Agent) -> dict[str, float]:
    """CPU seconds so far by kind of process; a process that waits for a call counts to the worker."""
    assert worker.process is not None
    found = {"worker": 0.0, "engine": 0.0, "jobs": 0.0}
    jobs = worker.jobs()
    for pid in worker.processes():
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
        kind = "jobs" if pid in jobs else "engine" if b"voice.models" in line else "worker"
        found[kind] += cpu_s(pid)
    return found


async def test_calls_of_one_worker(brokerage: Brokerage, capsys: pytest.CaptureFixture[str]) -> None:
    """Every call has words of both sides; CPU and lateness are printed."""
    crowd = Crowd(brokerage)
    try:
        calls = [await crowd.begin() for _ in range(CALLS)]
        viewers = [crowd.watch(call) for call in calls]
        for call in calls:
            for person, speaker in ((await crowd.agent_joins(call), "agent"), (await crowd.prospect_joins(call), "prospect")):
                person.say(speech(speaker), loop=True)
        await until(lambda: all(finals(viewer) for viewer in viewers), 60 * PATIENCE)
        await asyncio.sleep(_BEFORE_S)
        (worker,) = brokerage.agents
        before, began = spent_by(worker), time.monotonic()
        await asyncio.sleep(TALK_S)
        minutes = (time.monotonic() - began) / 60
        spent = {kind: (seconds - before[kind]) / minutes for kind, seconds in spent_by(worker).items()}
        late = [
            (event["at"] - event["stamps"]["heard"]) * 1000
            for viewer in viewers
            for event in viewer.events("utterance_final")
            if "heard" in event["stamps"]
        ]
        with capsys.disabled():
            total = sum(spent.values())
            tell(f"{CALLS} calls: {total / CALLS:.1f} CPU-s a minute and call ({60 * CALLS / total:.1f} calls a core): {spent}")
            tell(f"last sound of an utterance -> its final in the log: {quantiles(late)} (n={len(late)})")
        assert all(finals(viewer, side) for viewer in viewers for side in ("agent", "prospect"))
    finally:
        await crowd.close()
