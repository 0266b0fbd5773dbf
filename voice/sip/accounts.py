"""The SIP file (TOML): who may register and call, the trunks and PBXs, limits. It holds passwords: the phone process alone reads it."""

import socket
import tomllib
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

NAME: Final = "sip.toml"
ECHO: Final = "*43"  # as PBXs have it: a test call to yourself
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+-]{1,64}$")]
Text = Annotated[str, Field(max_length=200)]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,253}(:\d{1,5})?$")]
_MOST: Final = 256 * 1024


class SipRefused(ValueError):
    """The SIP file cannot be used; the message names the place in it."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Listen(_Part):
    """``address``: this machine's own, a literal. ``public``: the one that others see, where a router translates.

    ``media``: first and last UDP port of the sound; a call takes four, each stream of a recording session two."""

    address: IPv4Address = IPv4Address("127.0.0.1")
    port: Annotated[int, Field(ge=1, le=65535)] = 5060
    public: IPv4Address | None = None
    media: tuple[Annotated[int, Field(ge=1024, le=65535)], Annotated[int, Field(ge=1024, le=65535)]] = (20_000, 23_999)


class Wss(_Part):
    """Browsers' telephones. ``certificate``, ``key``: PEM files, from the folder of this file. ``closed_s``: a call whose page has
    no connection and gives no sound for so long is over."""

    port: Annotated[int, Field(ge=1, le=65535)]
    certificate: Path
    key: Path
    closed_s: Annotated[int, Field(ge=1, le=600)] = 20


class Limits(_Part):
    """``calls``: at once; ``per_source``: of them, per phone or trunk. ``strangers``: packets a second from one unknown address.

    ``ring_s``: a phone rings so long. ``silent_s``: a call without a packet from either side for so long is over.
    ``when_away``: what becomes of outbound calls while the do-not-call list cannot be asked."""

    calls: Annotated[int, Field(ge=1, le=1000)] = 60
    per_source: Annotated[int, Field(ge=1, le=1000)] = 20
    strangers: Annotated[int, Field(ge=1, le=10_000)] = 20
    ring_s: Annotated[int, Field(ge=5, le=180)] = 30
    silent_s: Annotated[int, Field(ge=30, le=86_400)] = 900
    when_away: Literal["refuse", "connect"] = "refuse"


class Phone(_Part):
    """A softphone that registers here. ``number``: what it shows when it calls out."""

    user: Word
    password: Annotated[str, Field(min_length=8, max_length=200)]
    number: Text = ""


class Trunk(_Part):
    """A carrier or a PBX. ``address``: where we call. ``takes``: from where it calls us (its address, unless said).

    Its calls ring ``ring`` (phones, one after the other) or pass on to the trunk ``to``. ``outbound``: phones call out by it.
    ``siprec``: it records here. ``register``: we register there as ``user``."""

    name: Word
    address: Host
    takes: tuple[Host, ...] = ()
    user: Text = ""
    password: Text = ""
    registers: Annotated[bool, Field(alias="register")] = False
    number: Text = ""
    ring: tuple[Word, ...] = ()
    to: str = ""
    outbound: bool = True
    siprec: bool = False
    options_s: Annotated[int, Field(ge=0, le=3600)] = 30


class Number(_Part):
    """A number of ours, and who rings when it is called."""

    number: Text
    ring: tuple[Word, ...]


class Accounts(_Part):
    listen: Listen = Listen()
    limits: Limits = Limits()
    wss: Wss | None = None
    phone: tuple[Phone, ...] = ()
    trunk: tuple[Trunk, ...] = ()
    number: tuple[Number, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> "Accounts":
        users, trunks = [p.user for p in self.phone], [t.name for t in self.trunk]
        for names in (users, trunks):
            if len(set(names)) < len(names):
                raise ValueError("a name is given twice")
        for named, ring in [(t.name, t.ring) for t in self.trunk] + [(n.number, n.ring) for n in self.number]:
            if unknown := set(ring) - set(users):
                raise ValueError(f"{named} rings {', '.join(sorted(unknown))}, and no [[phone]] is called so")
        for trunk in self.trunk:
            if trunk.to and trunk.to not in trunks:
                raise ValueError(f"the trunk {trunk.name} passes on to {trunk.to}, and no [[trunk]] is called so")
            if trunk.registers and not trunk.user:
                raise ValueError(f"the trunk {trunk.name} needs a user to register as")
        if self.listen.media[1] - self.listen.media[0] < 8:
            raise ValueError("listen.media is first port, last port")
        return self


def read(file: Path) -> Accounts:
    """Raises SipRefused."""
    try:
        text = file.read_text()
        if len(text) > _MOST:
            raise SipRefused(f"{file}: larger than {_MOST // 1024} KB")
        accounts = Accounts.model_validate(tomllib.loads(text))
    except FileNotFoundError as failure:
        raise SipRefused(f"There is no {file}. docs/phones.md shows what stands in it.") from failure
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as failure:
        raise SipRefused(f"{file}: {failure}") from failure
    except ValidationError as failure:
        wrong = (f"{file}: {'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in failure.errors(include_input=False)[:5])
        raise SipRefused("\n".join(wrong)) from failure
    if accounts.wss is not None:
        folder = file.absolute().parent  # this process works in another one
        found = {"certificate": folder / accounts.wss.certificate, "key": folder / accounts.wss.key}
        accounts = accounts.model_copy(update={"wss": accounts.wss.model_copy(update=found)})
    return accounts


def resolved(host: str, port: int = 5060) -> tuple[str, int]:
    """A literal address of host or host:port. Blocks. Raises SipRefused."""
    name, _, given = host.partition(":")
    try:
        found = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_DGRAM)
    except OSError as failure:
        raise SipRefused(f"{name} cannot be found: {failure.strerror}") from failure
    return str(found[0][4][0]), int(given) if given else port
