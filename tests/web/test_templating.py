"""Names, times and shares as they are shown, and the ways from page to page."""

import time
from collections.abc import Iterator

import pytest

from exporter.web.templating import (
    clock_time,
    duration,
    hour,
    iso,
    name_parts,
    root_from,
    share,
    target_url,
)

NEW_YEAR = 1_798_761_600.0


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
def test_times_have_the_zone_and_far_ones_the_date() -> None:
    assert iso(NEW_YEAR) == "2027-01-01T00:00:00Z"
    assert clock_time(NEW_YEAR, NEW_YEAR + 60) == "01:00:00 CET"
    assert clock_time(NEW_YEAR, NEW_YEAR + 12 * 3600) == "2027-01-01 01:00:00 CET"
    assert clock_time(NEW_YEAR) == "2027-01-01 01:00:00 CET"
    assert clock_time(NEW_YEAR + 182 * 86400, NEW_YEAR + 182 * 86400) == "02:00:00 CEST"
    assert hour(NEW_YEAR + 1800) == "01:30 CET"


def test_durations_have_two_units() -> None:
    seconds = (0.9, 59, 61, 3599, 3600, 86399, 90000)
    assert [duration(one) for one in seconds] == [
        "0 s",
        "59 s",
        "1 min 01 s",
        "59 min 59 s",
        "1 h 00 min",
        "23 h 59 min",
        "1 d 1 h",
    ]


def test_a_share_is_all_only_if_it_is_all() -> None:
    assert [share(one) for one in (0, 0.29, 0.9999, 1)] == ["0 %", "29 %", "99 %", "100 %"]


@pytest.mark.parametrize(
    ("name", "parts", "extension"),
    [
        ("/var/spool/in.tif", ["/var/", "spool/", "in"], ".tif"),
        ("invoice.tiff", ["invoice"], ".tiff"),
        ("PJSIP/berlin-0000000a", ["PJSIP/", "berlin-", "0000000a"], ""),
        ("Local/recv@fax-1;2", ["Local/", "recv@", "fax-", "1;2"], ""),
        ("C:\\fax\\a.b.tif", ["C:\\", "fax\\", "a.b"], ".tif"),
        (".tif", [], ".tif"),
        ("", [], ""),
        ("//", ["//"], ""),
    ],
)
def test_a_name_is_broken_between_its_parts_and_never_in_its_extension(
    name: str, parts: list[str], extension: str
) -> None:
    assert name_parts(name) == (parts, extension)
    assert "".join(parts) + extension == name


def test_addresses_are_relative_and_any_name_fits_into_one() -> None:
    assert [root_from(path) for path in ("/", "/reasons", "/targets/a")] == ["./", "./", "../"]
    assert root_from("/targets/a%2Fb") == "../"
    assert target_url("[::1]:5038") == "targets/%5B%3A%3A1%5D%3A5038"
    assert target_url("a/b?c#d%") == "targets/a%2Fb%3Fc%23d%25"
