"""The environment of the tests of settings: no setting of the machine that runs them."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("FAX_EXPORTER_"):
            monkeypatch.delenv(name)
