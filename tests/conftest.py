"""Rules for every test: no network beyond this machine, no task left behind, no skip of a demanded part."""

import asyncio
import ipaddress
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


def _own_addresses() -> set[str]:
    own = {"localhost", ""}
    for family, _, _, _, address in socket.getaddrinfo(socket.gethostname(), None):
        if family in (socket.AF_INET, socket.AF_INET6):
            own.add(str(address[0]))
    return own


@pytest.fixture(autouse=True)
def _this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test may not reach a paid model, a hub or anything else outside this machine."""
    real, own = socket.socket.connect, _own_addresses()

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0])
            if host not in own and not ipaddress.ip_address(host).is_loopback:
                raise OSError(f"a test tried to reach {host}")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture(autouse=True)
async def _no_task_left_behind() -> Any:
    """Every task belongs to someone: none outlives its test."""
    yield
    left = [t for t in asyncio.all_tasks() if t is not asyncio.current_task() and not t.done()]
    if left:
        await asyncio.wait(left, timeout=1.0)
        left = [t for t in left if not t.done()]
    assert not left, f"tasks left behind: {[t.get_name() for t in left]}"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Recordings and texts for measuring; they stay outside the repository."""
    folder = Path(os.environ.get("SOTTOVOCE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("../shared/data is missing (recordings for measuring are not part of the repository)")
    return folder


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A skipped test of a demanded part (scripts/test --require) is a failure."""
    outcome: Any = yield
    report = outcome.get_result()
    demanded = {part for part in os.environ.get("SOTTOVOCE_REQUIRE", "").split(",") if part}
    if report.skipped and not hasattr(report, "wasxfail") and any(item.get_closest_marker(p) for p in demanded):
        report.outcome = "failed"
        report.longrepr = f"this part may not be skipped here: {report.longrepr}"


def pytest_unconfigure() -> None:
    """LiveKit's native threads call Python. One that does so while the interpreter goes down is ended by it, which Rust answers by
    aborting the process, behind tests that all passed; so its runtime is stopped while Python still runs."""
    rtc = sys.modules.get("livekit.rtc._ffi_client")
    client = rtc.FfiClient._instance if rtc is not None else None
    if client is not None:
        client._dispose()
        time.sleep(1.0)
