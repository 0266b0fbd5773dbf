"""What the phone process costs: the delay that it adds to a call, tap to recogniser, phone to card, bridged calls per core.

Everything on this machine's loopback: the phone process, a server beside it, and telephones that are this program itself.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from scripts.programs.bench_live import quantiles, reference, times_of
from scripts.programs.callers import Received, Server, watch
from scripts.programs.services import cpu_s
from scripts.programs.telephone import Telephone
from voice.frames import AudioFrame
from voice.legs.sip_bridge import SipBridgeLeg, ends
from voice.legs.telephony import to_mu_law

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "web" / "sample"
PASSWORD = "only-for-measuring"
PROSPECT = "+13125550177"
QUIET = b"\xff" * 160


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Phones:
    """A phone process of our own in a folder of its own."""

    data: Path
    port: int
    carrier: int
    process: "subprocess.Popen[str]"

    @classmethod
    def start(cls) -> "Phones":
        data, port, carrier = Path(tempfile.mkdtemp(prefix="sottovoce-phone-")), free_port(), free_port()
        first = free_port() // 2 * 2 % 40_000 + 20_000
        (data / "phones.toml").write_text("[dialing]\nfrom_hour = 0\nto_hour = 24\n")
        (data / "sip.toml").write_text(
            f"[listen]\nport = {port}\nmedia = [{first}, {first + 2000}]\n[limits]\ncalls = 200\nper_source = 200\nwhen_away = 'connect'\n"
            f"[[phone]]\nuser = 'dana'\npassword = '{PASSWORD}'\n[[trunk]]\nname = 'carrier'\naddress = '127.0.0.1:{carrier}'\n"
            f"takes = ['127.0.0.1:{carrier}']\noptions_s = 0\n"
        )
        command = [sys.executable, "-m", "web.program", "phone"]
        process = subprocess.Popen(command, env={**os.environ, "SOTTOVOCE_DATA": str(data)}, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        if "are taken at" not in process.stdout.readline():
            raise RuntimeError("the phone process did not start")
        return cls(data, port, carrier, process)

    def cpu_s(self) -> float:
        return cpu_s(self.process.pid)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@contextlib.asynccontextmanager
async def pairs(phones: Phones, n: int) -> AsyncIterator[list[tuple[Telephone, Telephone]]]:
    """So many bridged calls, each a pair of telephones."""
    server, found = f"127.0.0.1:{phones.port}", []
    async with Telephone("carrier", server, port=phones.carrier) as door, contextlib.AsyncExitStack() as stack:
        for _ in range(n):
            agent = await stack.enter_async_context(Telephone("dana", server, password=PASSWORD))
            prospect = await stack.enter_async_context(Telephone("line", server))
            calling = asyncio.create_task(agent.call(PROSPECT))
            invite = await door.asked("INVITE")
            prospect._take(invite.body)
            door._mine = ""
            door.reply(invite, 200, "OK", prospect.sdp())
            await calling
            found.append((agent, prospect))
        yield found
        door.auto = True
        for agent, _ in found:
            if not agent.ended.is_set():
                await agent.hang_up()


def arrivals(sent: list[float], first: int, heard: Telephone) -> list[float]:
    """Milliseconds between a packet's leaving and its coming."""
    at = {h.sequence: h.at for h in heard.heard}
    return [(at[(first + n) & 0xFFFF] - left) * 1000 for n, left in enumerate(sent) if (first + n) & 0xFFFF in at]


async def added_delay(phones: Phones, seconds: float) -> dict[str, Any]:
    """The same packets through the bridge and past it, at once, so that both meet the same moments of this machine."""
    code = QUIET * int(seconds * 50)
    async with pairs(phones, 1) as calls, Telephone("a", "127.0.0.1:9") as one, Telephone("b", "127.0.0.1:9") as other:
        agent, prospect = calls[0]
        one.remote_rtp = ("127.0.0.1", other.rtp_port)
        first = agent.sequence, prospect.sequence, one.sequence
        lists = await asyncio.gather(agent.speak(code), prospect.speak(code), one.speak(code))
        await asyncio.sleep(0.2)
        through = arrivals(lists[0], first[0], prospect) + arrivals(lists[1], first[1], agent)
        past = arrivals(lists[2], first[2], other)
    both, direct = quantiles(through), quantiles(past)
    return {
        "through": both,
        "past": direct,
        "added_p95_ms": round((both["p95"] or 0) - (direct["p95"] or 0), 2),
        "lost": 2 * len(lists[0]) - len(through),
    }


