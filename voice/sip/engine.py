"""sippy and rtp-io, started and fenced in: what strangers send can neither stop the process nor fill its log or its memory.

Three packets kill stock sippy, a host name in the wrong place makes it ask a name server in the middle of a call, and
each malformed packet prints a traceback: docs/measurements.md has the figures.
"""

import contextlib
import ipaddress
import os
import re
import sys
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sippy.Core.EventDispatcher import ED2
from sippy.Rtp_proxy.client import Rtp_proxy_client
from sippy.Security.SipNonce import HashOracle
from sippy.SipConf import SipConf
from sippy.SipTransactionManager import SipTransactionManager
from sippy.Time.Timeout import Timeout
from sippy.UaStateConnected import UaStateConnected
from sippy.Udp_server import Udp_server, Udp_server_opts

from voice.sip.accounts import Listen

NAME: Final = "Sottovoce"
_LONGEST: Final = 16 * 1024
_KNOWN_RATE: Final = 2000.0  # packets a second from an address that we know
_MOST_SOURCES: Final = 4096
_KEEP_MEDIA_S: Final = 14_400  # a call on hold sends nothing; rtp-io would give its ports to others after a minute
_CONTACT: Final = re.compile(rb"^(?:Contact|Record-Route|m)\s*:.*?sips?:(?:[^@>;\s]*@)?([A-Za-z0-9.-]+)", re.I | re.M)


class Buckets:
    """How many packets a source may still send: ``rate`` a second, ten times that in a burst. Bounded; the longest quiet go."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, source: str, rate: float | None = None) -> bool:
        rate, now = rate or self._rate, self._clock()
        left, at = self._left.pop(source, (rate * 10, now))
        left = min(rate * 10, left + (now - at) * rate)
        allowed = left >= 1.0
        self._left[source] = (left - 1.0 if allowed else left, now)
        if len(self._left) > _MOST_SOURCES:
            self._left.popitem(last=False)
        return allowed


class Fence:
    """Stands between the network and sippy. ``known``: addresses that may send as much as calls need."""

    def __init__(self, strangers: int) -> None:
        self.known: set[str] = set()
        self.counts: Counter[str] = Counter()
        self._buckets = Buckets(float(strangers))
        self._names: OrderedDict[str, str] = OrderedDict()

    def lets_in(self, data: bytes, host: str) -> bool:
        if not self._buckets.take(host, _KNOWN_RATE if host in self.known else None):
            self.counts["flooded"] += 1
            return False
        if len(data) > _LONGEST or b"\0" in data:
            self.counts["malformed"] += 1
            return False
        try:
            data.decode()
        except UnicodeDecodeError:
            self.counts["malformed"] += 1
            return False
        if host in self.known:
            self._learn(data, host)
        return True

    def address(self, address: tuple[str, Any]) -> tuple[str, int] | None:
        """Where a packet may go: a literal address, or a name that a known peer gave itself. None: nowhere."""
        host, port = address[0], int(address[1])
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            host = self._names.get(host.lower(), "")
        if not host or not 0 < port < 65_536:
            self.counts["unreachable"] += 1
            return None
        return host, port

    def _learn(self, data: bytes, host: str) -> None:
        """A peer that calls itself sbc1.carrier.example in its Contact is where its packets come from; nobody else is asked."""
        for name in _CONTACT.findall(data[:4096]):
            text = name.decode().lower()
            if not text.replace(".", "").isdigit():
                self._names[text] = host
                self._names.move_to_end(text)
                if len(self._names) > 500:
                    self._names.popitem(last=False)


def _no_accounts(folder: Path) -> None:
    """rtp-io writes a line per call, with the addresses of both ends, into a file of the working folder, and has no option not to:
    a log that no deletion would find. So this process works in a folder where that file leads nowhere."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (folder / "rtpproxy_acct.csv").symlink_to(os.devnull)
    os.chdir(folder)


