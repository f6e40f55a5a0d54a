"""The images of the exporter and of deploy/asterisk, built from the tree and run as compose.yml
runs them: by their numeric user, without capabilities, on a read-only root.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
import trustme

from harness.exposition import Scrape
from tests.pbx.containers import Pod
from tests.pbx.images import ROOT, Image, available, base_image, built_again, image, tree

PORT = 10329
METRICS = f"http://127.0.0.1:{PORT}/metrics"
START_SECONDS = 30
FAX_SECONDS = 120
USER = "10329"
LARGEST_BYTES = 50_000_000
PBX_ADDRESS = "172.20.0.2"
"""One that a container network would give, so that manager.conf's permit is put to the test."""

_missing = available()
_required = "buildah" in os.environ.get("FAX_TEST_REQUIRE", "").split(",")
pytestmark = pytest.mark.skipif(
    _missing is not None and not _required, reason=f"no image is built: {_missing}"
)


@pytest.fixture(scope="module")
def exporter_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tree(ROOT, tmp_path_factory.mktemp("exporter") / "tree")


@pytest.fixture(scope="module")
def exporter(exporter_tree: Path) -> Image:
    assert _missing is None, f"images are required here: {_missing}"
    return image("asterisk-fax-exporter", exporter_tree)


@pytest.fixture(scope="module")
def pbx(tmp_path_factory: pytest.TempPathFactory) -> Image:
    assert _missing is None, f"images are required here: {_missing}"
    folder = tree(ROOT / "deploy/asterisk", tmp_path_factory.mktemp("pbx") / "tree")
    return image("asterisk-fax-exporter-pbx", folder)


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    with Pod(tmp_path, PBX_ADDRESS) as running:
        yield running


def test_the_base_is_the_python_and_the_debian_that_its_tag_names(exporter: Image) -> None:
    python, suite = base_image(ROOT / "Dockerfile").partition(":")[2].split("-slim-")
    assert list(exporter.root.glob(f"opt/fax-exporter/lib/python{python}/site-packages/exporter"))
    assert f"VERSION_CODENAME={suite}" in (exporter.root / "etc/os-release").read_text()


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_locked_package_has_a_wheel_for_the_machine(machine: str, tmp_path: Path) -> None:
    python = base_image(ROOT / "Dockerfile").partition(":")[2].split("-slim-")[0]
    wanted = ["--only-binary=:all:", "--require-hashes", f"--python-version={python}"]
    wanted += [f"--platform=manylinux{glibc}_{machine}" for glibc in ("2014", "_2_28")]
    for lock in ("build.txt", "runtime.txt"):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", *wanted),
                *("--dest", tmp_path, "--requirement", ROOT / "locks" / lock),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_the_same_tree_on_the_same_base_gives_the_same_layers(
    exporter: Image, exporter_tree: Path
) -> None:
    assert built_again(exporter, exporter_tree).layers == exporter.layers


def test_it_adds_the_exporter_to_its_base_and_little_else(exporter: Image) -> None:
    files = [p for p in (exporter.root / "opt/fax-exporter").rglob("*") if not p.is_symlink()]
    assert sum(p.stat().st_size for p in files if p.is_file()) < LARGEST_BYTES
    assert not [p for p in files if p.name in ("pip", "hatchling", "pytest", "tests")]
    assert not (exporter.root / "src").exists()
    assert not (exporter.root / "wheels").exists()


def test_it_serves_metrics_by_a_fixed_number_without_shell_privileges_or_a_writable_file(
    exporter: Image, pod: Pod
) -> None:
    running = pod.run(exporter, "--demo")
    scrape = pod.wait_until(
        METRICS,
        lambda now: now.value("sessions_started_total", operation="receive") > 0,
        START_SECONDS,
        running,
    )
    assert scrape.value("up") == 1

    status = running.status()
    assert status["Uid"].split() == status["Gid"].split() == [USER] * 4
    assert status["Groups"] == ""
    assert int(status["CapPrm"], 16) == int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    writes = "import pathlib; pathlib.Path('/opt/fax-exporter/written').touch()"
    python = "/opt/fax-exporter/bin/python"
    writer = pod.run(exporter, command=[python, "-c", writes])
    assert writer.wait(START_SECONDS) != 0
    assert "Read-only file system" in writer.log
    shell = pod.run(exporter, command=[python, "-c", "import os; os.execl('/bin/sh', 'sh')"])
    assert shell.wait(START_SECONDS) != 0
    assert "PermissionError" in shell.log

    assert running.stop() == 0
    assert "Traceback" not in running.log


def test_the_health_check_passes_while_the_exporter_answers_and_only_then(
    exporter: Image, pod: Pod
) -> None:
    running = pod.run(exporter, "--demo")
    pod.wait_until(METRICS, lambda now: now.value("up") == 1, START_SECONDS, running)
    # A proxy of the environment must not stand between the two.
    proxy = {"http_proxy": "http://127.0.0.1:9"}
    healthy = pod.run(exporter, command=exporter.healthcheck, environment=proxy)
    assert healthy.wait(START_SECONDS) == 0, healthy.log

    running.stop()
    dead = pod.run(exporter, command=exporter.healthcheck)
    assert dead.wait(START_SECONDS) == 1
    assert dead.log.startswith("no exporter runs here")


