"""What the log costs: appends a second and the time of one, by how many calls write at once; and how long a dead process's calls wait.

PostgreSQL is one of our own on loopback with fsync on, as in production. A take-over counts from SIGKILL of a process that
holds many calls to the moment at which another has each of them.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from coaching.events import CallStarted, UtteranceFinal
from scripts.programs.services import Postgres, ServiceMissing, children, throw_away
from web.bus import Bus
from web.holding import Holder
from web.log import CallLog
from web.store import Store, new_id
from web.tables import calls

_TEXT = "I hear you, and six percent is what most people have in mind until they see what is in it."
_LEASE_S = 3.0
_UP_S = 20.0


def utterance(n: int) -> UtteranceFinal:
    return UtteranceFinal(
        utterance=f"a{n}", speaker="agent", start_ms=n, end_ms=n + 900, text=_TEXT, spoken=_TEXT, words=(), model="tiny.en"
    )


async def begun(holder: Holder) -> CallLog:
    call = new_id()
    await holder.store.start_call(call, None, CallStarted(mode="sample"), holder=holder.name, lease_s=_LEASE_S)
    lease = await holder.leases.of(call)
    assert lease is not None
    log = holder.hold(lease).log
    await log.append([CallStarted(mode="sample")])
    return log


def cpu_s(pid: int) -> float:
    ticks = 0
    for each in (pid, *children(pid)):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += sum(int(field) for field in fields[11:15])  # with children that have ended
    return ticks / os.sysconf("SC_CLK_TCK")


async def appends(store: Store, at_once: int, seconds: float, postgres: int | None) -> dict[str, Any]:
    """``at_once`` calls, each appending one event after the other."""
    logs = [await begun(Holder(store, Bus(), 60.0)) for _ in range(at_once)]
    took: list[float] = []
    until, ours, theirs = time.monotonic() + seconds, resource.getrusage(resource.RUSAGE_SELF), cpu_s(postgres) if postgres else 0.0
    began = time.monotonic()

    async def write(log: CallLog) -> None:
        n = 0
        while time.monotonic() < until:
            before, n = time.monotonic(), n + 1
            await log.append([utterance(n)])
            took.append(time.monotonic() - before)

    await asyncio.gather(*(write(log) for log in logs))
    length, now = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    took.sort()
    for log in logs:
        await log.close()
    cpu = now.ru_utime + now.ru_stime - ours.ru_utime - ours.ru_stime
    return {
        "calls": at_once,
        "events_per_s": round(len(took) / length),
        "p50_ms": round(took[len(took) // 2] * 1000, 1),
        "p95_ms": round(took[int(len(took) * 0.95)] * 1000, 1),
        "our_cpu_ms_per_event": round(cpu / len(took) * 1000, 2),
        "database_cpu_ms_per_event": round((cpu_s(postgres) - theirs) / len(took) * 1000, 2) if postgres else None,
    }


_HOLDS = """
import asyncio, sys
from pathlib import Path
from scripts.programs.bench_store import begun
from web.bus import Bus
from web.holding import Holder
from web.store import Store

async def main(folder, url, count, lease_s):
    holder = Holder(await Store.open(Path(folder), url, patience_s=20), Bus(), float(lease_s))
    async def notice(*_, **__): pass
    async def obey(*_): return {}
    async with asyncio.TaskGroup() as group:
        for _ in range(int(count)):
            log = await begun(holder)
            group.create_task(holder.hold(log.lease, log.last).keep(obey, notice))
            await asyncio.sleep(0.13)
        print("holding", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def takeovers(folder: Path, url: str, count: int, kills: int) -> dict[str, Any]:
    store = await Store.open(folder, url, patience_s=_UP_S)
    holder, waited = Holder(store, Bus(), _LEASE_S), list[float]()
    killed = [float("inf")]

    async def watch() -> None:
        while True:
            for vacant in await holder.leases.vacant():
                if await holder.leases.takeover(vacant.call, holder.name, vacant.epoch) is not None:
                    waited.append(time.monotonic() - killed[0])
                    async with store.write() as connection:  # over: nobody goes on with it here
                        await connection.execute(sa.update(calls).where(calls.c.id == vacant.call).values(ended_at=time.time()))
            await asyncio.sleep(_LEASE_S / 8)

    watching = asyncio.create_task(watch())
    try:
        for _ in range(kills):
            command = [sys.executable, "-c", _HOLDS, str(folder), url, str(count), str(_LEASE_S)]
            process = await asyncio.to_thread(subprocess.Popen, command, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            await asyncio.to_thread(process.stdout.readline)
            await asyncio.sleep(_LEASE_S * 1.5)
            early, waiting = len(waited), len(waited) + count
            process.send_signal(signal.SIGKILL)
            killed[0] = time.monotonic()
            process.wait()
            process.stdout.close()
            assert early % count == 0, "a living call was taken over"
            for _ in range(300):
                await asyncio.sleep(0.1)
                if len(waited) >= waiting:
                    break
    finally:
        watching.cancel()
        await asyncio.wait({watching})
        await store.close()
    waited.sort()
    figures = {"p50_s": waited[len(waited) // 2], "p95_s": waited[int(len(waited) * 0.95)], "max_s": waited[-1]}
    return {"lease_s": _LEASE_S, "n": len(waited), **{name: round(value, 2) for name, value in figures.items()}}


def tell(what: str, figures: dict[str, Any]) -> None:
    print(json.dumps({"what": what, "load": round(os.getloadavg()[0], 1), **figures}), flush=True)


async def measure(seconds: float, kills: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = await Store.open(Path(folder))
        for at_once in (1, 10):
            tell("sqlite", await appends(store, at_once, seconds, None))
        await store.close()
    thrown = throw_away()
    postgres = Postgres(thrown / "postgres", fsync=True)
    try:
        postgres.start()
        assert postgres.process is not None
        with tempfile.TemporaryDirectory() as folder:
            store = await Store.open(Path(folder), postgres.url, patience_s=_UP_S)
            for at_once in (1, 10, 20):
                tell("postgresql", await appends(store, at_once, seconds, postgres.process.pid))
            await store.close()
            tell("take-over", await takeovers(Path(folder), postgres.fresh(), 20, kills))
    finally:
        postgres.stop()
        shutil.rmtree(thrown, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench_store", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measurement of appends")
    parser.add_argument("--kills", type=int, default=4, help="processes of 20 calls each that are killed")
    chosen = parser.parse_args()
    try:
        asyncio.run(measure(chosen.seconds, chosen.kills))
    except ServiceMissing as missing:
        print(missing, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
