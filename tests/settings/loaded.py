"""Settings as a user would set them: flags in a line, and an environment."""

import shlex
from collections.abc import Mapping

import pytest

from exporter.settings import (
    AmiSettings,
    Settings,
    SettingsError,
    load,
)

LOGIN = {"FAX_EXPORTER_AMI_USERNAME": "fax", "FAX_EXPORTER_AMI_SECRET": "hunter2"}


def loaded(flags: str = "", environment: Mapping[str, str] = LOGIN) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return load(shlex.split(flags))


def login(flags: str = "", environment: Mapping[str, str] = LOGIN) -> AmiSettings:
    ami = loaded(flags, environment).ami
    assert ami is not None
    return ami


def refusal(flags: str = "", environment: Mapping[str, str] = LOGIN) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(flags, environment)
    return str(caught.value)
