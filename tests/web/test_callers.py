"""Telephones in rooms: livekit-server's real trunk and rule API, its real webhooks, and participants of kind SIP that stand in for callers."""

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from livekit import api

from scripts.programs.services import LIVEKIT_KEY, LIVEKIT_SECRET, LiveKit, Postgres, Redis, Service, free_port
from tests.rooms import Person, speech, telephone
from tests.services import postgres, redis, serve  # noqa: F401  fixtures
from tests.web.conftest import SharedModels
from voice.models.engine import Engine, ThreadModels
from web.app import build_app
from web.compose import Machine
from web.livekit import COACH
from web.livekit.callers import call_of
from web.livekit.doctor import lines
from web.livekit.server import Rooms, RoomsAway, RoomsRefused
from web.livekit.trunks import Trunks
from web.phones import plan
from web.settings import Settings

pytestmark = [pytest.mark.livekit, pytest.mark.postgres, pytest.mark.redis]
PORT = free_port()
URL = f"http://127.0.0.1:{PORT}"
PLAN = """
country = "US"
[agents.dana]
name = "Dana Whitfield"
state = "CO"
ring = "+13035550101"
[[who]]
number = "+13035550100"
agent = "dana"
"""


@pytest.fixture(scope="module")
def hooked(redis: Redis) -> Iterator[Service]:  # noqa: F811  the fixture
    """livekit-server that tells us what happens."""
    yield from serve(lambda folder: LiveKit(folder, redis=redis.url, webhook=f"{URL}/carriers/livekit"))


@pytest.fixture
def room_settings(tmp_path: Path, hooked: LiveKit, postgres: Postgres) -> Settings:  # noqa: F811  the fixture
    (tmp_path / plan.NAME).write_text(PLAN)
    given = {
        "DATA": str(tmp_path), "PORT": str(PORT), "DATABASE": postgres.fresh(), "LIVEKIT_URL": hooked.url, "LIVEKIT_KEY": LIVEKIT_KEY,
        "LIVEKIT_SECRET": LIVEKIT_SECRET, "TRUNK": "127.0.0.1:5099", "TRUNK_NUMBERS": "+13035550100", "RING_S": "4",
    }  # fmt: skip
    return Settings.read({f"SOTTOVOCE_{name}": value for name, value in given.items()})


class Office:
    """One web process, in this one, at a real port."""

    def __init__(self, app: Any, client: httpx.AsyncClient) -> None:
        self.state, self.client = app.app.state, client

    async def calls(self) -> list[dict[str, Any]]:
        return list((await self.client.get("/api/calls")).raise_for_status().json()["calls"])

    async def started(self, call: str) -> dict[str, Any]:
        """Its first event; the call stands in the list a moment before it."""

        async def begun() -> bool:
            return (await self.client.get(f"/api/calls/{call}/events")).status_code == 200

        await until(begun, 4)
        return dict((await self.client.get(f"/api/calls/{call}/events")).raise_for_status().json()["events"][0])


