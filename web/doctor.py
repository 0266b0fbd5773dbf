"""`sottovoce doctor`: what is here, what is missing, and which recogniser this computer can run live and why."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from voice.models.calibration import Calibration, calibrate
from voice.models.engine import EngineSettings, device_of, model_folder
from voice.models.weights import SILERO, WHISPER, WeightsRefused, file_of
from voice.models.whisper import RecogniserFailed, Whisper
from web.api.more import missing
from web.compose import engine_settings
from web.doctor_servers import server_lines
from web.phones.standing import told
from web.phones.ways import said
from web.settings import Settings

_FILE: Final = "calibration.json"


def doctor(settings: Settings, port_is_free: Callable[[Settings], bool], say: Callable[[str], None]) -> int:
    """1 when calls cannot work."""
    cache, wrong = settings.data / "weights", False
    try:
        file_of(SILERO, "silero_vad.onnx", folder=_weights(settings), cache=cache)
        say("ok       speech detection")
    except WeightsRefused as refused:
        wrong = True
        say(f"missing  speech detection: {refused}")
    found: list[Calibration] = []
    for name, wanted in _models(settings):
        try:
            found.append(_measured(name, settings))
        except (WeightsRefused, RecogniserFailed) as refused:
            wrong = wrong or wanted
            say(f"missing  recogniser {name}: {refused}")
        else:
            say(f"{'ok' if wanted else 'note':8} recogniser {found[-1].sentence()}")
    for line in advice(found, settings):
        say(f"note     {line}")
    store(settings.data, found)
    free = port_is_free(settings)
    say(f"ok       port {settings.port} is free" if free else f"note     port {settings.port} is in use (fine if Sottovoce is running)")
    for level, sentence in asyncio.run(server_lines(settings)):
        wrong = wrong or level == "missing"
        say(f"{level:8} {sentence}")
    if settings.livekit_url and settings.livekit_key and settings.livekit_secret:
        from web.livekit.doctor import lines  # an extra

        for level, sentence in asyncio.run(lines(settings)):
            wrong = wrong or level == "missing"
            say(f"{level:8} {sentence}")
    for state, line in (*said(settings), *told(settings)):
        say(f"{state:8} {line}")
    for each in missing(settings):
        say(f"missing  {each.what}: {each.why}; {each.fix}")
    say(f"ok       data in {settings.data}")
    return 1 if wrong else 0


def advice(found: list[Calibration], settings: Settings) -> list[str]:
    """What the figures mean for the settings, one sentence each."""
    by_name = {c.model: c for c in found}
    lines = []
    chosen = by_name.get(settings.model)
    if chosen is not None and chosen.use != "live":
        fastest = "" if settings.model == "tiny.en" else "; SOTTOVOCE_MODEL=tiny.en is faster"
        lines.append(f"captions will come late with {settings.model} on this computer{fastest}")
    base = by_name.get("base")
    if base is not None and "base" not in (settings.model, settings.final_model, settings.second_model):
        if base.use in ("live", "finals"):
            lines.append(
                "base makes about a third fewer errors on telephones: SOTTOVOCE_FINAL_MODEL=base reads finished utterances with it"
            )
        elif base.use == "second":
            lines.append(
                "base makes about a third fewer errors on telephones: SOTTOVOCE_SECOND_MODEL=base reads finished utterances again with it"
            )
    return lines


async def first_calibration(settings: Settings, measure: Callable[[], Awaitable[Calibration]]) -> Calibration | None:
    """At the first start, or on another machine: measure the model that runs, keep the figures; None when they are known."""
    if any(c.model == settings.model for c in stored(settings.data)):
        return None
    measured = await measure()
    store(settings.data, [measured])
    return measured


def store(data: Path, found: list[Calibration]) -> None:
    if not found:
        return
    data.mkdir(parents=True, exist_ok=True)
    known = {c.model: c for c in stored(data)} | {c.model: c for c in found}
    (data / _FILE).write_text(json.dumps({"cores": os.cpu_count(), "models": [asdict(c) for c in known.values()]}, indent=1) + "\n")


def stored(data: Path) -> list[Calibration]:
    """What was measured on this machine; nothing when the data folder came from another."""
    try:
        kept = json.loads((data / _FILE).read_text())
        return [Calibration(**each) for each in kept["models"]] if kept["cores"] == os.cpu_count() else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _models(settings: Settings) -> Iterator[tuple[str, bool]]:
    """(name, whether calls need it): those that are set, then the packaged ones."""
    wanted = dict.fromkeys(n for n in (settings.model, settings.final_model, settings.second_model) if n)
    yield from ((name, True) for name in wanted)
    yield from ((name, False) for name in WHISPER if name not in wanted)


def _measured(name: str, settings: Settings) -> Calibration:
    engine: EngineSettings = engine_settings(settings)
    device, compute = device_of(engine)
    folder = model_folder(name, _weights(settings), Path(engine.cache))
    return calibrate(Whisper(folder, name, device=device, compute=compute, workers=1), device)


def _weights(settings: Settings) -> Path | None:
    return Path(settings.weights) if settings.weights else None
