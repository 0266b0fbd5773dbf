"""Calls that pass through the phone process, with Debian's baresip and sipp at the ends and the real server beside it."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from scripts.programs.callers import Received, Server, watch
from scripts.programs.services import Postgres
from scripts.programs.telephone import Refused, Telephone, gaps
from tests.phones import (
    AGENT_NUMBER,
    PASSWORD,
    PROSPECT_NUMBER,
    Baresip,
    PhoneProcess,
    Sipp,
    ended,
    free_port,
    likeness,
    listening,
    media_ports,
    need_phones,
    phone,
    said,
    trunk,
    until,
    write_ulaw,
    write_wav,
)
from tests.services import postgres as postgres
from web.app import Guarded

pytestmark = [pytest.mark.phones, pytest.mark.timeout(180)]
_TO_S = 20.5


@pytest.fixture(scope="module", autouse=True)
def _programs() -> None:
    need_phones()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "phones.toml").write_text(
        '[agents.claire]\nname = "Claire"\nstate = "CO"\n[[who]]\nuri = "sip:dana@*"\nagent = "claire"\n[dialing]\nfrom_hour = 0\nto_hour = 24\n'
    )
    return folder


@pytest.fixture(scope="module")
def server(data: Path) -> Iterator[Server]:
    server = Server.start(data, SOTTOVOCE_MODEL="tiny.en")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def phones(data: Path, carrier: int) -> Iterator[PhoneProcess]:
    process = PhoneProcess(data, sip_file(free_port(), carrier))
    yield process
    process.stop()


def sip_file(port: int, carrier: int) -> str:
    return listening(media_ports(30), port) + phone("dana", AGENT_NUMBER) + trunk("carrier", carrier, "ring = ['dana']")


@pytest.fixture(scope="module")
def voices() -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    return said(0.0, _TO_S)


def address(phones: PhoneProcess) -> str:
    return str(phones.state()["address"])


async def phone_call(server: Server, before: set[str]) -> str:
    """The id of the call that has begun."""
    async with server.client() as client:
        for _ in range(200):
            rows = (await client.get("/api/calls")).raise_for_status().json()["calls"]
            new = [row for row in rows if row["mode"] == "phone" and row["id"] not in before]
            if new:
                return str(new[0]["id"])
            await asyncio.sleep(0.1)
    raise AssertionError("no call has begun")


async def known_calls(server: Server) -> set[str]:
    async with server.client() as client:
        return {row["id"] for row in (await client.get("/api/calls")).json()["calls"]}


async def grant(server: Server, call: str) -> None:
    async with server.client() as client:
        (await client.post(f"/api/calls/{call}/consent", json={"state": "granted"})).raise_for_status()


def words(received: Received, speaker: str) -> str:
    return " ".join(e["text"] for e in received.events("utterance_final") if e["speaker"] == speaker).lower()


async def linked(phones: PhoneProcess) -> None:
    await asyncio.to_thread(until, lambda: phones.state()["analysis"], 20)


async def test_an_agents_softphone_calls_a_prospect(
    server: Server, phones: PhoneProcess, data: Path, carrier: int, voices: Any, tmp_path: Path
) -> None:
    """Both are transcribed apart, a card reaches the agent, each hears the other, and hanging up ends both and sums up."""
    await linked(phones)
    before = await known_calls(server)
    prospect = Sipp(
        tmp_path / "carrier", "answer", address(phones), port=carrier, SPEECH=str(write_ulaw(tmp_path / "prospect.ulaw", voices[1]))
    )
    agent = Baresip(
        tmp_path / "agent", "dana", address(phones), write_wav(tmp_path / "agent.wav", voices[0]),
        dial=f"sip:{PROSPECT_NUMBER}@{address(phones)}", for_s=40,
    )  # fmt: skip
    with ended(agent, prospect):
        call = await phone_call(server, before)
        await grant(server, call)
        received = Received()
        await asyncio.wait_for(watch(server, call, received, until=lambda m: m.get("type") == "summary_made"), 60)
        assert await asyncio.to_thread(prospect.wait, 15) == 0, prospect.messages()[-3000:]
    async with server.client() as client:
        view = (await client.get(f"/api/calls/{call}")).json()
    assert view["line"] == {
        "way": "sip", "direction": "outbound", "caller": AGENT_NUMBER, "callee": PROSPECT_NUMBER, "id": view["line"]["id"],
    }  # fmt: skip
    assert view["agent_name"] == "Claire"
    assert view["contact"]["number"] == PROSPECT_NUMBER
    assert "townhouse" in words(received, "agent")
    assert "townhouse" not in words(received, "prospect")
    assert "liked it" in words(received, "prospect")
    assert received.events("suggestion_shown")
    assert likeness(agent.heard(), voices[1]) > 0.9
    assert likeness(agent.heard(), voices[0]) < 0.3
    assert not [file for file in data.rglob("*.csv") if not file.is_symlink()]  # the relay's own log of addresses


async def test_a_prospect_calls_the_agents_registered_softphone(
    server: Server, phones: PhoneProcess, carrier: int, voices: Any, tmp_path: Path
) -> None:
    """From outside in: the registered phone rings, both are transcribed apart, and the prospect's hanging up ends it and sums up."""
    await linked(phones)
    before = await known_calls(server)
    agent = Baresip(tmp_path / "agent", "dana", address(phones), write_wav(tmp_path / "agent.wav", voices[0]), for_s=60)
    with ended(agent):
        await asyncio.to_thread(until, lambda: phones.state()["phones"][0]["registered"], 20)
        prospect = Sipp(
            tmp_path / "carrier", "call", address(phones), "-m", "1", "-s", AGENT_NUMBER, port=carrier,
            SPEECH=str(write_ulaw(tmp_path / "prospect.ulaw", voices[1])), FROM=PROSPECT_NUMBER, MS="14000",
        )  # fmt: skip
        with ended(prospect):
            call = await phone_call(server, before)
            await grant(server, call)
            received = Received()
            await asyncio.wait_for(watch(server, call, received, until=lambda m: m.get("type") == "summary_made"), 60)
            assert await asyncio.to_thread(prospect.wait, 15) == 0, prospect.messages()[-3000:]
    async with server.client() as client:
        view = (await client.get(f"/api/calls/{call}")).json()
    assert (view["line"]["direction"], view["line"]["caller"]) == ("inbound", PROSPECT_NUMBER)
    assert view["contact"]["number"] == PROSPECT_NUMBER
    assert "townhouse" in words(received, "agent")
    assert "townhouse" not in words(received, "prospect")
    assert "liked it" in words(received, "prospect")


