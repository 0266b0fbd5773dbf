"""scripts/services: the real servers come up, survive their death where they should, and go."""

import json
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from scripts.programs import services as program
from scripts.programs.services import LiveKit, Postgres, Redis
from tests.services import livekit, postgres, redis  # noqa: F401  fixtures


@pytest.mark.postgres
def test_a_killed_postgres_comes_back_with_what_was_committed(postgres: Postgres) -> None:  # noqa: F811
    """PostgreSQL killed and started again at the same port has what was committed, as long as its folder is there."""
    postgres.run("CREATE TABLE kept (n int)")
    postgres.run("INSERT INTO kept VALUES (7)")
    url = postgres.url
    postgres.kill()
    with pytest.raises(subprocess.CalledProcessError):
        postgres.run("SELECT 1")
    postgres.start()
    assert postgres.url == url
    assert postgres.run("SELECT n FROM kept") == "7"


@pytest.mark.redis
def test_a_killed_redis_comes_back_empty(redis: Redis) -> None:  # noqa: F811
    """Redis killed and started again answers at the same port."""

    def say(words: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", redis.port), 2) as connection:
            connection.sendall(words)
            return connection.recv(64)

    assert say(b"SET a 1\r\n") == b"+OK\r\n"
    redis.kill()
    with pytest.raises(OSError, match="refused"):
        say(b"PING\r\n")
    redis.start()
    assert say(b"GET a\r\n") == b"$-1\r\n"


@pytest.mark.livekit
@pytest.mark.timeout(300)  # a first build may still run
def test_livekit_listens_on_loopback_only(livekit: LiveKit) -> None:  # noqa: F811
    """livekit-server answers on loopback, and not one of its sockets is reachable from elsewhere."""
    with urllib.request.urlopen(f"http://127.0.0.1:{livekit.port}/") as answer:
        assert answer.read() == b"OK"
    assert livekit.process is not None
    inodes = {p.readlink().name for p in Path(f"/proc/{livekit.process.pid}/fd").iterdir() if "socket:" in str(p.readlink())}
    local = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if f"socket:[{fields[9]}]" in inodes and (fields[3] == "0A" or table.startswith("udp")):
                local.append((table, fields[1].split(":")[0]))
    assert local
    assert {address for _, address in local} == {"0100007F"}, local


@pytest.mark.redis
def test_the_command_starts_and_stops(tmp_path: Path) -> None:
    """`start --redis` prints the setting, `stop` ends the server and removes its folder."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed here")

    def command(*words: str) -> tuple[int, str]:
        here = f"import sys, pathlib, scripts.programs.services as s; s.BUILD = pathlib.Path({str(tmp_path / 'build')!r}); sys.exit(s.main({list(words)!r}))"
        ran = subprocess.run([sys.executable, "-c", here], capture_output=True, text=True, check=False, timeout=60)
        return ran.returncode, ran.stdout

    status, told = command("start", "--redis", "--folder", str(tmp_path / "thrown"))
    assert status == 0
    assert told.startswith("export SOTTOVOCE_REDIS=redis://127.0.0.1:")
    pid = json.loads((tmp_path / "build" / "running.json").read_text())["pids"]["redis"]
    assert command("start", "--redis")[0] == 1
    assert f"runs ({pid})" in command("status")[1]
    assert command("stop")[0] == 0
    assert not (tmp_path / "thrown").exists()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(told.split(":")[-1].split("/")[0])), 2)


def test_a_missing_program_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Where a server is not installed the command says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(program, "BUILD", tmp_path)
    assert program.main(["start", "--redis"]) == 1
    assert "redis-server" in capsys.readouterr().err
