"""A recording (one channel per speaker) through the live path of a call; its events as JSON Lines, each line flushed.

Nothing is stored and no server is needed: the same legs, engine, modules and pacing as in a live call, with a log in memory.
"""

import argparse
import asyncio
import datetime
import json
import sys
import tempfile
from pathlib import Path

from coaching.call import Call
from coaching.events import CallStarted, Contact, Logged
from coaching.playbook import PlaybookRefused
from coaching.record import MemoryLog
from voice.legs.pcm import RecordingRefused
from voice.legs.recording import RecordingLeg, check_recording
from voice.models.weights import WeightsRefused
from voice.models.whisper import RecogniserFailed
from web.compose import Machine
from web.settings import SettingRefused, Settings


def tell(logged: Logged) -> None:
    print(json.dumps(logged.wire()), flush=True)


async def replay(chosen: argparse.Namespace) -> None:
    await asyncio.to_thread(check_recording, chosen.file)
    machine = await Machine.open(Settings.read(), process=False)
    folder = tempfile.TemporaryDirectory()
    try:
        file, agent = chosen.file, chosen.agent
        if agent != "mono" and await asyncio.to_thread(machine.two_sided, file, Path(folder.name) / "two.wav"):
            file, agent = Path(folder.name) / "two.wav", "left"
        leg = RecordingLeg(file, agent=agent, pace=chosen.pace)
        started = CallStarted(mode="replay", today=chosen.today, contact=Contact(name=chosen.name))
        call = Call("replay", started, machine.parts("replay", started, leg, MemoryLog("replay", tell)))
        await call.run()
    finally:
        folder.cleanup()
        await machine.models.aclose()


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/replay", description=__doc__)
    parser.add_argument("file", type=Path, help="any sound file; with two channels one is the agent's")
    parser.add_argument(
        "--agent",
        choices=("left", "right", "mono"),
        default="left",
        help="the agent's channel (one channel: two voices are told apart, the first is the agent); mono: one channel, the agent alone",
    )
    parser.add_argument("--pace", type=float, default=0.0, help="1: in real time; 0: as fast as it goes (default)")
    parser.add_argument(
        "--today", default=datetime.datetime.now().astimezone().date().isoformat(), help="the date of the call, for relative dates"
    )
    parser.add_argument("--name", default="", help="the prospect's name")
    try:
        asyncio.run(replay(parser.parse_args()))
    except (RecordingRefused, WeightsRefused, RecogniserFailed, PlaybookRefused, SettingRefused, FileNotFoundError) as refused:
        print(refused, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
