"""The shards of the Helm chart: who has which targets, what fits, and which pods go on."""

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from exporter.settings import RENDEZVOUS, share_of
from harness.chart import (
    CHART,
    EXISTING,
    FLEET,
    Json,
    container,
    of_kind,
    only,
    pod,
    refused,
    rendered,
    rendering,
    targets_of_shards,
    workload,
)
from harness.rules import read
from tests.deploy.test_helm_values import notes

pytestmark = pytest.mark.slow

MOST: Final = 1048576
"""Bytes of data that Kubernetes takes as a ConfigMap or a Secret."""
KEEP: Final = "--set=restartOnChange=false"


@pytest.fixture
def fleet(tmp_path: Path) -> "Fleet":
    return Fleet(tmp_path)


class Fleet:
    """Values with many targets."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def of(self, count: int, shards: int, **values: object) -> Path:
        """A file of values: this many targets, and their secret in a Secret of somebody else."""
        targets = {
            f"pbx-{number:05}": {"host": f"pbx-{number}.fax.example", "username": "fax-exporter"}
            for number in range(count)
        }
        path = self._directory / f"{count}-{shards}-{'-'.join(values)}.yaml"
        given = {"targets": targets, "shards": shards, "secret": {"existingSecret": "pbx"}}
        path.write_text(json.dumps(given | values))
        return path


def objects(text: str, kind: str) -> list[str]:
    """The objects of a kind, as helm wrote them: as YAML many would take minutes to read."""
    return [one for one in text.split("\n---\n") if re.search(rf"^kind: {kind}$", one, re.M)]


def number_of_shard(text: str) -> int:
    found = re.search(r'^  name: "\S+-shard-(\d+)"$', text, re.M)
    assert found
    return int(found[1])


@cache
def dealt(count: int, shards: int) -> dict[int, set[str]]:
    """Which targets the exporter's own rule gives to whom."""
    made: dict[int, set[str]] = {shard: set() for shard in range(shards)}
    for number in range(count):
        name = f"pbx-{number:05}"
        made[share_of(name, shards, RENDEZVOUS).index].add(name)
    return made


@pytest.mark.parametrize(("count", "shards"), [(5000, 5), (20000, 20)])
def test_thousands_are_dealt_as_the_exporter_deals_them(
    fleet: Fleet, count: int, shards: int
) -> None:
    done = rendering(fleet.of(count, shards), "--set=monitoring.probe.enabled=true")
    assert done.returncode == 0, done.stderr
    maps, probes = (objects(done.stdout, kind) for kind in ("ConfigMap", "Probe"))
    watched = {number_of_shard(one): set(re.findall(r"^ {6}(\S+):$", one, re.M)) for one in maps}
    assert watched == dealt(count, shards)
    scraped = {number_of_shard(one): set(re.findall(r"- (pbx-\d+)$", one, re.M)) for one in probes}
    assert scraped == watched
    for one in probes:
        shard, name = number_of_shard(one), "fax-asterisk-fax-exporter"
        assert f"    url: {name}-{shard}.{name}-shards.telephony.svc:10329\n" in one
    assert all(len(one) < MOST for one in maps)


def test_a_shard_without_targets_is_there_and_nobody_asks_it() -> None:
    documents = rendered(FLEET, "--set=shards=8")
    own = targets_of_shards(documents)
    assert sorted(name for one in own for name in one) == sorted(read(FLEET)["targets"])
    assert len(of_kind(documents, "Probe")) == sum(1 for one in own if one) < len(own) == 8
    assert workload(documents)["spec"]["replicas"] == 8


def test_what_is_too_much_for_one_object_is_refused_and_what_is_advised_works(
    fleet: Fleet,
) -> None:
    said = refused(fleet.of(8000, 1))
    found = re.search(
        rf"targets: those of one shard, 8000 of them, are \d+ bytes, and a ConfigMap takes {MOST}: "
        r"set shards to (\d+) or more \(it is 1\)",
        said,
    )
    assert found, said
    done = rendering(fleet.of(8000, int(found[1])))
    assert done.returncode == 0, done.stderr


def test_a_config_map_is_full_where_kubernetes_says_and_not_before(fleet: Fleet) -> None:
    said = refused(fleet.of(8000, 1))
    found = re.search(r"are (\d+) bytes", said)
    assert found
    fitting = 8000 * MOST // int(found[1]) - 20
    done = rendering(fleet.of(fitting, 1))
    assert done.returncode == 0, done.stderr
    assert f"{fitting + 40} of them" in refused(fleet.of(fitting + 40, 1))


