"""The Helm chart: helm takes it, and the exporter what its pod gives it."""

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

import pytest
import trustme

from exporter import __version__
from harness.chart import (
    CASES,
    CHART,
    EVERYTHING,
    FLEET,
    MINIMAL,
    OLDEST,
    Json,
    by_name,
    container,
    pod,
    rendered,
    rendering,
    run_helm,
    targets_of_shards,
    workload,
)
from harness.rules import ROOT, read

pytestmark = pytest.mark.slow

MOUNTED: Final = "/etc/asterisk-fax-exporter"
EACH_CASE = pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)


@EACH_CASE
def test_helm_finds_nothing_to_say(case: Path) -> None:
    done = run_helm("lint", "--strict", CHART, "--kube-version", OLDEST, "--values", case)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout
    assert "[ERROR]" not in done.stdout


def test_a_package_has_no_links_and_makes_the_same(tmp_path: Path) -> None:
    done = run_helm("package", CHART, "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    (package,) = tmp_path.iterdir()
    with tarfile.open(package) as archive:
        assert all(member.isfile() for member in archive)
    assert rendering(EVERYTHING, chart=package).stdout == rendering(EVERYTHING).stdout


def test_the_defaults_alone_make_an_exporter_that_watches_nothing(tmp_path: Path) -> None:
    documents = rendered(CHART / "values.yaml")
    assert {one["kind"] for one in documents} == {"ConfigMap", "Deployment", "Service"}
    assert checked(documents, tmp_path) == set()


def test_the_chart_is_of_this_version_of_the_exporter() -> None:
    chart = read(CHART / "Chart.yaml")
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    named = re.findall(r"asterisk-fax-exporter:(\S+)", (CHART / "README.md").read_text())
    assert named
    assert set(named) == {__version__}
    assert container(rendered(MINIMAL))["image"] == f"asterisk-fax-exporter:{__version__}"


# --- the exporter ---------------------------------------------------------------------------


def existing_secrets() -> dict[str, dict[str, str]]:
    """Those that the cases suppose to be there."""
    authority = trustme.CA()
    server = authority.issue_cert("fax-asterisk-fax-exporter.telephony.svc")
    tls = {
        "ca.crt": authority.cert_pem.bytes().decode(),
        "tls.crt": server.cert_chain_pems[0].bytes().decode(),
        "tls.key": server.private_key_pem.bytes().decode(),
    }
    web = "tls_server_config: {cert_file: ../tls/tls.crt, key_file: ../tls/tls.key}\n"
    return {
        "pbx-secrets": {"fax-berlin": "not a secret", "ca.pem": tls["ca.crt"]},
        "pbx-fax": {"fax-berlin": "not a secret"},
        "pbx-secrets-of-all": {"fax-berlin": "not a secret", "fax-paris": "nor this"},
        "fax-exporter-tls": tls,
        "fax-exporter-web": {"web.yml": web},
        "rome": {"secret": "nor this"},
    }


def mounted(volume: Json, held: dict[str, dict[str, str]]) -> dict[str, str]:
    """What stands in a volume, by the names of its files."""
    if "secret" in volume:
        return held[volume["secret"]["secretName"]]
    if "configMap" in volume:
        return held[volume["configMap"]["name"]]
    made = {}
    for source in volume["projected"]["sources"]:
        name = source["configMap"]["name"]
        assert name in held or source["configMap"]["optional"]
        for item in source["configMap"]["items"]:
            if name in held:
                made[item["path"]] = held[name][item["key"]]
    return made


def checked(documents: list[Json], root: Path, shard: int = 0) -> set[str]:
    """The targets that the real exporter finds when it is started as the pod would start it."""
    held = by_name(documents) | existing_secrets()
    run = container(documents)
    volumes = {volume["name"]: volume for volume in pod(documents)["spec"]["volumes"]}
    moved = "|".join(re.escape(mount["mountPath"]) for mount in run["volumeMounts"])

    def here(text: str) -> str:
        return re.sub(moved, lambda path: f"{root}{path[0]}", text)

    for mount in run["volumeMounts"]:
        directory = Path(f"{root}{mount['mountPath']}")
        directory.mkdir(parents=True)
        # What is not there is a claim of each shard's own.
        volume = volumes.get(mount["name"], {"persistentVolumeClaim": {}})
        if volume.keys() & {"persistentVolumeClaim", "emptyDir"}:
            continue
        for name, text in mounted(volume, held).items():
            (directory / name).write_text(here(text))
    variables = {one["name"]: one.get("value", "?") for one in run.get("env", [])}
    if "SHARD" in variables:
        (field,) = (one for one in run["env"] if one["name"] == "SHARD")
        reference = field["valueFrom"]["fieldRef"]["fieldPath"]
        assert reference == "metadata.labels['apps.kubernetes.io/pod-index']"
        variables["SHARD"] = str(shard)
    arguments = [here(argument) for argument in run["args"]]
    for name, value in variables.items():
        arguments = [argument.replace(f"$({name})", value) for argument in arguments]
    done = subprocess.run(
        [sys.executable, "-m", "exporter", *arguments, "--config.check"],
        env={"PATH": os.environ["PATH"], **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read_ = {line.partition(": no fault found")[0]: line for line in done.stdout.splitlines()}
    assert any(path.endswith("/web/web.yml") for path in read_) == ("web" in volumes)
    targets = next(line for path, line in read_.items() if "/config/exporter" in path)
    names = targets.partition("no fault found; targets: ")[2]
    return set(names.split(", ")) - {"none"}


@EACH_CASE
def test_the_exporter_takes_what_the_pod_gives_it(case: Path, tmp_path: Path) -> None:
    documents = rendered(case)
    shards = workload(documents)["spec"]["replicas"]
    found = [checked(documents, tmp_path / str(shard), shard) for shard in range(shards)]
    assert sorted(name for names in found for name in names) == sorted(read(case)["targets"])


@EACH_CASE
def test_a_target_is_as_it_was_given_and_has_a_secret(case: Path) -> None:
    made = {name: one for own in targets_of_shards(rendered(case)) for name, one in own.items()}
    for name, given in read(case)["targets"].items():
        added = {"secret_file": f"{MOUNTED}/secrets/{name}"}
        assert made[name] == (
            given if {"secret_file", "secret_env"} & given.keys() else given | added
        )


def test_secrets_are_in_the_secret_alone_and_to_the_letter() -> None:
    done, given = rendering(FLEET), read(FLEET)["secret"]["values"]
    assert by_name(rendered(FLEET))["fax-asterisk-fax-exporter-ami"] == given
    for secret in given.values():
        assert secret not in done.stdout


def test_a_changed_target_or_secret_restarts_the_pod_and_nothing_else_does() -> None:
    def template(*arguments: str) -> Json:
        return pod(rendered(MINIMAL, *arguments))

    before = template()
    for changed in ("targets.fax-berlin.port=5039", "secret.values.fax-berlin=another"):
        assert template("--set", changed) != before
        assert template("--set", changed, "--set", "restartOnChange=false") == template(
            "--set", "restartOnChange=false"
        )
    for other in ("service.port=80", "monitoring.probe.enabled=true", "networkPolicy.enabled=true"):
        assert template("--set", other) == before
