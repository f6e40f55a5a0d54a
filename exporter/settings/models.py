"""Everything a user can set, each declared once, as a field of a model below.

The flag, the environment variable and the entry in --help all come from that field. What the
settings do is the business of the files that use them.
"""

import argparse
import codecs
import difflib
import ipaddress
import os
import re
import shlex
import ssl
import stat
import textwrap
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from exporter import __version__
from exporter.tls_files import load_identity, load_trusted, unread

PROGRAM = "asterisk-fax-exporter"
ENV_PREFIX = "FAX_EXPORTER_"
SECRET_VARIABLE = f"{ENV_PREFIX}AMI_SECRET"

TAKEN_PATHS = ("/-", "/api", "/probe", "/sd", "/static")
"""Paths that the web side has for itself, with all below them."""

# Far more than a secret has; a longer file is the wrong one.
_SECRET_FILE_BYTES = 4096
_SHOWN_CHARS = 200
_NOT_SET = "not set, and only --demo and --config.file need none"


class SettingsError(ValueError):
    """One or more settings are wrong; the message has a line for each, and never a secret."""


@dataclass(frozen=True)
class Takes:
    """What a setting takes: its placeholder in --help, and the words a refusal ends with."""

    metavar: str
    what: str


@dataclass(frozen=True)
class Key:
    """The name of a setting after its group's, where it is not the field's."""

    name: str


# --- values ---------------------------------------------------------------------------------


def _plain(value: str) -> str:
    """Refuse what could end an AMI header early (it ends at CR LF) or cannot be sent at all."""
    if any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in value):
        raise ValueError("control characters and bytes that are not UTF-8 are refused")
    return value


def _host(value: str) -> str:
    """Check a host name or a bare IP address; IPv6 is the only one of them with colons."""
    if ":" in value or re.fullmatch(r"[0-9.]+", value):
        try:
            ipaddress.ip_address(_plain(value))  # it takes anything for an IPv6 zone
        except ValueError:
            raise ValueError("not an IP address") from None
    elif len(value) > 253 or not all(
        re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}", label)
        for label in value.removesuffix(".").split(".")
    ):
        raise ValueError("not a host name")
    return value


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def _seconds(value: object) -> object:
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


def _listen_address(value: object) -> object:
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
        return ListenAddress(_host(match["v6"]), port)
    return ListenAddress(_host(match["name"]) if match["name"] else None, port)


def _free_path(value: str) -> str:
    for taken in TAKEN_PATHS:
        if f"{value.rstrip('/')}/".startswith(f"{taken}/"):
            raise ValueError(f"{taken} is for something else")
    return value


@dataclass(frozen=True)
class Shard:
    """Which share of the targets, `index` from 0, of how many, `count`."""

    index: int
    count: int

    def __str__(self) -> str:
        """Return the form a user writes."""
        return f"{self.index}/{self.count}"


def _shard(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", value)
    if match is None:
        raise ValueError("not INDEX/COUNT")
    shard = Shard(int(match[1]), int(match[2]))
    if shard.index >= shard.count:
        raise ValueError("the index is not below the count; the first is 0")
    return shard


def _level(value: object) -> object:
    """Take 'warn' too: that is how Prometheus' own exporters spell it."""
    return "warning" if value == "warn" else value


def _certificates(path: Path) -> Path:
    load_trusted(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), path)
    return path


