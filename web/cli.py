"""`sottovoce serve | phone | agent | sign-in | doctor | listen`: what a person types."""

import argparse
import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

import uvicorn

from coaching.experiments import report_of
from coaching.playbook import PlaybookRefused
from intelligence.conversation.fitting import NotEnoughCalls
from voice.legs import RoomsMissing
from voice.legs.microphone import MicrophoneMissing, devices
from voice.models.weights import WeightsRefused
from voice.models.whisper import RecogniserFailed
from voice.sip.accounts import SipRefused
from web.api.more import missing
from web.app import build_app
from web.auth import Doors
from web.compose import Machine
from web.database import DatabaseRefused, StoreAway
from web.doctor import doctor, first_calibration
from web.experiments import lines_of
from web.fitting import fit_calls
from web.phones.plan import PlanRefused
from web.settings import SettingRefused, Settings
from web.store import Store
from web.terminal import first_sentence, listen

_DATABASE_UP_S: Final = 15.0  # where all servers start at once, PostgreSQL may be the last


class _Server(uvicorn.Server):
    """Says where it is reached once it is."""

    def __init__(self, config: uvicorn.Config, settings: Settings, app: Any) -> None:
        super().__init__(config)
        self._settings, self._app = settings, app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            await self._greet()

    async def _greet(self) -> None:
        doors: Doors = self._app.app.state.doors
        address = self._settings.address
        print(f"Sottovoce is at {address}", flush=True)
        for each in missing(self._settings):
            print(f"  missing: {each.what}: {each.why}. {each.fix[0].upper()}{each.fix[1:]}.", flush=True)
        if await doors.anybody_signed_in():
            print("  sign in on another browser: sottovoce sign-in", flush=True)
        else:
            print(f"  open this link to sign in (works once): {address}/sign-in?token={await doors.sign_in_token()}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._app.app.state.sockets.going_down()  # else uvicorn waits for them
        await self._app.app.state.carriers.going_down()
        await super().shutdown(sockets)


def serve(settings: Settings) -> int:
    try:
        listening = _listen(settings)
    except OSError as failure:
        if failure.errno == errno.EADDRINUSE:
            print(
                f"Port {settings.port} is in use: Sottovoce may run already. Stop what uses it, or choose another: "
                f"SOTTOVOCE_PORT={settings.port + 1} sottovoce serve",
                file=sys.stderr,
            )
        else:
            print(f"Cannot listen on {settings.host}:{settings.port}: {failure.strerror}", file=sys.stderr)
        return 1
    settings = replace(settings, port=listening.getsockname()[1])  # port 0: any free one
    return asyncio.run(_serve(settings, listening))


async def _serve(settings: Settings, listening: socket.socket) -> int:
    """Opens what every call needs first, so that a fault in it is said as a sentence before anything is served."""
    store = await Store.open(settings.data, settings.database, patience_s=_DATABASE_UP_S)
    try:
        machine = await Machine.open(settings)
    except BaseException:
        await store.close()
        raise
    if (measured := await first_calibration(settings, machine.models.calibrate)) is not None:
        print(f"Recogniser: {measured.sentence()}", flush=True)
    app = build_app(settings, store=store, machine=machine)
    config = uvicorn.Config(app, log_level="warning", access_log=False, ws_max_size=1 << 17, timeout_graceful_shutdown=5, lifespan="on")
    server = _Server(config, settings, app)
    await server.serve(sockets=[listening])
    return 0 if server.started else 1


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(256)
    except OSError:
        listening.close()
        raise
    return listening


@contextlib.asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[Store]:
    store = await Store.open(settings.data, settings.database)
    try:
        yield store
    finally:
        await store.close()


def _livekit(settings: Settings) -> None:
    if not (settings.livekit_url and settings.livekit_key and settings.livekit_secret):
        raise SettingRefused("Set SOTTOVOCE_LIVEKIT_URL, SOTTOVOCE_LIVEKIT_KEY and SOTTOVOCE_LIVEKIT_SECRET first; see docs/livekit.md.")


def run_agent(settings: Settings) -> int:
    _livekit(settings)
    if not settings.database:
        raise SettingRefused("The agent needs a database that many processes share: set SOTTOVOCE_DATABASE to PostgreSQL's URL.")
    from web.livekit.worker import agent  # an extra

    return asyncio.run(agent(settings, _say))


async def sip(settings: Settings, what: str) -> int:
    """Enters trunk and rule at livekit-server, or compares what is there with the settings."""
    from web.livekit.server import Rooms, RoomsAway  # an extra
    from web.livekit.trunks import Trunks

    rooms = Rooms(settings)
    try:
        trunks = Trunks(settings, rooms)
        found = await (trunks.setup() if what == "setup" else trunks.check())
    except RoomsAway as away:
        print(f"livekit-server at {settings.livekit_url} does not answer ({away}).", file=sys.stderr)
        return 1
    finally:
        await rooms.aclose()
    for wrong in found.wrong:
        print(f"wrong    {wrong}")
    if not found.wrong:
        print(f"ok       trunks {found.inbound} (in), {found.outbound} (out), rule {found.rule}")
    return 1 if found.wrong else 0


async def sign_in(settings: Settings) -> int:
    async with _store(settings) as store:
        token = await Doors(store).sign_in_token()
    print(f"Open within an hour (works once): {settings.address}/sign-in?token={token}")
    return 0


def _port_is_free(settings: Settings) -> bool:
    try:
        _listen(settings).close()
    except OSError:
        return False
    return True


async def fit(settings: Settings) -> int:
    """Calibrates the chance of a next step on the ended calls of this server."""
    async with _store(settings) as store:
        machine = await Machine.open(settings, process=False)
        try:
            fitted = await fit_calls(store, machine, settings.data)
        finally:
            await machine.models.aclose()
    print(
        f"{fitted.calibration.n} calls; Brier score out of fold {fitted.brier}, of the prior {fitted.brier_prior}, of the base rate {fitted.brier_rate}"
    )
    print("Kept: the chance of a next step now rests on these calls." if fitted.better else "Not kept: it is no better than what we had.")
    return 0


def phone(settings: Settings) -> int:
    # Imported here: sippy's loop belongs to the thread that imports it, and nobody else needs it.
    from web.phones.phone import serve_phones

    return serve_phones(settings, _say)


async def experiment(settings: Settings, name: str) -> int:
    """What may be said about the strategies of an experiment now."""
    name = name or settings.experiment
    if not name:
        raise SettingRefused("No experiment runs: set SOTTOVOCE_EXPERIMENT to a name, or say which one: sottovoce experiment NAME.")
    async with _store(settings) as store:
        _say(lines_of(name, report_of(await store.experiment_outcomes(name))))
    return 0


def _device(given: str) -> str | int:
    return int(given) if given.isdigit() else given


def _say(line: str) -> None:
    print(line, flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="sottovoce", description="A self-hosted, real-time voice coach for real-estate calls.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, told in (
        ("agent", "coach calls in LiveKit rooms; as many of these as are needed, on as many machines"),
        ("serve", "serve the pages and calls on this computer"),
        ("sign-in", "print a one-time link to sign in with"),
        ("doctor", "check what is here and what is missing"),
        ("phone", "take telephone calls: softphones, PBXs and trunks by SIP, beside `sottovoce serve`"),
    ):
        commands.add_parser(name, help=told)
    phones = commands.add_parser("sip", help="telephones in LiveKit rooms: the trunk and the rule at livekit-server")
    phones.add_argument("what", choices=("setup", "check"), help="setup: enter what the settings say; check: compare")
    kept = commands.add_parser("calls", help="what the ended calls of this server teach")
    kept.add_argument("what", choices=("fit",), help="fit: calibrate the chance of a next step on their outcomes")
    trial = commands.add_parser("experiment", help="which strategy of answering works better, and what may be claimed")
    trial.add_argument("name", nargs="?", default="", help="of the experiment (default: SOTTOVOCE_EXPERIMENT)")
    listening = commands.add_parser("listen", help="coach a call in this terminal, with this computer's microphone")
    listening.add_argument("--agent", type=_device, help="your microphone: a name or number (default: the system's)")
    listening.add_argument("--prospect", type=_device, help="the other side: a loopback or monitor device")
    listening.add_argument("--granted", action="store_true", help="the other side has agreed to be listened to")
    listening.add_argument("--devices", action="store_true", help="list the devices that can record, and end")
    chosen = parser.parse_args(arguments)
    try:
        settings = Settings.read()
        match chosen.command:
            case "serve":
                return serve(settings)
            case "agent":
                return run_agent(settings)
            case "sip":
                _livekit(settings)
                return asyncio.run(sip(settings, chosen.what))
            case "sign-in":
                return asyncio.run(sign_in(settings))
            case "experiment":
                return asyncio.run(experiment(settings, chosen.name))
            case "calls":
                return asyncio.run(fit(settings))
            case "phone":
                return phone(settings)
            case "listen" if chosen.devices:
                for each in devices():
                    print(f"{each.number:3}  {each.name}{'  (default)' if each.default else ''}")
                return 0
            case "listen":
                return asyncio.run(listen(settings, chosen.agent, chosen.prospect, granted=chosen.granted, say=_say))
            case _:
                return doctor(settings, _port_is_free, _say)
    except BaseExceptionGroup as failed:
        print(first_sentence(failed.exceptions), file=sys.stderr)
        return 1
    except (StoreAway, DatabaseRefused) as failure:
        print(
            failure
            if isinstance(failure, DatabaseRefused)
            else "The database does not answer: is PostgreSQL up, and is SOTTOVOCE_DATABASE right?",
            file=sys.stderr,
        )
        return 1
    except (
        RoomsMissing,
        NotEnoughCalls,
        SettingRefused,
        MicrophoneMissing,
        WeightsRefused,
        RecogniserFailed,
        PlaybookRefused,
        PlanRefused,
        SipRefused,
    ) as refused:
        print(refused, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
