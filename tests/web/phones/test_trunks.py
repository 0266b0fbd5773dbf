"""Around a call: what is said before it, the call to oneself, our registration elsewhere, and whether the others answer."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from scripts.programs.telephone import Refused, Telephone
from tests.phones import (
    AGENT_NUMBER,
    CONNECTS,
    PASSWORD,
    PROSPECT_NUMBER,
    Analysis,
    PhoneProcess,
    free_port,
    likeness,
    listening,
    media_ports,
    phone,
    said,
    trunk,
    until,
    write_wav,
)
from voice.legs.telephony import a_law, mu_law, to_a_law, to_mu_law
from voice.sip.accounts import SipRefused, read
from web.phones.standing import sentences, told
from web.settings import Settings

pytestmark = [pytest.mark.timeout(60)]


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return {"carrier": free_port(), "pbx": free_port(), "own": free_port()}


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int]) -> Iterator[PhoneProcess]:
    data = tmp_path_factory.mktemp("phone")
    write_wav(data / "consent.wav", said(0.7, 3.7)[0])
    (data / "phones.toml").write_text('[announcement]\nfile = "consent.wav"\n')
    carrier = trunk("carrier", ports["carrier"], "ring = ['dana']", options_s=1)
    pbx = trunk("pbx", ports["pbx"], f"outbound = false\nregister = true\nuser = 'coach'\npassword = '{PASSWORD}'")
    text = listening(media_ports(20), ports["own"]) + CONNECTS + phone("dana") + carrier + pbx
    process = PhoneProcess(data, text)
    yield process
    process.stop()


@pytest.fixture
def server(ports: dict[str, int]) -> str:
    return f"127.0.0.1:{ports['own']}"


async def test_the_caller_hears_the_announcement_before_the_phone_rings(phones: PhoneProcess, ports: dict[str, int], server: str) -> None:
    """A file is played to whoever calls from outside; then the phone rings, and the call is told as announced."""
    analysis = Analysis(phones)
    try:
        async with Telephone("c", server, port=ports["carrier"]) as carrier, Telephone("dana", server, password=PASSWORD) as agent:
            assert (await agent.register()).status == 200
            await carrier.call(AGENT_NUMBER)
            speaking = asyncio.create_task(carrier.speak(b"\xff" * 160 * 300))
            await asyncio.sleep(1)
            assert agent.requests.empty()
            await agent.answer()
            heard = b"".join(h.data[12:] for h in carrier.heard if h.data[1] & 0x7F == 0)
            assert likeness(mu_law(heard), said(0.7, 3.7)[0]) > 0.9
            call = (await asyncio.to_thread(until, lambda: analysis.events("call")))[0]
            assert call["announced"].startswith("consent.wav (SHA-256 ")
            before = len(carrier.heard)
            await agent.speak(b"\xff" * 160 * 20)
            assert len(carrier.heard) - before >= 15
            speaking.cancel()
            await asyncio.wait([speaking])
            await agent.hang_up()
            await asyncio.wait_for(carrier.ended.wait(), 5)
    finally:
        analysis.close()


async def test_a_call_to_oneself_is_an_echo(phones: PhoneProcess, server: str) -> None:
    """*43 from a phone: what it says comes back."""
    async with Telephone("dana", server, password=PASSWORD) as agent:
        await agent.call("*43")
        await agent.speak(b"\x80" * 160 * 50)
        await asyncio.sleep(0.2)
        assert len(agent.heard) >= 48
        assert all(h.data[12:] == b"\x80" * 160 for h in agent.heard)
        await agent.hang_up()
    await asyncio.to_thread(until, lambda: not phones.state()["calls"], 5)


async def test_we_register_at_a_pbx_and_ask_whether_a_trunk_is_there(phones: PhoneProcess, ports: dict[str, int], server: str) -> None:
    """Digest towards the PBX; OPTIONS towards the trunk, its last answer told."""
    async with Telephone("p", server, port=ports["pbx"]) as pbx, Telephone("c", server, port=ports["carrier"]) as carrier:
        asked = await carrier.asked("OPTIONS")
        carrier.reply(asked, 200, "OK")
        register = await pbx.asked("REGISTER", 40)
        if "authorization" not in dict(register.headers):
            pbx.reply(register, 401, "Unauthorized", more=['WWW-Authenticate: Digest realm="pbx",nonce="xyz",algorithm=MD5,qop="auth"'])
            register = await pbx.asked("REGISTER")
        assert 'username="coach"' in register.get("authorization")
        pbx.reply(register, 200, "OK", more=["Expires: 120"])
        rows = await asyncio.to_thread(
            until,
            lambda: found if (found := phones.state()["trunks"]) and found[1]["registered"] == "yes" and found[0]["options"] else None,
        )
        assert rows[0]["options"] == "200 OK"
        lines = list(sentences(phones.state()))
        assert ("ok", f"trunk pbx (127.0.0.1:{ports['pbx']}): we are registered") in lines
        assert any("OPTIONS answered 200 OK" in line for _, line in lines)
        assert any("dial *43" in line for _, line in lines)


async def test_nobody_rings_for_a_number_without_phones(ports: dict[str, int], phones: PhoneProcess, server: str) -> None:
    """A trunk without ring: 404."""
    async with Telephone("p", server, port=ports["pbx"]) as pbx:
        with pytest.raises(Refused, match="404"):
            await pbx.call(PROSPECT_NUMBER)


@pytest.mark.parametrize(
    ("text", "said_"),
    [
        ('[[phone]]\nuser = "dana"\npassword = "short"\n', "password"),
        ('[[trunk]]\nname = "a"\naddress = "h"\nring = ["nobody"]\n', "nobody"),
        ('[[trunk]]\nname = "a"\naddress = "h"\nto = "b"\n', "no [[trunk]]"),
        ('[[trunk]]\nname = "a"\naddress = "h"\nregister = true\n', "needs a user"),
        ("[listen]\nport = 70000\n", "listen.port"),
        ("[listen\n", "sip.toml"),
    ],
)
def test_a_wrong_sip_file_says_what_is_wrong(tmp_path: Path, text: str, said_: str) -> None:
    """By its place; a password never stands in the message."""
    (tmp_path / "sip.toml").write_text(text)
    with pytest.raises(SipRefused) as refused:
        read(tmp_path / "sip.toml")
    assert said_ in str(refused.value)
    assert "short" not in str(refused.value).replace("too_short", "")


def test_the_codes_of_telephones_are_inverse() -> None:
    """Every code is its own sample's nearest, but for the two zeros of µ-law."""
    codes = bytes(range(256))
    assert to_a_law(a_law(codes)) == codes
    again = mu_law(to_mu_law(mu_law(codes)))
    assert np.array_equal(again, mu_law(codes))


