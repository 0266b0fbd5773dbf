"""Redis, PostgreSQL and livekit-server on loopback, at free ports, in a throw-away folder: for tests and for trying things out.

Each can be killed and started again at the same port with what it had kept, because that is what the tests of faults do.
"""

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
BUILD: Final = ROOT / "build" / "services"
LIVEKIT_VERSION: Final = "v1.13.5"  # later ones have `replace` lines, which `go install` refuses
LIVEKIT_KEY: Final = "devkey"
LIVEKIT_SECRET: Final = "a-secret-for-this-computer-only-0123456789"
_READY_S: Final = 20.0


class ServiceMissing(RuntimeError):
    """A program is not installed here; the message says how to get it."""


class ServiceFailed(RuntimeError):
    """A server did not come up; the message names its log."""


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Service:
    """A server process. start() waits until it answers; kill() is SIGKILL to it and its children; start() again goes on."""

    name = ""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder, self.port = folder, port or free_port()
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{self.name}.log"

    @property
    def url(self) -> str:
        raise NotImplementedError

    def start(self) -> "Service":
        """Raises ServiceMissing or ServiceFailed."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.folder, **self._user()
            )
        until = time.monotonic() + _READY_S
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise ServiceFailed(f"{self.name} did not start; see {self.log}: {self.log.read_text(errors='replace')[-600:]}")
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        """As when the machine's power fails."""
        if self.process is not None:
            for pid in (self.process.pid, *children(self.process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """It neither answers nor refuses: as behind a network that swallows everything. thaw() ends it."""
        self._all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._all(signal.SIGCONT)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(self._quit)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None

    _quit = signal.SIGTERM

    def _all(self, number: int) -> None:
        assert self.process is not None
        for pid in (self.process.pid, *children(self.process.pid)):
            os.kill(pid, number)

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _user(self) -> dict[str, Any]:
        return {}

    def _ready(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.5):
            return True
        return False


class Redis(Service):
    """Nothing is written to disk: a wake-up has no history."""

    name = "redis"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def _command(self) -> list[str]:
        program = _found("redis-server", "install Debian's redis-server")
        return [program, "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no", "--dir", str(self.folder)]


class Postgres(Service):
    """A cluster of its own, user and database `sottovoce`, trust on loopback; as root it runs as the user `postgres`.

    ``fsync``: off, a killed server loses nothing by it, only a killed computer would; on for measuring."""

    name = "postgres"
    _quit = signal.SIGINT  # fast shutdown: clients are sent away

    def __init__(self, folder: Path, port: int = 0, *, fsync: bool = False) -> None:
        super().__init__(folder, port)
        self.data, self._fsync = folder / "cluster", fsync

    @property
    def url(self) -> str:
        return f"postgresql+asyncpg://sottovoce@127.0.0.1:{self.port}/sottovoce"

    def start(self) -> "Service":
        first = not self.data.exists()
        if first:
            self._initialise()
        (self.data / "postmaster.pid").unlink(missing_ok=True)  # after kill()
        super().start()
        if first:
            self.run("CREATE DATABASE sottovoce", database="postgres")
        return self

    def fresh(self) -> str:
        """The URL of a new empty database in this cluster."""
        name = f"fresh_{time.monotonic_ns()}"
        self.run(f"CREATE DATABASE {name}", database="postgres")
        return self.url.rsplit("/", 1)[0] + "/" + name

    def dump(self, url: str) -> str:
        """Everything that a database holds, as SQL text."""
        command = [_postgres("pg_dump"), "--inserts", url.replace("+asyncpg", "")]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def run(self, sql: str, database: str = "sottovoce") -> str:
        """One statement by psql; what it printed."""
        command = [_postgres("psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "sottovoce", "-d", database, "-tAc", sql]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def _initialise(self) -> None:
        program = _postgres("initdb")
        if os.geteuid() == 0:
            self.data.mkdir()
            shutil.chown(self.folder, "postgres", "postgres")
            shutil.chown(self.data, "postgres", "postgres")
        command = [program, "-D", str(self.data), "-U", "sottovoce", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        made = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder, **self._user())
        if made.returncode:
            raise ServiceFailed(f"initdb: {made.stderr[-600:]}")

    def _command(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "on" if self._fsync else "off",
            "shared_buffers": "16MB",
            "max_connections": "60",
        }
        chosen = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [_postgres("postgres"), "-D", str(self.data), "-p", str(self.port), *chosen]

    def _user(self) -> dict[str, Any]:
        return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}

    def _ready(self) -> bool:
        command = [_postgres("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0


class LiveKit(Service):
    """livekit-server; ``redis``: the address it shares with a SIP service (trunks and rules need it). ``webhook``: a URL of ours."""

    name = "livekit"

    def __init__(self, folder: Path, port: int = 0, *, redis: str = "", webhook: str = "") -> None:
        super().__init__(folder, port)
        self.udp_port, self._redis, self._webhook = free_port(socket.SOCK_DGRAM), redis, webhook

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def _command(self) -> list[str]:
        config: dict[str, Any] = {
            "port": self.port,
            "bind_addresses": ["127.0.0.1"],
            "rtc": {
                "use_external_ip": False,
                "node_ip": "127.0.0.1",
                "enable_loopback_candidate": True,
                "ips": {"includes": ["127.0.0.1/32"]},
                "udp_port": self.udp_port,
                "tcp_port": 0,
                "stun_servers": ["127.0.0.1:3478"],
            },
            "keys": {LIVEKIT_KEY: LIVEKIT_SECRET},
            "room": {"auto_create": True, "empty_timeout": 30, "departure_timeout": 5},
            "logging": {"level": "info", "json": True},
        }
        if self._redis:
            config["redis"] = {"address": self._redis.removeprefix("redis://").split("/")[0]}
        if self._webhook:
            config["webhook"] = {"urls": [self._webhook], "api_key": LIVEKIT_KEY}
        file = self.folder / "livekit.yaml"
        file.write_text(json.dumps(config, indent=1))  # JSON is YAML
        return [str(livekit_binary()), "--config", str(file)]


def livekit_binary() -> Path:
    """The one that LIVEKIT_SERVER names, the one that we built, or one on the PATH; waits for a build that runs. Raises ServiceMissing."""
    if given := os.environ.get("LIVEKIT_SERVER"):
        if not os.access(given, os.X_OK):
            raise ServiceMissing(f"LIVEKIT_SERVER names no program: {given}")
        return Path(given)
    built = BUILD / "livekit-server"
    if not built.exists() and (BUILD / "lock").exists():
        with (BUILD / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
    if built.exists():
        return built
    return Path(_found("livekit-server", "scripts/services build (needs Go), or name a binary: LIVEKIT_SERVER=/path"))


def build_livekit() -> Path:
    """`go install` at the pinned version, once. Raises ServiceMissing or ServiceFailed."""
    if os.environ.get("LIVEKIT_SERVER"):
        return livekit_binary()
    go, built = _found("go", "install Go 1.24 or newer"), BUILD / "livekit-server"
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            environment = {**os.environ, "CGO_ENABLED": "0", "GOBIN": str(BUILD)}
            command = [go, "install", f"github.com/livekit/livekit-server/cmd/server@{LIVEKIT_VERSION}"]
            made = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if made.returncode:
                raise ServiceFailed(f"{' '.join(command)}: {made.stderr[-600:]}")
            (BUILD / "server").rename(built)
    return built


def throw_away() -> Path:
    """A folder that PostgreSQL's own user may enter; whoever asks for it removes it."""
    folder = Path(tempfile.mkdtemp(prefix="sottovoce-services-"))
    folder.chmod(0o755)
    return folder


@contextlib.contextmanager
def running(*services: Service) -> Iterator[None]:
    try:
        for service in services:
            service.start()
        yield
    finally:
        for service in reversed(services):
            service.stop()


def _found(program: str, fix: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise ServiceMissing(f"{program} is not installed here: {fix}")
    return found


def _postgres(program: str) -> str:
    """Debian keeps the server's programs out of the PATH."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / program).exists():
            return str(folder / program)
    return _found(program, "install Debian's postgresql")


def children(pid: int) -> list[int]:
    """Of all its threads, and theirs."""
    with contextlib.suppress(OSError):
        own = [int(child) for tasks in Path(f"/proc/{pid}/task").glob("*/children") for child in tasks.read_text().split()]
        return own + [further for child in own for further in children(child)]
    return []


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far. Raises OSError when it is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tree_cpu_s(pid: int) -> float:
    """CPU seconds of a process and of those of its children that live."""
    total = 0.0
    for each in (pid, *children(pid)):
        with contextlib.suppress(OSError):
            total += cpu_s(each)
    return total


# ---- the command


def _settings(services: dict[str, Service]) -> dict[str, str]:
    told = {}
    if "postgres" in services:
        told["SOTTOVOCE_DATABASE"] = services["postgres"].url
    if "redis" in services:
        told["SOTTOVOCE_REDIS"] = services["redis"].url
    if "livekit" in services:
        told |= {"LIVEKIT_URL": services["livekit"].url, "LIVEKIT_API_KEY": LIVEKIT_KEY, "LIVEKIT_API_SECRET": LIVEKIT_SECRET}
    return told


def _start(parts: list[str], folder: Path | None) -> int:
    state = BUILD / "running.json"
    if state.exists():
        print("They run already: scripts/services status, or stop.", file=sys.stderr)
        return 1
    if "livekit" in parts:
        build_livekit()
    folder, services = folder or throw_away(), dict[str, Service]()
    try:
        if "redis" in parts:
            services["redis"] = Redis(folder / "redis").start()
        if "postgres" in parts:
            services["postgres"] = Postgres(folder / "postgres").start()
        if "livekit" in parts:
            services["livekit"] = LiveKit(folder / "livekit", redis=services["redis"].url if "redis" in services else "").start()
    except (ServiceMissing, ServiceFailed):
        for service in services.values():
            service.stop()
        raise
    told = _settings(services)
    pids = {name: service.process.pid for name, service in services.items() if service.process is not None}
    state.parent.mkdir(parents=True, exist_ok=True)
    state.write_text(json.dumps({"folder": str(folder), "pids": pids, "settings": told}))
    print("\n".join(f"export {name}={value}" for name, value in told.items()))
    return 0


def _stop() -> int:
    state = BUILD / "running.json"
    if not state.exists():
        print("None runs.")
        return 0
    known = json.loads(state.read_text())
    for name, pid in known["pids"].items():
        if _is(pid, name):
            os.kill(pid, signal.SIGINT if name == "postgres" else signal.SIGTERM)
            until = time.monotonic() + 10
            while _is(pid, name) and time.monotonic() < until:
                time.sleep(0.05)
    shutil.rmtree(known["folder"], ignore_errors=True)
    state.unlink()
    return 0


def _status() -> int:
    state = BUILD / "running.json"
    known = json.loads(state.read_text()) if state.exists() else {"pids": {}, "settings": {}}
    for name, pid in known["pids"].items():
        print(f"{name:9} {'runs' if _is(pid, name) else 'is gone'} ({pid})")
    print("\n".join(f"export {name}={value}" for name, value in known["settings"].items()) or "None runs.")
    return 0


def _is(pid: int, name: str) -> bool:
    """Whether this process is still the server that we started: a number may belong to another by now."""
    with contextlib.suppress(OSError):
        return name in Path(f"/proc/{pid}/cmdline").read_text()
    return False


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/services", description="Redis, PostgreSQL and livekit-server on loopback, thrown away.")
    parser.add_argument("what", choices=("start", "stop", "status", "build"))
    for part in ("redis", "postgres", "livekit"):
        parser.add_argument(f"--{part}", action="append_const", const=part, dest="parts")
    parser.add_argument("--folder", type=Path, help="where they keep their files (default: a new one under the temporary folder)")
    chosen = parser.parse_args(arguments)
    try:
        match chosen.what:
            case "start":
                return _start(chosen.parts or ["redis", "postgres", "livekit"], chosen.folder)
            case "stop":
                return _stop()
            case "status":
                return _status()
            case _:
                print(build_livekit())
                return 0
    except (ServiceMissing, ServiceFailed) as failure:
        print(failure, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
