"""Scenarios: what happens to PBXs over hours and weeks, and which alerts tell of it.

A file beside this one that has SCENARIOS declares some; test_scenarios.py plays all of them, and
`make scenarios` writes the table of docs/alerting.md.
"""

from collections.abc import Iterator, Sequence
from importlib import import_module
from pkgutil import iter_modules

from harness.scenarios import Scenario


def subjects() -> dict[str, Sequence[Scenario]]:
    """The scenarios by what they are about: the docstring's first line of the file they are in."""
    return dict(_subjects())


def _subjects() -> Iterator[tuple[str, Sequence[Scenario]]]:
    for found in iter_modules(__path__):
        if not found.name.startswith("test_"):
            module = import_module(f"{__name__}.{found.name}")
            heading = (module.__doc__ or "").partition("\n")[0].rstrip(".")
            yield heading, module.SCENARIOS
