"""Every setting, declared once: a field of a model with its kind, its default and a sentence.

The flag, the environment variable and the entry in --help follow from the field. What the settings
do stands in the files that use them.
"""

import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Final, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticKnownError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from exporter.settings.problems import Accepts
from exporter.settings.secret_file import is_read_once, read_secret
from exporter.settings.values import (
    AppendedTo,
    Certificates,
    Count,
    HostName,
    ListenAddress,
    ListenOn,
    LogFaxes,
    LogFormat,
    LogLevel,
    MetricsPath,
    Port,
    Seconds,
    Shard,
    ShardBy,
    ShardOrAll,
    UserName,
    plain,
)
from exporter.tls_files import load_identity

ENV_PREFIX: Final = "FAX_EXPORTER_"


@dataclass(frozen=True)
class Key:
    """The name of a setting within its group, where it is not the name of the field."""

    name: str


class _Group(BaseModel):
    """Settings that share the first part of their name."""

    # Without the hiding, pydantic prints the value it refuses, be it a secret.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class AmiSettings(_Group):
    """One Asterisk and how to log in to it."""

    secret_is_set_by: ClassVar = f"{ENV_PREFIX}AMI_SECRET"
    """What the user sets `secret` with, if not with a file."""

    host: Annotated[HostName, Field(description="Host of Asterisk's manager interface.")] = (
        "127.0.0.1"
    )
    port: Annotated[Port, Field(description="Its TCP port.")] = 5038
    username: Annotated[UserName, Field(description="User to log in as, from manager.conf.")]
    secret_file: Annotated[
        Path | None,
        Field(
            description="File that holds the user's secret; a line end after it is ignored. Read "
            "again at each login."
        ),
        Accepts("FILE", "a readable file with nothing but the secret in it"),
    ] = None
    secret: Annotated[
        SecretStr,
        Field(description="The user's secret.", validate_default=True),
        Accepts("SECRET", "the secret of that user in manager.conf"),
    ] = SecretStr("")
    tls: Annotated[bool, Field(description="Connect with TLS.")] = False
    tls_ca_file: Annotated[
        Certificates | None,
        Field(description="Trust these certificates instead of the system's; needs TLS."),
        Accepts("FILE", "a readable file of PEM certificates, and needs --ami.tls"),
    ] = None
    tls_server_name: Annotated[
        HostName | None,
        Field(description="Name the certificate must have, if not the host's; needs TLS."),
        Accepts("NAME", "a host name or an IP address, and needs --ami.tls"),
    ] = None
    tls_cert_file: Annotated[
        Certificates | None,
        Field(description="Certificate to show to a TLS proxy that asks for one; needs TLS."),
        Accepts("FILE", "a readable file of PEM certificates, and needs --ami.tls"),
    ] = None
    tls_key_file: Annotated[
        Path | None,
        Field(
            description="Its private key, not encrypted, if that is not in the same file.",
            validate_default=True,
        ),
        Accepts("FILE", "a readable PEM file with the unencrypted key of --ami.tls-cert-file"),
    ] = None
    timeout: Annotated[
        Seconds,
        Field(ge=0.1, le=300, description="Time one poll may take, seconds."),
        Accepts("SECONDS", "seconds from 0.1 to 300, or a duration such as 500ms or 5s"),
    ] = 5.0

    def with_secret_of_now(self) -> Self:
        """Return these settings with the secret that its file holds now; themselves if that is the
        same, if there is no file, or if it is none that can be read twice, such as a pipe.

        Raises ValueError with what is wrong with the file, and never what is in it.
        """
        if self.secret_file is None or is_read_once(self.secret_file):
            return self
        secret = plain(read_secret(self.secret_file))
        if secret == self.secret.get_secret_value():
            return self
        return self.model_copy(update={"secret": SecretStr(secret)})

    # pydantic checks fields in the order they are declared in: `secret_file` before `secret`.
    @field_validator("secret", mode="before")
    @classmethod
    def _secret_from_file(cls, value: object, info: ValidationInfo) -> object:
        if "secret_file" not in info.data:  # refused already
            return value
        path: Path | None = info.data["secret_file"]
        given = value.get_secret_value() if isinstance(value, SecretStr) else value
        if path is None:
            if not given:
                raise PydanticKnownError("missing")
            return value
        if given:
            raise ValueError(f"{cls.secret_is_set_by} is set too, and only one of them can hold")
        return read_secret(path)

    @field_validator("secret")
    @classmethod
    def _secret_is_plain(cls, value: SecretStr) -> SecretStr:
        plain(value.get_secret_value())
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
        Accepts("FILE", "a readable YAML file with targets in it"),
    ] = None
    check: Annotated[
        bool, Field(description="Only check the settings and the files they name, and exit.")
    ] = False
    shard: Annotated[
        ShardOrAll,
        Field(
            description="Watch only this share of the file's targets. With hashmod one more share "
            "moves most targets to another exporter, where their counters begin at 0."
        ),
    ] = None
    shard_by: Annotated[
        ShardBy,
        Field(
            description="How targets are dealt to the shares: as Prometheus' hashmod deals them, "
            "or by rendezvous, where an Nth share takes one target in N and no other moves."
        ),
    ] = "hashmod"

    @property
    def share(self) -> Shard | None:
        """Which targets of the file are watched; None: all."""
        return self.shard and replace(self.shard, by=self.shard_by)


class PollSettings(_Group):
    """The scrape loop of one Asterisk."""

    interval: Annotated[
        Seconds,
        Field(ge=0.05, le=3600, description="From poll to poll, seconds."),
        Accepts("SECONDS", "seconds from 0.05 to 3600, or a duration such as 500ms or 1m"),
    ] = 1.0


