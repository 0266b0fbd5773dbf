"""Documents that fail when they lie."""

import os
import re
from pathlib import Path

import pytest

from scripts.programs.tables import TABLES, written
from web.settings import SETTINGS

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("table", list(TABLES))
def test_the_readmes_tables_are_the_codes(table: str) -> None:
    """The README's tables of settings and events are what the code says (scripts/tables writes them)."""
    readme = (ROOT / "README.md").read_text()
    assert TABLES[table]() in readme
    assert written(readme) == readme


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_what_a_document_names_exists(document: Path) -> None:
    """Every command, file and link that a document names is there."""
    text = document.read_text()
    named = set(re.findall(r"`((?:scripts|docs|web|voice|coaching|intelligence|tests)/[\w./-]*\w)", text))
    named |= {target for target in re.findall(r"\]\(([^)#:]+)\)", text) if not target.startswith("http")}
    missing = [name for name in named if not (ROOT / name).exists() and not (document.parent / name).exists()]
    assert not [m for m in missing if not m.startswith("web/ui/dist")], missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_every_setting_that_a_document_names_exists(document: Path) -> None:
    """No document speaks of a setting that the code does not read."""
    known = {s.name for s in SETTINGS} | {"SOTTOVOCE_REQUIRE", "SOTTOVOCE_SHARED_DATA"}
    assert set(re.findall(r"SOTTOVOCE_[A-Z_]+", document.read_text())) <= known


def test_every_command_can_be_run() -> None:
    """Everything directly in scripts/ is executable and says what it is for."""
    for script in (p for p in (ROOT / "scripts").iterdir() if p.is_file() and p.suffix == ""):
        assert os.access(script, os.X_OK), script.name
        assert any(line.startswith("# ") for line in script.read_text().splitlines()[:4]), script.name
