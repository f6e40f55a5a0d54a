"""The file of --web.config.file: TLS, users and headers, in the format of exporter-toolkit.

    tls_server_config: {cert_file: fax.pem, key_file: fax.key, min_version: TLS13}
    basic_auth_users: {prometheus: $2y$10$...}
    http_server_config: {headers: {X-Frame-Options: deny}}

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md
What is made of it, and reading it again. Who serves by it is the business of auth.py and listen.py.
"""

import asyncio
import logging
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from exporter.settings.models import (
    SettingsError,
    Takes,
    no_such,
    reason_of,
    shown,
)
from exporter.settings.targets import PIPE, is_pipe, read_yaml
from exporter.tls_files import Signatures, load_identity, load_trusted, signatures

log = logging.getLogger(__name__)

MAX_COST: Final = 17
"""Of a bcrypt hash: what htpasswd makes at most. It takes about 8 s; 31 would take a day."""
CHECK_SECONDS: Final = 1.0
"""From one look for changed files to the next."""

_HASH: Final = re.compile(r"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_FILE_KEYS: Final = ("cert_file", "key_file", "client_ca_file")
_VERSIONS: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_VERIFY: Final = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
# What exporter-toolkit takes and this exporter does not, by the name of the section.
_NOT_HERE: Final = {
    "": {"rate_limit", "auth_excluded_paths"},
    "tls_server_config": {
        "cert",
        "key",
        "client_ca",
        "cipher_suites",
        "client_allowed_sans",
        "curve_preferences",
        "prefer_server_cipher_suites",
    },
}


@dataclass(frozen=True)
class WebConfig:
    """What the file says; as it stands here, what holds without one."""

    ssl_context: ssl.SSLContext | None = None
    """None: plain HTTP."""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """For every response."""
    users: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """bcrypt hashes by the name of the user; none: everybody may see everything."""


# --- the keys -------------------------------------------------------------------------------


def _auth_type(value: object) -> object:
    if value in ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert"):
        raise ValueError("Python's TLS takes no certificate that it has not verified")
    return value


def _version(value: object) -> object:
    if value in ("TLS10", "TLS11"):
        raise ValueError("deprecated since 2021 (RFC 8996), and refused by today's OpenSSL")
    return value


def _no_http2(value: object) -> object:
    if value is True:
        raise ValueError("HTTP/2 is not spoken here; Prometheus speaks HTTP/1.1 as well")
    return value


def _file(value: object) -> object:
    # Before it could be shown as the name of a file.
    if isinstance(value, str) and ("-----" in value or "\n" in value):
        raise ValueError("a PEM text, where the name of its file belongs")
    if isinstance(value, str) and is_pipe(Path(value)):
        raise ValueError(PIPE)
    return value


def _header_value(value: object) -> object:
    if isinstance(value, str) and not (value.isascii() and value.isprintable()):
        raise ValueError("not printable ASCII")
    return value


_PEM = Takes("FILE", "a readable file of PEM certificates")
_VersionName = Annotated[
    Literal["TLS12", "TLS13"], BeforeValidator(_version), Takes("VERSION", "TLS12 or TLS13")
]
_Header = Annotated[
    str | None, BeforeValidator(_header_value), Takes("VALUE", "the value of the header")
]


class _Section(BaseModel):
    # Without the hiding, pydantic prints the value it refuses, be it a key or a hash.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class _Tls(_Section):
    cert_file: Annotated[Path, BeforeValidator(_file), _PEM]
    key_file: Annotated[
        Path,
        BeforeValidator(_file),
        Takes("FILE", "a readable PEM file with the unencrypted key of cert_file"),
    ]
    client_auth_type: Annotated[
        Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"],
        BeforeValidator(_auth_type),
        Takes("TYPE", "NoClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert"),
    ] = "NoClientCert"
    client_ca_file: Annotated[Path | None, BeforeValidator(_file), _PEM] = Field(
        default=None, validate_default=True
    )
    min_version: _VersionName = "TLS12"
    max_version: _VersionName = "TLS13"

    @field_validator("client_ca_file")
    @classmethod
    def _goes_with_the_type(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        kind = info.data.get("client_auth_type")
        if kind == "NoClientCert" and value is not None:
            raise ValueError("no certificate is asked for; set client_auth_type")
        if kind not in (None, "NoClientCert") and value is None:
            raise ValueError(f"not set, and {kind} needs it")
        return value

    @field_validator("max_version")
    @classmethod
    def _not_below_the_least(cls, value: str, info: ValidationInfo) -> str:
        if value < info.data.get("min_version", ""):
            raise ValueError("below min_version")
        return value


class _Headers(_Section):
    # `X-XSS-Protection: 0` is a number in YAML.
    model_config = ConfigDict(coerce_numbers_to_str=True)

    hsts: _Header = Field(None, alias="Strict-Transport-Security")
    content_type: Annotated[Literal["nosniff"] | None, Takes("VALUE", "nosniff")] = Field(
        None, alias="X-Content-Type-Options"
    )
    frames: Annotated[Literal["deny", "sameorigin"] | None, Takes("", "deny or sameorigin")] = (
        Field(None, alias="X-Frame-Options")
    )
    xss: _Header = Field(None, alias="X-XSS-Protection")
    csp: _Header = Field(None, alias="Content-Security-Policy")


class _Http(_Section):
    http2: Annotated[Literal[False], BeforeValidator(_no_http2), Takes("false", "false")] = False
    headers: Annotated[_Headers, Takes("HEADERS", "names of headers with their values")] = (
        _Headers()
    )


def _hash(value: object) -> object:
    match = _HASH.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("not a bcrypt hash")
    if not 4 <= int(match["cost"]) <= MAX_COST:
        raise ValueError(f"the cost of the hash is not from 4 to {MAX_COST}")
    return value


def _user(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("not text; quote it")
    if ":" in value or not value.isprintable():
        raise ValueError("a name with a colon or a control character cannot be sent")
    return value


_HASHES = Takes("HASH", "a bcrypt hash, as `htpasswd -nBC 10 NAME` makes it")


class _File(_Section):
    tls_server_config: Annotated[_Tls | None, Takes("", "cert_file, key_file and others")] = None
    http_server_config: Annotated[_Http, Takes("", "headers")] = _Http()
    basic_auth_users: Annotated[
        dict[Annotated[str, BeforeValidator(_user)], Annotated[str, BeforeValidator(_hash)]],
        Takes("", "names of users with the bcrypt hashes of their passwords"),
    ] = {}


# --- loading --------------------------------------------------------------------------------


def load(path: Path) -> WebConfig:
    """The file and the certificates it names. An empty file means none of it.

    Raises SettingsError with a line for each thing that is wrong, and never a hash or a key.
    """
    return _made(path, _filled(read_yaml(path), path))


def _filled(content: object, path: Path) -> object:
    """Without the keys that have no value, and with the files named from where `path` is."""
    if content is None:
        return {}
    if not isinstance(content, dict):
        return content
    content = {key: value for key, value in content.items() if value is not None}
    tls = content.get("tls_server_config")
    if isinstance(tls, dict):
        tls = {key: value for key, value in tls.items() if value is not None and value != ""}
        for key in _FILE_KEYS:
            if isinstance(tls.get(key), str):
                # As text, so that a PEM text in it is still seen.
                tls[key] = str(path.parent / tls[key])
        content["tls_server_config"] = tls
        if not tls:
            del content["tls_server_config"]
    http = content.get("http_server_config")
    if isinstance(http, dict):
        content["http_server_config"] = {k: v for k, v in http.items() if v is not None}
    return content


def _made(path: Path, content: object) -> WebConfig:
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: takes keys: {', '.join(_File.model_fields)}")
    problems: list[str] = []
    try:
        file = _File.model_validate(content)
    except ValidationError as error:
        problems = [_problem(entry) for entry in error.errors(include_input=False)]
    else:
        context, problems = None, []
        if file.tls_server_config is not None:
            context, problems = _context(file.tls_server_config)
    # Raised out here, so that an exception that has seen a hash or a key is not its context.
    if problems:
        raise SettingsError("\n".join(f"{path}: {problem}" for problem in problems))
    return WebConfig(
        ssl_context=context,
        headers=MappingProxyType(
            file.http_server_config.headers.model_dump(by_alias=True, exclude_none=True)
        ),
        users=MappingProxyType({u: h.encode() for u, h in file.basic_auth_users.items()}),
    )


def _context(tls: _Tls) -> tuple[ssl.SSLContext, list[str]]:
    """What TLS is served with, or what is wrong with the files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.maximum_version = _VERSIONS[tls.max_version]
    context.options |= ssl.OP_NO_RENEGOTIATION  # it costs the server far more than the client
    context.set_alpn_protocols(["http/1.1"])
    problems = []

    def read(key: str, file: Path, reading: Callable[[], None]) -> bool:
        try:
            reading()
        except ValueError as error:
            takes = _takes(_Tls, key)
            problems.append(f"tls_server_config.{key} {shown(file)}: {error}; takes {takes}")
            return False
        return True

    anything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if read("cert_file", tls.cert_file, lambda: load_trusted(anything, tls.cert_file)):
        identity = (context, tls.cert_file, tls.key_file)
        read("key_file", tls.key_file, lambda: load_identity(*identity))
    ca_file = tls.client_ca_file
    if ca_file is not None:
        # As in exporter-toolkit, where every certificate of the file is a root.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        read("client_ca_file", ca_file, lambda: load_trusted(context, ca_file))
    context.verify_mode = _VERIFY[tls.client_auth_type]
    return context, problems


# --- what is wrong --------------------------------------------------------------------------

_SECTIONS: Final[Mapping[tuple[str, ...], type[_Section]]] = {
    (): _File,
    ("tls_server_config",): _Tls,
    ("http_server_config",): _Http,
    ("http_server_config", "headers"): _Headers,
}


def _keys(section: type[_Section]) -> dict[str, FieldInfo]:
    return {entry.alias or name: entry for name, entry in section.model_fields.items()}


def _takes(section: type[_Section], key: str) -> str:
    return next(m.what for m in _keys(section)[key].metadata if isinstance(m, Takes))


def _problem(error: ErrorDetails) -> str:
    """Say in one line what pydantic's error means to the user who wrote the file."""
    path = tuple(str(part) for part in error["loc"])
    if not path:
        return "holds a key that is not Unicode text"
    reason = reason_of(error)
    if path[0] == "basic_auth_users" and len(path) > 1:
        name = _not_a_hash(path[1])
        if path[-1] == "[key]":
            return f"basic_auth_users {shown(name)}: {reason}takes the name of a user"
        return f"basic_auth_users {shown(name)}: {reason}takes {_HASHES.what}"
    section = _SECTIONS[path[:-1]]
    above = "".join(f"{part}." for part in path[:-1])
    if error["type"] in ("extra_forbidden", "invalid_key"):
        if path[-1] in _NOT_HERE.get(".".join(path[:-1]), ()):
            return f"{above}{path[-1]}: exporter-toolkit has it, this exporter does not"
        known = sorted(_keys(section))
        return above + no_such(_not_a_hash(path[-1]), known, lists=f"; there is {', '.join(known)}")
    return f"{'.'.join(path)}: {reason}takes {_takes(section, path[-1])}"


def _not_a_hash(key: str) -> str:
    """A key to be shown, unless hash and name changed places."""
    return "(a hash)" if key.startswith("$") else key


# --- reading again --------------------------------------------------------------------------


class WebConfigFile:
    """The file as it was last read without fault."""

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.time) -> None:
        """Reads the file; `path` None: there is none. `clock`: seconds since the epoch.

        Raises SettingsError as `load` does.
        """
        self.path = path
        self.current = WebConfig()
        self.successful = True
        """The last reading was without fault."""
        self.fault = ""
        """What was wrong with it, a line for each thing; empty if nothing was."""
        self.success_timestamp = 0.0
        """Seconds since the epoch: when the last faultless reading was; 0 without a file."""
        self.changed: list[Callable[[], None]] = []
        """Called whenever `current` is another."""
        self._clock = clock
        self._seen: Signatures = {}
        if path is not None:
            result, self._seen = _read(path)
            if isinstance(result, SettingsError):
                raise result
            self.current, self.success_timestamp = result, clock()

    async def reload(self) -> bool:
        """Reads it again; a file with a fault is refused whole, and the log says so once.

        Returns whether `current` is what the files say.
        """
        if self.path is None:
            return True
        result, self._seen = await asyncio.to_thread(_read, self.path)
        signature = self._seen[self.path]
        if signature is not None and signature[1] == 0 and self.current != WebConfig():
            # Who writes it anew empties it first, and an empty one lets everybody in.
            result = SettingsError(f"{self.path}: empty now; {{}} is a file that asks for nothing")
        self.successful = isinstance(result, WebConfig)
        told = self.fault.splitlines()
        self.fault = str(result) if isinstance(result, SettingsError) else ""
        if isinstance(result, SettingsError):
            for problem in self.fault.splitlines():
                if problem not in told:
                    log.error("web configuration not changed: %s", problem)
            return False
        self.current, self.success_timestamp = result, self._clock()
        log.info("web configuration read again", extra={"fields": {"file": str(self.path)}})
        for call in self.changed:
            call()
        return True

    async def follow(self) -> None:
        """Reads it again whenever it or a file it names has changed; ends if there is none.

        Not before two looks have found the same: a file that is being written is empty at first,
        and an empty one lets everybody in.
        """
        before = self._seen
        while self.path is not None:
            await asyncio.sleep(CHECK_SECONDS)
            now = await asyncio.to_thread(signatures, self._seen)
            if before == now != self._seen:
                await self.reload()
            before = now


def _read(path: Path) -> tuple[WebConfig | SettingsError, Signatures]:
    """What the files say, and their signatures from just before they were read."""
    seen = signatures([path])
    try:
        content = _filled(read_yaml(path), path)
        # Those it names even if it is refused: what is wrong with it may be one of them.
        tls = content.get("tls_server_config") if isinstance(content, dict) else None
        if isinstance(tls, dict):
            named = [tls.get(key) for key in _FILE_KEYS]
            seen |= signatures(Path(file) for file in named if isinstance(file, str))
        config = _made(path, content)
    except SettingsError as error:
        return error, seen
    if signatures(seen) != seen:
        return SettingsError(f"{path}: was being written while it was read"), seen
    return config, seen
