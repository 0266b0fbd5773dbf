"""Fixtures of the real servers; a test module asks for them with ``from tests.services import postgres`` and the like.

Each is one server for the module that asks; where its program is missing the test is skipped with what to install.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.programs.services import LiveKit, Postgres, Redis, Service, ServiceMissing, throw_away


def serve(make: Callable[[Path], Service]) -> Iterator[Service]:
    """Starts what ``make`` gives for a folder, stops it and removes the folder."""
    folder = throw_away()
    service = make(folder)
    try:
        try:
            yield service.start()
        except ServiceMissing as missing:
            pytest.skip(str(missing))
    finally:
        service.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Service]:
    yield from serve(Postgres)


@pytest.fixture(scope="module")
def redis() -> Iterator[Service]:
    yield from serve(Redis)


@pytest.fixture(scope="module")
def livekit(redis: Redis) -> Iterator[Service]:
    yield from serve(lambda folder: LiveKit(folder, redis=redis.url))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> str:
    """SOTTOVOCE_DATABASE: empty for SQLite, then the URL of a fresh database in a real PostgreSQL."""
    if request.param == "sqlite":
        return ""
    server: Postgres = request.getfixturevalue("postgres")
    return server.fresh()