class Engine:
    """The signalling stack and the relay on one address. Made, run and ended in one thread: the one that imported sippy.

    ``folder``: becomes the working folder of the process."""

    def __init__(self, listen: Listen, strangers: int, folder: Path, log: Callable[[str], None]) -> None:
        self.fence = Fence(strangers)
        self._log = log
        self._said = 0.0
        self._hush()
        own, shown = str(listen.address), str(listen.public or listen.address)
        SipConf.my_address, SipConf.my_port, SipConf.my_uaname = shown, listen.port, NAME
        HashOracle.vtime = 3600 * 10**9  # phones keep a nonce for as long as they are registered
        self.shown, self.port = shown, listen.port
        self.gc: dict[str, Any] = {"_sip_address": own, "_sip_port": listen.port, "_sip_logger": _NoLog()}
        arguments = ["-F", "-l", own, "-m", str(listen.media[0]), "-M", str(listen.media[1]), "-T", str(_KEEP_MEDIA_S), "-d", "crit"]
        if listen.public is not None:
            arguments += ["-A", shown]
        _no_accounts(folder)
        self.relay = Rtp_proxy_client(self.gc, spath="rtp.io:" + ";".join(arguments))
        self.gc["_rtp_proxy_clients"] = [self.relay]

    def start(self, on_request: Callable[[Any, Any], Any]) -> None:
        """Opens the port. Raises OSError."""
        fence = self.fence

        class FencedUdp(Udp_server):  # type: ignore[misc]  # sippy has no types
            def send_to(self, data: Any, address: Any, *args: Any, **kwargs: Any) -> None:
                where = fence.address(address)
                if where is not None and len(data) <= 60_000:
                    super().send_to(data, where, *args, **kwargs)

            def handle_read(self, data: bytes, address: Any, rtime: Any, delayed: bool = False) -> None:
                if fence.lets_in(data, address.address[0]):
                    super().handle_read(data, address, rtime, delayed)

        class OneWorker(Udp_server_opts):  # type: ignore[misc]  # as above
            nworkers = 1  # of three, one may overtake another: a 100 behind its 200

        UaStateConnected.recv_request_handlers["UPDATE"] = _update
        SipTransactionManager.model_udp_server = (FencedUdp, OneWorker)
        SipTransactionManager.nat_traversal = True
        self.gc["_sip_tm"] = SipTransactionManager(self.gc, on_request)

    def run(self) -> None:
        """Until stop()."""
        ED2.loop()

    def stop(self) -> None:
        """For any thread."""
        ED2.callFromThread(ED2.breakLoop)

    def close(self) -> None:
        self.gc["_sip_tm"].shutdown()
        self.relay.shutdown()

    def call(self, work: Callable[..., None], *arguments: Any) -> None:
        """For any thread: ``work`` will be done in the engine's own."""
        ED2.callFromThread(work, *arguments)

    def after(self, seconds: float, work: Callable[..., None], *arguments: Any) -> Any:
        """Once; the answer has cancel()."""
        return Timeout(work, seconds, 1, *arguments)

    def every(self, seconds: float, work: Callable[[], None]) -> Any:
        return Timeout(work, seconds, -1)

    def _hush(self) -> None:
        """What sippy prints are strangers' words. They are counted instead."""

        def failed(what: str, *_: Any, **__: Any) -> None:
            failure = sys.exc_info()[1]
            self.fence.counts["failed"] += 1
            now = time.monotonic()
            if now - self._said > 10:
                self._said = now
                self._log(f"sippy: {what.split(' from ')[0][:120]}: {type(failure).__name__} ({self.fence.counts['failed']} so far)")

        for name, module in list(sys.modules.items()):
            if name.startswith("sippy.") and module is not None:
                if hasattr(module, "dump_exception"):
                    module.dump_exception = failed  # type: ignore[attr-defined]  # replaced in every module that imported it by name
                module.print = _nothing  # type: ignore[attr-defined]  # shadows the builtin


def _nothing(*_: Any, **__: Any) -> None:
    pass


class _NoLog:
    """Messages hold numbers and names of people: none is kept."""

    def write(self, *_: Any, **__: Any) -> None:
        pass


def _update(_state: Any, request: Any) -> None:
    """RFC 4028 by UPDATE: the peer refreshes, we answer. It may not change the sound; re-INVITE does that."""
    if request.getBody() is None:
        request.sendResponse(200, "OK")
    else:
        request.sendResponse(488, "Not Acceptable Here")