def test_secrets_that_are_too_many_are_refused_with_what_to_do(fleet: Fleet) -> None:
    values = {f"pbx-{number:05}": "x" * 200 for number in range(5200)}
    said = refused(fleet.of(5200, 5, secret={"values": values}))
    assert f"secret.values: 5200 keys are {5200 * 209} bytes with their names, and a Secret" in said
    assert "name their files in each target's secret_file" in said
    fewer = {name: "x" * 190 for name in values}
    assert rendering(fleet.of(5200, 6, secret={"values": fewer})).returncode == 0


def test_too_many_to_ask_for_each_are_refused(fleet: Fleet) -> None:
    absent = ("monitoring.probe.enabled", "monitoring.prometheusRule.enabled")
    on = tuple(f"--set={one}=true" for one in (*absent, "monitoring.prometheusRule.absent"))
    assert "asking for each of 11000 targets takes" in refused(fleet.of(11000, 11), *on)
    assert rendering(fleet.of(5000, 5), *on).returncode == 0


# --- who is restarted -----------------------------------------------------------------------


def template(*arguments: str) -> Json:
    return pod(rendered(FLEET, *arguments))


def test_one_more_shard_leaves_the_pods_that_are_there_alone() -> None:
    before = template(KEEP, "--set=shards=2")
    assert template(KEEP, "--set=shards=3") == before
    assert template(KEEP, "--set=shards=10") == before
    # Of each ten there is a border, which the README tells.
    assert template(KEEP, "--set=shards=11") != before


def test_pods_that_are_restarted_for_a_change_are_so_for_one_more_shard() -> None:
    assert template("--set=shards=2") != template("--set=shards=3")


def test_each_shard_reads_its_own_file_and_misses_none_of_others() -> None:
    documents = rendered(FLEET)
    assert (
        "--config.file=/etc/asterisk-fax-exporter/config/exporter-$(SHARD).yml"
        in container(documents)["args"]
    )
    assert not [one for one in container(documents)["args"] if one.startswith("--config.shard")]
    (config,) = (one for one in pod(documents)["spec"]["volumes"] if one["name"] == "config")
    sources = [one["configMap"] for one in config["projected"]["sources"]]
    assert [one["items"] for one in sources] == [
        [{"key": "exporter.yml", "path": f"exporter-{index}.yml"}] for index in range(10)
    ]
    assert all(one["optional"] for one in sources)
    made = {one["metadata"]["name"] for one in of_kind(documents, "ConfigMap")}
    assert made == {one["name"] for one in sources[:3]}


def test_one_exporter_has_one_file() -> None:
    documents = rendered(EXISTING)
    assert only(documents, "ConfigMap")["metadata"]["name"] == "fax-asterisk-fax-exporter"
    assert (
        "--config.file=/etc/asterisk-fax-exporter/config/exporter.yml"
        in container(documents)["args"]
    )


# --- what is said of it ---------------------------------------------------------------------


def test_the_notes_say_when_there_are_too_few_shards_or_too_little_memory(
    fleet: Fleet, tmp_path: Path
) -> None:
    text = notes(fleet.of(5000, 2), tmp_path / "few")
    assert (
        "has some 2500 targets, and one is sure to poll some 1500 every second: set shards to 6."
        in text
    )
    assert "resources.limits.memory is 256Mi" in text
    text = notes(fleet.of(5000, 6), tmp_path / "enough", "--set=resources.limits.memory=512Mi")
    assert "set shards" not in text
    assert "resources.limits.memory" not in text
    text = notes(FLEET, tmp_path / "default")
    assert "resources.limits.memory" not in text


def test_the_notes_have_each_shard_read_its_file_again(tmp_path: Path) -> None:
    text = notes(FLEET, tmp_path / "on")
    assert '"More shards" in the README' in text
    assert "for i in" not in text
    text = notes(FLEET, tmp_path / "off", KEEP)
    loop = text[text.index("    kubectl -n telephony annotate") :].partition("\n\n")[0]
    assert "app.kubernetes.io/instance=fax --overwrite" in loop
    assert "for i in 0 1 2 ; do" in loop
    assert "exec fax-asterisk-fax-exporter-$i --container exporter -- sh -c 'kill -HUP 1'" in loop
    subprocess.run(["bash", "-n", "-c", loop], check=True)
    # As the README names it.
    assert "## More shards\n" in (CHART / "README.md").read_text()