def test_the_doctor_says_what_is_missing(tmp_path: Path) -> None:
    """No file, a wrong file, no process: a sentence each."""
    settings = Settings.read({"SOTTOVOCE_DATA": str(tmp_path)})
    assert "no SIP file" in next(told(settings))[1]
    (tmp_path / "sip.toml").write_text("[listen]\nport = 0\n")
    assert next(told(settings))[0] == "missing"
    (tmp_path / "sip.toml").write_text("[listen]\nport = 5060\n")
    assert "does not run" in next(told(settings))[1]


def test_one_way_sound_is_said_with_its_cause() -> None:
    """And loss and jitter of each side."""
    figures = {"packets": 9, "loss": 0.031, "jitter_ms": 4.2, "coding": "pcmu"}
    side = {"trunk": "dana", "packets": 9, "held": False, "coding": "pcmu"}
    call = {
        "call": "x-abcdef",
        "trouble": "no sound has come from the callee: a firewall",
        "figures": {"caller": figures},
        "sides": {"caller": side},
    }
    state = {"address": "a", "analysis": True, "phones": [], "trunks": [], "calls": [call], "counts": {"flooded": 3}}
    lines = [line for _, line in sentences(state)]
    assert "call abcdef, caller (dana): pcmu, loss 3.1%, jitter 4 ms" in lines
    assert "call abcdef: one-way sound: no sound has come from the callee: a firewall" in lines
    assert "since the start: 3 packets of floods dropped" in lines