async def test_a_number_that_asked_not_to_be_called_is_refused_with_the_reason(server: Server, phones: PhoneProcess) -> None:
    """The phone process asks the server's list before it dials."""
    await linked(phones)
    async with server.client() as client:
        (await client.post("/api/do-not-call", json={"number": "+13125550199", "why": "asked us"})).raise_for_status()
    async with Telephone("dana", address(phones), password=PASSWORD) as telephone:
        with pytest.raises(Refused, match="403 This number asked not to be called"):
            await telephone.call("+13125550199")


@pytest.mark.postgres
async def test_everything_else_may_die(tmp_path: Path, postgres: Postgres) -> None:
    """Engine, server and database are killed (-9) in turn: the two hear each other throughout, and the call is taken up again."""
    database, own, out = postgres.fresh(), free_port(), free_port()
    data = tmp_path / "data"
    data.mkdir()
    (data / "phones.toml").write_text("[dialing]\nfrom_hour = 0\nto_hour = 24\n")
    environment = {"SOTTOVOCE_DATABASE": database, "SOTTOVOCE_MODEL": "tiny.en", "SOTTOVOCE_LEASE_S": "1"}
    phones = PhoneProcess(data, sip_file(own, out))
    server = await asyncio.to_thread(Server.start, data, **environment)
    try:
        await linked(phones)
        async with (
            Telephone("c", f"127.0.0.1:{own}", port=out) as prospect,
            Telephone("dana", f"127.0.0.1:{own}", password=PASSWORD) as agent,
        ):
            taking = asyncio.create_task(prospect.answer())
            await agent.call(PROSPECT_NUMBER)
            await taking
            talking = [asyncio.create_task(telephone.speak(b"\xff" * 160 * 9000)) for telephone in (agent, prospect)]
            call = await phone_call(server, set())
            assert server.process is not None
            for pid in children(server.process.pid):
                os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(1)
            server.process.kill()
            await asyncio.to_thread(server.process.wait)
            await asyncio.sleep(0.5)
            again = await asyncio.to_thread(Server.start, data, cookie=server.cookie, **environment)
            server.process.stdout.close()  # type: ignore[union-attr]  # a pipe
            server = again
            await linked(phones)
            await resumed(server, call)
            postgres.kill()
            await asyncio.sleep(2)
            postgres.start()
            for task in talking:
                task.cancel()
            await asyncio.wait(talking)
            assert await known_calls(server) == {call}
            await agent.hang_up()
            await asyncio.wait_for(prospect.ended.wait(), 5)
            for heard, ssrc in ((agent.heard, prospect.ssrc), (prospect.heard, agent.ssrc)):
                line = gaps(heard, ssrc)
                assert line.missing == 0
                assert line.packets > 200
            await over(server, call)
    finally:
        server.stop()
        phones.stop()


