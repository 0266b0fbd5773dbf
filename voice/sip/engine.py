"""sippy and rtp-io, started and fenced in: what strangers send can neither stop the process nor fill its log or its memory.

Three packets kill stock sippy, a host name in the wrong place makes it ask a name server in the middle of a call, and
each malformed packet prints a traceback: docs/measurements.md has the figures.
"""

import os
import re
import sys
import time
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

from voice.sip.accounts import Listen, Wss
from voice.sip.browsers import MODULES, BrowserDoor
from voice.sip.fence import Fence

NAME: Final = "Sottovoce"
_RENEW_S: Final = 3600.0
_FORGET_S: Final = 10.0
_ROUTED_ANSWER: Final = re.compile(rb"SIP/2\.0 .*?\nRecord-Route\s*:", re.I | re.S)
_KEEP_MEDIA_S: Final = 14_400  # a call on hold sends nothing; rtp-io would give its ports to others after a minute


def _no_accounts(folder: Path) -> int:
    """rtp-io writes a line per call, with the addresses of both ends, into a file of the working folder, and has no option not to:
    a log that no deletion would find. So this process works in a folder where that file is a piece of its own memory, to be emptied
    now and then. Not /dev/null: rtp-io locks the file, and another program's lock on /dev/null (Docker holds one) would stop us for ever.

    Returns the memory's file descriptor."""
    folder.mkdir(parents=True, exist_ok=True)
    memory = os.memfd_create("accounts")
    (folder / "rtpproxy_acct.csv").unlink(missing_ok=True)
    (folder / "rtpproxy_acct.csv").symlink_to(f"/proc/self/fd/{memory}")
    os.chdir(folder)
    return memory


class Engine:
    """The signalling stack and the relay on one address. Made, run and ended in one thread: the one that imported sippy.

    ``folder``: becomes the working folder of the process."""

    def __init__(self, listen: Listen, strangers: int, folder: Path, log: Callable[[str], None], wss: Wss | None = None) -> None:
        self.fence = Fence(strangers)
        # Of its own, because it works in another thread; what it counts is the same.
        self.browsers_fence = Fence(strangers)
        self.browsers_fence.counts = self.fence.counts
        self.wss = wss
        self._browsers: BrowserDoor | None = None
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
        if wss is not None:
            arguments.append("modules=" + "+".join(MODULES))
        self._accounts = _no_accounts(folder)
        self.relay = Rtp_proxy_client(self.gc, spath="rtp.io:" + ";".join(arguments))
        self.gc["_rtp_proxy_clients"] = [self.relay]

    def start(self, on_request: Callable[[Any, Any], Any], on_gone: Callable[[str], None] = lambda _: None) -> None:
        """Opens the ports. ``on_gone``: told the name of a browser's connection that ended. Raises OSError or SipRefused."""
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
        manager = self.gc["_sip_tm"] = _Manager(self.gc, on_request)
        self.every(_FORGET_S, lambda: os.ftruncate(self._accounts, 0))
        if self.wss is not None:
            where = (self.gc["_sip_address"], self.wss.port)
            door = BrowserDoor(where, manager.handleIncoming, self.browsers_fence, on_gone)
            door.open(self.wss.certificate, self.wss.key)
            self._browsers = self.gc["_wss_server"] = door
            self.every(_RENEW_S, self._browsers.renew)

    def known(self, hosts: set[str]) -> None:
        """Who may send as much as calls need."""
        self.fence.known = self.browsers_fence.known = hosts

    def run(self) -> None:
        """Until stop()."""
        ED2.loop()

    def stop(self) -> None:
        """For any thread."""
        ED2.callFromThread(ED2.breakLoop)

    def close(self) -> None:
        if self._browsers is not None:
            self._browsers.close()
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


class _Manager(SipTransactionManager):  # type: ignore[misc]  # sippy has no types
    """A private Contact is read as the address that it came from: that phone stands behind a router. Not where a proxy has written
    itself between (Record-Route): it knows the way to that Contact, and we are to send it back as it was (RFC 3261 section 12.1)."""

    def handleIncoming(self, data: Any, *more: Any) -> None:  # noqa: N802  sippy's name
        # A request that came by a proxy shows it by a second Via, which sippy heeds; of answers it asks nothing.
        self.nat_traversal = not (isinstance(data, bytes) and _ROUTED_ANSWER.match(data))
        super().handleIncoming(data, *more)


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
