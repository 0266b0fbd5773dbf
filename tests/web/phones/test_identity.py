"""Who is who: rules by number, trunk, header or URI."""

import pytest

from web.phones.identity import Agent, Identity, Party, Rule, started
from web.phones.numbers import e164

DANA, LEE = Agent("dana", "Dana Whitfield", "IL"), Agent("lee", "Lee", "")
RULES = (
    Rule(number="+13125550199", name="Ann Old"),  # a known prospect, though the office's block would take her
    Rule(number="+1312555*", agent=DANA),
    Rule(number="10??", trunk="pbx", agent=LEE),
    Rule(uri="sip:dana@*", agent=DANA),
    Rule(header="X-Agent: dana*", agent=DANA),
)
IDENTITY = Identity(RULES)


@pytest.mark.parametrize(
    ("party", "name"),
    [
        (Party(number="(312) 555-0100"), "Dana Whitfield"),
        (Party(number="sip:+13125550100@trunk.example;user=phone"), "Dana Whitfield"),
        (Party(number="+1 312 555 0199"), "Ann Old"),
        (Party(number="1001", trunk="pbx"), "Lee"),
        (Party(number="1001", trunk="elsewhere"), ""),
        (Party(uri='"Dana" <sip:dana@10.0.0.5:5060;transport=udp>'), "Dana Whitfield"),
        (Party(headers={"x-agent": "Dana.W"}), "Dana Whitfield"),
        (Party(headers={"x-agent": "lee"}), ""),
        (Party(number="anonymous"), ""),
    ],
)
def test_the_first_rule_that_fits_names_a_party(party: Party, name: str) -> None:
    """By number in any spelling, by extension at one trunk, by URI, by header; all that a rule gives must fit."""
    assert IDENTITY.who(party).name == name


@pytest.mark.parametrize(
    ("caller", "callee", "direction", "agent", "prospect"),
    [
        ("+13125550100", "+14155550123", "outbound", "Dana Whitfield", "+14155550123"),
        ("415 555 0123", "+13125550100", "inbound", "Dana Whitfield", "+14155550123"),
        ("+13125550100", "+13125550101", "internal", "Dana Whitfield", "+13125550101"),
        ("+14155550123", "+12125550100", "inbound", "", "+14155550123"),
    ],
)
def test_the_agent_is_known_on_either_end(caller: str, callee: str, direction: str, agent: str, prospect: str) -> None:
    """Whoever the rules know as an agent is the agent; without one the callee is, as for a call that came in."""
    sides = IDENTITY.sides(Party(number=caller), Party(number=callee))
    assert (sides.direction, sides.agent.name, sides.prospect.number) == (direction, agent, prospect)
    assert (sides.agent.role, sides.prospect.role) == ("agent", "prospect")


def test_a_way_in_that_knows_the_direction_is_believed() -> None:
    """Where no rule fits, the caller of an outgoing call is the agent."""
    sides = Identity().sides(Party(number="1001"), Party(number="+14155550123"), otherwise="outbound")
    assert (sides.agent.number, sides.caller, sides.prospect.known) == ("1001", "agent", False)


def test_a_call_carries_numbers_direction_and_the_carriers_id() -> None:
    """The first event holds E.164 numbers, an unknown caller's number makes a new lead."""
    sides = IDENTITY.sides(Party(number="(415) 555-0123"), Party(number="312.555.0100"))
    event = started(sides, "twilio", "CA1")
    assert event.mode == "phone"
    assert (event.agent_name, event.agent_state) == ("Dana Whitfield", "IL")
    assert (event.contact.name, event.contact.number) == ("", "+14155550123")
    assert event.line.model_dump() == {
        "way": "twilio",
        "direction": "inbound",
        "caller": "+14155550123",
        "callee": "+13125550100",
        "id": "CA1",
    }


@pytest.mark.parametrize("number", ["", "anonymous", "1001", "555-0100", "911", "sip:dana@pbx", "+1", "9" * 40, "*67"])
def test_what_is_no_number_has_no_e164(number: str) -> None:
    """Extensions, names, withheld and half numbers are not made into numbers."""
    assert e164(number) == ""