async def resumed(server: Server, call: str) -> None:
    async with server.client() as client:
        for _ in range(150):
            events = (await client.get(f"/api/calls/{call}/events?limit=5000")).json()["events"]
            again = [e["n"] for e in events if e["type"] == "call_resumed"]
            if again and any(e["type"] == "leg_changed" and e["state"] == "joined" and e["n"] > again[-1] for e in events):
                return
            await asyncio.sleep(0.1)
    raise AssertionError(f"the call did not go on: {[(e['n'], e['type']) for e in events]}")


async def over(server: Server, call: str) -> None:
    async with server.client() as client:
        for _ in range(150):
            if (await client.get(f"/api/calls/{call}")).json().get("ended_at"):
                return
            await asyncio.sleep(0.1)
    raise AssertionError("the call did not end")


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_an_announcement_stands_in_the_consent_record(tmp_path: Path, app: Guarded) -> None:
    """What the phone process says it played is what the call's consent says, and it opens transcribing."""
    data = app.app.state.calls.settings.data
    write_wav(data / "consent.wav", said(0.7, 2.7)[0])
    (data / "phones.toml").write_text('[announcement]\nfile = "consent.wav"\n')
    own, out = free_port(), free_port()
    phones = await asyncio.to_thread(PhoneProcess, data, sip_file(own, out))
    try:
        await linked(phones)
        async with (
            Telephone("c", f"127.0.0.1:{own}", port=out) as prospect,
            Telephone("dana", f"127.0.0.1:{own}", password=PASSWORD) as agent,
        ):
            assert (await agent.register()).status == 200
            taking = asyncio.create_task(agent.answer())
            await prospect.call(AGENT_NUMBER)
            await taking
            calls = app.app.state.calls
            for _ in range(100):
                live = next(iter(calls.live.values()), None)
                if live is not None and live.call.state.consent is not None and live.call.state.consent.state == "announced":
                    break
                await asyncio.sleep(0.05)
            assert live is not None
            consent = live.call.state.consent
            assert consent is not None
            assert (consent.state, consent.by, consent.transcribe, consent.record) == ("announced", "announcement", True, False)
            assert "consent.wav (SHA-256 " in consent.rule
            await agent.hang_up()
            assert live.task is not None
            await asyncio.wait([live.task], timeout=20)
            assert live.task.done()
    finally:
        await asyncio.to_thread(phones.stop)
