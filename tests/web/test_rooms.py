"""Calls in LiveKit rooms: the real server, workers of our own, PostgreSQL and Redis, and people who speak. Then what dies."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest

from scripts.programs.services import LiveKit, Postgres, Redis
from tests.patience import PATIENCE
from tests.rooms import RATE, speech, telephone, until
from tests.services import livekit, postgres, redis  # noqa: F401  fixtures
from tests.web.brokerage import Brokerage, Crowd, finals, more, tell

pytestmark = [pytest.mark.livekit, pytest.mark.postgres, pytest.mark.redis, pytest.mark.timeout(240 * PATIENCE)]
TAKEN_OVER_S = 5.0 * PATIENCE


@pytest.fixture(scope="module")
def brokerage(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, redis: Redis, livekit: LiveKit) -> Iterator[Brokerage]:  # noqa: F811
    opened = Brokerage(tmp_path_factory.mktemp("brokerage"), postgres, redis, livekit)
    try:
        yield opened.open()
    finally:
        opened.close()


@pytest.fixture
async def crowd(brokerage: Brokerage) -> AsyncIterator[Crowd]:
    crowd = Crowd(brokerage)
    yield crowd
    await crowd.close()


async def test_a_phone_in_a_room_is_coached(crowd: Crowd, capsys: pytest.CaptureFixture[str]) -> None:
    """An agent's browser and a participant of kind SIP at telephone band: both are transcribed, a card comes, the room gets
    nothing of it; when the phone hangs up the call is over for the agent too, and its summary is there."""
    call = await crowd.begin()
    viewer = crowd.watch(call)
    agent = await crowd.agent_joins(call)
    phone = await crowd.phone_joins(crowd.brokerage.room(call), "+13125550100")
    phone.say(telephone(speech("prospect")), loop=True)
    agent.say(speech("agent"), loop=True)
    (worker,) = crowd.brokerage.agents
    before, began = worker.cpu_s(), time.monotonic()
    await until(lambda: finals(viewer, "agent") and finals(viewer, "prospect") and viewer.events("suggestion_shown"), 60 * PATIENCE)
    with capsys.disabled():
        minutes = (time.monotonic() - began) / 60
        tell(f"one call, its worker, job and engine: {(worker.cpu_s() - before) / minutes:.0f} CPU-s a minute (over {minutes * 60:.0f} s)")
    assert {each.identity for each in agent.room.remote_participants.values()} == {phone.identity}
    await phone.leave()
    await until(lambda: viewer.events("summary_made"), 10)
    await until(lambda: not agent.room.isconnected(), 5)
    assert agent.received == phone.received == []
    assert viewer.events("call_ended")[0]["reason"] == "hung_up"


async def test_a_supervisor_listens_in(crowd: Crowd) -> None:
    """Only with consent; the agent sees who it is and the log keeps it; the supervisor hears both and is heard by the agent
    alone; when consent is taken back the supervisor is sent out."""
    call = str((await crowd.say("/api/calls", {"mode": "livekit"}))["id"])
    viewer = crowd.watch(call)
    async with crowd.server.client() as client:
        assert (await client.post(f"/api/calls/{call}/listen", json={})).status_code == 409
    await crowd.say(f"/api/calls/{call}/consent", {"state": "granted"})
    _, prospect = await crowd.talk(call)
    given = await crowd.say(f"/api/calls/{call}/listen")
    boss, whispering = await crowd.supervisor_joins(given)
    await until(
        lambda: viewer.events("notice_raised") and viewer.events("notice_raised")[-1]["notice"] == "being_listened_to", 20 * PATIENCE
    )
    assert viewer.events("notice_raised")[-1]["detail"] == "Owner"
    assert {each.identity for each in boss.room.remote_participants.values()} == {"agent", "prospect"}
    ear = await crowd.ear((await crowd.say(f"/api/calls/{call}/whisper"))["token"])
    whispering.say(speech("agent"), loop=True)
    await until(lambda: any(each.startswith("supervisor") for each in ear.hears), 20 * PATIENCE)
    assert prospect.hears == {"agent"}
    await crowd.say(f"/api/calls/{call}/consent", {"state": "revoked"})
    await until(lambda: not boss.room.isconnected() and not whispering.room.isconnected(), 15 * PATIENCE)
    await until(lambda: any(e["notice"] == "being_listened_to" for e in viewer.events("notice_cleared")), 10 * PATIENCE)
    await crowd.end(call, viewer)


async def test_livekit_server_is_restarted(crowd: Crowd, livekit: LiveKit) -> None:  # noqa: F811
    """After a killed and restarted server both sides are transcribed again, in the same call, and nothing is lost."""
    call = await crowd.begin()
    viewer = crowd.watch(call)
    await crowd.talk(call)
    await until(lambda: finals(viewer, "agent") and finals(viewer, "prospect"), 60 * PATIENCE)
    livekit.kill()
    await asyncio.sleep(1)
    await asyncio.to_thread(livekit.start)
    before = len(finals(viewer, "agent")), len(finals(viewer, "prospect"))
    await until(lambda: len(finals(viewer, "agent")) > before[0] and len(finals(viewer, "prospect")) > before[1], 40 * PATIENCE)
    await crowd.end(call, viewer)
    again = await crowd.begin()  # the workers are registered again
    viewer = crowd.watch(again)
    await crowd.talk(again)
    await until(lambda: finals(viewer), 30 * PATIENCE)
    await crowd.end(again, viewer)


async def test_a_worker_that_leaves_gives_its_calls_to_others(crowd: Crowd) -> None:
    """SIGTERM to the worker of three running calls: the one that is left goes on with all of them."""
    brokerage = crowd.brokerage
    (leaving,) = brokerage.agents
    calls = [await crowd.begin() for _ in range(3)]
    viewers = [crowd.watch(call) for call in calls]
    for call in calls:  # one side is enough, and leaves this computer room for the workers
        (await crowd.prospect_joins(call)).say(np.pad(speech("prospect", words=True), (0, 5 * RATE)), loop=True)
    await until(lambda: all(finals(viewer) for viewer in viewers), 60 * PATIENCE)
    await asyncio.to_thread(brokerage.agent)
    assert all(brokerage.agent_of(call) is leaving for call in calls)
    leaving.terminate()
    await until(lambda: all(viewer.events("call_resumed") for viewer in viewers), 20 * PATIENCE)
    await asyncio.gather(*(more(viewer, "utterance_final", 30) for viewer in viewers))
    await asyncio.to_thread(leaving.process.wait, 30)  # type: ignore[union-attr]  # it ran
    assert leaving.process.returncode == 0  # type: ignore[union-attr]  # it ran
    for call, viewer in zip(calls, viewers, strict=True):
        await crowd.end(call, viewer)


async def test_what_runs_a_call_dies(crowd: Crowd, capsys: pytest.CaptureFixture[str]) -> None:
    """The job's process killed, the job stopped and continued, the worker killed: each time another goes on within 5 s,
    what the older one still says is refused, and nothing that was shown is lost."""
    brokerage = crowd.brokerage
    await asyncio.to_thread(brokerage.agent)
    call = await crowd.begin()
    viewer = crowd.watch(call)
    await crowd.talk(call)
    await until(lambda: finals(viewer, "agent") and finals(viewer, "prospect"), 60 * PATIENCE)
    took: dict[str, float] = {}

    os.kill(brokerage.holder(call)[0], signal.SIGKILL)
    took["job killed"] = await more(viewer, "call_resumed", 15)
    await more(viewer, "utterance_final", 40)

    stopped, epoch = brokerage.holder(call)
    os.kill(stopped, signal.SIGSTOP)
    try:
        took["job stopped"] = await more(viewer, "call_resumed", 15)
    finally:
        os.kill(stopped, signal.SIGCONT)
    await more(viewer, "utterance_final", 40, count=2)
    assert brokerage.holder(call)[1] == epoch + 1
    await until(lambda: not Path(f"/proc/{stopped}").exists(), 20)

    worker = brokerage.agent_of(call)
    worker.kill()
    took["worker killed"] = await more(viewer, "call_resumed", 15)
    await more(viewer, "utterance_final", 40, count=2)
    log = await crowd.end(call, viewer)
    assert [event["type"] for event in log].count("call_resumed") == 3
    with capsys.disabled():
        tell("taken over: " + ", ".join(f"{what} {s:.2f} s" for what, s in took.items()))
    assert max(took.values()) < TAKEN_OVER_S
