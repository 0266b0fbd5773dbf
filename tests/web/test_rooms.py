"""Calls in LiveKit rooms: the real server, workers of our own, PostgreSQL and Redis, and people who speak."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scripts.programs.services import LiveKit, Postgres, Redis
from tests.rooms import speech, until
from tests.services import livekit, postgres, redis  # noqa: F401  fixtures
from tests.web.brokerage import Brokerage, finals, nothing_is_lost

pytestmark = [pytest.mark.livekit, pytest.mark.postgres, pytest.mark.redis, pytest.mark.timeout(240)]


@pytest.fixture
async def brokerage(tmp_path: Path, postgres: Postgres, redis: Redis, livekit: LiveKit) -> AsyncIterator[Brokerage]:  # noqa: F811
    opened = Brokerage(tmp_path, postgres, redis, livekit)
    yield opened
    await opened.close()


async def test_a_call_in_a_room_is_coached(brokerage: Brokerage) -> None:
    """Both sides are transcribed by the worker and a card is shown to the agent's viewer; the room hears and gets nothing of it."""
    await asyncio.gather(brokerage.web(), brokerage.agent())
    call = await brokerage.begin()
    viewer = brokerage.watch(call)
    agent, prospect = await brokerage.agent_joins(call), await brokerage.prospect_joins(call)
    await brokerage.agrees(call)
    prospect.say(speech("prospect"), loop=True)
    agent.say(speech("agent"), loop=True)
    await until(lambda: finals(viewer, "agent") and finals(viewer, "prospect") and viewer.events("suggestion_shown"), 60)
    assert {each.identity for each in agent.room.remote_participants.values()} == {"prospect"}
    await brokerage.say(f"/api/calls/{call}/end")
    await until(lambda: viewer.events("summary_made"), 10)
    await until(lambda: not agent.room.isconnected() and not prospect.room.isconnected(), 5)
    assert agent.received == prospect.received == []
    nothing_is_lost(viewer, await brokerage.log(call))