def _read_secret(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_SECRET_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ValueError(unread(error)) from None
    if len(content) > _SECRET_FILE_BYTES:
        raise ValueError(f"more than {_SECRET_FILE_BYTES} bytes, not a secret")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content[:2]:
        raise ValueError("it is UTF-16; save it as UTF-8 without a byte order mark")
    if content.startswith(codecs.BOM_UTF8):
        raise ValueError("it begins with a byte order mark; save it as UTF-8 without one")
    # Never decode strictly here: the exception would carry the secret's bytes with it.
    secret = content.decode("utf-8", "surrogateescape").rstrip("\r\n")
    if not secret.strip(" "):
        raise ValueError("the file is empty")
    if "\n" in secret or "\r" in secret:
        raise ValueError("it has several lines, and control characters are refused in a secret")
    return secret


def secret_cautions(settings: "AmiSettings", variable: str = SECRET_VARIABLE) -> list[str]:
    """What is odd about a secret, or about the file it is in, and what to do; never the secret.
    `variable`: where it is from if not from a file.

    None of it is refused: a login that works needs no better secret, and who may read a file is
    for whoever mounts it to say.
    """
    file = settings.secret_file
    name = variable if file is None else str(file)
    secret = settings.secret.get_secret_value()
    said = []
    if secret != secret.strip(" "):
        said.append(
            f"{name}: the secret has blanks at an end, and manager.conf takes them away: "
            "if the login is refused, take them away here too"
        )
    if ";" in secret:
        said.append(
            f"{name}: the secret has a ';', where manager.conf ends a value: there it has to be "
            "written '\\;'"
        )
    if file is not None and _all_may_read(file):
        quoted = shlex.quote(name)
        first = "" if _read_without_others(file) else f"chown {os.geteuid()} {quoted}; "
        said.append(f"{name}: all users of this machine may read it: {first}chmod o= {quoted}")
    return said


def _all_may_read(file: Path) -> bool:
    """Whether each user of the machine can, since the folders above let them through too.

    Not of what is mounted read-only, as secrets are in a container: there the exporter is alone,
    and nobody could change it.
    """
    try:
        path = file.resolve()
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return False
        return bool(path.stat().st_mode & stat.S_IROTH) and all(
            folder.stat().st_mode & stat.S_IXOTH for folder in path.parents
        )
    except OSError:  # such as one that has just been taken away
        return False


def _read_without_others(file: Path) -> bool:
    """Whether we still could read it if others could not."""
    now = file.stat()
    of_group = now.st_gid in {os.getegid(), *os.getgroups()} and now.st_mode & stat.S_IRGRP
    return os.geteuid() in {0, now.st_uid} or bool(of_group)


Certificates = Annotated[Path, AfterValidator(_certificates)]
HostName = Annotated[str, AfterValidator(_host), Takes("HOST", "a host name or an IP address")]
Port = Annotated[int, Field(ge=1, le=65535), Takes("PORT", "a number from 1 to 65535")]


# --- settings -------------------------------------------------------------------------------


class _Group(BaseModel):
    """Settings that share the first part of their name."""

    # Without the hiding, pydantic prints the value it refuses, be it a secret.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class AmiSettings(_Group):
    """One Asterisk and how to log in to it."""

    host: Annotated[HostName, Field(description="Host of Asterisk's manager interface.")] = (
        "127.0.0.1"
    )
    port: Annotated[Port, Field(description="Its TCP port.")] = 5038
    username: Annotated[
        str,
        Field(min_length=1, max_length=255, description="User to log in as, from manager.conf."),
        AfterValidator(_plain),
        Takes("NAME", "the name of a user in manager.conf"),
    ]
    secret_file: Annotated[
        Path | None,
        Field(description="File that holds the user's secret; a line end after it is ignored."),
        Takes("FILE", "a readable file with nothing but the secret in it"),
    ] = None
    secret: Annotated[
        SecretStr,
        Field(description="The user's secret.", validate_default=True),
        Takes("SECRET", "the secret of that user in manager.conf"),
    ] = SecretStr("")
    tls: Annotated[bool, Field(description="Connect with TLS.")] = False
    tls_ca_file: Annotated[
        Certificates | None,
        Field(description="Trust these certificates instead of the system's; needs TLS."),
        Takes("FILE", "a readable file of PEM certificates, and needs --ami.tls"),
    ] = None
    tls_server_name: Annotated[
        HostName | None,
        Field(description="Name the certificate must have, if not the host's; needs TLS."),
        Takes("NAME", "a host name or an IP address, and needs --ami.tls"),
    ] = None
    tls_cert_file: Annotated[
        Certificates | None,
        Field(description="Certificate to show to a TLS proxy that asks for one; needs TLS."),
        Takes("FILE", "a readable file of PEM certificates, and needs --ami.tls"),
    ] = None
    tls_key_file: Annotated[
        Path | None,
        Field(
            description="Its private key, not encrypted, if that is not in the same file.",
            validate_default=True,
        ),
        Takes("FILE", "a readable PEM file with the unencrypted key of --ami.tls-cert-file"),
    ] = None
    timeout: Annotated[
        float,
        BeforeValidator(_seconds),
        Field(ge=0.1, le=300, description="Time one poll may take, seconds."),
        Takes("SECONDS", "seconds from 0.1 to 300, or a duration such as 500ms or 5s"),
    ] = 5.0

    # The file is declared before the secret, so that it is at hand when the secret is checked.
    @field_validator("secret", mode="before")
    @classmethod
    def _secret_from_file(cls, value: object, info: ValidationInfo) -> object:
        if "secret_file" not in info.data:  # refused already
            return value
        path: Path | None = info.data["secret_file"]
        given = value.get_secret_value() if isinstance(value, SecretStr) else value
        if path is None:
            if not given:
                raise ValueError(_NOT_SET)
            return value
        if given:
            raise ValueError(f"{SECRET_VARIABLE} is set too, and only one of them can hold")
        return _read_secret(path)

    @field_validator("secret")
    @classmethod
    def _secret_is_plain(cls, value: SecretStr) -> SecretStr:
        _plain(value.get_secret_value())
        return value

    @field_validator("tls_ca_file", "tls_server_name", "tls_cert_file", "tls_key_file")
    @classmethod
    def _needs_tls(cls, value: object, info: ValidationInfo) -> object:
        if value is not None and info.data.get("tls") is False:
            raise ValueError("TLS is off")
        return value

    @field_validator("tls_key_file")
    @classmethod
    def _key_is_of_the_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if "tls_cert_file" not in info.data:  # refused already
            return value
        certificate: Path | None = info.data["tls_cert_file"]
        if certificate is None:
            if value is not None:
                raise ValueError("--ami.tls-cert-file is not set")
            return value
        try:
            load_identity(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate, value)
        except ValueError as error:
            if value is None:
                raise ValueError(f"not set, and --ami.tls-cert-file {error}") from None
            raise
        return value


class ConfigSettings(_Group):
    """The file that names the targets, where there are several."""

    file: Annotated[
        Path | None,
        Field(description="File that names the Asterisks to watch; read again on SIGHUP."),
        Takes("FILE", "a readable YAML file with targets in it"),
    ] = None
    check: Annotated[
        bool, Field(description="Only check the settings and the files they name, and exit.")
    ] = False
    shard: Annotated[
        Shard | None,
        NoDecode,
        BeforeValidator(_shard),
        Field(description="Watch only this share of the file's targets, as hashmod deals them."),
        Takes("INDEX/COUNT", "INDEX/COUNT, such as 0/3 for the first of three"),
    ] = None


class PollSettings(_Group):
    """The scrape loop of one Asterisk."""

    interval: Annotated[
        float,
        BeforeValidator(_seconds),
        Field(ge=0.05, le=3600, description="From poll to poll, seconds."),
        Takes("SECONDS", "seconds from 0.05 to 3600, or a duration such as 500ms or 1m"),
    ] = 1.0


class WebSettings(_Group):
    """The HTTP side."""

    listen_address: Annotated[
        ListenAddress,
        NoDecode,
        BeforeValidator(_listen_address),
        Field(description="Address and TCP port to listen on; port 0 takes a free one."),
        Takes("HOST:PORT", "HOST:PORT, [IPv6]:PORT or :PORT, the port from 0 to 65535"),
    ] = ListenAddress(None, 10329)
    telemetry_path: Annotated[
        str,
        Field(
            pattern=r"^(/[A-Za-z0-9._~-]+)+/?$", max_length=255, description="Path of the metrics."
        ),
        AfterValidator(_free_path),
        Takes("PATH", "a path of letters, digits and ._~- below /, such as /metrics"),
    ] = "/metrics"
    config_file: Annotated[
        Path | None,
        Key("config.file"),
        Field(description="File with TLS, users and headers, as Prometheus' exporters have."),
        Takes("FILE", "a readable YAML file in the format of Prometheus' exporter-toolkit"),
    ] = None
    show_details: Annotated[
        bool,
        Field(description="Show personal data: file names, channel names and station ids."),
    ] = False
    max_connections: Annotated[
        int,
        Field(ge=1, le=10000, description="Connections held at once."),
        Takes("COUNT", "a number from 1 to 10000"),
    ] = 512


class LogSettings(_Group):
    """What is logged to standard error, and how."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(_level),
        Field(description="Least severe level logged: debug, info, warning or error."),
        Takes("LEVEL", "debug, info, warning or error"),
    ] = "info"
    format: Annotated[
        Literal["logfmt", "json"],
        Field(description="Form of a log line: logfmt or json."),
        Takes("FORMAT", "logfmt or json"),
    ] = "logfmt"


class MetricsSettings(_Group):
    """Which series there are."""

    peer_label: Annotated[
        bool, Field(description="Label series with the channel's technology and endpoint.")
    ] = False
    peer_limit: Annotated[
        int,
        Field(ge=1, le=10000, description="Peers that get a label of their own; the rest: other."),
        Takes("COUNT", "a number from 1 to 10000"),
    ] = 100


# What Kubernetes puts into every container for a service that is named fax-exporter-something.
_OF_KUBERNETES = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)=.*"
    r"|\w+_PORT=(tcp|udp|sctp)://.*"
)


class Settings(BaseSettings):
    """All settings of one process: what it is called with, else the environment, else defaults."""

    model_config = SettingsConfigDict(
        frozen=True,
        hide_input_in_errors=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_ignore_empty=True,
    )

    ami: Annotated[AmiSettings | None, Field(title="Asterisk's manager interface (AMI)")]
    """None if `config.file` names the targets."""
    config: Annotated[ConfigSettings, Field(title="Several Asterisks")] = ConfigSettings()
    poll: Annotated[PollSettings, Field(title="Polling")] = PollSettings()
    web: Annotated[WebSettings, Field(title="Web")] = WebSettings()
    log: Annotated[LogSettings, Field(title="Logging")] = LogSettings()
    metrics: Annotated[MetricsSettings, Field(title="Metrics")] = MetricsSettings()
    demo: Annotated[
        bool, Field(description="Watch an embedded demo PBX; no Asterisk, no login needed.")
    ] = False
    check_pbx: Annotated[
        bool,
        Field(description="Ask each Asterisk once, say what it lacks and where to add it; exit."),
    ] = False

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the arguments and the environment, nothing else; the first that has a value wins."""
        assert isinstance(env_settings, EnvSettingsSource)
        env_settings.env_vars = {
            name: value
            for name, value in env_settings.env_vars.items()
            if not _OF_KUBERNETES.fullmatch(f"{name.upper()}={value}")
        }
        return init_settings, env_settings

    @model_validator(mode="before")
    @classmethod
    def _demo_has_a_login(cls, data: dict[str, Any]) -> dict[str, Any]:
        # A target without a user is no target, so its fields stay required even for the demo.
        if data.get("config", {}).get("file"):
            return data | {"ami": None}
        ami = data.get("ami", {})
        if isinstance(ami, dict) and _is_true(data.get("demo", False)):
            ami = {"username": "demo"} | ami
            if not ami.get("secret") and not ami.get("secret_file"):
                ami["secret"] = "demo"
        return data | {"ami": ami}


def _is_true(value: object) -> bool:
    try:
        return TypeAdapter(bool).validate_python(value)
    except ValidationError:
        return False  # the field itself says what is wrong with it


def takes_of(field: FieldInfo) -> Takes:
    """Return what a setting takes, as its field declares it."""
    return next(
        (entry for entry in field.metadata if isinstance(entry, Takes)), Takes("", "true or false")
    )


def reason_of(error: ErrorDetails, *, missing: str = "not set") -> str:
    """Return what is wrong, to stand before what the setting takes; empty if that says it all.

    pydantic's own words repeat what the setting takes.
    """
    if error["type"] == "missing":
        return f"{missing}; "
    if error["type"] == "value_error":
        return error["msg"].removeprefix("Value error, ") + "; "
    return ""


# --- names ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Setting:
    """A field of a model above under the names a user knows it by."""

    path: tuple[str, ...]
    field: FieldInfo

    @property
    def key(self) -> str:
        name = next((e.name for e in self.field.metadata if isinstance(e, Key)), self.path[-1])
        return ".".join([*self.path[:-1], name]).replace("_", "-")

    @property
    def flag(self) -> str:
        return f"--{self.key}"

    @property
    def variable(self) -> str:
        return ENV_PREFIX + "_".join(self.path).upper()

    @property
    def takes(self) -> Takes:
        return takes_of(self.field)

    @property
    def is_secret(self) -> bool:
        return self.field.annotation is SecretStr


def _declared() -> Iterator[_Setting]:
    for name, field in Settings.model_fields.items():
        models = (field.annotation, *get_args(field.annotation))
        group = next((m for m in models if isinstance(m, type) and issubclass(m, _Group)), None)
        if group is None:
            yield _Setting((name,), field)
        else:
            for inner, inner_field in group.model_fields.items():
                yield _Setting((name, inner), inner_field)


_SETTINGS = {setting.path: setting for setting in _declared()}
_SECRET_FILE = _SETTINGS["ami", "secret_file"]


# --- the command line -----------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} --ami.username NAME --ami.secret-file FILE [flags]\n"
        f"       {PROGRAM} --config.file FILE [flags]\n"
        f"       {PROGRAM} --demo [flags]",
        description="Prometheus exporter for the faxes of Asterisk.",
        epilog="Each flag can be set by the environment variable beside it; the flag wins.\n"
        "An empty variable is not set.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        add_help=False,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    general = parser.add_argument_group("General")
    general.add_argument("-h", "--help", action="help", help="Show this help and exit.")
    general.add_argument(
        "--version", action="version", version=f"{PROGRAM} {__version__}", help="Show the version."
    )
    groups = {}
    for setting in _SETTINGS.values():
        group = general
        if len(setting.path) > 1:
            name = setting.path[0]
            if name not in groups:
                title = Settings.model_fields[name].title
                groups[name] = parser.add_argument_group(title)
            group = groups[name]
        if setting.is_secret:
            # Every user of the machine can read the flags of a process, so this is none.
            group.description = (
                f"The secret is in --ami.secret-file or in the variable {setting.variable};\n"
                "it is never a flag."
            )
        else:
            _add(group, setting)
    return parser


def _add(group: argparse._ArgumentGroup, setting: _Setting) -> None:
    field = setting.field
    default = "required" if field.is_required() else f"default {_shown_default(field.default)}"
    if field.default is None:
        default = "not set by default"
    text = textwrap.fill(field.description or "", 68)
    text = f"{text}\n({default}; {setting.variable})".replace("%", "%%")
    if field.annotation is bool:
        group.add_argument(
            setting.flag, dest=setting.key, action=argparse.BooleanOptionalAction, help=text
        )
    else:
        group.add_argument(setting.flag, dest=setting.key, metavar=setting.takes.metavar, help=text)


def _shown_default(default: object) -> str:
    if isinstance(default, bool):
        return "off" if not default else "on"
    return f"{default:g}" if isinstance(default, float) else str(default)


def _parse(argv: Sequence[str]) -> dict[tuple[str, ...], Any]:
    """Return the flags given, by the path of their setting.

    Raises SettingsError, SystemExit after --help and --version.
    """
    # Before argparse, which repeats what it does not understand.
    if any(word.partition("=")[0] == "--ami.secret" for word in argv):
        raise SettingsError(
            "--ami.secret: a secret is never a flag, since others could read it; "
            f"set {_SECRET_FILE.flag} or {SECRET_VARIABLE}"
        )
    flags, rest = _parser().parse_known_args(list(argv))
    # What follows an unknown flag may be a password its user took for the value of one, so it is
    # not repeated.
    unknown = [word.partition("=")[0] for word in rest if word.startswith("-")]
    if unknown:
        flags_there_are = [s.flag for s in _SETTINGS.values() if not s.is_secret]
        raise SettingsError("\n".join(no_such(flag, flags_there_are) for flag in unknown))
    if rest:
        raise SettingsError(f"{shown(rest[0])}: no such argument; there are only flags")
    given = vars(flags)
    return {path: given[s.key] for path, s in _SETTINGS.items() if s.key in given}


def no_such(name: str, known: Sequence[str], *, lists: str = "; --help lists what there is") -> str:
    """Say that there is no such setting, and which one may have been meant."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else lists
    return f"{_cut(ascii(name)[1:-1])}: no such setting{hint}"


def shown(value: object) -> str:
    """Quote what a user wrote, so that no control character of it reaches the terminal."""
    if isinstance(value, dict | list):  # which can be endless, by the aliases of YAML
        return "(a mapping)" if isinstance(value, dict) else "(a list)"
    return _cut(ascii(str(value)))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


# --- loading --------------------------------------------------------------------------------


def load(argv: Sequence[str]) -> Settings:
    """Return the settings of `argv` (without the program's name) and the environment.

    Raises SettingsError with a line for each wrong setting; SystemExit(0) after --help and
    --version.
    """
    flags = _parse(argv)
    nested: dict[str, Any] = {}
    for path, value in flags.items():
        if len(path) == 1:
            nested[path[0]] = value
        else:
            nested.setdefault(path[0], {})[path[1]] = value
    if _SECRET_FILE.path in flags:
        nested["ami"]["secret"] = ""  # this flag wins over the variable of the secret too

    variables = {name.upper(): value for name, value in os.environ.items() if value}
    # pydantic-settings would take these for JSON.
    groups = {f"{ENV_PREFIX}{path[0]}".upper() for path in _SETTINGS if len(path) > 1}
    problems = [
        f"{name}: no such setting; those of this group begin with {name}_"
        for name in sorted(groups & variables.keys())
    ] + _beside_the_file(flags, variables)
    if not problems:
        try:
            return Settings(**nested)
        except ValidationError as error:
            problems = [
                _problem(entry, flags, variables) for entry in error.errors(include_input=False)
            ]
    # Raised out here, so that the exception that has seen the secret is not its context.
    raise SettingsError("\n".join(problems))


def _beside_the_file(
    flags: Mapping[tuple[str, ...], Any], variables: Mapping[str, str]
) -> list[str]:
    """What is set of one Asterisk, or of the demo, though a file names them."""
    file = _SETTINGS["config", "file"]
    if file.path not in flags and file.variable not in variables:
        shard = _SETTINGS["config", "shard"]
        alone = shard.path in flags or shard.variable in variables
        return [f"{shard.flag}: needs {file.flag}"] if alone else []
    demo = _SETTINGS["demo",]
    beside = [setting for setting in _SETTINGS.values() if setting.path[0] == "ami"]
    if _is_true(flags.get(demo.path, variables.get(demo.variable, False))):
        beside.append(demo)
    return [
        f"{setting.flag if setting.path in flags else setting.variable}: not together with "
        f"{file.flag}, which names the targets"
        for setting in beside
        if setting.path in flags or setting.variable in variables
    ]


def _problem(
    error: ErrorDetails, flags: Mapping[tuple[str, ...], Any], variables: Mapping[str, str]
) -> str:
    """Say in one line what pydantic's error means to the user who wrote the setting."""
    path = tuple(str(part) for part in error["loc"][:2])
    if path not in _SETTINGS:
        known = [setting.variable for setting in _SETTINGS.values()]
        return no_such(_Setting(path, FieldInfo()).variable, known)
    setting = _SETTINGS[path]
    flag, variable = setting.flag, setting.variable
    if setting.is_secret:
        if _SECRET_FILE.path in flags or _SECRET_FILE.variable in variables:
            setting = _SECRET_FILE  # the secret came from there
            flag, variable = setting.flag, setting.variable
        else:
            flag = _SECRET_FILE.flag
    if setting.path in flags:
        name = f"{flag} {shown(flags[setting.path])}"
    elif setting.variable not in variables:
        name = f"{flag} (or {variable})"
    elif setting.is_secret:
        name = variable
    else:
        name = f"{variable} {shown(variables[variable])}"
    reason = reason_of(error, missing=_NOT_SET)
    return f"{name}: {reason}takes {setting.takes.what}"
