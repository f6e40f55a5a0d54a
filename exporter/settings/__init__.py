"""Everything a user can set: flags, environment, and the two files that are read again."""

from exporter.settings.models import (
    PROGRAM,
    AmiSettings,
    ListenAddress,
    Settings,
    SettingsError,
    Shard,
    WebSettings,
    load,
    secret_cautions,
)
from exporter.settings.targets import (
    MAX_FILE,
    ConfigFile,
    Targets,
    load_targets,
    read_yaml,
    share_of,
)
from exporter.settings.web_config import WebConfig, WebConfigFile

__all__ = [
    "MAX_FILE",
    "PROGRAM",
    "AmiSettings",
    "ConfigFile",
    "ListenAddress",
    "Settings",
    "SettingsError",
    "Shard",
    "Targets",
    "WebConfig",
    "WebConfigFile",
    "WebSettings",
    "load",
    "load_targets",
    "read_yaml",
    "secret_cautions",
    "share_of",
]
