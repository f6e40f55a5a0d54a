"""Real Asterisks for the tests in this folder, or one line that says why there are none."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.running import Exporter
from tests.pbx import packages as made_packages
from tests.pbx.asterisk import SUITES, AmiError, Asterisk, Message, available, make_tiff

HERE = Path(__file__).parent
_required = "pbx" in os.environ.get("FAX_TEST_REQUIRE", "").split(",")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs a real Asterisk, and skips it where none can run and none is required."""
    missing = available()
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.pbx)
            if missing and not _required:
                item.add_marker(pytest.mark.skip(reason=f"not tested on a real PBX: {missing}"))


@pytest.fixture(scope="session", autouse=True)
def _possible() -> None:
    missing = available()
    assert missing is None, f"real Asterisks are required here: {missing}"


@pytest.fixture(params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """Each Debian suite: bullseye has Asterisk 16, sid has 22."""
    return str(request.param)


Start = Callable[..., Exporter]
"""Takes the Asterisk, and flags for the exporter."""


@pytest.fixture
def watch() -> Iterator[Start]:
    """Starts the exporter on a running Asterisk, at the default interval unless flags say else."""
    with contextlib.ExitStack() as stack:

        def start(asterisk: Asterisk, *flags: str) -> Exporter:
            exporter = stack.enter_context(
                Exporter.watching(
                    asterisk.host, asterisk.ami_port, asterisk.username, asterisk.secret, *flags
                )
            )
            exporter.wait_until(lambda now: now.value("up") == 1, 20, "the first poll")
            return exporter

        yield start


@pytest.fixture(scope="session")
def one_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fax of one page of 3 s at 14400 bit/s without ECM."""
    return make_tiff(tmp_path_factory.mktemp("tiff") / "one.tif", 1, seconds=3)


@pytest.fixture(scope="session")
def three_pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fax of three pages of 6 s each at 14400 bit/s without ECM."""
    return make_tiff(tmp_path_factory.mktemp("tiff") / "three.tif", 3)


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> made_packages.Packages:
    """The .deb and .rpm of this tree and of the commit before, made once for all workers."""
    reason = made_packages.missing()
    if reason is not None:
        required = "packages" in os.environ.get("FAX_TEST_REQUIRE", "").split(",")
        assert not required, f"packages are required here: {reason}"
        pytest.skip(f"no package is installed: {reason}")
    base = tmp_path_factory.getbasetemp()
    return made_packages.made(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)


def let_polls_pass(exporter: Exporter, seconds: float) -> None:
    """Returns when the exporter, at its default interval, has polled for as long."""
    polls = exporter.scrape().value("polls_total")
    exporter.wait_until(lambda now: now.value("polls_total") > polls + seconds, 60 + 2 * seconds)


def sessions(
    asterisk: Asterisk, wanted: Callable[[Message], bool], *, count: int = 1, timeout: float = 10
) -> list[Message]:
    """The listed sessions that are wanted, once there are `count` of them."""
    deadline = time.monotonic() + timeout
    while len(found := [one for one in asterisk.driver.sessions() if wanted(one)]) != count:
        if time.monotonic() > deadline:
            raise AmiError(f"{len(found)} instead of {count} such sessions for {timeout} s")
        time.sleep(0.02)  # nothing tells of it; this one thing is asked again
    return found
