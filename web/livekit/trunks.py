"""Telephones in rooms: the trunk and the rule that LiveKit's SIP service works by, and calls out of a room.

An inbound caller gets a room of its own (the rule), in which it rings until somebody speaks there; what is called from
here joins a room that is there already. The rule and the trunks carry our name, so that they are found again.
"""

from dataclasses import dataclass
from typing import Any, Final

from livekit import api
from livekit.protocol import sip

from web.livekit import PHONE_ROOM
from web.livekit.server import ROLE, Rooms, RoomsRefused, Seat, translated
from web.settings import Settings

NAME: Final = "sottovoce"


@dataclass(frozen=True, slots=True)
class Found:
    """Ids at livekit-server; empty where there is none."""

    inbound: str = ""
    outbound: str = ""
    rule: str = ""
    wrong: tuple[str, ...] = ()  # what differs from the settings, each a sentence


class Trunks:
    """setup() enters what the settings say, check() compares; dial() rings somebody into a room."""

    def __init__(self, settings: Settings, rooms: Rooms) -> None:
        self._settings, self._sip = settings, rooms.api.sip
        self._outbound = ""

    async def check(self) -> Found:
        """Raises RoomsAway, RoomsRefused (without Redis livekit-server knows of no telephones)."""
        async with translated():
            inbound = next(
                (each for each in (await self._sip.list_inbound_trunk(sip.ListSIPInboundTrunkRequest())).items if each.name == NAME), None
            )
            outbound = next(
                (each for each in (await self._sip.list_outbound_trunk(sip.ListSIPOutboundTrunkRequest())).items if each.name == NAME), None
            )
            rule = next(
                (each for each in (await self._sip.list_dispatch_rule(sip.ListSIPDispatchRuleRequest())).items if each.name == NAME), None
            )
        settings, wrong = self._settings, []
        if inbound is None:
            wrong.append("the trunk for inbound calls is missing")
        elif sorted(inbound.numbers) != sorted(settings.trunk_numbers):
            wrong.append(
                f"the inbound trunk has the numbers {', '.join(inbound.numbers) or 'none'}, not {', '.join(settings.trunk_numbers)}"
            )
        if outbound is None:
            wrong.append("the trunk for outbound calls is missing")
        elif outbound.address != settings.trunk:
            wrong.append(f"the outbound trunk leads to {outbound.address}, not {settings.trunk}")
        elif sorted(outbound.numbers) != sorted(settings.trunk_numbers) or outbound.auth_username != settings.trunk_user:
            wrong.append("the outbound trunk has other numbers or another user")
        if rule is None:
            wrong.append("the rule that gives each caller a room is missing")
        elif rule.rule.dispatch_rule_individual.room_prefix != PHONE_ROOM or (
            inbound is not None and inbound.sip_trunk_id not in rule.trunk_ids
        ):
            wrong.append("the rule leads elsewhere")
        return Found(
            inbound=inbound.sip_trunk_id if inbound is not None else "",
            outbound=outbound.sip_trunk_id if outbound is not None else "",
            rule=rule.sip_dispatch_rule_id if rule is not None else "",
            wrong=tuple(wrong),
        )

    async def setup(self) -> Found:
        """Idempotent: what differs is made anew. Raises RoomsAway, RoomsRefused."""
        settings = self._settings
        if not settings.trunk or not settings.trunk_numbers:
            raise RoomsRefused("Set SOTTOVOCE_TRUNK and SOTTOVOCE_TRUNK_NUMBERS first.")
        found = await self.check()
        if not found.wrong:
            return found
        async with translated():
            if found.rule:
                await self._sip.delete_dispatch_rule(sip.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=found.rule))
            for trunk in filter(None, (found.inbound, found.outbound)):
                await self._sip.delete_trunk(sip.DeleteSIPTrunkRequest(sip_trunk_id=trunk))
            numbers, user, password = list(settings.trunk_numbers), settings.trunk_user, settings.trunk_password
            inbound = await self._sip.create_inbound_trunk(
                sip.CreateSIPInboundTrunkRequest(
                    trunk=sip.SIPInboundTrunkInfo(name=NAME, numbers=numbers, allowed_addresses=_addresses(settings.trunk))
                )
            )
            await self._sip.create_outbound_trunk(
                sip.CreateSIPOutboundTrunkRequest(
                    trunk=sip.SIPOutboundTrunkInfo(
                        name=NAME, address=settings.trunk, numbers=numbers, auth_username=user, auth_password=password
                    )
                )
            )
            rule = sip.SIPDispatchRule(dispatch_rule_individual=sip.SIPDispatchRuleIndividual(room_prefix=PHONE_ROOM))
            info = sip.SIPDispatchRuleInfo(name=NAME, rule=rule, trunk_ids=[inbound.sip_trunk_id])
            await self._sip.create_dispatch_rule(sip.CreateSIPDispatchRuleRequest(dispatch_rule=info))
        self._outbound = ""
        return await self.check()

    async def dial(self, room: str, seat: Seat, to: str, *, name: str = "") -> None:
        """Rings a number or a SIP URI into a room; it is there at once, and heard when it is answered. Whether somebody may be
        called is not asked here. Raises RoomsAway (no SIP service answers), RoomsRefused."""
        self._outbound = self._outbound or (await self.check()).outbound
        if not self._outbound:
            raise RoomsRefused("There is no trunk for outbound calls yet: run `sottovoce sip setup`.")
        wanted: dict[str, Any] = {"participant_identity": seat if seat == "agent" else f"sip_{to}", "participant_name": name}
        request = api.CreateSIPParticipantRequest(
            sip_trunk_id=self._outbound, sip_call_to=_bare(to), room_name=room, participant_attributes={ROLE: seat}, **wanted
        )
        request.ringing_timeout.FromSeconds(int(self._settings.ring_s))
        async with translated():
            await self._sip.create_sip_participant(request)


def _addresses(trunk: str) -> list[str]:
    """Whom inbound calls may come from: the trunk's own address, where it is one; a carrier's name stands for many."""
    host = trunk.rsplit(":", 1)[0] if trunk.count(":") == 1 else trunk
    return [host] if host.replace(".", "").isdigit() else []


def _bare(to: str) -> str:
    """The user part of a SIP URI; the trunk knows the host."""
    return to.removeprefix("sips:").removeprefix("sip:").split("@")[0].split(";")[0]
