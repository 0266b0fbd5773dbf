"""A server for tests: the real application, with real models in this process, or as a process of its own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from scripts.programs.callers import Server
from voice.models.engine import Engine, ThreadModels
from web.app import Guarded, build_app
from web.compose import Machine, engine_settings
from web.settings import Settings

ORIGIN = "http://127.0.0.1:8440"
PROXIED = "https://coach.example.com"


class SharedModels(ThreadModels):
    """The engine outlives the application that closes it, because it takes seconds to load."""

    async def aclose(self) -> None:
        return


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    settings = Settings.read({"SOTTOVOCE_DATA": str(tmp_path_factory.mktemp("weights"))})
    engine = Engine(engine_settings(settings))
    yield engine
    engine.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.read({"SOTTOVOCE_DATA": str(tmp_path), "SOTTOVOCE_UPLOAD_MB": "1", "SOTTOVOCE_ORIGINS": PROXIED})


@pytest.fixture
async def app(settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guarded]:
    async def opened(_: object, *, process: bool = True) -> ThreadModels:
        return SharedModels(engine)

    monkeypatch.setattr("web.compose.open_models", opened)
    machine = await Machine.open(settings)
    app = build_app(settings, machine=machine)
    async with app.app.router.lifespan_context(app.app):
        yield app


@pytest.fixture
async def stranger(app: Guarded) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={"origin": ORIGIN}) as client:
        yield client


@pytest.fixture
async def agent(app: Guarded, stranger: httpx.AsyncClient) -> httpx.AsyncClient:
    """Signed in."""
    token = await app.app.state.doors.sign_in_token()
    answer = await stranger.get(f"/sign-in?token={token}")
    assert answer.status_code == 303
    return stranger


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server process with its engine process."""
    server = Server.start(tmp_path)
    yield server
    server.stop()
