"""`sottovoce doctor` on the servers that calls rest on: what it says of each, and that each fault comes with its fix."""

import asyncio
import dataclasses
import socket
from pathlib import Path

import pytest
from aioice import stun

from scripts.programs.services import Postgres, Redis, free_port
from tests.services import postgres, redis  # noqa: F401  fixtures
from web import doctor_servers
from web.database import look
from web.doctor_servers import clock_is_synchronised, server_lines
from web.settings import Settings
from web.store import Store


def settings(tmp_path: Path, **given: str) -> Settings:
    return Settings.read({"SOTTOVOCE_DATA": str(tmp_path), **{f"SOTTOVOCE_{name}": value for name, value in given.items()}})


async def said(chosen: Settings) -> list[str]:
    return [f"{level} {sentence}" for level, sentence in await server_lines(chosen)]


def only(lines: list[str], word: str) -> str:
    (line,) = [each for each in lines if word in each]
    return line


async def test_without_servers_nothing_is_missing(tmp_path: Path) -> None:
    """A server on its own needs neither PostgreSQL nor Redis nor STUN, and no line says that it does."""
    lines = await said(settings(tmp_path))
    assert only(lines, "SQLite").startswith("ok")
    assert not [each for each in lines if each.startswith("missing") or "Redis" in each]


@pytest.mark.postgres
@pytest.mark.redis
async def test_servers_that_are_there(tmp_path: Path, postgres: Postgres, redis: Redis) -> None:  # noqa: F811
    """PostgreSQL is named with its version, its migrations and how far its clock is from ours; Redis answers."""
    url = postgres.fresh()
    chosen = settings(tmp_path, DATABASE=url, REDIS=redis.url)
    assert "empty" in only(await said(chosen), "database is")
    store = await Store.open(tmp_path, url)
    await store.close()
    lines = await said(chosen)
    assert only(lines, "PostgreSQL 1").startswith("ok")
    assert only(lines, "migrated").startswith("ok")
    assert only(lines, "differ by").startswith("ok")
    assert only(lines, "Redis").startswith("ok")
    assert not [each for each in lines if each.startswith("missing")]
    name = url.rsplit("/", 1)[1]
    postgres.run("UPDATE alembic_version SET version_num = '9999'", name)
    assert only(await said(chosen), "database is at 9999").startswith("missing")
    postgres.run("UPDATE alembic_version SET version_num = '0001'", name)
    assert "brings it to" in only(await said(chosen), "database is at 0001")


@pytest.mark.postgres
async def test_a_wrong_clock_is_said(tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """A clock that differs from the database's by more than a second is said with its direction and its fix."""
    seen = await look(postgres.fresh())
    for ahead_s, word in ((4.0, "behind"), (-4.0, "ahead of")):

        async def looked(_: str, ahead_s: float = ahead_s) -> object:
            return dataclasses.replace(seen, ahead_s=ahead_s)

        monkeypatch.setattr(doctor_servers, "look", looked)
        line = only(await said(settings(tmp_path, DATABASE=postgres.url)), "clock is 4.0 s")
        assert word in line
        assert "timedatectl" in line


@pytest.mark.postgres
@pytest.mark.redis
async def test_servers_that_are_gone(tmp_path: Path, postgres: Postgres, redis: Redis) -> None:  # noqa: F811
    """A dead PostgreSQL is missing, a dead Redis only noted, and a wrong database name is said in PostgreSQL's words, without the password."""
    wrong = f"postgresql://sottovoce:secret@127.0.0.1:{postgres.port}/nowhere"
    line = only(await said(settings(tmp_path, DATABASE=wrong)), "nowhere")
    assert line.startswith("missing PostgreSQL refuses")
    assert "secret" not in line
    chosen = settings(tmp_path, DATABASE=postgres.url, REDIS=redis.url)
    postgres.kill()
    redis.kill()
    try:
        lines = await said(chosen)
    finally:
        postgres.start()
        redis.start()
    assert only(lines, "PostgreSQL does not answer").startswith("missing")
    assert only(lines, "Redis does not answer").startswith("note")


class _Answers(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # it is one
        self._transport = transport

    def datagram_received(self, data: bytes, from_: tuple[str, int]) -> None:
        asked = stun.parse_message(data)
        answer = stun.Message(asked.message_method, stun.Class.RESPONSE, asked.transaction_id)
        answer.attributes["XOR-MAPPED-ADDRESS"] = from_
        self._transport.sendto(bytes(answer), from_)


async def test_stun_and_turn(tmp_path: Path) -> None:
    """A STUN server that answers is ok, one that does not is noted with its fix; a TURN server needs a password that we have not."""
    port, silent = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(_Answers, local_addr=("127.0.0.1", port))
    try:
        urls = f"stun:127.0.0.1:{port}, stun:127.0.0.1:{silent}, turn:127.0.0.1:{port}, example.com"
        lines = await said(settings(tmp_path, STUN=urls))
    finally:
        transport.close()
    assert only(lines, f"stun:127.0.0.1:{port}") == f"ok stun:127.0.0.1:{port} answers"
    assert only(lines, f":{silent}").startswith("note")
    assert "firewall" in only(lines, f":{silent}") or "leave this network" in only(lines, f":{silent}")
    assert "password" in only(lines, f"turn:127.0.0.1:{port}")
    assert only(lines, "example.com").startswith("missing")


def test_the_kernel_says_whether_the_clock_is_set() -> None:
    """On Linux the answer is yes or no, elsewhere none."""
    assert clock_is_synchronised() in (True, False, None)
