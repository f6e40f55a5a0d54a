"""The kinds of value a setting can have: how each is written, and how it is read.

A ValueError says in a user's words what is wrong; what is accepted is added by problems.py.
"""

import ipaddress
import re
import ssl
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from exporter.appended_file import refusal
from exporter.settings.problems import Accepts
from exporter.tls_files import load_trusted

_TAKEN_PATHS: Final = ("/-", "/api", "/probe", "/sd", "/static")
"""Each, and all below it, is served already: --web.telemetry-path cannot be there."""


def plain(value: str) -> str:
    """Refuse what could end an AMI header early (it ends at CR LF) or cannot be sent at all."""
    if any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in value):
        raise ValueError("control characters and bytes that are not UTF-8 are refused")
    return value


def _check_host(value: str) -> str:
    """Check a host name or a bare IP address. Only IPv6 has colons."""
    if ":" in value or re.fullmatch(r"[0-9.]+", value):
        try:
            ipaddress.ip_address(plain(value))  # ip_address() takes anything for an IPv6 zone
        except ValueError:
            if re.fullmatch(r"[^:]*:[0-9]+", value):
                raise ValueError("the port is a setting of its own") from None
            raise ValueError("not an IP address") from None
    elif len(value) > 253 or not all(
        re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}", label)
        for label in value.removesuffix(".").split(".")
    ):
        raise ValueError("not a host name")
    return value


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def _read_seconds(value: object) -> object:
    """Turn '500ms', '1m30s' into seconds; leave bare numbers to pydantic."""
    if isinstance(value, str) and re.fullmatch(r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+", value):
        parts = re.findall(r"([0-9.]+)(ms|s|m|h)", value)
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    return value


@dataclass(frozen=True)
class ListenAddress:
    """Where to listen: `host` None is every interface, `port` 0 is one the system chooses."""

    host: str | None
    port: int

    def __str__(self) -> str:
        """Return the form a user writes, '[::1]:10329' for IPv6."""
        host = self.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def is_everywhere(self) -> bool:
        """Whether it is every interface, in both families: written without a host, or as [::]."""
        return self.host is None or _same_host(self.host) == "::"


def _same_host(host: str) -> str:
    """The one spelling of a host that has several."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower().removesuffix(".")


def listed(value: str) -> list[str]:
    """Return the parts of a text that lists several values, between commas or blanks."""
    return re.split(r"[,\s]+", value.strip(", \t\r\n"))


def _read_listen_address(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<name>[^:]*)):(?P<port>[0-9]{1,5})", value)
    if match is None:
        raise ValueError("not HOST:PORT")
    port = int(match["port"])
    if port > 65535:
        raise ValueError("the port is above 65535")
    if match["v6"]:
        if ":" not in match["v6"]:
            raise ValueError("not an IPv6 address")
        return ListenAddress(_check_host(match["v6"]), port)
    return ListenAddress(_check_host(match["name"]) if match["name"] else None, port)


def _check_twice(addresses: tuple[ListenAddress, ...]) -> tuple[ListenAddress, ...]:
    """Refuse an address that is there twice, in whatever spelling; port 0 is another each time."""
    seen: set[tuple[str, int]] = set()
    for address in addresses:
        host = "" if address.is_everywhere else _same_host(address.host or "")
        if address.port and (host, address.port) in seen:
            raise ValueError("one of them is there twice")
        seen.add((host, address.port))
    return addresses


def _check_path(value: str) -> str:
    """Refuse a path at which something else is served."""
    for taken in _TAKEN_PATHS:
        if f"{value.rstrip('/')}/".startswith(f"{taken}/"):
            raise ValueError(f"{taken} is for something else")
    return value


ShardBy = Annotated[Literal["hashmod", "rendezvous"], Accepts("RULE", "hashmod or rendezvous")]


@dataclass(frozen=True)
class Shard:
    """Which share of the targets, `index` from 0, of how many, `count`, and dealt `by` what."""

    index: int
    count: int
    by: ShardBy = "hashmod"

    def __str__(self) -> str:
        """Return the form a user writes."""
        return f"{self.index}/{self.count}"


def _read_shard(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", value)
    if match is None:
        raise ValueError("not INDEX/COUNT")
    shard = Shard(int(match[1]), int(match[2]))
    if shard.index >= shard.count:
        raise ValueError("the index is not below the count; the first is 0")
    return shard


def _read_level(value: object) -> object:
    """Take 'warn' too: that is how Prometheus' own exporters spell it."""
    return "warning" if value == "warn" else value


def _check_certificates(path: Path) -> Path:
    load_trusted(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), path)
    return path


def _check_appended(path: Path) -> Path:
    if (reason := refusal(path)) is not None:
        raise ValueError(reason)
    return path


Certificates = Annotated[Path, AfterValidator(_check_certificates)]
HostName = Annotated[
    str, AfterValidator(_check_host), Accepts("HOST", "a host name or an IP address")
]
Port = Annotated[int, Field(ge=1, le=65535), Accepts("PORT", "a number from 1 to 65535")]
Seconds = Annotated[float, BeforeValidator(_read_seconds)]
Count = Annotated[int, Field(ge=1, le=10000), Accepts("COUNT", "a number from 1 to 10000")]
UserName = Annotated[
    str,
    Field(min_length=1, max_length=255),
    AfterValidator(plain),
    Accepts("NAME", "the name of a user in manager.conf"),
]
ListenOn = Annotated[
    tuple[Annotated[ListenAddress, BeforeValidator(_read_listen_address)], ...],
    NoDecode,  # pydantic-settings would read JSON
    AfterValidator(_check_twice),
    Accepts("HOST:PORT", "HOST:PORT, [IPv6]:PORT or :PORT, the port from 0 to 65535"),
]
MetricsPath = Annotated[
    str,
    Field(pattern=r"^(/[A-Za-z0-9._~-]+)+/?$", max_length=255),
    AfterValidator(_check_path),
    Accepts("PATH", "a path of letters, digits and ._~- below /, such as /metrics"),
]
ShardOrAll = Annotated[
    Shard | None,
    NoDecode,
    BeforeValidator(_read_shard),
    Accepts("INDEX/COUNT", "INDEX/COUNT, such as 0/3 for the first of three"),
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"],
    BeforeValidator(_read_level),
    Accepts("LEVEL", "debug, info, warning or error"),
]
LogFormat = Annotated[Literal["logfmt", "json"], Accepts("FORMAT", "logfmt or json")]
LogFaxes = Annotated[Literal["all", "failed", "off"], Accepts("WHICH", "all, failed or off")]
AppendedTo = Annotated[Path, AfterValidator(_check_appended)]