@pytest.mark.parametrize("address", [":0", "[::1]:9000", "127.0.0.1:9000"])
def test_the_health_check_needs_to_know_neither_address_nor_certificates_nor_users(
    address: str, exporter: Image, pod: Pod, tmp_path: Path, ca: trustme.CA
) -> None:
    """Of the flags a HEALTHCHECK knows none."""
    names = ("fax.pem", "fax.key", "ca.pem")
    secrets = {name: (tmp_path / name).read_text() for name in names}
    secrets["web.yml"] = (
        "tls_server_config: {cert_file: fax.pem, key_file: fax.key, "
        "client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem}\n"
        f"basic_auth_users: {{a: {bcrypt.hashpw(b'x', bcrypt.gensalt(4)).decode()}}}\n"
    )
    flags = [f"--web.listen-address={address}", "--web.config.file=/run/secrets/web.yml"]
    running = pod.run(exporter, "--demo", *flags, secrets=secrets)
    running.wait_for("listening", START_SECONDS)
    healthy = pod.run(exporter, command=exporter.healthcheck)
    assert healthy.wait(START_SECONDS) == 0, healthy.log


HISTORY = "/var/lib/asterisk-fax-exporter"


@pytest.mark.parametrize("user", ["10329:10329", "1000710000:0"])
def test_any_user_keeps_a_history_whom_no_account_and_no_home_is_needed_for(
    user: str, exporter: Image, pod: Pod
) -> None:
    """The second is one of OpenShift's: a number of its own, and always group 0."""
    folder = (exporter.root / HISTORY[1:]).stat()
    assert (folder.st_uid, folder.st_gid, folder.st_mode & 0o777) == (10329, 0, 0o770)
    flags = ["--demo", f"--history.file={HISTORY}/faxes.db"]
    flags += [f"--metrics.peer-file={HISTORY}/peers.json", "--metrics.peer-label"]
    running = pod.run(
        exporter,
        *flags,
        environment={"HOME": "/"},
        user=user,
        tmpfs=[f"{HISTORY}:mode=770,uid=10329,gid=0"],
    )
    pod.wait_until(METRICS, lambda now: now.value("up") == 1, START_SECONDS, running)
    assert running.status()["Uid"].split()[0] == user.partition(":")[0]
    healthy = pod.run(exporter, command=exporter.healthcheck, user=user)
    assert healthy.wait(START_SECONDS) == 0, healthy.log
    kept = {each.name for each in running.folder(HISTORY).iterdir()}
    assert "faxes.db" in kept
    assert running.stop() == 0
    assert "level=warning" not in running.log
    assert "level=error" not in running.log
    assert "Traceback" not in running.log


@pytest.mark.parametrize("only", ["0", "1"])
@pytest.mark.parametrize("address", ["", "--web.listen-address=[::]:10329"])
def test_by_default_and_with_both_colons_it_listens_on_ipv4_and_ipv6(
    only: str, address: str, exporter: Image, pod: Pod
) -> None:
    pod.set("net.ipv6.bindv6only", only)
    running = pod.run(exporter, "--demo", address or f"--web.listen-address=:{PORT}")
    for host in ("127.0.0.1", "[::1]"):
        pod.wait_until(
            f"http://{host}:{PORT}/metrics",
            lambda now: now.value("up") == 1,
            START_SECONDS,
            running,
        )


def test_on_a_machine_without_ipv6_the_default_address_works(exporter: Image, pod: Pod) -> None:
    pod.set("net.ipv6.conf.all.disable_ipv6", "1")
    running = pod.run(exporter, "--demo", f"--web.listen-address=:{PORT}")
    pod.wait_until(METRICS, lambda now: now.value("up") == 1, START_SECONDS, running)


@pytest.mark.parametrize("flags", [["--demo"], ["--demo", "--check-pbx"]])
def test_as_process_1_it_ends_on_sigterm_however_early_that_comes(
    flags: list[str], exporter: Image, pod: Pod
) -> None:
    """From the moment on at which its entrypoint has begun, and before Python has."""
    for delay in (0.0, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.3, 0.6):
        running = pod.run(exporter, *flags, process_1=True)
        running.wait_for_entrypoint(START_SECONDS)
        time.sleep(delay)
        begun = time.monotonic()
        os.kill(running.pid, signal.SIGTERM)
        assert running.wait(START_SECONDS) == (0 if flags == ["--demo"] else 143), running.log
        assert time.monotonic() - begun < 2
        assert "Traceback" not in running.log


def a_noisy_fax_went_through(now: Scrape) -> bool:
    return (
        now.sum("finished_total", operation="receive") > 0
        and now.sum("bad_lines_total", operation="receive") > 0
    )


def test_the_asterisk_image_faxes_and_the_exporter_image_counts_its_bad_lines(
    exporter: Image, pbx: Image, pod: Pod
) -> None:
    secret = {"ami": "of-this-test"}
    asterisk = pod.run(pbx, secrets=secret, shell=True, tmpfs=("/run/asterisk", "/var/tmp"))
    watching = pod.run(
        exporter,
        environment={
            "FAX_EXPORTER_AMI_HOST": PBX_ADDRESS,
            "FAX_EXPORTER_AMI_USERNAME": "fax-exporter",
            "FAX_EXPORTER_AMI_SECRET_FILE": "/run/secrets/ami",
        },
        secrets=secret,
    )
    pod.wait_until(METRICS, lambda now: now.value("up") == 1, START_SECONDS, watching)
    scrape = pod.wait_until(METRICS, a_noisy_fax_went_through, FAX_SECONDS, asterisk)
    assert scrape.sum("pages_received_total") == scrape.sum("pages_transmitted_total") >= 3
    assert scrape.value("results_unknown_total", operation="receive") == 0
    for part in ("sessions", "stats", "events"):
        assert scrape.value("collector_up", collector=part) == 1
    assert asterisk.status()["Uid"].split() == ["10330"] * 4
    assert asterisk.execute(pbx.healthcheck) == 0
