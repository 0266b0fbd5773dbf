"""Real telephones for tests: the phone process, Debian's baresip and sipp, and recorded speech for both ends."""

import contextlib
import datetime
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from numpy.typing import NDArray

from scripts.programs import services
from voice.legs.telephony import to_mu_law

ROOT: Final = Path(__file__).parent.parent
SCENES: Final = ROOT / "tests" / "data" / "sipp"
AGENT_NUMBER: Final = "+13125550100"
PROSPECT_NUMBER: Final = "+13125550177"
PASSWORD: Final = "correct-horse"


def need_phones() -> None:
    for program, package in (("sipp", "sip-tester"), ("baresip", "baresip-core")):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing (apt-get install {package}; scripts/test --system does)")


def need_edge() -> None:
    need_phones()
    files = {"kamailio": "sbin/kamailio", "kamailio-tls-modules": "lib/*/kamailio/modules/tls.so", "rtpengine-daemon": "bin/rtpengine"}
    for package, file in files.items():
        if not list(Path("/usr").glob(file)):
            pytest.skip(f"/usr/{file} is missing (apt-get install {package}; scripts/test --system does)")


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    return services.free_port(kind)


def said(from_s: float, to_s: float) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """The sample call's (agent, prospect), int16 at 8 kHz, what a telephone lets through."""
    resampler = av.AudioResampler(format="s16p", layout="stereo", rate=8000)
    with av.open(str(ROOT / "web" / "sample" / "call.flac")) as container:
        blocks = [piece.to_ndarray() for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
    sound = np.concatenate(blocks, axis=1)[:, int(from_s * 8000) : int(to_s * 8000)]
    return sound[0], sound[1]


def write_wav(file: Path, samples: NDArray[np.int16], rate: int = 8000) -> Path:
    with wave.open(str(file), "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes(samples.tobytes())
    return file


def write_ulaw(file: Path, samples: NDArray[np.int16]) -> Path:
    file.write_bytes(to_mu_law(samples))
    return file


def certificate(folder: Path) -> None:
    """Writes cert.pem and key.pem for 127.0.0.1."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "phones.example")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
    (folder / "cert.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*form))


class Process:
    """A program whose output goes to a file; ended with the test."""

    def __init__(self, command: list[str], log: Path, **environment: str) -> None:
        self.log = log
        with log.open("wb") as out:
            env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
            self.process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env, cwd=log.parent
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait(self, timeout_s: float) -> int:
        return self.process.wait(timeout_s)

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(8)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class PhoneProcess(Process):
    """`sottovoce phone` in a data folder, with the SIP file given."""

    def __init__(self, data: Path, sip: str, **environment: str) -> None:
        data.mkdir(parents=True, exist_ok=True)
        (data / "sip.toml").write_text(sip)
        self.data = data
        super().__init__([sys.executable, "-m", "web.program", "phone"], data / "phone.log", SOTTOVOCE_DATA=str(data), **environment)
        deadline = time.monotonic() + 60
        while "are taken at" not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the phone process did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(5)
            door.connect(str(self.data / "phone.sock"))
            door.sendall(json.dumps(message).encode() + b"\n")
            answer: dict[str, Any] = json.loads(door.makefile().readline())
            return answer

    def state(self) -> dict[str, Any]:
        return self.ask({"do": "state"})


def until(check: Any, within_s: float = 10.0) -> Any:
    """What ``check`` says once it says anything."""
    deadline = time.monotonic() + within_s
    while not (found := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s")
        time.sleep(0.05)
    return found


def media_ports(calls: int = 12) -> list[int]:
    """A range of ports that nobody uses now."""
    wanted = calls * 8
    for _ in range(50):
        first = free_port() // 2 * 2
        if first + wanted < 60_000:
            return [first, first + wanted]
    raise RuntimeError("no free ports")


CONNECTS: Final = "[limits]\nwhen_away = 'connect'\n"  # no server stands beside it


def listening(media: list[int], port: int = 0) -> str:
    """Of a SIP file: where the phone process listens; any free port unless one is given."""
    return f"[listen]\nport = {port or free_port()}\nmedia = {media}\n"


def phone(user: str, number: str = "") -> str:
    """Of a SIP file: a softphone's account."""
    return f"[[phone]]\nuser = '{user}'\npassword = '{PASSWORD}'\n" + (f"number = '{number}'\n" if number else "")


def trunk(name: str, port: int, more: str = "", *, takes: str = "", options_s: int = 0) -> str:
    """Of a SIP file: a trunk at a port of this machine. ``takes``: whose calls it takes, its own address and port unless said."""
    where = f"127.0.0.1:{port}"
    return f"[[trunk]]\nname = '{name}'\naddress = '{where}'\ntakes = ['{takes or where}']\noptions_s = {options_s}\n{more}\n"


def _softphone_port() -> int:
    """Baresip takes it by UDP and TCP, and the next one for TLS; where one is taken it ends at once, without a word to anybody."""
    for _ in range(50):
        port = free_port()
        with contextlib.ExitStack() as held:
            try:
                for one in (port, port + 1):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", one))
            except OSError:
                continue
            return port
    raise RuntimeError("no free ports")


class Baresip(Process):
    """A softphone that registers as ``user`` at ``server`` (host:port), speaks ``speech`` and writes what it hears."""

    def __init__(
        self, folder: Path, user: str, server: str, speech: Path, *, dial: str = "", for_s: int = 60, codec: str = "PCMU/8000/1",
        transport: str = "", control: int = 0,
    ) -> None:  # fmt: skip
        """``transport``: tcp, or tls and then SRTP, without which it takes no call; UDP unless said. ``control``: a TCP port for command()."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port, self._control = folder, _softphone_port(), control
        rtp, rate = media_ports(2), 16_000 if codec.startswith("G722") else 8000
        (folder / "config").write_text(
            f"sip_listen 127.0.0.1:{self.port}\nnet_interface 127.0.0.1\naudio_source aufile,{speech}\naudio_player aufile,{folder}/unused.wav\n"
            f"ausrc_srate {rate}\nauplay_srate {rate}\nausrc_channels 1\nauplay_channels 1\nrtp_ports {rtp[0]}-{rtp[1]}\n"
            "module_path /usr/lib/baresip/modules\nmodule stdio.so\nmodule g711.so\nmodule g722.so\nmodule aufile.so\nmodule sndfile.so\n"
            f"module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\nsnd_path {folder}\n"
            + ("module srtp.so\n" if transport == "tls" else "")
            + (f"module_app ctrl_tcp.so\nctrl_tcp_listen 127.0.0.1:{control}\n" if control else "")
        )
        (folder / "contacts").touch()
        where = f"sip:{user}@{server}" + (f";transport={transport}" if transport else "")
        where = f"<{where}>" + (";mediaenc=srtp-mand" if transport == "tls" else "")
        account = f"{where};auth_user={user};auth_pass={PASSWORD};regint=60;answermode=auto;audio_codecs={codec}"
        (folder / "accounts").write_text(account + "\n")
        extra = ["-e", f"/dial {dial}"] if dial else []
        super().__init__(["baresip", "-f", str(folder), "-t", str(for_s), *extra], folder / "baresip.log")

    def command(self, command: str, words: str = "") -> dict[str, Any]:
        """dial, hold, resume, hangup as at its keyboard; what it answers."""
        message = json.dumps({"command": command, "params": words, "token": command})
        with socket.create_connection(("127.0.0.1", self._control), 5) as line:
            line.sendall(f"{len(message)}:{message},".encode())
            data = b""
            while not (told := [m for m in _netstrings(data) if m.get("response")]):
                if not (more := line.recv(4096)):
                    raise RuntimeError("the softphone hung up its control line")
                data += more
        return told[0]

    def heard(self) -> NDArray[np.int16]:
        """What it decoded, at 8 kHz."""
        files = sorted(self.folder.glob("dump-*-dec.wav"))
        if not files:
            return np.zeros(0, np.int16)
        data = files[-1].read_bytes()[44:]  # its header's lengths are right only after the end
        return np.frombuffer(data[: len(data) // 2 * 2], np.int16)


def _netstrings(data: bytes) -> list[dict[str, Any]]:
    """The whole ones in front."""
    found = []
    while (head := data.partition(b":"))[1] and len(head[2]) > int(head[0]):
        found.append(json.loads(head[2][: int(head[0])]))
        data = head[2][int(head[0]) + 1 :]
    return found


class Edge:
    """kamailio and rtpengine with the files of docs/edge, before the phone process at ``coach``. ``server``: host:port by transport."""

    def __init__(self, folder: Path, coach: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        certificate(folder)
        tls, tcp, inside, orders = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_STREAM), free_port(), free_port()
        self.server = {"tls": f"127.0.0.1:{tls}", "tcp": f"127.0.0.1:{tcp}"}
        sound = media_ports(8)
        address, _, port = coach.partition(":")
        changes = {
            "!192.0.2.10!": f"!{address}!", "!COACH_PORT!5060!": f"!COACH_PORT!{port}!", "EDGE_ADDRESS:5061": f"EDGE_ADDRESS:{tls}",
            "tcp:EDGE_ADDRESS:5060": f"tcp:EDGE_ADDRESS:{tcp}", "EDGE_ADDRESS:5080": f"EDGE_ADDRESS:{inside}",
            "/etc/kamailio/fullchain.pem": f"{folder}/cert.pem", "/etc/kamailio/privkey.pem": f"{folder}/key.pem",
            "127.0.0.1:2223": f"127.0.0.1:{orders}",
        }  # fmt: skip
        self._write("kamailio.cfg", folder, changes)
        changes = {
            "interface = 192.0.2.10": f"interface = {address}", "port-min = 30000": f"port-min = {sound[0]}",
            "port-max = 39999": f"port-max = {sound[1]}", "127.0.0.1:2223": f"127.0.0.1:{orders}",
        }  # fmt: skip
        self._write("rtpengine.conf", folder, changes)
        relay = ["rtpengine", "--config-file", f"{folder}/rtpengine.conf", "--foreground", "--log-stderr"]
        self.relay = Process([*relay, "--pidfile", f"{folder}/rtpengine.pid"], folder / "rtpengine.log")
        until(lambda: "Startup complete" in self.relay.log.read_text(), 20)
        proxy = ["/usr/sbin/kamailio", "-f", f"{folder}/kamailio.cfg", "-DD", "-E", "-Y", f"{folder}", "-P", f"{folder}/kamailio.pid"]
        self.proxy = Process(proxy, folder / "kamailio.log")
        until(lambda: self._open(tls) and self._open(tcp), 20)
        self._orders = ("127.0.0.1", orders)

    def relays_nothing(self) -> bool:
        """rtpengine holds no call, and so no port."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(5)
            asking.sendto(b"1 d7:command4:liste", self._orders)
            return b"5:callsle" in asking.recv(65_536)

    @staticmethod
    def _write(name: str, folder: Path, changes: dict[str, str]) -> None:
        text = (ROOT / "docs" / "edge" / name).read_text()
        for old, new in changes.items():
            assert old in text, f"docs/edge/{name} says nothing of {old}"
            text = text.replace(old, new)
        (folder / name).write_text(text)

    @staticmethod
    def _open(port: int) -> bool:
        with socket.socket() as door:
            return door.connect_ex(("127.0.0.1", port)) == 0

    def stop(self) -> None:
        self.proxy.stop()
        self.relay.stop()


class Sipp(Process):
    """One run of a scene from tests/data/sipp; ``words`` replaces what stands between @ in it."""

    def __init__(self, folder: Path, scene: str, server: str, *arguments: str, port: int = 0, **words: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        text = (SCENES / f"{scene}.xml").read_text()
        for name, word in words.items():
            text = text.replace(f"@{name}@", word)
        file = folder / f"{scene}.xml"
        file.write_text(text)
        command = ["sipp", server, "-sf", str(file), "-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", str(self.port), "-nostdin"]
        command += ["-mp", str(media_ports(4)[0]), "-trace_err", "-trace_msg"]
        super().__init__([*command, *(arguments or ("-m", "1"))], folder / f"{scene}.log", TERM="dumb")

    def messages(self) -> str:
        return "".join(file.read_text(errors="replace") for file in self.log.parent.glob("*messages.log"))


@contextlib.contextmanager
def ended(*processes: Process) -> Iterator[None]:
    try:
        yield
    finally:
        for process in processes:
            process.stop()


def likeness(heard: NDArray[np.int16], source: NDArray[np.int16]) -> float:
    """The greatest normalised correlation of a piece of ``source`` (its loudest 2 s) with ``heard``, -1 to 1."""
    size = 16_000
    starts = range(0, max(1, len(source) - size), 4000)
    begin = max(starts, key=lambda at: float(np.sum(source[at : at + size].astype(np.float64) ** 2)))
    piece = source[begin : begin + size].astype(np.float64)
    signal_ = heard.astype(np.float64)
    if len(signal_) < len(piece):
        return 0.0
    n = 1 << (len(signal_) + len(piece)).bit_length()
    product = np.fft.irfft(np.fft.rfft(signal_, n) * np.conj(np.fft.rfft(piece, n)), n)[: len(signal_) - len(piece) + 1]
    power = np.convolve(signal_**2, np.ones(len(piece)), "valid") if len(piece) < 2000 else _moving(signal_**2, len(piece))
    return float(np.max(product / np.sqrt(np.maximum(power, 1.0) * np.sum(piece**2))))


def _moving(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    sums = np.concatenate(([0.0], np.cumsum(values)))
    return sums[size:] - sums[:-size]


class Analysis:
    """Stands where the server stands: is told of calls and given their taps. For one event loop."""

    def __init__(self, phones: PhoneProcess) -> None:
        self._door = socket.socket(socket.AF_UNIX)
        self._door.settimeout(0.01)
        self._door.connect(str(phones.data / "phone.sock"))
        self._door.sendall(b'{"do":"analyse"}\n')
        self._rest = b""
        self.messages: list[dict[str, Any]] = []
        self.taps: dict[str, dict[str, socket.socket]] = {}
        self._loose: list[int] = []
        self.answers = True  # yes to whoever may be dialled

    def read(self) -> list[dict[str, Any]]:
        """Everything so far."""
        with contextlib.suppress(TimeoutError):
            while True:
                data, numbers, _, _ = socket.recv_fds(self._door, 65_536, 16)
                self._loose += numbers
                if not data:
                    break
                *lines, self._rest = (self._rest + data).split(b"\n")
                for line in lines:
                    self._take(json.loads(line))
        return self.messages

    def _take(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        if message["event"] == "call":
            sockets = [socket.socket(fileno=self._loose.pop(0)) for _ in range(2)]
            self.taps[message["call"]] = dict(zip(("caller", "callee"), sockets, strict=True))
            self.say({"do": "tap", "call": message["call"]})
        elif message["event"] == "may_dial" and self.answers:
            self.say({"do": "answer", "ask": message["ask"], "allowed": True, "why": ""})

    def say(self, message: dict[str, Any]) -> None:
        self._door.sendall(json.dumps(message).encode() + b"\n")

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [m for m in self.read() if m["event"] == kind]

    def heard(self, call: str, side: str) -> list[bytes]:
        """The packets that wait in a tap."""
        packets = []
        tap = self.taps[call][side]
        tap.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                packets.append(tap.recv(4096))
        return packets

    def close(self) -> None:
        self._door.close()
        for taps in self.taps.values():
            for tap in taps.values():
                tap.close()
