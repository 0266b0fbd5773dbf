"""`sottovoce phone`: the phone process with this installation's files. It needs neither the database nor the recogniser."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

from voice.legs.pcm import RecordingRefused
from voice.sip.accounts import NAME, SipRefused, read
from voice.sip.door import NAME as DOOR
from voice.sip.prompts import Prompt, prepare
from voice.sip.server import Dialled, SipServer
from web.phones.plan import PlanFile, PlanRefused, plan_file
from web.settings import SettingRefused, Settings


def serve_phones(settings: Settings, say: Callable[[str], None]) -> int:
    """Until SIGINT or SIGTERM. Raises SipRefused or PlanRefused; each message is for a person."""
    data = settings.data.resolve()  # the process works in a folder of its own soon
    data.mkdir(parents=True, exist_ok=True)
    accounts = read(settings.sip or data / NAME)
    plan = plan_file(data, settings.phones.resolve() if settings.phones else None)
    server = SipServer(accounts, data, data / DOOR, lambda number: weighed(plan, number), lambda: announcement(plan, data))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.stop())
    try:
        browsers = f" and {accounts.wss.port} (browsers, WSS)" if accounts.wss is not None else ""
        server.run(lambda: say(f"Phones are taken at {accounts.listen.address}:{accounts.listen.port} (UDP){browsers}"))
    except OSError as failure:
        raise SipRefused(f"Phones cannot be taken at {accounts.listen.address}:{accounts.listen.port}: {failure}") from failure
    return 0


def main() -> int:
    """The command, as a program of its own."""
    try:
        return serve_phones(Settings.read(), lambda line: print(line, flush=True))
    except (SipRefused, PlanRefused, SettingRefused) as refused:
        print(refused, file=sys.stderr)
        return 1


def announcement(plan: PlanFile, data: Path) -> Prompt | None:
    """What callers hear first, by the phones file; a file that cannot be played is as if none were named, and said so at start."""
    file = plan.current().announcement_file
    if file is None:
        return None
    try:
        return prepare(file, data / "prompts")
    except (RecordingRefused, OSError) as failure:
        print(f"The announcement {file} cannot be played: {failure}", file=sys.stderr)
        return None


def weighed(plan: PlanFile, number: str) -> Dialled:
    """What the rules say that need no list."""
    verdict = plan.current().dialing.weigh(number)
    return Dialled(verdict.number, verdict.why, emergency=verdict.refused == "emergency")