async def tap_delay(phones: Phones, seconds: float) -> dict[str, Any]:
    """From a packet's leaving the telephone to its frame's being handed to whoever recognises."""
    late: list[float] = []
    code = QUIET * int(seconds * 50)
    async with pairs(phones, 1) as calls:
        agent, _ = calls[0]
        door = socket.socket(socket.AF_UNIX)
        door.connect(str(phones.data / "phone.sock"))
        door.sendall(b'{"do":"analyse"}\n')
        await asyncio.sleep(0.5)
        data, numbers, _, _ = socket.recv_fds(door, 65_536, 16)
        message = json.loads(data.split(b"\n")[1])
        taps = dict(zip(("caller", "callee"), (socket.socket(fileno=n) for n in numbers), strict=True))
        leg = SipBridgeLeg(ends("agent"))
        for side in taps:
            leg.formats(side, message["sides"][side]["formats"])
        await leg.open(taps)
        door.sendall(json.dumps({"do": "tap", "call": message["call"]}).encode() + b"\n")
        await asyncio.sleep(0.2)
        at: list[tuple[int, float]] = []

        async def listen() -> None:
            async for item in leg:
                if isinstance(item, AudioFrame) and item.speaker == "agent" and not item.silence_filled:
                    at.append((item.end_ms, time.monotonic()))

        listening = asyncio.create_task(listen())
        left = await agent.speak(code)
        await asyncio.sleep(0.3)
        leg.hung_up()
        await listening
    origin = at[0][0] - 20
    for end_ms, came in at:
        packet = (end_ms - origin) // 20 - 1
        if 10 <= packet < len(left):  # the first ones wait to learn which came on time
            late.append((came - left[packet]) * 1000)
    door.close()
    return quantiles(late)


async def per_core(phones: Phones, calls: int, seconds: float) -> dict[str, Any]:
    """CPU of the phone process for so many calls, both sides speaking, nobody analysing."""
    async with pairs(phones, calls) as talking:
        before, began = phones.cpu_s(), time.monotonic()
        await asyncio.gather(*(telephone.speak(QUIET * int(seconds * 50)) for pair in talking for telephone in pair))
        spent, wall = phones.cpu_s() - before, time.monotonic() - began
        await asyncio.sleep(0.3)
        sent = 2 * calls * int(seconds * 50)
        came = sum(len(telephone.heard) for pair in talking for telephone in pair)
    return {
        "calls": calls,
        "cpu_s": round(spent, 2),
        "wall_s": round(wall, 1),
        "lost": sent - came,
        "calls_per_core": int(calls * wall / spent) if spent else None,
    }


async def phone_to_card(phones: Phones, seconds: float) -> dict[str, Any]:
    """The sample call over two telephones and a server: from the end of a phrase to its card at the overlay's socket, and where the
    time between went; scripts/bench_live says the same of a call between two browsers."""
    resampler = av.AudioResampler(format="s16p", layout="stereo", rate=8000)
    with av.open(str(SAMPLE / "call.flac")) as container:
        blocks = [piece.to_ndarray() for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
    sound = np.concatenate(blocks, axis=1)[:, : int(seconds * 8000)]
    server = await asyncio.to_thread(Server.start, phones.data)
    try:
        await asyncio.sleep(2)
        async with pairs(phones, 1) as calls, server.client() as client:
            agent, prospect = calls[0]
            rows: list[Any] = []
            while not rows:
                rows = (await client.get("/api/calls")).json()["calls"]
                await asyncio.sleep(0.1)
            call = rows[0]["id"]
            (await client.post(f"/api/calls/{call}/consent", json={"state": "granted"})).raise_for_status()
            received = Received()
            watching = asyncio.create_task(watch(server, call, received, lambda m: m["type"] == "summary_made"))
            codes = [to_mu_law(side) for side in sound]
            left, _ = await asyncio.gather(agent.speak(codes[0]), prospect.speak(codes[1]))
            zero = left[0] - 0.02  # a packet leaves when its end has been spoken
            await asyncio.sleep(3)
            await agent.hang_up()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(watching, 15)
        times = times_of(received, reference(SAMPLE / "words.json"), zero, seconds)
    finally:
        await asyncio.to_thread(server.stop)
    return {
        "card_ms": quantiles(times.cards),
        "cards": [round(each) for each in times.cards],
        "last_word_ms": quantiles(times.last_words),
        "any_word_ms": quantiles(times.words),
        "final_ms": quantiles(times.finals),
        "hops_ms": {name: quantiles(values) for name, values in times.hops.items()},
    }


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    phones = Phones.start()
    try:
        found: dict[str, Any] = {"load": os.getloadavg()[0]}
        found["delay"] = await added_delay(phones, options.seconds)
        found["tap_to_recogniser_ms"] = await tap_delay(phones, options.seconds)
        found["capacity"] = await per_core(phones, options.calls, options.seconds)
        if options.cards:
            found["phone_to_card"] = await phone_to_card(phones, options.cards)
        return found
    finally:
        phones.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench_phone", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--calls", type=int, default=20, help="bridged at once for the calls per core")
    parser.add_argument("--cards", type=float, default=0.0, help="seconds of the sample call for phone to card; 0 leaves it out")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    options = parser.parse_args()
    found = asyncio.run(measure(options))
    if options.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:22} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
