"""Several processes, one PostgreSQL, one Redis, all real: calls are seen and steered from each, and outlive what dies."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scripts.programs.callers import RATE, channels
from scripts.programs.services import Postgres, Redis
from tests.patience import PATIENCE
from tests.services import postgres, redis  # noqa: F401  fixtures
from tests.web.machines import LEASE_S, Machines, kind, more, shown_is_kept, tell, until
from web.app import SAMPLE

pytestmark = [pytest.mark.postgres, pytest.mark.redis, pytest.mark.timeout(300 * PATIENCE)]


@pytest.fixture(scope="module")
def sound() -> tuple[Any, Any]:
    agent, prospect = channels(SAMPLE / "call.flac")
    return agent[: 90 * RATE], prospect[: 90 * RATE]


@pytest.fixture
async def machines(tmp_path: Path, postgres: Postgres, redis: Redis, sound: tuple[Any, Any]) -> AsyncIterator[Machines]:  # noqa: F811
    machines = Machines(tmp_path, postgres, redis, sound)
    yield machines
    await machines.close()


async def test_two_processes_killed_in_turn(machines: Machines, capsys: pytest.CaptureFixture[str]) -> None:
    """A call is listed, shown and steered at the process that does not run it; each process that dies is replaced by the other
    within 5 s, and the transcript goes on."""
    one, two = await machines.start("one"), await machines.start("two")
    call = await machines.begin(one)
    here, there = machines.view(one, call), machines.view(two, call)
    async with two.client() as client:
        assert call in [row["id"] for row in (await client.get("/api/calls")).json()["calls"]]
    await machines.speak(two, call)  # the offer is answered by whoever runs the call
    await until(there, kind("utterance_final"), 60)
    await until(there, lambda m: m["lane"] == "state" and m["level"].get("agent", 0) != 0, 30)
    await machines.say(two, f"/api/calls/{call}/outcome", {"outcome": "next_step"})
    await until(here, kind("outcome_chosen", outcome="next_step"), 2)
    first = {m["n"]: at for at, m in here.messages if m["lane"] == "event"}
    later = sorted(at - first[m["n"]] for at, m in there.messages if m["lane"] == "event" and m["n"] in first and m["n"] > 6)

    await machines.leave(here)
    machines.kill(one)
    away_s = await until(there, kind("call_resumed"), 15)
    await machines.speak(two, call)
    await more(there, "utterance_final")

    three = await machines.start("three")
    again = machines.view(three, call)
    await until(again, kind("call_resumed"), 5)
    await machines.leave(there)
    machines.kill(two)
    second_s = await more(again, "call_resumed")
    await machines.speak(three, call)
    await more(again, "utterance_final")
    await machines.say(three, f"/api/calls/{call}/end", {})
    await until(again, kind("summary_made"), 60)
    log = await machines.log(three, call)
    for received in (here, there, again):
        shown_is_kept(received, log)
    with capsys.disabled():
        p50, p95 = (round(later[int(len(later) * p)] * 1000) for p in (0.5, 0.95))
        tell(f"another process shows an event {p50} ms (p50), {p95} ms (p95) later, n={len(later)}")
        tell(f"take-over of a killed process: {away_s:.1f} s, {second_s:.1f} s")
    assert away_s < 5 * PATIENCE
    assert second_s < 5 * PATIENCE


async def test_a_stopped_process_comes_back_too_late(machines: Machines, capsys: pytest.CaptureFixture[str]) -> None:
    """A process stopped past its lease and continued finds its call in other hands: what it still had to say is refused, its own
    viewers see the call as it goes on elsewhere; and when the other one is told to go, the call comes back within a lease."""
    one, two = await machines.start("one"), await machines.start("two")
    call = await machines.begin(one)
    here, there = machines.view(one, call), machines.view(two, call)
    await machines.speak(one, call)
    await until(there, kind("utterance_final"), 60)
    machines.signal(one, signal.SIGSTOP)
    await until(there, kind("call_resumed"), 15)
    await machines.speak(two, call)
    await more(there, "utterance_final")
    machines.signal(one, signal.SIGCONT)  # it has two voices of its own in its buffers, and a lease that has run out
    await until(here, kind("call_resumed"), 15)
    await more(here, "utterance_final")
    epochs = "SELECT epoch FROM leases WHERE call = "
    database = machines.database.rsplit("/", 1)[1]
    assert machines.postgres.run(f"{epochs}'{call}'", database) == "2"

    draining = asyncio.create_task(machines.drain(two))
    handed_s = await more(here, "call_resumed", 15)
    await draining
    await machines.speak(one, call)
    await more(here, "utterance_final")
    await machines.say(one, f"/api/calls/{call}/end", {})
    await until(here, kind("summary_made"), 60)
    log = await machines.log(one, call)
    for received in (here, there):
        shown_is_kept(received, log)
    assert [e["type"] for e in log].count("call_resumed") == 2
    with capsys.disabled():
        tell(f"handed over by SIGTERM: {handed_s:.1f} s")
    assert handed_s < LEASE_S


async def test_redis_and_postgres_die_in_mid_call(machines: Machines, capsys: pytest.CaptureFixture[str]) -> None:
    """With Redis killed a viewer elsewhere goes on by polling; with PostgreSQL killed everything is shown, marked as not yet
    saved, and after its return everything is in the log, and nobody has taken the call over."""
    one, two = await machines.start("one"), await machines.start("two")
    call = await machines.begin(one)
    here, there = machines.view(one, call), machines.view(two, call)
    await machines.speak(one, call)
    await until(there, kind("utterance_final"), 60)
    machines.redis.kill()
    said = len(there.events())
    for _ in range(200):
        await asyncio.sleep(0.1)
        if len(there.events()) > said + 1:
            break
    assert len(there.events()) > said
    await asyncio.to_thread(machines.redis.start)
    seen = len(there.messages)
    await asyncio.sleep(4)
    assert any(m["lane"] == "state" for _, m in there.messages[seen:])

    machines.postgres.kill()
    died = time.monotonic()
    await until(here, kind("notice_raised", notice="not_yet_saved"), 15)
    await until(there, kind("notice_raised", notice="not_yet_saved"), 15)
    said = len(there.events("utterance_final"))
    while time.monotonic() - died < 9 or len(there.events("utterance_final")) == said:
        await asyncio.sleep(0.1)
        assert time.monotonic() - died < 60
    assert any(e.get("unsaved") for e in here.events("utterance_final"))
    assert any(e.get("unsaved") for e in there.events("utterance_final"))
    async with two.client() as client:
        assert (await client.get(f"/api/calls/{call}")).status_code == 503
    late = machines.view(two, call)  # this page comes while nobody can say who its reader is
    await asyncio.sleep(0.5)
    assert late.messages == []
    await asyncio.to_thread(machines.postgres.start)
    back = time.monotonic()
    await until(there, kind("notice_cleared", notice="not_yet_saved"), 20)
    saved_s = time.monotonic() - back
    await until(late, kind("notice_cleared", notice="not_yet_saved"), 20)
    await asyncio.sleep(2 * LEASE_S)
    assert machines.postgres.run(f"SELECT epoch FROM leases WHERE call = '{call}'", machines.database.rsplit("/", 1)[1]) == "1"
    await machines.say(two, f"/api/calls/{call}/end", {})
    await until(there, kind("summary_made"), 60)
    await asyncio.sleep(0.5)
    log = await machines.log(two, call)
    for received in (here, there, late):
        shown_is_kept(received, log)
    unsaved = [e for e in there.events() if e.get("unsaved")]
    assert not list((machines.folder / "one" / "journal").iterdir())
    with capsys.disabled():
        lost = len(log) - len(there.events())
        tell(f"PostgreSQL gone for {back - died:.1f} s: {len(unsaved)} events, copied {saved_s:.1f} s after its return; {lost} lost")


async def test_a_process_dies_while_postgres_is_away(machines: Machines, capsys: pytest.CaptureFixture[str]) -> None:
    """What lies in the journal of a dead process is not lost: another process takes the call over one lease after PostgreSQL's
    return, and what the dead one had heard is handed to it when anything starts on that machine."""
    one, two = await machines.start("one"), await machines.start("two")
    call = await machines.begin(one)
    there = machines.view(two, call)
    await machines.speak(one, call)
    await until(there, kind("utterance_final"), 60)
    machines.postgres.kill()
    await until(there, lambda m: m.get("type") == "utterance_final" and m.get("unsaved"), 60)
    shown = [e for e in there.events() if e.get("unsaved") and e["type"] in ("utterance_final", "suggestion_shown")]
    machines.kill(one)
    await asyncio.to_thread(machines.postgres.start)
    away_s = await until(there, lambda m: m.get("type") == "call_resumed", 15)
    assert away_s > LEASE_S * 0.9
    await machines.speak(two, call)
    await machines.start("one")
    for _ in range(300):
        if not list((machines.folder / "one" / "journal").iterdir()):
            break
        await asyncio.sleep(0.1)
    assert not list((machines.folder / "one" / "journal").iterdir())
    kept = [_content(e) for e in await machines.log(two, call)]
    assert [kept.count(_content(e)) for e in shown] == [1] * len(shown)
    await machines.say(two, f"/api/calls/{call}/end", {})
    await until(there, kind("summary_made"), 60)
    shown_is_kept(there, await machines.log(two, call))
    with capsys.disabled():
        tell(f"PostgreSQL and the process gone: {len(shown)} finals and cards of the journal kept; resumed {away_s:.1f} s after its return")


def _content(event: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in event.items() if k not in ("lane", "unsaved", "n", "at")}
