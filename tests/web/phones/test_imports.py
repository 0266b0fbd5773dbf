"""sippy's loop belongs to the thread that imports it: nobody but the phone process may."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_sippy_is_imported_by_the_phone_process_alone() -> None:
    """Only files of voice/sip import it; the two that the server imports from there do not."""
    importing = {
        str(file.relative_to(ROOT))
        for package in ("voice", "coaching", "intelligence", "web")
        for file in (ROOT / package).rglob("*.py")
        if "node_modules" not in file.parts and re.search(r"^\s*(from|import) (sippy|rtp)\b", file.read_text(), re.M)
    }
    assert importing
    assert all(name.startswith("voice/sip/") for name in importing)
    assert not {"voice/sip/door.py", "voice/sip/accounts.py", "voice/sip/__init__.py"} & importing
    server = {str(file.relative_to(ROOT)) for file in (ROOT / "web").rglob("*.py") if "voice.sip.server" in file.read_text()}
    assert server == {"web/phones/phone.py"}


def test_g722_is_imported_once() -> None:
    """Each outside engine in one file."""
    files = [
        file for package in ("voice", "web") for file in (ROOT / package).rglob("*.py") if re.search(r"^from G722", file.read_text(), re.M)
    ]
    assert [file.name for file in files] == ["rtp.py"]
