"""The phones file: read, refused with its lines, reloaded, shown and changed by the page."""

from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from web.app import Guarded
from web.phones.identity import Party
from web.phones.plan import EMPTY, PlanFile, PlanRefused, read
from web.tables import users

GOOD = """\
country = "US"

[agents.dana]
name = "Dana Whitfield"
state = "IL"

[[who]]
number = "+13125550100"
agent = "dana"

[[who]]
trunk = "pbx"
agent = "dana"

[dialing]
open = ["CA", "+4420"]
"""


def test_a_good_file_is_read() -> None:
    """Agents, rules and opened prefixes come out of it."""
    plan = read(GOOD, Path("phones.toml"))
    assert plan.identity.who(Party(number="3125550100")).name == "Dana Whitfield"
    assert plan.identity.who(Party(trunk="pbx")).name == "Dana Whitfield"
    assert plan.dialing.open == ("CA", "+4420")


@pytest.mark.parametrize("text", ["", EMPTY])
def test_the_empty_file_is_a_plan(text: str) -> None:
    """Nothing said: everybody is a new lead, abroad is closed."""
    plan = read(text, Path("phones.toml"))
    assert not plan.identity.who(Party(number="3125550100")).known
    assert plan.dialing.weigh("+442079460958").refused == "foreign"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('agent = "dana"\n\n[dialing]', 'agent = "dan"\n\n[dialing]', "line 13: who.1.agent: no [agents.dan]"),
        ('trunk = "pbx"', 'trunc = "pbx"', "line 12: who.1.trunc"),
        ('state = "IL"', 'state = "Illinois"', "line 5: agents.dana.state"),
        ('"+4420"', '"0044"', "line 16: dialing.open"),
        ("[dialing]", "[dialing]\nfrom_hour = 22", "dialing.to_hour"),
        ('trunk = "pbx"\n', "", "line 11: who.1: a rule needs number, uri, trunk or header"),
        ('country = "US"', "country = US", "line 1"),
        ("[dialing]", '[announcement]\nfile = "no.wav"\n[dialing]', "line 16: announcement.file: there is no file"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(old: str, new: str, said: str) -> None:
    """The sentence names file, line and place."""
    assert old in GOOD
    with pytest.raises(PlanRefused) as refused:
        read(GOOD.replace(old, new), Path("/data/phones.toml"))
    assert str(refused.value).startswith("phones.toml")
    assert said in str(refused.value)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """A good change counts at once; a wrong one leaves the last good plan and says why."""
    file = tmp_path / "phones.toml"
    plans = PlanFile(file)
    assert plans.current().dialing.open == ()
    plans.write(GOOD)
    assert plans.current().dialing.open == ("CA", "+4420")
    file.write_text("nonsense")
    assert plans.current().dialing.open == ("CA", "+4420")
    assert "line 1" in plans.refusal
    with pytest.raises(PlanRefused):
        plans.write("[dialing]\nopen = 3")
    assert file.read_text() == "nonsense"


async def test_the_page_changes_the_plan(agent: httpx.AsyncClient) -> None:
    """What is wrong is refused with its line and changes nothing; what is right is in force at once."""
    first = (await agent.get("/api/phones/plan")).json()
    assert first["text"] == EMPTY
    refused = await agent.put("/api/phones/plan", json={"text": '[dialing]\nopen = ["abroad"]'})
    assert refused.status_code == 422
    assert "line 2" in refused.json()["detail"]
    assert (await agent.get("/api/phones/dialing?number=416 555 0100")).json()["refused"] == "foreign"
    changed = await agent.put("/api/phones/plan", json={"text": GOOD})
    assert changed.status_code == 200, changed.text
    assert changed.json()["rules"][0] == {"fits": "+13125550100", "who": "Dana Whitfield"}
    assert (await agent.get("/api/phones/dialing?number=416 555 0100")).json()["refused"] in ("", "quiet_hours")
    assert (await agent.get("/api/phones/dialing?number=911")).json()["refused"] == "emergency"


async def test_a_number_is_taken_off_the_list_with_who_and_why(agent: httpx.AsyncClient) -> None:
    """A false entry goes, the proof of it stays, and a call to the number may begin again."""
    call = {"mode": "tab", "contact": {"number": "312 555 0100"}}
    entered = await agent.post("/api/do-not-call", json={"number": "(312) 555-0100", "why": "asked by letter"})
    assert entered.status_code == 201, entered.text
    assert (await agent.post("/api/do-not-call", json={"number": "312.555.0100", "why": "asked again"})).status_code == 409
    assert (await agent.post("/api/calls", json=call)).status_code == 409
    assert (await agent.post("/api/do-not-call/remove", json={"number": "3125550100", "why": ""})).status_code == 422
    gone = await agent.post("/api/do-not-call/remove", json={"number": "3125550100", "why": "misheard: she said call me"})
    assert gone.status_code == 200, gone.text
    (kept,) = gone.json()["removed"]
    assert (kept["by"], kept["why"]) == ("Owner", "misheard: she said call me")
    assert kept["listed_why"].startswith("asked by letter")
    assert gone.json()["entries"] == []
    assert (await agent.post("/api/do-not-call/remove", json={"number": "3125550100", "why": "twice"})).status_code == 404
    assert (await agent.post("/api/calls", json=call)).status_code == 201


async def test_an_agent_changes_neither_rules_nor_list(agent: httpx.AsyncClient, app: Guarded) -> None:
    """Both are for the owner or a team lead; to read them, and to put a number on the list, is for everybody."""
    async with app.app.state.calls.store.write() as connection:
        await connection.execute(sa.update(users).values(role="agent"))
    assert (await agent.put("/api/phones/plan", json={"text": ""})).status_code == 403
    assert (await agent.get("/api/phones/plan")).status_code == 200
    assert (await agent.post("/api/do-not-call", json={"number": "3125550100", "why": "asked"})).status_code == 201
    assert (await agent.post("/api/do-not-call/remove", json={"number": "3125550100", "why": "not so"})).status_code == 403
