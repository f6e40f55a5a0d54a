"""The shipped rules as the tests need them: read, searched for names, and with shorter waits."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = ROOT / "deploy/prometheus"
RULES: Final = FOLDER / "asterisk-fax.rules.yml"

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PACE: Final = r"^\s*(?:for|keep_firing_for|interval):\ "
_DURATION: Final = r"(?P<duration>(?:\d+[smhdw])+)\b"
_WAITS: Final = re.compile(
    rf"(?P<before>{_PACE}|\[|:(?=\w+\])|\boffset\ ){_DURATION}", re.MULTILINE
)
_PACES: Final = re.compile(rf"(?P<before>{_PACE}){_DURATION}", re.MULTILINE)
_QUOTED: Final = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`")
_NAME: Final = re.compile(r"\b(?:\w+:)?asterisk_fax(?:_\w+)?(?::\w+)*")


def read(path: Path) -> Any:
    """What a YAML file holds."""
    return YAML(typ="safe", pure=True).load(path)


def rules(path: Path = RULES) -> Iterator[Mapping[str, Any]]:
    """Every rule of every group, in order."""
    for group in read(path)["groups"]:
        yield from group["rules"]


def alerts(path: Path = RULES) -> dict[str, Mapping[str, Any]]:
    """The alerting rules, by name."""
    return {rule["alert"]: rule for rule in rules(path) if "alert" in rule}


def recorded(path: Path = RULES) -> set[str]:
    """The names that recording rules make."""
    return {rule["record"] for rule in rules(path) if "record" in rule}


def names(expression: str) -> set[str]:
    """The metrics of the exporter, and what is recorded from them, that an expression names."""
    return set(_NAME.findall(_QUOTED.sub('""', expression)))


def shortened(text: str, factor: float) -> str:
    """A rules file in which all waits are shorter by `factor`.

    That is every range and its step (`[1h:1m]`), every `offset`, and every `for:`,
    `keep_firing_for:` and `interval:`; expressions, thresholds, labels and texts stay as they are.
    For an end-to-end test, which cannot wait for an hour to pass: nothing else about the rules may
    differ from what is shipped.
    """
    return _shortened(_WAITS, text, factor)


def hastened(text: str, factor: float) -> str:
    """A rules file of which only `for:`, `keep_firing_for:` and `interval:` are shorter by
    `factor`: for a test with the whole time before it that the rules look at."""
    return _shortened(_PACES, text, factor)


def _shortened(waits: re.Pattern[str], text: str, factor: float) -> str:
    def shorter(wait: re.Match[str]) -> str:
        parts = re.findall(r"(\d+)([smhdw])", wait["duration"])
        seconds = sum(int(number) * _UNITS[unit] for number, unit in parts)
        return f"{wait['before']}{round(1000 * seconds / factor)}ms"

    return waits.sub(shorter, text)
