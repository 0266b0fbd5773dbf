"""Every setting, its default and its meaning. The only file that reads the environment."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PREFIX: Final = "SOTTOVOCE_"


class SettingRefused(ValueError):
    """A setting has a value that cannot be used; the message names it and says what it may be."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the settings table; ``name`` carries the prefix."""

    name: str
    default: str
    meaning: str


SETTINGS: Final = (
    Setting("SOTTOVOCE_HOST", "127.0.0.1", "address to listen on"),
    Setting("SOTTOVOCE_PORT", "8440", "port to listen on"),
    Setting("SOTTOVOCE_DATA", "~/.local/share/sottovoce", "folder of the database and the recordings"),
    Setting(
        "SOTTOVOCE_DATABASE",
        "",
        "PostgreSQL's URL (postgresql://USER:PASSWORD@HOST/DATABASE), for more than one machine; empty is SQLite in the data folder",
    ),
    Setting(
        "SOTTOVOCE_REDIS", "", "Redis' URL (redis://HOST:6379/0): wakes the viewers of other processes; without it they look each second"
    ),
    Setting(
        "SOTTOVOCE_LEASE_S", "3", "seconds after which a process that runs a call and is not heard of may be replaced (PostgreSQL only)"
    ),
    Setting("SOTTOVOCE_LIVEKIT_URL", "", "livekit-server (ws://HOST:7880), for calls in rooms; empty: `LIVEKIT_URL`; needs PostgreSQL"),
    Setting("SOTTOVOCE_LIVEKIT_KEY", "", "key of livekit-server; empty: `LIVEKIT_API_KEY`"),
    Setting("SOTTOVOCE_LIVEKIT_SECRET", "", "secret of that key; empty: `LIVEKIT_API_SECRET`"),
    Setting("SOTTOVOCE_LIVEKIT_PUBLIC_URL", "", "livekit-server as browsers reach it (wss://…); empty is SOTTOVOCE_LIVEKIT_URL"),
    Setting("SOTTOVOCE_TRUNK", "", "SIP trunk of LiveKit's SIP service (HOST or HOST:PORT); `sottovoce sip setup` enters it there"),
    Setting("SOTTOVOCE_TRUNK_NUMBERS", "", "numbers of that trunk (E.164, comma-separated); the first is shown to those who are called"),
    Setting("SOTTOVOCE_TRUNK_USER", "", "user name at the trunk; empty is none"),
    Setting("SOTTOVOCE_TRUNK_PASSWORD", "", "password at the trunk"),
    Setting("SOTTOVOCE_RING_S", "45", "seconds for which a caller in a room may ring before the call is released"),
    Setting("SOTTOVOCE_AGENT_CALLS", "0", "calls that one `sottovoce agent` takes; 0 is three per core"),
    Setting("SOTTOVOCE_AGENT_PORT", "0", "port at SOTTOVOCE_HOST where `sottovoce agent` answers health checks; 0 is any free one"),
    Setting(
        "SOTTOVOCE_DRAIN_S", "30", "seconds that the calls of a `sottovoce agent` may go on after SIGTERM before others take them over"
    ),
    Setting("SOTTOVOCE_ORIGINS", "", "further origins under which browsers reach this server, comma-separated (https://coach.example.com)"),
    Setting(
        "SOTTOVOCE_MODEL",
        "tiny.en",
        "Whisper model: tiny.en, base, a name in faster-whisper's local cache, or a folder with a CTranslate2 model",
    ),
    Setting(
        "SOTTOVOCE_FINAL_MODEL",
        "",
        "Whisper model for finished utterances; empty is SOTTOVOCE_MODEL (`sottovoce doctor` says what this computer can run)",
    ),
    Setting("SOTTOVOCE_SECOND_MODEL", "", "larger Whisper model that reads finished utterances again when there is time; empty is none"),
    Setting("SOTTOVOCE_DEVICE", "auto", "cpu, cuda or auto"),
    Setting("SOTTOVOCE_COMPUTE", "", "number type: int8, float32, float16, int8_float16; empty is int8 on a CPU, float16 on CUDA"),
    Setting("SOTTOVOCE_WORKERS", "0", "decodes at a time; 0 is one per core"),
    Setting("SOTTOVOCE_NICENESS", "5", "niceness of the engine process, 0 to 19"),
    Setting("SOTTOVOCE_WEIGHTS", "", "folder with model weights, looked into before the installed packages"),
    Setting("SOTTOVOCE_STUN", "", "STUN or TURN URLs, comma-separated; none unless set"),
    Setting("SOTTOVOCE_PLAYBOOK", "", "playbook file (TOML); empty is the one that comes with the program"),
    Setting("SOTTOVOCE_CONSENT", "", "consent policy file (TOML); empty is the one that comes with the program"),
    Setting(
        "SOTTOVOCE_PHONES",
        "",
        "phones file (TOML): who is who on a telephone call, what may be dialled; empty is phones.toml in the data folder",
    ),
    Setting(
        "SOTTOVOCE_SIP",
        "",
        "SIP file (TOML) of `sottovoce phone`: softphones, trunks, passwords; empty is sip.toml in the data folder",
    ),
    Setting("SOTTOVOCE_PHONE_CALLS", "20", "telephone calls coached at a time; a further one is connected without coaching"),
    Setting("SOTTOVOCE_TWILIO_TOKEN", "", "Twilio's auth token, by which its requests are known; empty: none is taken"),
    Setting("SOTTOVOCE_TELNYX_KEY", "", "Telnyx's public key (base64), by which its requests are known; empty: none is taken"),
    Setting("SOTTOVOCE_AUDIOSOCKET", "", "address and port on which Asterisk's AudioSocket is taken (127.0.0.1:9092); empty: none is"),
    Setting(
        "SOTTOVOCE_AUDIOSOCKET_SECRET", "", "what Asterisk's dial plan shows when it announces a call; needed with SOTTOVOCE_AUDIOSOCKET"
    ),
    Setting("SOTTOVOCE_EXPERIMENT", "", "name of an experiment: chance gives each call one of five strategies of answering; empty is none"),
    Setting("SOTTOVOCE_AGENT_ALONE", "0", "1: after a refusal the agent's own voice alone is coached"),
    Setting(
        "SOTTOVOCE_ANTHROPIC_KEY", "", "key of the Anthropic API; empty: `ANTHROPIC_API_KEY`, and without either the coach works alone"
    ),
    Setting("SOTTOVOCE_CLAUDE_MODEL", "claude-haiku-5-5", "model that refines cards where the prospect said yes to it"),
    Setting("SOTTOVOCE_CLAUDE_URL", "https://api.anthropic.com", "address of the Messages API, for a proxy"),
    Setting("SOTTOVOCE_CLAUDE_DEADLINE_S", "4", "seconds in which Claude must have answered"),
    Setting("SOTTOVOCE_CLAUDE_MONTHLY_USD", "20", "US dollars that all calls of a month (UTC) may cost; 0 is no cap"),
    Setting("SOTTOVOCE_CLAUDE_CALL_USD", "0.25", "US dollars that one call may cost"),
    Setting("SOTTOVOCE_CLAUDE_CALL_TOKENS", "200000", "tokens that one call may use; the only bound of a model without a known price"),
    Setting("SOTTOVOCE_RETURN_S", "120", "seconds after a restart, or after a call's start, in which somebody must come"),
    Setting("SOTTOVOCE_UPLOAD_MB", "200", "largest recording that may be uploaded"),
)
_DEFAULTS: Final = {setting.name: setting.default for setting in SETTINGS}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings, read and checked."""

    host: str
    port: int
    data: Path
    database: str = field(repr=False)  # it holds a password
    redis: str = field(repr=False)
    lease_s: float
    livekit_url: str
    livekit_key: str
    livekit_secret: str = field(repr=False)
    livekit_public_url: str
    trunk: str
    trunk_numbers: tuple[str, ...]
    trunk_user: str
    trunk_password: str = field(repr=False)
    ring_s: float
    agent_calls: int
    agent_port: int
    drain_s: float
    origins: tuple[str, ...]
    model: str
    final_model: str
    second_model: str
    device: str
    compute: str
    workers: int
    niceness: int
    weights: str
    stun: tuple[str, ...]
    playbook: Path | None
    consent: Path | None
    phones: Path | None
    sip: Path | None
    phone_calls: int
    twilio_token: str = field(repr=False)
    telnyx_key: str
    audiosocket: tuple[str, int] | None
    audiosocket_secret: str = field(repr=False)
    experiment: str
    agent_alone: bool
    return_s: float
    upload_mb: int
    anthropic_key: str = field(repr=False)
    claude_model: str
    claude_url: str
    claude_deadline_s: float
    claude_monthly_usd: float
    claude_call_usd: float
    claude_call_tokens: int

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Raises SettingRefused."""
        given = os.environ if environment is None else environment

        def text(name: str) -> str:
            return given.get(PREFIX + name, "").strip() or _DEFAULTS[PREFIX + name]

        def number(name: str, least: int, most: int) -> int:
            try:
                value = int(text(name))
            except ValueError:
                value = least - 1
            if not least <= value <= most:
                raise SettingRefused(f"{PREFIX}{name} is a whole number from {least} to {most}, not {text(name)!r}.")
            return value

        def decimal(name: str, least: float, most: float) -> float:
            try:
                value = float(text(name))
            except ValueError:
                value = math.nan
            if not least <= value <= most:
                raise SettingRefused(f"{PREFIX}{name} is a number from {least:g} to {most:g}, not {text(name)!r}.")
            return value

        def listed(name: str) -> tuple[str, ...]:
            return tuple(part.strip().rstrip("/") for part in text(name).split(",") if part.strip())

        def file(name: str) -> Path | None:
            path = Path(text(name)).expanduser() if text(name) else None
            if path is not None and not path.is_file():
                raise SettingRefused(f"{PREFIX}{name} names a file that does not exist: {path}")
            return path

        if text("DEVICE") not in ("auto", "cpu", "cuda"):
            raise SettingRefused(f"{PREFIX}DEVICE is cpu, cuda or auto, not {text('DEVICE')!r}.")
        if text("COMPUTE") not in ("", "int8", "float32", "float16", "int8_float16"):
            raise SettingRefused(f"{PREFIX}COMPUTE is int8, float32, float16 or int8_float16, not {text('COMPUTE')!r}.")
        if text("AGENT_ALONE") not in ("0", "1"):
            raise SettingRefused(f"{PREFIX}AGENT_ALONE is 0 or 1, not {text('AGENT_ALONE')!r}.")
        if not text("CLAUDE_URL").startswith(("http://", "https://")):
            raise SettingRefused(f"{PREFIX}CLAUDE_URL is an http or https address, not {text('CLAUDE_URL')!r}.")
        if not text("DATABASE").startswith(("postgresql://", "postgresql+asyncpg://", "postgres://")) and text("DATABASE"):
            raise SettingRefused(f"{PREFIX}DATABASE is empty (SQLite) or begins with postgresql://.")
        if not text("REDIS").startswith(("redis://", "rediss://", "unix://")) and text("REDIS"):
            raise SettingRefused(f"{PREFIX}REDIS is empty or begins with redis://.")
        livekit = (text("LIVEKIT_URL") or given.get("LIVEKIT_URL", "").strip()).rstrip("/")
        for name, url in (("LIVEKIT_URL", livekit), ("LIVEKIT_PUBLIC_URL", text("LIVEKIT_PUBLIC_URL"))):
            if url and not url.startswith(("ws://", "wss://", "http://", "https://")):
                raise SettingRefused(f"{PREFIX}{name} is empty or begins with ws:// or wss://.")
        return cls(
            host=text("HOST"),
            port=number("PORT", 0, 65535),
            data=Path(text("DATA")).expanduser(),
            database=text("DATABASE"),
            redis=text("REDIS"),
            lease_s=decimal("LEASE_S", 0.5, 600),
            livekit_url=livekit,
            livekit_key=text("LIVEKIT_KEY") or given.get("LIVEKIT_API_KEY", "").strip(),
            livekit_secret=text("LIVEKIT_SECRET") or given.get("LIVEKIT_API_SECRET", "").strip(),
            livekit_public_url=text("LIVEKIT_PUBLIC_URL").rstrip("/") or livekit,
            trunk=text("TRUNK"),
            trunk_numbers=listed("TRUNK_NUMBERS"),
            trunk_user=text("TRUNK_USER"),
            trunk_password=text("TRUNK_PASSWORD"),
            ring_s=decimal("RING_S", 1, 600),
            agent_calls=number("AGENT_CALLS", 0, 10_000),
            agent_port=number("AGENT_PORT", 0, 65535),
            drain_s=decimal("DRAIN_S", 0, 86_400),
            origins=listed("ORIGINS"),
            model=text("MODEL"),
            final_model=text("FINAL_MODEL"),
            second_model=text("SECOND_MODEL"),
            device=text("DEVICE"),
            compute=text("COMPUTE"),
            workers=number("WORKERS", 0, 256),
            niceness=number("NICENESS", 0, 19),
            weights=text("WEIGHTS"),
            stun=listed("STUN"),
            playbook=file("PLAYBOOK"),
            consent=file("CONSENT"),
            phones=file("PHONES"),
            sip=file("SIP"),
            phone_calls=number("PHONE_CALLS", 0, 1000),
            twilio_token=text("TWILIO_TOKEN"),
            telnyx_key=text("TELNYX_KEY"),
            audiosocket=_audiosocket(text("AUDIOSOCKET"), text("AUDIOSOCKET_SECRET")),
            audiosocket_secret=text("AUDIOSOCKET_SECRET"),
            experiment=text("EXPERIMENT")[:64],
            agent_alone=text("AGENT_ALONE") == "1",
            return_s=float(number("RETURN_S", 1, 86_400)),
            upload_mb=number("UPLOAD_MB", 1, 4096),
            anthropic_key=text("ANTHROPIC_KEY") or given.get("ANTHROPIC_API_KEY", "").strip(),
            claude_model=text("CLAUDE_MODEL"),
            claude_url=text("CLAUDE_URL").rstrip("/"),
            claude_deadline_s=decimal("CLAUDE_DEADLINE_S", 0.1, 60),
            claude_monthly_usd=decimal("CLAUDE_MONTHLY_USD", 0, 1_000_000),
            claude_call_usd=decimal("CLAUDE_CALL_USD", 0, 10_000),
            claude_call_tokens=number("CLAUDE_CALL_TOKENS", 0, 100_000_000),
        )

    @property
    def rooms(self) -> bool:
        """Whether calls can be held in LiveKit rooms: the server is known, and a database that many processes share."""
        return bool(self.livekit_url and self.livekit_key and self.livekit_secret and self.database)

    @property
    def address(self) -> str:
        """Where a browser finds this server: where it listens, or, when it listens everywhere (a container), the first name that was set."""
        if self.host not in ("0.0.0.0", "::"):
            return f"http://{self.host}:{self.port}"
        return self.origins[0] if self.origins else f"http://127.0.0.1:{self.port}"

    def allowed_origins(self) -> frozenset[str]:
        """Origins that may change anything here: this computer's names with our port, and those that were set."""
        own = {f"http://{host}:{self.port}" for host in ("127.0.0.1", "localhost", "[::1]", self.host)}
        return frozenset(own | set(self.origins))

    def is_https(self, host: str) -> bool:
        """Whether browsers reach this name by https alone, as behind a proxy with TLS (the request itself then comes by http)."""
        names = self.allowed_origins()
        return f"https://{host}" in names and f"http://{host}" not in names


def _audiosocket(text: str, secret: str) -> tuple[str, int] | None:
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise SettingRefused(f"{PREFIX}AUDIOSOCKET is an address and a port, such as 127.0.0.1:9092, not {text!r}.")
    if len(secret) < 12:
        raise SettingRefused(f"{PREFIX}AUDIOSOCKET needs {PREFIX}AUDIOSOCKET_SECRET, twelve characters or more.")
    return host.strip("[]"), int(port)