class WebSettings(_Group):
    """The HTTP side."""

    listen_address: Annotated[
        ListenOn,
        Field(
            description="Address and TCP port to listen on; may be given several times. "
            "The variable takes them with commas between. Port 0 takes a free one; no host, or "
            "[::], is all of IPv4 and IPv6. The demo listens on 127.0.0.1:10329 if this is not set."
        ),
    ] = (ListenAddress(None, 10329),)
    systemd_socket: Annotated[
        bool,
        Key("systemd-socket"),
        Field(description="Listen on the sockets that systemd passes, instead of addresses."),
    ] = False
    telemetry_path: Annotated[MetricsPath, Field(description="Path of the metrics.")] = "/metrics"
    config_file: Annotated[
        Path | None,
        Key("config.file"),
        Field(description="File with TLS, users and headers, as Prometheus' exporters have."),
        Accepts("FILE", "a readable YAML file in the format of Prometheus' exporter-toolkit"),
    ] = None
    show_details: Annotated[
        bool,
        Field(
            description="Show personal data, and keep it in the history: names of files and "
            "channels, station ids, callers."
        ),
    ] = False
    max_connections: Annotated[Count, Field(description="Connections held at once.")] = 512


class LogSettings(_Group):
    """What is logged to standard error, and how; and a line for each fax."""

    level: Annotated[
        LogLevel, Field(description="Least severe level logged: debug, info, warning or error.")
    ] = "info"
    format: Annotated[LogFormat, Field(description="Form of a log line: logfmt or json.")] = (
        "logfmt"
    )
    faxes: Annotated[
        LogFaxes,
        Field(
            description="Faxes that have a line when they are over: all, failed or off; at any "
            "level."
        ),
    ] = "all"
    fax_file: Annotated[
        AppendedTo | None,
        Field(
            description="File to append the lines of faxes to, instead of standard error; opened "
            "again on SIGHUP."
        ),
        Accepts("FILE", "a file, there or not, in a folder that the exporter may write in"),
    ] = None
    fax_details: Annotated[
        bool,
        Field(
            description="Personal data in the lines of faxes too: channel, caller, station ids and "
            "file name."
        ),
    ] = False

    @field_validator("fax_file", "fax_details")
    @classmethod
    def _needs_lines(cls, value: object, info: ValidationInfo) -> object:
        if value and info.data.get("faxes") == "off":
            raise ValueError("--log.faxes is off")
        return value


class MetricsSettings(_Group):
    """Which series there are."""

    peer_label: Annotated[
        bool, Field(description="Count also by peer: the channel's technology and endpoint.")
    ] = False
    peer_limit: Annotated[
        Count, Field(description="Peers that are counted by themselves; the rest: other.")
    ] = 100
    peer_file: Annotated[
        Path | None,
        Field(description="File that remembers the peers, to begin with them at 0."),
        Accepts("FILE", "a file in a folder that the exporter may write in"),
    ] = None

    @field_validator("peer_file")
    @classmethod
    def _needs_peers(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("peer_label") is False:
            raise ValueError("--metrics.peer-label is not set")
        return value


class HistorySettings(_Group):
    """The faxes that are over, to be searched."""

    file: Annotated[
        Path | None,
        Field(description="File that keeps the history of faxes; without it, in memory."),
        Accepts("FILE", "a file in a folder that the exporter may write in"),
    ] = None
    faxes: Annotated[
        int,
        Field(ge=1, le=1_000_000, description="Faxes kept at most, of all PBXs together."),
        Accepts("COUNT", "a number from 1 to 1000000"),
    ] = 5000
    days: Annotated[
        int,
        Field(ge=1, le=3650, description="Days after which a fax is deleted."),
        Accepts("DAYS", "a number from 1 to 3650"),
    ] = 30


class Settings(BaseSettings):
    """All settings of one process."""

    model_config = SettingsConfigDict(
        frozen=True,
        hide_input_in_errors=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_ignore_empty=True,
    )

    ami: Annotated[AmiSettings | None, Field(title="Asterisk's manager interface (AMI)")]
    """None if `config.file` names the targets, or `setup_pbx` is to make the user."""
    config: Annotated[ConfigSettings, Field(title="Several Asterisks")] = ConfigSettings()
    poll: Annotated[PollSettings, Field(title="Polling")] = PollSettings()
    web: Annotated[WebSettings, Field(title="Web")] = WebSettings()
    log: Annotated[LogSettings, Field(title="Logging")] = LogSettings()
    metrics: Annotated[MetricsSettings, Field(title="Metrics")] = MetricsSettings()
    history: Annotated[HistorySettings, Field(title="History of faxes")] = HistorySettings()
    demo: Annotated[
        bool, Field(description="Watch an embedded demo PBX; no Asterisk, no login needed.")
    ] = False
    check_pbx: Annotated[
        bool,
        Field(description="Ask each Asterisk once, say what it lacks and where to add it; exit."),
    ] = False
    setup_pbx: Annotated[
        bool,
        Field(
            description="On Asterisk's own machine: show the user and the settings to add, ask, "
            "write both, check; exit."
        ),
    ] = False
    dry_run: Annotated[
        bool, Field(description="Of --setup-pbx: only show what would be written.")
    ] = False
    remove: Annotated[
        bool, Field(description="Of --setup-pbx: take away what it added, on both sides.")
    ] = False
    yes: Annotated[
        bool, Field(description="Of --setup-pbx: do not ask, as where there is no terminal.")
    ] = False
    health_check: Annotated[
        bool,
        Field(
            description="Say whether the exporter that runs here is healthy, by exit status 0 or "
            "1 and a line. Of the other flags it heeds --web.listen-address, and only to choose "
            "between several."
        ),
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
        """Use only the arguments of the call: loading.py has read flags and environment."""
        return (init_settings,)
