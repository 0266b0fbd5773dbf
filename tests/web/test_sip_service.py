"""Telephone to telephone through LiveKit's SIP service, where its binary is: no package registry has it."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.programs.services import LIVEKIT_KEY, LIVEKIT_SECRET, LiveKit, Redis, Service, free_port
from tests.services import postgres, redis  # noqa: F401  fixtures
from tests.web.test_callers import Office, hooked, office, room_settings, until  # noqa: F401  fixtures
from web.livekit.server import Rooms
from web.livekit.trunks import Trunks

pytestmark = [
    pytest.mark.sip_service,
    pytest.mark.skipif(not os.environ.get("LIVEKIT_SIP"), reason="LIVEKIT_SIP names no binary of LiveKit's SIP service"),
]


class SipService(Service):
    """LiveKit's SIP service, which no package registry has: LIVEKIT_SIP names its binary."""

    name = "livekit-sip"

    def __init__(self, folder: Path, server: LiveKit, redis: Redis) -> None:  # noqa: F811  a fixture's name
        super().__init__(folder, free_port())
        self._server, self._redis = server, redis

    def _command(self) -> list[str]:
        config = {
            "api_key": LIVEKIT_KEY, "api_secret": LIVEKIT_SECRET, "ws_url": self._server.url, "sip_port": self.port, "listen_ip": "127.0.0.1",
            "redis": {"address": self._redis.url.removeprefix("redis://").split("/")[0]}, "nat_1_to_1_ip": "127.0.0.1", "rtp_port": "20000-20100",
            "use_external_ip": False, "media_timeout": "60s", "media_timeout_initial": "60s", "max_cpu_utilization": 1, "logging": {"level": "info"},
        }  # fmt: skip
        file = self.folder / "sip.yaml"
        file.write_text(json.dumps(config))  # JSON is YAML
        return [os.environ["LIVEKIT_SIP"], "--config", str(file)]


async def test_a_caller_and_the_agents_telephone_meet(office: Office, hooked: LiveKit, redis: Redis, tmp_path: Path) -> None:  # noqa: F811
    """Telephone to telephone through the real SIP service: the agent's rings in the caller's room, both are active, and when the
    caller hangs up the agent's is hung up too."""
    sip, room = SipService(tmp_path / "sip", hooked, redis), ""
    (tmp_path / "sip").mkdir(exist_ok=True)
    answering = free_port(socket.SOCK_DGRAM)
    trunks = Trunks(replace(office.state.calls.settings, trunk=f"127.0.0.1:{answering}"), office.state.callers.rooms)
    office.state.callers.trunks = trunks
    await trunks.setup()
    sip.start()
    quiet = {"stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    phone = await asyncio.create_subprocess_exec("sipp", "-sn", "uas", "-i", "127.0.0.1", "-p", str(answering), "-m", "1", **quiet)
    dialling = ["sipp", f"127.0.0.1:{sip.port}", "-sn", "uac", "-s", "+13035550100", "-d", "6000", "-m", "1", "-i", "127.0.0.1"]
    calling = await asyncio.create_subprocess_exec(*dialling, **quiet)
    rooms: Rooms = office.state.callers.rooms

    async def both_active() -> bool:
        nonlocal room
        room = next((each for each in await rooms.names() if each.startswith("phone-")), "")
        return len([each for each in await rooms.present(room) if each.attributes.get("sip.callStatus") == "active"]) == 2

    async def empty() -> bool:
        return not [each for each in await rooms.present(room) if each.kind == "sip"]

    try:
        await until(both_active, 10)
        assert [call["number"] for call in await office.calls()] != [""]
        await until(empty, 30)
    finally:
        for process in (calling, phone):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        sip.stop()