@pytest.fixture
async def office(room_settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    async def opened(_: object, *, process: bool = True) -> ThreadModels:
        return SharedModels(engine)

    monkeypatch.setattr("web.compose.open_models", opened)
    app = build_app(room_settings, machine=await Machine.open(room_settings))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=PORT, log_level="warning", lifespan="on"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
        await asyncio.sleep(0.02)
    async with httpx.AsyncClient(base_url=URL, headers={"origin": URL}, timeout=30) as client:
        await client.get(f"/sign-in?token={await app.app.state.doors.sign_in_token()}")
        yield Office(app, client)
    server.should_exit = True
    await serving


async def until(true: Any, within_s: float) -> float:
    began = time.monotonic()
    while not await true():
        assert time.monotonic() - began < within_s
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def caller(server: LiveKit, room: str, status: str = "ringing") -> Person:
    said = {
        "sip.callStatus": status,
        "sip.phoneNumber": "+13125550111",
        "sip.trunkPhoneNumber": "+13035550100",
        "sip.callIDFull": "abc@pbx",
    }
    person = await Person(server.url, room, "sip_+13125550111", phone=said).join()
    person.say(telephone(speech("prospect", words=True)), loop=True)
    return person


async def test_trunks_and_rule_are_entered_once(room_settings: Settings) -> None:
    """setup() twice leaves one of each; what differs from the settings is said and made anew; without a SIP service nobody can be dialled."""
    rooms = Rooms(room_settings)
    trunks = Trunks(room_settings, rooms)
    assert "the trunk for inbound calls is missing" in (await trunks.check()).wrong
    with pytest.raises(RoomsRefused, match="sip setup"):
        await trunks.dial("call-x", "prospect", "+13125550111")
    first = await trunks.setup()
    assert first.wrong == ()
    assert await trunks.setup() == first
    changed = Trunks(replace(room_settings, trunk="127.0.0.1:5098", trunk_numbers=("+13035550100", "+13035550102")), rooms)
    wrong = (await changed.check()).wrong
    assert any("5099, not 127.0.0.1:5098" in each for each in wrong)
    assert (await changed.setup()).wrong == ()
    with pytest.raises(RoomsAway):
        await changed.dial("call-x", "prospect", "+13125550111")
    await rooms.aclose()


async def test_an_older_coach_is_sent_out_first(room_settings: Settings, hooked: LiveKit) -> None:
    """A coach that still is in a room for which another is asked has left it before the other can come."""
    rooms = Rooms(room_settings)
    await rooms.open("call-older", empty_s=30)
    await rooms.dispatch("call-older", "call", 1)
    older = await Person(hooked.url, "call-older", COACH, "coach").join(publish=False)
    assert [each.identity for each in await rooms.present("call-older")] == [COACH]
    await rooms.dispatch("call-older", "call", 2)
    assert await rooms.present("call-older") == []
    await older.leave()
    await rooms.close("call-older")
    await rooms.aclose()


async def test_the_doctor_says_the_fix(room_settings: Settings) -> None:
    """A room is really joined; wrong keys, a wrong address and trunks that are not as set are each said with what to do."""
    said = await lines(replace(room_settings, trunk="127.0.0.1:5077"))
    assert [level for level, _ in said[:2]] == ["ok", "ok"]
    assert "joined in" in said[1][1]
    assert any("run `sottovoce sip setup`" in sentence for level, sentence in said if level == "missing")
    ((level, sentence),) = await lines(replace(room_settings, livekit_secret="another-secret-of-at-least-32-characters"))
    assert level == "missing"
    assert "SOTTOVOCE_LIVEKIT_SECRET" in sentence
    ((level, sentence),) = await lines(replace(room_settings, livekit_url=f"ws://127.0.0.1:{free_port()}"))
    assert level == "missing"
    assert "SOTTOVOCE_LIVEKIT_URL" in sentence


async def test_a_webhook_must_be_the_servers(office: Office) -> None:
    """One that is not signed, or whose body is another's, is refused; the server's own are taken."""
    body = b'{"event": "room_started", "room": {"name": "elsewhere"}}'

    async def post(signed: bytes, secret: str = LIVEKIT_SECRET) -> int:
        token = api.AccessToken(LIVEKIT_KEY, secret).with_sha256(base64.b64encode(hashlib.sha256(signed).digest()).decode()).to_jwt()
        return (await office.client.post("/carriers/livekit", content=body, headers={"authorization": token, "origin": ""})).status_code

    assert await post(body) == 204
    assert await post(b"another") == 401
    assert await post(body, "another-secret-of-at-least-32-characters") == 401
    assert (await office.client.post("/carriers/livekit", content=body)).status_code == 401


async def test_a_caller_becomes_a_call(office: Office, hooked: LiveKit) -> None:
    """By webhook at once, with the number and the carrier's id on the call; the agent's telephone is rung; two processes that look
    enter one call; a caller whom nobody answers is released."""
    phone = await caller(hooked, "phone-1")
    took_s = await until(office.calls, 4)
    assert took_s < 3
    (call,) = await office.calls()
    assert call["id"] == call_of("phone-1")
    started = await office.started(call["id"])
    assert (started["mode"], started["contact"]["number"], started["agent_name"]) == ("livekit", "+13125550111", "Dana Whitfield")
    assert started["line"] == {
        "way": "livekit",
        "direction": "inbound",
        "caller": "+13125550111",
        "callee": "+13035550100",
        "id": "abc@pbx",
    }
    await asyncio.gather(*(office.state.callers.look("phone-1") for _ in range(3)))
    assert len(await office.calls()) == 1
    await until(lambda: _gone(phone), 12)
    await phone.leave()


async def _gone(person: Person) -> bool:
    return not person.room.isconnected()


async def test_a_missed_webhook_changes_nothing(office: Office, hooked: LiveKit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any webhook the caller is found by looking, and the room of a call that has ended is closed."""

    def lost(*_: object) -> str:
        raise RoomsRefused("lost on the way")

    monkeypatch.setattr(Rooms, "told", lost)
    phone = await caller(hooked, "phone-2", "active")
    await until(office.calls, 12)
    (call,) = await office.calls()
    store = office.state.calls.store
    async with store.write() as connection:
        await connection.exec_driver_sql(f"UPDATE calls SET ended_at = 1 WHERE id = '{call['id']}'")
    await until(lambda: _gone(phone), 12)
    await phone.leave()


async def test_who_may_not_be_called_is_not_dialled(office: Office) -> None:
    """The do-not-call list, emergency numbers and foreign ones are obeyed before anything is asked of the trunk."""
    call = (await office.client.post("/api/calls", json={"mode": "livekit"})).raise_for_status().json()["id"]
    (await office.client.post("/api/do-not-call", json={"number": "+13125550177", "why": "asked by letter"})).raise_for_status()
    for number, why in (("+13125550177", "asked not to be called"), ("911", "Emergency"), ("+442071234567", "abroad")):
        answer = await office.client.post(f"/api/calls/{call}/dial", json={"number": number})
        assert answer.status_code == 409
        assert why in answer.json()["detail"]
    toll_free = await office.client.post(f"/api/calls/{call}/dial", json={"number": "+18005550199"})
    assert "sip setup" in toll_free.json()["detail"] or toll_free.status_code == 503
    ended = await office.client.post(f"/api/calls/{call}/end", json={})  # no worker runs here
    assert ended.json()["state"] == "ended"
    assert ended.json()["summary"] is not None
