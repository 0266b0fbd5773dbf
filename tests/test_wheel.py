"""A wheel of this project holds all that runs: unpacked somewhere else, its models open and its pages are there."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("voice", "coaching", "intelligence", "web")
OPENS = """
import asyncio
from web.app import SAMPLE, UI
from web.compose import Machine
from web.settings import Settings

async def main():
    machine = await Machine.open(Settings.read(), process=False)
    await machine.models.aclose()
    assert (SAMPLE / "call.flac").is_file()
    print("opened from", __import__("web").__path__[0], "pages", (UI / "index.html").is_file())

asyncio.run(main())
"""


def test_what_is_installed_from_a_wheel_runs(tmp_path: Path) -> None:
    """Built from a copy, for a build leaves files behind; run where the checkout is not on the path."""
    source, unpacked = tmp_path / "source", tmp_path / "unpacked"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("node_modules", "__pycache__", "calls"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source / name)
    build = (
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        str(tmp_path),
        str(source),
    )
    subprocess.run(build, check=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(unpacked)
    where = {**os.environ, "PYTHONPATH": str(unpacked), "SOTTOVOCE_DATA": str(tmp_path / "data")}
    ran = subprocess.run((sys.executable, "-P", "-c", OPENS), cwd=tmp_path, env=where, capture_output=True, text=True, timeout=300)
    assert ran.stdout.split() == ["opened", "from", str(unpacked / "web"), "pages", "True"], ran.stderr[-3000:]
