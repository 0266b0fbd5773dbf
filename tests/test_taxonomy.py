"""Our copy of the shared words."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def shared() -> Path:
    return Path(os.environ.get("SOTTOVOCE_SHARED_DATA", ROOT.parent / "shared" / "data")).parent


def test_taxonomy_is_the_shared_one() -> None:
    """The project's copy of the taxonomy equals the shared one, byte for byte."""
    theirs = shared() / "taxonomy.toml"
    if not theirs.exists():
        pytest.skip("../shared/taxonomy.toml is missing")
    ours = ROOT / "intelligence" / "conversation" / "taxonomy.toml"
    assert ours.read_bytes() == theirs.read_bytes()
