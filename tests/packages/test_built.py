"""The packages in dist/: one content in three formats, that runs wherever and whoever runs it."""

import gzip
import json
import os
import re
import stat
import subprocess
import tarfile
import urllib.request
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from exporter import __version__
from harness.packages import built
from harness.programs import binary, succeeds
from harness.running import Exporter
from packages import elf
from packages.release import changes
from packages.zig import GLIBC
from tests.packages.content import Content, asked, of_deb, of_rpm, of_tar_gz
from tests.packages.pythons import EACH_MACHINE
from tests.test_locks import LOCKS, locked

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
NAME = "asterisk-fax-exporter"
OWN = (f"usr/lib/{NAME}", f"usr/share/{NAME}", f"usr/share/doc/{NAME}", f"etc/{NAME}")
ELSEWHERE = {
    f"usr/bin/{NAME}",
    f"usr/lib/systemd/system/{NAME}.service",
    f"usr/lib/systemd/system/{NAME}.socket",
    f"usr/share/bash-completion/completions/{NAME}",
    f"usr/share/man/man1/{NAME}.1.gz",
    f"usr/share/zsh/site-functions/_{NAME}",
    f"usr/share/zsh/vendor-completions/_{NAME}",
}
OF_DEBIAN = {f"usr/share/lintian/overrides/{NAME}"}
PROGRAMS = {NAME, "prepare"}
MEGABYTES = 25, 90
"""What a package may have at most, and what it may take when installed."""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The .tar.gz of this machine, in a folder where nobody expects it."""
    folder = tmp_path_factory.mktemp("else where")
    with tarfile.open(built("tar.gz")) as archive:
        archive.extractall(folder, filter="tar")
    (made,) = folder.iterdir()
    return made.rename(folder / "moved")


def files(content: Content) -> Content:
    return {name: item for name, item in content.items() if not item.is_folder}


@EACH_MACHINE
def test_all_three_have_the_same_content(machine: str) -> None:
    deb = files(of_deb(built("deb", machine)))
    rpm = files(of_rpm(built("rpm", machine)))
    archive = files(of_tar_gz(built("tar.gz", machine)))
    assert len(archive) > 1000
    assert deb.keys() - archive.keys() == OF_DEBIAN
    assert {name: item for name, item in deb.items() if name not in OF_DEBIAN} == archive
    assert rpm == archive


@EACH_MACHINE
def test_nothing_is_outside_of_its_folders(machine: str) -> None:
    archive = files(of_tar_gz(built("tar.gz", machine)))
    outside = {name for name in archive if not any(name.startswith(f"{own}/") for own in OWN)}
    assert outside == ELSEWHERE
    # A folder that is the distribution's must not be this package's too.
    folders = {name for name, item in of_rpm(built("rpm", machine)).items() if item.is_folder}
    assert {name for name in folders if not name.startswith(OWN)} == set()
    assert set(OWN) <= folders


@EACH_MACHINE
@pytest.mark.parametrize("kind", ["deb", "rpm", "tar.gz"])
def test_everything_is_roots_and_only_root_can_write_it(kind: str, machine: str) -> None:
    content = {"deb": of_deb, "rpm": of_rpm, "tar.gz": of_tar_gz}[kind](built(kind, machine))
    assert {item.owner for item in content.values()} == {"root:root"}
    programs = set()
    for name, item in content.items():
        mode = stat.S_IMODE(item.mode)
        if stat.S_ISLNK(item.mode):
            continue
        if not item.is_folder and mode == 0o755:
            programs.add(name)
        else:
            assert mode == (0o755 if item.is_folder else 0o644), name
    assert {Path(name).parent.as_posix() for name in programs} == {f"usr/lib/{NAME}/bin"}
    assert {Path(name).name for name in programs} >= PROGRAMS


@EACH_MACHINE
def test_links_lead_to_what_is_in_the_package(machine: str) -> None:
    content = of_tar_gz(built("tar.gz", machine))
    links = {name: item.what for name, item in content.items() if stat.S_ISLNK(item.mode)}
    assert f"usr/bin/{NAME}" in links
    for name, target in links.items():
        assert os.path.normpath(f"{os.path.dirname(name)}/{target}") in content, name


@EACH_MACHINE
def test_what_the_administrator_changes_is_kept(machine: str) -> None:
    deb = succeeds("dpkg-deb", "--info", built("deb", machine), "conffiles")
    assert deb.split() == [f"/etc/{NAME}/environment"]
    flags = asked(built("rpm", machine), "[%{FILENAMES} %{FILEFLAGS:fflags}\\n]")
    kept = re.findall(r"^(\S+) \w*c\w*$", flags, re.MULTILINE)
    assert kept == [f"/etc/{NAME}/environment"]
    assert f"/etc/{NAME}/environment cn" in flags.splitlines()


@EACH_MACHINE
def test_it_needs_nothing_of_the_system_but_libc_and_what_makes_a_user(machine: str) -> None:
    depends = succeeds("dpkg-deb", "--field", built("deb", machine), "Depends").strip()
    assert depends == "libc6 (>= 2.17), passwd"
    needed = asked(built("rpm", machine), "[%{REQUIRENAME}\\n]").split()
    assert {one for one in needed if not one.startswith(("rpmlib(", "/bin/sh"))} == {
        "glibc",
        "/usr/sbin/useradd",
    }


@EACH_MACHINE
def test_all_say_what_changed(machine: str) -> None:
    said = {}
    with tarfile.open(built("tar.gz", machine)) as archive:
        for member in archive:
            if Path(member.name).name.startswith("changelog."):
                packed = archive.extractfile(member)
                assert packed
                said[Path(member.name).name] = gzip.decompress(packed.read()).decode()
    assert said["changelog.gz"].startswith("# Changelog\n")
    item = changes(said["changelog.gz"])[0]
    debian = said["changelog.Debian.gz"]
    assert debian.startswith(f"{NAME} ({__version__}-1) ")
    assert f" * {item} " in re.sub(r"\s+", " ", debian)
    rpm = asked(built("rpm", machine), "[%{CHANGELOGNAME} %{CHANGELOGTEXT}\n]")
    assert f" - {__version__}-1 - {item}\n" in rpm


@EACH_MACHINE
def test_its_programs_run_on_glibc_2_17_and_need_no_other_library(
    machine: str, tmp_path: Path
) -> None:
    with tarfile.open(built("tar.gz", machine)) as archive:
        archive.extractall(tmp_path, filter="tar")
    files = list(elf.elf_files(tmp_path))
    assert len(files) > 10
    assert max(one.glibc for one in files) <= (2, 17)
    assert elf.faults(tmp_path, machine, "2.17") == []
    assert GLIBC == "2.17"


@EACH_MACHINE
def test_they_are_of_the_size_that_is_promised(machine: str) -> None:
    packed, installed = MEGABYTES
    for kind in ("deb", "rpm", "tar.gz"):
        assert built(kind, machine).stat().st_size < packed * 1_000_000
    with tarfile.open(built("tar.gz", machine)) as archive:
        assert sum(one.size for one in archive) < installed * 1_000_000


def test_it_runs_from_where_it_was_moved_to(unpacked: Path) -> None:
    said = succeeds(unpacked / "usr/bin" / NAME, "--version")
    assert said == f"{NAME} {__version__}\n"


def test_the_demo_runs_from_there_with_page_and_metrics(unpacked: Path) -> None:
    command = [str(unpacked / "usr/bin" / NAME)]
    with Exporter("--demo", command=command) as exporter:
        for path, expected in (("/metrics", "asterisk_fax_up"), ("/", "<html")):
            with urllib.request.urlopen(exporter.base + path, timeout=30) as answer:
                assert expected in answer.read().decode()


def test_every_module_of_the_exporter_finds_what_it_imports(unpacked: Path) -> None:
    script = (
        "import exporter, importlib, pkgutil\n"
        "for one in pkgutil.walk_packages(exporter.__path__, 'exporter.'):\n"
        "    one.name.endswith('__main__') or importlib.import_module(one.name)\n"
        "    print(one.name)\n"
    )
    python = unpacked / f"usr/lib/{NAME}/bin/python3"
    names = succeeds(python, "-I", "-W", "error", "-c", script).splitlines()
    assert len(names) > 100
    assert "exporter.web.server" in names


def test_a_foreign_python_has_no_effect(unpacked: Path, tmp_path: Path) -> None:
    for name in ("exporter", "sitecustomize", "usercustomize", "aiohttp", "ssl"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('foreign')\n")
    version = "python3.14"
    user = tmp_path / f".local/lib/{version}/site-packages"
    user.mkdir(parents=True)
    (user / "foreign.pth").write_text("import sys; sys.exit('foreign')\n")
    done = subprocess.run(
        [unpacked / "usr/bin" / NAME, "--version"],
        cwd=tmp_path,
        env={
            "PATH": os.defpath,
            "HOME": str(tmp_path),
            "PYTHONPATH": str(tmp_path),
            "PYTHONHOME": "/nowhere",
            "PYTHONSTARTUP": str(tmp_path / "exporter.py"),
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (f"{NAME} {__version__}\n", "")


def test_anybody_can_run_it_where_nothing_can_be_written(unpacked: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("to be another user takes root")
    before = sorted(unpacked.rglob("*"))
    script = (
        'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; '
        "exec setpriv --reuid=54321 --regid=54321 --clear-groups "
        '"$0/usr/bin/asterisk-fax-exporter" --version'
    )
    # That others get there at all: pytest's folders are of one user alone.
    reached = Path("/tmp", f"fax-exporter-{os.getpid()}")
    reached.mkdir(mode=0o755)
    try:
        inside = f'mount --bind "$1" "$0"; {script}'
        said = succeeds("unshare", "--mount", "sh", "-euc", inside, reached, unpacked)
    finally:
        reached.rmdir()
    assert said == f"{NAME} {__version__}\n"
    assert sorted(unpacked.rglob("*")) == before


def test_no_file_knows_the_machine_that_built_it(unpacked: Path) -> None:
    # Not the tree's folder alone: /src, where some have it, is in the names of many a source.
    own = (f"{ROOT}/{one}" for one in (".venv", "exporter", "packages", "dist"))
    foreign = (*own, str(Path.home() / ".cache"), "asterisk-fax-exporter/python/")
    assert elf.mentions(unpacked, *foreign) == []
    # Folders of tempfile.
    scratch = re.compile(rb"/tmp/tmp[a-z0-9_]{8}/")
    for file in unpacked.rglob("*"):
        if file.is_file() and not file.is_symlink():
            assert not scratch.search(file.read_bytes()), file
    assert list(unpacked.rglob("direct_url.json")) == []


def test_everything_that_python_can_compile_is_compiled(unpacked: Path) -> None:
    library = unpacked / f"usr/lib/{NAME}/lib"
    sources = list(library.rglob("*.py"))
    assert len(sources) > 500
    for source in sources:
        (compiled,) = (source.parent / "__pycache__").glob(f"{source.stem}.cpython-*.pyc")
        # PEP 552: by the hash of the source, which is not looked at.
        assert compiled.read_bytes()[4:8] == b"\x01\x00\x00\x00", source


def test_the_wheels_are_those_of_the_lock(unpacked: Path) -> None:
    (site,) = unpacked.glob(f"usr/lib/{NAME}/lib/python3*/site-packages")
    installed = {
        canonicalize_name(one.metadata["Name"]): one.version
        for one in map(PathDistribution, site.glob("*.dist-info"))
    }
    assert installed.pop(canonicalize_name(NAME)) == __version__
    locked_versions = {
        canonicalize_name(one.name): str(one.specifier).removeprefix("==")
        for one, _ in locked(LOCKS / "runtime.txt")
    }
    assert installed == locked_versions


@EACH_MACHINE
def test_the_sbom_is_valid_and_has_all_that_is_inside(machine: str) -> None:
    text = built("cdx.json", machine).read_text()
    made = json.loads(text)
    problems = JsonStrictValidator(SchemaVersion.from_version(made["specVersion"])).validate_str(
        text
    )
    assert problems is None
    top = {str(canonicalize_name(one["name"])): one for one in made["components"]}
    assert top["cpython"]["version"].startswith("3.14")
    assert re.fullmatch(r"3\.\d+\.\d+", top["openssl"]["version"])
    assert {one.name for one, _ in locked(LOCKS / "runtime.txt")} <= set(top)
    inside = {one["name"] for each in top.values() for one in each.get("components", ())}
    assert {"expat", "pyo3", "base64"} <= inside
    for one in top.values():
        assert one["version"]
        assert one["licenses"], one["name"]
        # The compiler's own parts come in its wheel, whose hash is in locks/packages.txt.
        if one["name"] not in ("llvm-libunwind", "zig-compiler-rt"):
            assert one.get("hashes") or one.get("externalReferences"), one["name"]


def test_licences_are_there_word_for_word(unpacked: Path) -> None:
    documents = unpacked / f"usr/share/doc/{NAME}"
    made = json.loads(next(documents.glob("*.cdx.json")).read_text())
    parts = [canonicalize_name(one["name"]) for one in made["components"]]
    for name in (NAME, *parts):
        texts = [
            file.read_text(errors="replace") for file in (documents / "licences" / name).iterdir()
        ]
        assert sum(map(len, texts)) > 200, name
    said = (documents / "copyright").read_text()
    assert said.startswith(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
    )
    for name in parts:
        assert name in said or f"/{name.replace('-', '_')}" in said, name


@EACH_MACHINE
def test_lintian_has_nothing_to_say(machine: str) -> None:
    lintian = binary("lintian", package="lintian")
    user = ["--allow-root"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [lintian, *user, built("deb", machine)], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""


@EACH_MACHINE
def test_rpmlint_has_nothing_to_say(machine: str) -> None:
    rpmlint = binary("rpmlint", package="rpmlint")
    config = ROOT / "deploy/package/rpmlint.toml"
    done = subprocess.run(
        [rpmlint, "--config", config, built("rpm", machine)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = re.findall(r"^\S+: [EW]: .*", done.stdout, re.MULTILINE)
    assert said == [], done.stdout
    assert " 1 packages " in done.stdout
