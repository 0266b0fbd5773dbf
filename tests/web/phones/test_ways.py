"""What the doctor says of the ways in for telephones."""

import socket
from pathlib import Path

import pytest

from web.phones.ways import said
from web.settings import SettingRefused, Settings


def lines(tmp_path: Path, **given: str) -> str:
    settings = Settings.read({"SOTTOVOCE_DATA": str(tmp_path), **{f"SOTTOVOCE_{name}": value for name, value in given.items()}})
    return "\n".join(f"{state} {line}" for state, line in said(settings))


def test_nothing_set_up_is_no_fault(tmp_path: Path) -> None:
    """Without telephones there are two notes, and what to read."""
    assert "missing" not in lines(tmp_path)
    assert "note no carrier's stream" in lines(tmp_path)


def test_a_wrong_phones_file_is_named_with_its_line(tmp_path: Path) -> None:
    """The doctor says what the server would refuse to start with."""
    (tmp_path / "phones.toml").write_text("[dialing]\nopen = [3]\n")
    assert "missing phones file: phones.toml, line 2: dialing.open" in lines(tmp_path)


def test_a_token_without_an_address_is_half_a_way(tmp_path: Path) -> None:
    """Twilio needs an https address; with one the doctor says what to enter there; a key that is none is said."""
    assert "missing Twilio's calls: Carriers reach us by https" in lines(tmp_path, TWILIO_TOKEN="t")
    right = lines(tmp_path, TWILIO_TOKEN="t", TELNYX_KEY="nonsense", ORIGINS="https://coach.example")
    assert "ok Twilio's calls are taken at https://coach.example/carriers/twilio/voice" in right
    assert "missing Telnyx's calls: SOTTOVOCE_TELNYX_KEY is not the public key" in right


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    """AudioSocket's port is tried, and a short secret is refused at once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = f"127.0.0.1:{taken.getsockname()[1]}"
        assert "cannot be listened on" in lines(tmp_path, AUDIOSOCKET=port, AUDIOSOCKET_SECRET="long enough a secret")
    assert "is free" in lines(tmp_path, AUDIOSOCKET=port, AUDIOSOCKET_SECRET="long enough a secret")
    with pytest.raises(SettingRefused, match="twelve characters"):
        lines(tmp_path, AUDIOSOCKET=port, AUDIOSOCKET_SECRET="short")
    with pytest.raises(SettingRefused, match="an address and a port"):
        lines(tmp_path, AUDIOSOCKET="9092", AUDIOSOCKET_SECRET="long enough a secret")
