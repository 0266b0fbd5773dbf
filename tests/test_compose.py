"""compose.yaml and the Dockerfile, as far as they can be checked without a container; docs/scale.md says what was seen with one."""

import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from scripts.programs.services import LIVEKIT_VERSION, ServiceMissing, livekit_binary
from web.api.rooms import hooks
from web.app import build_app
from web.cli import main
from web.settings import SETTINGS, Settings

ROOT = Path(__file__).parent.parent
GIVEN = {
    "PUBLIC_URL": "https://coach.example.com",
    "LIVEKIT_PUBLIC_URL": "wss://room.example.com",
    "PUBLIC_IP": "203.0.113.7",
    "LIVEKIT_KEY": "a-key",
    "LIVEKIT_SECRET": "0123456789012345678901234567890123456789",
    "POSTGRES_PASSWORD": "a-password",
}


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    """The file with its variables filled in."""
    text = (ROOT / "compose.yaml").read_text()
    filled = re.sub(r"\$\{(\w+)(?::\?[^}]*)?\}", lambda found: GIVEN[found[1]], text)
    parsed: dict[str, Any] = yaml.safe_load(filled)
    return parsed


def test_every_part_is_there_and_watched(composed: dict[str, Any]) -> None:
    """Six services, each with a health check and a restart; who depends on another waits until it is healthy."""
    services = composed["services"]
    assert set(services) == {"livekit", "sip", "redis", "postgres", "web", "agent"}
    for name, service in services.items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["restart"] == "unless-stopped", name
        for other, how in service.get("depends_on", {}).items():
            assert other in services
            assert how == {"condition": "service_healthy"}
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in composed["volumes"]
        for config in service.get("configs", []):
            assert config["source"] in composed["configs"]
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} is open to everybody"


def test_every_variable_is_explained() -> None:
    """What the file wants from .env stands in its head, and nothing else."""
    text = (ROOT / "compose.yaml").read_text()
    head = text.split("\n\n")[0]
    assert set(re.findall(r"\$\{(\w+)", text)) == set(re.findall(r"([A-Z_]{4,})=", head)) == set(GIVEN)


@pytest.mark.parametrize("name", ["web", "agent"])
def test_our_settings_are_read(composed: dict[str, Any], name: str) -> None:
    """Every setting that compose.yaml gives exists, and together they are those of calls in rooms on many machines."""
    service = composed["services"][name]
    known = {setting.name for setting in SETTINGS}
    assert set(service["environment"]) <= known
    settings = Settings.read({**service["environment"], "SOTTOVOCE_HOST": "0.0.0.0", "SOTTOVOCE_DATA": "/data"})
    assert settings.rooms
    assert "https://coach.example.com" in settings.allowed_origins()
    assert f":{settings.agent_port}/" in composed["services"]["agent"]["healthcheck"]["test"][-1]
    assert settings.address == "https://coach.example.com"  # of the sign-in link, not 0.0.0.0
    health = f"http://127.0.0.1:{settings.port}"
    assert health in composed["services"]["web"]["healthcheck"]["test"][-1]
    assert health in settings.allowed_origins()  # else the guard refuses the question
    assert composed["services"]["web"]["ports"] == [f"127.0.0.1:{settings.port}:{settings.port}"]
    grace = int(service["stop_grace_period"].removesuffix("s"))
    assert name == "web" or grace > settings.drain_s + 20


@pytest.mark.parametrize("name", ["web", "agent"])
def test_our_commands_exist(composed: dict[str, Any], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`sottovoce serve` and `sottovoce agent` are commands."""
    with pytest.raises(SystemExit) as left:
        main([*composed["services"][name]["command"], "--help"])
    assert left.value.code == 0
    assert capsys.readouterr().out


async def test_the_health_check_needs_no_sign_in(composed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the health check of `web` asks for is given to a stranger; 401 would be no health."""
    (tmp_path / "index.html").write_text("<!doctype html>")
    monkeypatch.setattr("web.app.UI", tmp_path)  # the front end need not be built here
    app = build_app(Settings.read({"SOTTOVOCE_DATA": str(tmp_path)}))
    url = re.search(r"http://[^']+", composed["services"]["web"]["healthcheck"]["test"][-1])
    assert url is not None
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as stranger:
        assert (await stranger.get(url[0])).status_code == 200


def test_postgres_is_asked_by_tcp(composed: dict[str, Any]) -> None:
    """While its image makes the first database a server answers at the socket alone, and is stopped again."""
    asked = composed["services"]["postgres"]["healthcheck"]["test"]
    assert asked[asked.index("-h") + 1] == "127.0.0.1"


def test_a_room_outlasts_the_wait_for_its_people(composed: dict[str, Any]) -> None:
    """Else a call that nobody comes back to is never over: its room closes, and another worker takes the call up."""
    settings = Settings.read(composed["services"]["web"]["environment"])
    assert yaml.safe_load(composed["configs"]["livekit"]["content"])["room"]["empty_timeout"] > settings.return_s


def test_livekits_webhooks_come_to_us(composed: dict[str, Any]) -> None:
    """livekit-server tells a path that the application has."""
    (url,) = yaml.safe_load(composed["configs"]["livekit"]["content"])["webhook"]["urls"]
    assert url.removeprefix("http://127.0.0.1:8440") in [getattr(route, "path", "") for route in hooks.routes]


@pytest.mark.livekit
@pytest.mark.timeout(300)  # a first build may still run
def test_livekit_reads_its_configuration(composed: dict[str, Any], tmp_path: Path) -> None:
    """The real livekit-server, at the version that compose.yaml names, knows every key of its configuration."""
    assert composed["services"]["livekit"]["image"].endswith(f":{LIVEKIT_VERSION}")
    try:
        program = livekit_binary()
    except ServiceMissing as missing:
        pytest.skip(str(missing))

    def ports(config: str) -> str:
        file = tmp_path / "livekit.yaml"
        file.write_text(config)
        return subprocess.run([program, "--config", file, "ports"], capture_output=True, text=True, check=False, timeout=60).stdout

    content = composed["configs"]["livekit"]["content"]
    assert "7882" in ports(content)
    assert "no_such_key not found" in ports(content + "no_such_key: 1\n")  # it does look


def test_what_the_image_copies_exists() -> None:
    """Every path that the Dockerfile copies is there and not ignored, and it installs the locks that there are."""
    text = (ROOT / "Dockerfile").read_text()
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [path for words in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE) for path in words.split()[:-1]]
    assert {"voice", "coaching", "intelligence", "web"} <= set(copied)
    for path in copied:
        assert (ROOT / path).exists(), path
        assert any(path == root or path.startswith(f"{root}/") for root in kept), f"{path} is ignored"
    for lock in re.findall(r"-r (\S+)", text):
        assert (ROOT / lock).exists(), lock
    assert "--from=pages /app/web/ui/dist" in text
    assert set(re.findall(r"SOTTOVOCE_[A-Z_]+", text)) <= {setting.name for setting in SETTINGS}
