"""A LiveKit room's people, over the real server, with real WebRTC, Opus and recorded speech."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from scripts.programs.services import LiveKit
from tests.rooms import Person, apart, connected, speech, telephone, token, until
from tests.services import livekit, redis  # noqa: F401  fixtures
from tests.voice.legs.peers import Listener
from voice.frames import AudioFrame
from voice.legs import LegJoined, LegLeft, LegLost, LegRefused, LegResumed
from voice.legs.livekit_room import ROLE, RoomLeg, RoomLost, RoomSettings

pytestmark = pytest.mark.livekit
QUICK = RoomSettings(silent_after_ms=1000, return_ms=800)


class Room:
    """A room with our leg in it."""

    def __init__(self, server: LiveKit, name: str, settings: RoomSettings) -> None:
        self.server, self.name, self.settings = server, name, settings
        self.people: list[Person] = []
        self.listening: list[tuple[str, ...]] = []

    async def open(self) -> "Room":
        self.leg = RoomLeg(self.settings, on_listeners=self.listening.append)
        self.heard = Listener(self.leg)  # type: ignore[arg-type]  # any leg
        await self.leg.join(self.server.url, token(self.name, "coach", "coach"))
        return self

    async def person(self, identity: str, role: str = "", **more: Any) -> Person:
        sound = {name: more.pop(name) for name in ("publish", "hiss", "dtx") if name in more}
        person = Person(self.server.url, self.name, identity, role, **more)
        self.people.append(person)
        return await person.join(**sound)

    async def close(self) -> None:
        for person in self.people:
            await person.leave()
        await self.leg.end()
        await asyncio.wait({self.heard._task})

    def level(self, speaker: Any) -> float:
        """The loudest half second of this speaker so far, RMS."""
        sound = self.heard.sound(speaker).astype(np.float64)
        blocks = sound[: len(sound) // 8000 * 8000].reshape(-1, 8000)
        return float(np.sqrt((blocks**2).mean(axis=1)).max()) if len(blocks) else 0.0


@pytest.fixture
async def room(request: pytest.FixtureRequest, livekit: LiveKit) -> AsyncIterator[Room]:  # noqa: F811  the fixture
    opened = await Room(livekit, request.node.name[:60], QUICK).open()
    yield opened
    await opened.close()


async def test_each_participant_is_one_speaker(room: Room) -> None:
    """Agent and prospect come apart, whole and at pace; who listens in, and who has no role, is not heard."""
    agent, prospect = await room.person("a", "agent"), await room.person("b", metadata={"role": "prospect"})
    boss, other = await room.person("c", "supervisor"), await room.person("d")
    said = speech("prospect", words=True)
    for each in (boss, other, prospect):
        each.say(said, loop=True)
    await asyncio.sleep(4)
    assert room.level("prospect") > 500
    assert room.level("agent") < 50
    frames = room.heard.frames("prospect")
    late = [(at - room.leg.items._zero) * 1000 - frame.end_ms for at, frame in frames[25:] if not frame.silence_filled]
    assert np.median(late) < 60
    joined = {item.speaker for item in room.heard.events(LegJoined)}
    assert joined == {"agent", "prospect"}
    assert room.listening[-1] == ("c",)
    await boss.leave()
    await until(lambda: room.listening[-1] == ())
    assert not room.heard.events(LegLost)
    await agent.leave()


async def test_a_phone_is_the_prospect_and_its_hanging_up_ends_the_leg(room: Room) -> None:
    """A participant of kind SIP at telephone band is the prospect; not while it rings; when it leaves the leg is over."""
    await room.person("a", "agent")
    phone = await room.person("sip_1", phone={"sip.callStatus": "ringing", "sip.phoneNumber": "+13125550100"})
    phone.say(telephone(speech("prospect", words=True)), loop=True)
    await asyncio.sleep(1.5)
    assert "prospect" not in {item.speaker for item in room.heard.events(LegJoined)}
    lk = await connected(room.server.url)
    from livekit import api

    await lk.room.update_participant(
        api.UpdateParticipantRequest(room=room.name, identity="sip_1", attributes={"sip.callStatus": "active"})
    )
    await lk.aclose()
    await room.heard.until(lambda item: isinstance(item, LegJoined) and item.speaker == "prospect")
    await asyncio.sleep(2)
    assert room.level("prospect") > 500
    began = time.monotonic()
    await phone.leave()
    await asyncio.wait_for(asyncio.shield(room.heard._task), 3)
    assert time.monotonic() - began < 1
    assert [(left.speaker, left.reason) for left in room.heard.events(LegLeft)] == [("prospect", "hung_up"), ("agent", "ended")]


async def test_a_phone_may_be_the_agents(room: Room) -> None:
    """Phone to phone: the one whose attributes say so is the agent."""
    one = await room.person("sip_1", phone={"sip.callStatus": "active"})
    two = await room.person("sip_2", phone={"sip.callStatus": "active", ROLE: "agent"})
    two.say(telephone(speech("agent", words=True)), loop=True)
    await until(lambda: room.level("agent") > 500)
    assert room.level("prospect") < 50
    assert one.identity != two.identity


async def test_silence_is_not_taken_for_absence(room: Room) -> None:
    """Digital silence, with and without discontinuous transmission, and a muted microphone are no reason to say that no sound comes."""
    prospect = await room.person("b", "prospect", hiss=0.0, dtx=True)
    agent = await room.person("a", "agent", hiss=0.0)
    for each, speaker in ((prospect, "prospect"), (agent, "agent")):
        each.say(speech(speaker, words=True)[:16_000])
    await asyncio.sleep(3.5)
    agent.publication.track.mute()  # type: ignore[union-attr]  # it is published
    await asyncio.sleep(2)
    assert room.level("prospect") > 500
    assert room.level("agent") > 500
    assert not room.heard.events(LegLost)
    assert not room.heard.events(LegLeft)


async def test_a_page_that_is_loaded_anew_is_no_end(room: Room) -> None:
    """Who leaves and comes back within the time for it has rejoined; when all stay away the leg is over."""
    prospect = await room.person("b", "prospect")
    await room.heard.until(lambda item: isinstance(item, LegJoined))
    await prospect.leave()
    await room.heard.until(lambda item: isinstance(item, LegLeft))
    again = await room.person("b", "prospect")
    rejoined = await room.heard.until(lambda item: isinstance(item, LegJoined) and item.rejoined)
    assert rejoined.speaker == "prospect"  # type: ignore[union-attr]  # as matched
    await again.leave()
    await asyncio.wait_for(asyncio.shield(room.heard._task), 3)


async def test_a_frozen_peer_is_not_heard_but_stays(room: Room) -> None:
    """A sender whose process stands still is reported within seconds though frames of it go on, and is heard again after it."""
    frozen = await apart(room.server.url, room.name, "b", "prospect")
    try:
        await until(lambda: room.level("prospect") > 500)
        frozen.send_signal(19)  # SIGSTOP
        await room.heard.until(lambda item: isinstance(item, LegLost))
        await asyncio.sleep(1)
        assert not room.heard.events(LegLeft)
        frozen.send_signal(18)  # SIGCONT
        await room.heard.until(lambda item: isinstance(item, LegResumed))
    finally:
        frozen.kill()
        await frozen.wait()


async def test_a_deleted_room_ends_the_leg_and_being_turned_out_does_not(livekit: LiveKit) -> None:  # noqa: F811  the fixture
    """Deleting the room is the end; when only we are removed, the leg says that it lost the room."""
    from livekit import api

    lk = await connected(livekit.url)
    room = await Room(livekit, "deleted", QUICK).open()
    await room.person("b", "prospect")
    await room.heard.until(lambda item: isinstance(item, LegJoined))
    await lk.room.delete_room(api.DeleteRoomRequest(room="deleted"))
    await asyncio.wait_for(asyncio.shield(room.heard._task), 3)
    assert room.heard.events(LegLeft)[-1].reason == "ended"
    await room.close()
    room = await Room(livekit, "removed", QUICK).open()
    await room.person("b", "prospect")
    await room.heard.until(lambda item: isinstance(item, LegJoined))
    await lk.room.remove_participant(api.RoomParticipantIdentity(room="removed", identity="coach"))
    await lk.aclose()
    with pytest.raises(RoomLost, match="PARTICIPANT_REMOVED"):
        await asyncio.wait_for(asyncio.shield(room.heard._task), 3)
    assert not room.heard.events(LegLeft)
    await room.close()


async def test_a_restarted_server_is_no_end(livekit: LiveKit) -> None:  # noqa: F811  the fixture
    """After a killed and restarted server both sides are heard again as rejoined, and nobody has left."""
    room = await Room(livekit, "restarted", RoomSettings()).open()
    agent, prospect = await room.person("a", "agent"), await room.person("b", "prospect")
    for each in (agent, prospect):
        each.say(speech("agent" if each is agent else "prospect", words=True), loop=True)
    await until(lambda: room.level("agent") > 500 and room.level("prospect") > 500)
    livekit.kill()
    await asyncio.sleep(1)
    livekit.start()

    def back() -> bool:
        again = {item.speaker: item.offset_ms for item in room.heard.events(LegJoined) if item.rejoined}
        frames = [item for _, item in room.heard.items if isinstance(item, AudioFrame)][-150:]
        loud = {frame.speaker for frame in frames if np.abs(frame.samples).max() > 2000}
        return len(again) == 2 and len(loud) == 2

    await until(back, 25)
    assert not room.heard.events(LegLeft)
    await room.close()


async def test_a_room_that_cannot_be_joined_is_refused(livekit: LiveKit) -> None:  # noqa: F811  the fixture
    """A wrong token is said in words."""
    leg = RoomLeg()
    with pytest.raises(LegRefused, match="cannot be joined"):
        await leg.join(livekit.url, token("x", "coach", "coach")[:-3] + "abc")
    await leg.end()


def test_without_the_packages_the_fix_is_said() -> None:
    """Where the packages are missing, importing the leg says which command installs them."""
    code = "import sys; sys.modules['livekit'] = None\nimport voice.legs.livekit_room"
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "RoomsMissing: Calls from LiveKit rooms need further packages: run scripts/setup --livekit." in failed.stderr
