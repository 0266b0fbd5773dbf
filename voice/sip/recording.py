"""A recording session (SIPREC, RFC 7866): a PBX or SBC sends us copies of a call that we have no part in."""

import socket
import time
from typing import Any, Final

from sippy.CCEvents import CCEventConnect, CCEventDisconnect, CCEventFail, CCEventTry, CCEventUpdate
from sippy.MsgBody import MsgBody
from sippy.Rtp_proxy.session import Rtp_proxy_session
from sippy.UA import UA

from voice.legs.rtp import DECODERS
from voice.legs.siprec import MetadataRefused, Recorded, recorded
from voice.sip.bridge import SIDES, Listener, Side, SideName, contact, pin, tap_socket
from voice.sip.engine import Engine
from voice.sip.sdp import Audio, SdpRefused, audio_of

_LOOK_S: Final = 5.0


class RecordingSession:
    """Two streams of one call. ``caller`` is the metadata's first participant, ``callee`` its second: rules say who is the agent."""

    way = "siprec"
    otherwise = "inbound"
    announced = ""

    def __init__(self, engine: Engine, identity: str, first: Recorded, trunk: str, headers: dict[str, str], listener: Listener) -> None:
        self.id, self._engine, self._listener, self._first = identity, engine, listener, first
        self.sip_id, self.trouble = first.session, ""
        self.began_at, self.answered_at = time.time(), 0.0
        self.figures: dict[str, Any] = {}
        self.sides: dict[SideName, Side] = {}
        for name, who in zip(SIDES, first.participants, strict=False):
            number = who.aor.partition(":")[2].partition("@")[0]
            self.sides[name] = Side({"number": number, "uri": who.aor, "trunk": trunk, "headers": headers, "name": who.name})
        self._labels = {name: who.labels[0] for name, who in zip(SIDES, first.participants, strict=False)}
        self._session: Any = Rtp_proxy_session(engine.gc)
        self._session.caller.raddress = self._session.callee.raddress = (engine.gc["_sip_address"], 0)
        pin(self._session.caller, trusted=True)
        pin(self._session.callee, trusted=True)  # the taps: nobody may turn the sound to himself
        self._ua: Any = UA(engine.gc, self._event, disc_cbs=(self._gone,), fail_cbs=(self._gone,))
        self._ua.lContact = contact(engine)
        self._ua.lContact.address.params["+sip.srs"] = None
        self._ua.lContact.address.params_order.append("+sip.srs")  # RFC 7866 section 6.1.2: this is a recording server
        self._taps: dict[SideName, socket.socket] = {name: tap_socket() for name in SIDES}
        self._version = 0
        self._over = False
        self._look: Any = None

    def receive(self, request: Any, transaction: Any) -> Any:
        self.sip_id = self.sip_id or str(request.getHFBody("call-id"))
        return self._ua.recvRequest(request, transaction)

    @property
    def up(self) -> bool:
        return self.answered_at > 0 and not self._over

    def hang_up(self, reason: str = "hung_up") -> None:
        if not self._over:
            self._ua.recvEvent(CCEventDisconnect())
            self._end(reason)

    def drop(self) -> None:
        """It never came to be."""
        self._end("refused")

    def tap(self) -> None:
        """The relay's other end is the taps themselves."""

    def taps(self) -> list[socket.socket]:
        return [self._taps[name] for name in SIDES]

    def formats(self, name: SideName) -> dict[str, list[Any]]:
        audio = self.sides[name].audio
        return {} if audio is None else {str(n): [c.name, c.rate] for n, c in audio.formats.items()}

    def quiet_s(self) -> float:
        return time.time() - max(self.answered_at, *(side.moved_at for side in self.sides.values()))

    # ---- what the recorder's client says

    def _event(self, event: Any, _: Any) -> None:
        if self._over:
            return
        if isinstance(event, CCEventTry):
            self._offered(self._first.sdp)
        elif isinstance(event, CCEventUpdate):
            self._changed(event.getData())
        elif isinstance(event, CCEventDisconnect) or (isinstance(event, CCEventFail) and not self.answered_at):
            self._end("hung_up")

    def _changed(self, body: Any) -> None:
        """Hold, resume, another codec: with metadata or without."""
        kind = str(body.mtype)
        try:
            if kind.split(";")[0].strip().lower() == "application/sdp":
                self._offered(str(body))
            else:
                self._offered(recorded(kind, str(body)).sdp)
        except MetadataRefused as refused:
            self._ua.recvEvent(CCEventFail((refused.code, str(refused))))

    def _offered(self, sdp: str) -> None:
        try:
            sections = audio_of(sdp)
            found = self._found(sections)
        except SdpRefused as refused:
            self._refuse(488, str(refused))
            return
        for name, audio in found.items():
            side = self.sides[name]
            side.audio, held = audio, audio.direction == "inactive" or audio.port == 0
            if self.answered_at and held != side.held:
                side.held = held
                self._listener.changed(self, name)
            side.held = held

        def asked(body: Any, ex: Exception | None = None) -> None:
            if body is None or self._over:
                self._refuse(500, "The relay failed" if ex else "Over")
                return
            self._session.on_callee_sdp_change(MsgBody(self._answer(sections, found)), answered)

        def answered(body: Any, ex: Exception | None = None) -> None:
            if body is None or self._over:
                self._refuse(500, "The relay failed" if ex else "Over")
                return
            self._ua.recvEvent(CCEventConnect((200, "OK", body)))
            if not self.answered_at:
                self.answered_at = time.time()
                self._look = self._engine.every(_LOOK_S, self._count)
                self._listener.connected(self)

        self._session.on_caller_sdp_change(MsgBody(sdp), asked)

    def _found(self, sections: tuple[Audio, ...]) -> dict[SideName, Audio]:
        """The audio section of each of the two, by its label. Raises SdpRefused."""
        by_label = {audio.label: audio for audio in sections if audio.label}
        found: dict[SideName, Audio] = {}
        for name, label in self._labels.items():
            if label not in by_label:
                raise SdpRefused(f"No stream has the label {label}")
            audio = by_label[label]
            readable = {n: coding for n, coding in audio.formats.items() if coding.name in DECODERS}
            if not readable:
                raise SdpRefused("No codec that we know (PCMU, PCMA, G.722, Opus)")
            found[name] = Audio(audio.number, audio.address, audio.port, readable, audio.direction, label)
        return found

    def _answer(self, sections: tuple[Audio, ...], found: dict[SideName, Audio]) -> str:
        """Ours, before the relay writes its ports into it: what it receives it sends on to the taps."""
        self._version += 1
        lines = ["v=0", f"o=- 1 {self._version} IN IP4 {self._engine.shown}", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"]
        ours = {audio.number: name for name, audio in found.items()}
        for audio in sections:
            name = ours.get(audio.number)
            if name is None or audio.port == 0:
                lines += [f"m=audio 0 RTP/AVP {next(iter(audio.formats), 0)}"]
                continue
            formats = found[name].formats
            lines.append(f"m=audio {self._taps[name].getsockname()[1]} RTP/AVP {' '.join(map(str, formats))}")
            channels = {"opus": "/2"}
            lines += [
                f"a=rtpmap:{n} {coding.name.upper() if coding.name != 'opus' else 'opus'}/{coding.rate}{channels.get(coding.name, '')}"
                for n, coding in formats.items()
            ]
            lines += [f"a=label:{audio.label}", "a=inactive" if audio.direction == "inactive" else "a=recvonly"]
        return "\r\n".join(lines) + "\r\n"

    def _refuse(self, code: int, why: str) -> None:
        self._ua.recvEvent(CCEventFail((code, why)))
        if not self.answered_at:
            self._end("refused")

    # ---- time and end

    def _count(self) -> None:
        for name, side in self.sides.items():
            if side.audio is not None and not self._over:
                self._session.stats(self._counted, side.audio.number, name)

    def _counted(self, figures: tuple[int, int, int, int, int] | None, name: SideName) -> None:
        if figures is not None and figures[1] != self.sides[name].packets:
            self.sides[name].packets, self.sides[name].moved_at = figures[1], time.time()

    def _gone(self, *_: Any) -> None:
        self._engine.after(1.0, self._end, "hung_up")

    def _end(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        if self._look is not None:
            self._look.cancel()
        self._session.delete()
        for tap in self._taps.values():
            tap.close()
        self._listener.ended(self, reason)
