"""The packages: complete, fit for the package index, and running once installed."""

import email.message
import email.parser
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import urllib.request
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from harness.programs import succeeds

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
NEEDED_BY_TESTS = (
    "alerts", "bench", "deploy", "docs", "exporter", "fuzz", "grafana", "harness", "locks",
    "packages", "tests", "tools",
)  # fmt: skip
PROJECT_URL = "https://forge.example/fax"
KINDS = {".py", ".typed", ".html", ".css", ".js", ".svg"}
"""Of the files of the package, so that none is in it by accident."""
MADE = {"__pycache__", ".ruff_cache", ".mypy_cache", ".pytest_cache", ".hypothesis"}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the sdist is, and the wheel that was made from it; hatchling is that installed here."""
    made = tmp_path_factory.mktemp("dist")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PROJECT_URL", PROJECT_URL)
        succeeds(sys.executable, "-m", "build", "--no-isolation", "--outdir", made, ROOT)
    return made


@pytest.fixture(scope="module")
def wheel(packages: Path) -> Path:
    (found,) = packages.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.parser.Parser().parsestr(archive.read(name).decode())


def project() -> dict[str, Any]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])


def in_the_tree(*folders: str) -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not MADE & set(path.parts)
    }


def test_twine_finds_nothing_to_say(packages: Path) -> None:
    said = succeeds(sys.executable, "-m", "twine", "check", "--strict", *sorted(packages.iterdir()))
    assert said.count("PASSED") == 2


def test_the_wheel_has_the_whole_package_with_its_types_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    beside = {name.partition(".data/data/")[2] for name in names if ".data/data/" in name}
    assert {name for name in names if ".data/data/" not in name} == in_the_tree("exporter")
    assert "exporter/py.typed" in names
    assert {Path(name).suffix for name in names if ".data/data/" not in name} == KINDS
    # Where man and the shells look.
    assert beside == {
        "share/bash-completion/completions/asterisk-fax-exporter",
        "share/man/man1/asterisk-fax-exporter.1",
        "share/zsh/site-functions/_asterisk-fax-exporter",
    }


def test_what_editors_and_merges_leave_is_not_packed(packages: Path, tmp_path: Path) -> None:
    (sdist,) = packages.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    for name in (".env", ".main.py.swp", "main.py~", "main.py.orig", "main.py.rej"):
        (tree / "exporter" / name).write_text("SECRET=of-an-administrator\n")
    succeeds(
        *(sys.executable, "-m", "build", "--no-isolation", "--wheel"),
        *("--outdir", tmp_path, tree),
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert {Path(name).suffix for name in archive.namelist() if ".d" not in name} == KINDS
        assert not [name for name in archive.namelist() if "/." in name]


def test_the_sdist_has_what_its_tests_need(packages: Path) -> None:
    (sdist,) = packages.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert in_the_tree(*NEEDED_BY_TESTS) - names == set()
    top = {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "SECURITY.md"}
    top |= {"pyproject.toml", "Dockerfile", "compose.yml"}
    assert top - names == set()


def test_the_classifiers_name_the_pythons_that_are_supported(
    metadata: email.message.Message,
) -> None:
    least = re.fullmatch(r">=3\.(\d+)", metadata["Requires-Python"])
    assert least
    named = [
        int(minor)
        for classifier in metadata.get_all("Classifier", [])
        for minor in re.findall(r"^Programming Language :: Python :: 3\.(\d+)$", classifier)
    ]
    assert named
    assert named == list(range(int(least[1]), max(named) + 1))
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])


def test_the_packages_name_the_address_that_whoever_builds_them_gives(
    metadata: email.message.Message,
) -> None:
    assert metadata.get_all("Project-URL") == [
        f"Homepage, {PROJECT_URL}",
        f"Source, {PROJECT_URL}",
        f"Issues, {PROJECT_URL}/issues",
    ]


def test_the_version_is_that_of_the_changelog(wheel: Path) -> None:
    version = project()["version"]
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1:2] in ([], [version])
    assert wheel.name.split("-")[1] == version


def test_what_is_installed_from_the_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "venv"
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin/python"
    succeeds(
        sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index",
        "--no-deps", wheel,
    )  # fmt: skip
    # Its dependencies are those here; a line of a .pth file does not bring our editable install.
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    program = str(place / "bin/asterisk-fax-exporter")
    command = [program, "--demo", "--web.listen-address=127.0.0.1:0"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr
            said = []
            for line in process.stderr:
                said.append(line)
                if found := re.search(r'listening.*url="?([^\s"]+)/metrics', line):
                    break
            else:
                pytest.fail("".join(said))
            for path, expected in (
                ("/metrics", "asterisk_fax_up"),
                ("/", "<html"),
                ("/static/page.js", ""),
            ):
                with urllib.request.urlopen(found[1] + path, timeout=10) as answer:
                    assert expected in answer.read().decode()
            where = succeeds(python, "-I", "-c", "import exporter; print(exporter.__file__)")
            assert where.startswith(str(place))
        finally:
            process.terminate()
            process.wait(10)
    assert process.returncode == 0
