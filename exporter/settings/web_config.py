"""The file of --web.config.file: TLS, users and headers, in the format of exporter-toolkit.

    tls_server_config: {cert_file: fax.pem, key_file: fax.key, min_version: TLS13}
    basic_auth_users: {prometheus: $2y$10$...}
    http_server_config: {headers: {X-Frame-Options: deny}}

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md
What is served with it is the business of web/.
"""

import re
import ssl
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

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

from exporter.settings.declarations import BY_PATH
from exporter.settings.problems import (
    Accepts,
    Loc,
    Place,
    SettingsError,
    accepted_by,
    explained,
    no_such,
)
from exporter.settings.web_protection import (
    EMPTY,
    Protection,
    given_up,
    lost_unsaid,
    open_unsaid,
)
from exporter.settings.yaml_files import Keyed, named_file, read_yaml
from exporter.tls_files import Signatures, load_identity, load_trusted, signatures

MAX_COST: Final = 14
"""The highest cost of a bcrypt hash. Checking one password against it takes about a second of a
processor, and each step more twice as long: who logs in waits for all who guess before. htpasswd
makes 5 unless told otherwise, and up to 17."""

_HASH: Final = re.compile(r"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_SETTING: Final = BY_PATH["web", "config_file"]
_FILE_KEYS: Final = ("cert_file", "key_file", "client_ca_file")
_VERSIONS: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_VERIFY: Final = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
# Keys that exporter-toolkit knows and this exporter does not support, by section.
_UNSUPPORTED: Final = {
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
    """What the file says. The defaults are what holds without a file."""

    ssl_context: ssl.SSLContext | None = None
    """None: plain HTTP."""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """For every response."""
    users: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """bcrypt hashes by the name of the user; none: everybody may see everything."""
    protections: frozenset[Protection] = frozenset()
    """What keeps others out."""
    key_file: Path | None = None
    """The private key of `ssl_context`."""


# --- the models -----------------------------------------------------------------------------


def _check_auth_type(value: object) -> object:
    if value in ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert"):
        raise ValueError("Python's TLS takes no certificate that it has not verified")
    return value


def _check_version(value: object) -> object:
    if value in ("TLS10", "TLS11"):
        raise ValueError("deprecated since 2021 (RFC 8996), and refused by today's OpenSSL")
    return value


def _check_http2(value: object) -> object:
    if value is True:
        raise ValueError("HTTP/2 is not spoken here; Prometheus speaks HTTP/1.1 as well")
    return value


def _check_file(value: object, info: ValidationInfo) -> object:
    # A key written into this file by mistake: refused before a message could quote it as a path.
    if isinstance(value, str) and ("-----" in value or "\n" in value):
        raise ValueError("a PEM text, where the name of its file belongs")
    return named_file(value, info)


def _check_header_value(value: object) -> object:
    if isinstance(value, str) and not (value.isascii() and value.isprintable()):
        raise ValueError("not printable ASCII")
    return value


_PEM = Accepts("FILE", "a readable file of PEM certificates")
_VersionName = Annotated[
    Literal["TLS12", "TLS13"], BeforeValidator(_check_version), Accepts("VERSION", "TLS12 or TLS13")
]
_Header = Annotated[
    str | None, BeforeValidator(_check_header_value), Accepts("VALUE", "the value of the header")
]


class _Section(BaseModel):
    # Without the hiding, pydantic prints the value it refuses, be it a key or a hash.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class _Tls(_Section):
    cert_file: Annotated[Path, BeforeValidator(_check_file), _PEM]
    key_file: Annotated[
        Path,
        BeforeValidator(_check_file),
        Accepts("FILE", "a readable PEM file with the unencrypted key of cert_file"),
    ]
    client_auth_type: Annotated[
        Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"],
        BeforeValidator(_check_auth_type),
        Accepts("TYPE", "NoClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert"),
    ] = "NoClientCert"
    client_ca_file: Annotated[Path | None, BeforeValidator(_check_file), _PEM] = Field(
        default=None, validate_default=True
    )
    min_version: _VersionName = "TLS12"
    max_version: _VersionName = "TLS13"

    @field_validator("client_ca_file")
    @classmethod
    def _fits_client_auth_type(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        kind = info.data.get("client_auth_type")
        if kind == "NoClientCert" and value is not None:
            raise ValueError("no certificate is asked for; set client_auth_type")
        if kind not in (None, "NoClientCert") and value is None:
            raise ValueError(f"not set, and {kind} needs it")
        return value

    @field_validator("max_version")
    @classmethod
    def _not_below_min_version(cls, value: str, info: ValidationInfo) -> str:
        if value < info.data.get("min_version", ""):
            raise ValueError("below min_version")
        return value


class _Headers(_Section):
    # `X-XSS-Protection: 0` is a number in YAML.
    model_config = ConfigDict(coerce_numbers_to_str=True)

    hsts: _Header = Field(None, alias="Strict-Transport-Security")
    content_type: Annotated[Literal["nosniff"] | None, Accepts("VALUE", "nosniff")] = Field(
        None, alias="X-Content-Type-Options"
    )
    frames: Annotated[Literal["deny", "sameorigin"] | None, Accepts("", "deny or sameorigin")] = (
        Field(None, alias="X-Frame-Options")
    )
    xss: _Header = Field(None, alias="X-XSS-Protection")
    csp: _Header = Field(None, alias="Content-Security-Policy")


class _Http(_Section):
    http2: Annotated[Literal[False], BeforeValidator(_check_http2), Accepts("false", "false")] = (
        False
    )
    headers: Annotated[_Headers, Accepts("HEADERS", "names of headers with their values")] = (
        _Headers()
    )


def _check_hash(value: object) -> object:
    match = _HASH.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("not a bcrypt hash")
    if not 4 <= int(match["cost"]) <= MAX_COST:
        raise ValueError(
            f"the cost of the hash is not from 4 to {MAX_COST}: with {MAX_COST} one login takes a "
            "second, with each more twice as long"
        )
    return value


def _check_user(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("not text; quote it")
    if ":" in value or not value.isprintable():
        raise ValueError("a name with a colon or a control character cannot be sent")
    return value


_USER = Accepts("NAME", "the name of a user")
_HASHES = Accepts("HASH", "a bcrypt hash, as `htpasswd -nBC 10 NAME` makes it")


class _File(_Section):
    tls_server_config: Annotated[
        _Tls | None, Accepts("", "cert_file, key_file and others, or {} for no TLS")
    ] = None
    http_server_config: Annotated[_Http, Accepts("", "headers")] = _Http()
    basic_auth_users: Annotated[
        dict[
            Annotated[str, BeforeValidator(_check_user)],
            Annotated[str, BeforeValidator(_check_hash)],
        ],
        Accepts("", "names of users with the bcrypt hashes of their passwords, or {} for no users"),
    ] = {}


# --- loading --------------------------------------------------------------------------------


def read_web_config(
    path: Path, before: Set[Protection] = frozenset()
) -> tuple[WebConfig | SettingsError, Signatures]:
    """Read the file and the certificates it names; return their signatures from just before, too.

    `before`: the protections until now. A file that has one of them no longer, or neither users nor
    TLS, is refused unless it says so. An error has a line for each thing that is wrong, and nothing
    that the file holds.
    """
    seen = signatures([path])
    try:
        content = read_yaml(path, _SETTING)
        # Their signatures are needed even if the configuration is refused: one of them may be at
        # fault, and mended.
        tls = content.get("tls_server_config") if isinstance(content, dict) else None
        if isinstance(tls, dict):
            named = [tls.get(key) for key in _FILE_KEYS]
            seen |= signatures(path.parent / file for file in named if isinstance(file, str))
        config = _parsed(path, content, before)
    except SettingsError as error:
        return error, seen
    if signatures(seen) != seen:
        return SettingsError(f"{path}: was being written while it was read"), seen
    return config, seen


def _parsed(path: Path, content: object, before: Set[Protection]) -> WebConfig:
    if content is None:
        raise SettingsError(f"{path}: {EMPTY}")
    if not isinstance(content, Keyed):
        raise SettingsError(f"{path}: takes keys: {', '.join(_File.model_fields)}")
    problems = [place.refusal("no value") for place in _without_value(content)]
    try:
        file = _File.model_validate(_normalised(content), context=path.parent)
    except ValidationError as error:
        problems += explained(error, lambda loc: _place(loc, content))
    else:
        context = None
        if file.tls_server_config is not None:
            context, wrong = _context(file.tls_server_config)
            problems += wrong
        there, up = _protections(file), given_up(content)
        # Without a value it may have been meant to be there, which is said already.
        problems = problems or open_unsaid(there, up) or lost_unsaid(before, there, up)
    # Raised outside of `except`, so that an exception that quotes a hash or key is not its context.
    if problems:
        raise SettingsError("\n".join(f"{path}: {problem}" for problem in problems))
    return WebConfig(
        ssl_context=context,
        headers=MappingProxyType(
            file.http_server_config.headers.model_dump(by_alias=True, exclude_none=True)
        ),
        users=MappingProxyType({u: h.encode() for u, h in file.basic_auth_users.items()}),
        protections=there,
        key_file=None if file.tls_server_config is None else file.tls_server_config.key_file,
    )


def _sections(content: Mapping[Any, Any]) -> Iterator[tuple[Loc, Mapping[Any, Any]]]:
    """The sections that are there, each by its path."""
    for path in _SECTIONS:
        section: object = content
        for key in path:
            section = section.get(key) if isinstance(section, Mapping) else None
        if isinstance(section, Mapping):
            yield path, section


def _without_value(content: Mapping[Any, Any]) -> Iterator[Place]:
    """The keys with nothing after them. exporter-toolkit takes them for not set, and so would serve
    everybody what is left of a file cut behind 'basic_auth_users:'."""
    for path, section in _sections(content):
        for key, entry in _fields_by_key(_SECTIONS[path]).items():
            if key in section and section[key] is None:
                yield Place(".".join((*path, key)), accepted_by(entry))


def _normalised(content: Mapping[Any, Any]) -> object:
    """Drop what has no value, and in the section of TLS, as exporter-toolkit does, what is ''."""
    found: dict[Any, Any] = {key: value for key, value in content.items() if value is not None}
    for section, empty in (("tls_server_config", (None, "")), ("http_server_config", (None,))):
        keys = found.get(section)
        if isinstance(keys, dict):
            found[section] = {key: value for key, value in keys.items() if value not in empty}
    if found.get("tls_server_config") == {}:
        del found["tls_server_config"]
    return found


def _protections(file: _File) -> frozenset[Protection]:
    there = set()
    tls = file.tls_server_config
    if file.basic_auth_users:
        there.add(Protection.USERS)
    if tls is not None:
        there.add(Protection.TLS)
        if tls.client_auth_type == "RequireAndVerifyClientCert":
            there.add(Protection.CLIENT_CERTIFICATES)
        if tls.min_version == "TLS13":
            there.add(Protection.TLS_1_3)
    return frozenset(there)


def _context(tls: _Tls) -> tuple[ssl.SSLContext, list[str]]:
    """Return the context that TLS is served with, and what is wrong with the files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.maximum_version = _VERSIONS[tls.max_version]
    context.options |= ssl.OP_NO_RENEGOTIATION  # it costs the server far more than the client
    context.set_alpn_protocols(["http/1.1"])
    problems = []

    def loaded(key: str, load: Callable[[], None]) -> bool:
        try:
            load()
        except ValueError as error:
            place = Place(f"tls_server_config.{key}", accepted_by(_Tls.model_fields[key]))
            problems.append(place.refusal(str(error)))
            return False
        return True

    scratch = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if loaded("cert_file", lambda: load_trusted(scratch, tls.cert_file)):
        identity = (context, tls.cert_file, tls.key_file)
        loaded("key_file", lambda: load_identity(*identity))
    ca_file = tls.client_ca_file
    if ca_file is not None:
        # exporter-toolkit trusts each certificate of the file as a root; so does this.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        loaded("client_ca_file", lambda: load_trusted(context, ca_file))
    context.verify_mode = _VERIFY[tls.client_auth_type]
    return context, problems


# --- what is wrong --------------------------------------------------------------------------

_SECTIONS: Final[Mapping[tuple[str, ...], type[_Section]]] = {
    (): _File,
    ("tls_server_config",): _Tls,
    ("http_server_config",): _Http,
    ("http_server_config", "headers"): _Headers,
}


def _fields_by_key(section: type[_Section]) -> dict[str, FieldInfo]:
    return {entry.alias or name: entry for name, entry in section.model_fields.items()}


def _place(path: Loc, content: Keyed) -> Place | str:
    """Return where in the file something is wrong; the whole line if there is no such key. A name
    that is none of ours is told by its line: it may be a password in the wrong place."""
    if not path:
        return "holds a key that is not Unicode text"
    above, key = path[:-1], path[-1]
    section = next((keys for one, keys in _sections(content) if one == above), content)
    if path[0] == "basic_auth_users" and len(path) > 1:
        users = content[path[0]]
        where = users.place(path[1]) if isinstance(users, Keyed) else "some key"
        return Place(f"basic_auth_users, {where}", _USER if key == "[key]" else _HASHES)
    known = _fields_by_key(_SECTIONS[above])
    if key in known:
        return Place(".".join(path), accepted_by(known[key]))
    prefix = "".join(f"{part}." for part in above)
    if key in _UNSUPPORTED.get(".".join(above), ()):
        return f"{prefix}{key}: exporter-toolkit has it, this exporter does not"
    names = sorted(known)
    assert isinstance(section, Keyed)
    where = ", ".join([*filter(None, [".".join(above)]), section.place(key)])
    return no_such(where, key, names, hint=f"; there is {', '.join(names)}")
