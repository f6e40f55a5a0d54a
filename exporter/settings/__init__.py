"""Everything a user can set: flags, environment, the file of targets and that of --web.config.file.

The two files are read again while the exporter runs.
"""

from exporter.settings.cautions import secret_cautions
from exporter.settings.command_line import PROGRAM, argument_parser
from exporter.settings.declarations import SETTINGS, Setting
from exporter.settings.file_modes import read_by_all
from exporter.settings.loading import load
from exporter.settings.models import (
    AmiSettings,
    HistorySettings,
    LogSettings,
    Settings,
    WebSettings,
)
from exporter.settings.problems import Accepts, SettingsError
from exporter.settings.rereading import ConfigFile, OneTarget, WebConfigFile
from exporter.settings.shards import HASHMOD, RENDEZVOUS, share_of
from exporter.settings.targets import Targets, load_targets
from exporter.settings.values import ListenAddress, Shard, ShardBy
from exporter.settings.web_config import WebConfig
from exporter.settings.web_protection import Protection
from exporter.settings.yaml_files import MAX_FILE, read_yaml

__all__ = [
    "HASHMOD",
    "MAX_FILE",
    "PROGRAM",
    "RENDEZVOUS",
    "SETTINGS",
    "Accepts",
    "AmiSettings",
    "ConfigFile",
    "HistorySettings",
    "ListenAddress",
    "LogSettings",
    "OneTarget",
    "Protection",
    "Setting",
    "Settings",
    "SettingsError",
    "Shard",
    "ShardBy",
    "Targets",
    "WebConfig",
    "WebConfigFile",
    "WebSettings",
    "argument_parser",
    "load",
    "load_targets",
    "read_by_all",
    "read_yaml",
    "secret_cautions",
    "share_of",
]
