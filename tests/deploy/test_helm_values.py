"""The values of the Helm chart: wrong ones are refused, all are told of, and each does a thing."""

import json
import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from exporter import __version__
from exporter.settings import AmiSettings
from harness.chart import (
    CHART,
    EVERYTHING,
    FLEET,
    MINIMAL,
    OF_THE_OPERATOR,
    TLS,
    Json,
    faults,
    pod,
    refused,
    rendered,
    rendering,
)
from harness.rules import read

pytestmark = pytest.mark.slow


PBX: Final = "targets.fax-berlin"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("target={}", "target"),
        ("shards=0", "/shards"),
        ('shards="two"', "/shards"),
        ("image.tag=1.5", "/image/tag"),
        ('image.digests="x"', "digests"),
        ("serviceAccount.created=true", "created"),
        ('extraEnv=[{"name": "X", "value": 1}]', "/extraEnv/0/value"),
        ('podLabels={"a": "two words"}', "/podLabels/a"),
        ('commonLabels={"a": true}', "/commonLabels/a"),
        ('service.nodePort="30329"', "/service/nodePort"),
        ('resources.limit={"memory": "1Gi"}', "limit"),
        ("probes.liveness.period=1", "period"),
        ("probes.liveness.successThreshold=2", "successThreshold"),
        ("probes.readiness.terminationGracePeriodSeconds=2", "terminationGrace"),
        ('podDisruptionBudget.maxUnavailable="101%"', "/podDisruptionBudget/maxUnavailable"),
        ('persistence.size="big"', "/persistence/size"),
        ('monitoring.podMonitor.spec={"selector": {}}', "'selector'"),
        ('monitoring.probe.tlsConfig={"caFile": "x"}', "caFile"),
        ('monitoring.namespace="a.b"', "/monitoring/namespace"),
        ("global.imageRegistry=1", "/global/imageRegistry"),
        ('enabled="no"', "/enabled"),
        (f'{PBX}.secret="x"', "secret"),
        (f'{PBX}.usename="x"', "usename"),
        (f"{PBX}.port=65536", "/port"),
        (f"{PBX}.username=null", "username"),
        (f'{PBX}.timeout="soon"', "/timeout"),
        (f"{PBX}.timeout=301", "/timeout"),
        ('targets.-berlin={"username": "x"}', "-berlin"),
        (
            f'{PBX}={{"username": "x", "secret_file": "x", "secret_env": "X"}}',
            "/targets/fax-berlin",
        ),
        ("secret.values.fax-berlin=12345", "/secret/values/fax-berlin"),
        ('extraArgs=["--config.file=x"]', "/extraArgs/0"),
        ('extraArgs=["--ami.host=x"]', "/extraArgs/0"),
        ('extraArgs=["--web.listen-address=:80"]', "/extraArgs/0"),
        ('extraArgs=["metrics.peer-label"]', "/extraArgs/0"),
        ('webConfig.content={"basic_auth_users": {"x": "plain"}}', "/basic_auth_users/x"),
        ('webConfig.content={"tls_server_config": {"cert_file": "x"}}', "key_file"),
        ('webConfig.content={"rate_limit": {}}', "rate_limit"),
        ('webConfig.scheme="ftp"', "/webConfig/scheme"),
        ('probes.handler="grpc"', "/probes/handler"),
        ('probes.readinessPath="/metrics"', "/probes/readinessPath"),
        ('monitoring.interval="often"', "/monitoring/interval"),
        ('monitoring.basicAuth={"username": {"name": "x", "key": "y"}}', "password"),
        ('monitoring.basicAuth={"username": "x", "password": "y"}', "/basicAuth/username"),
        ('monitoring.probes={"enabled": true}', "probes"),
        ('monitoring.probe.enabled="yes"', "/monitoring/probe/enabled"),
        ('podLabels={"a": 1}', "/podLabels/a"),
        ('podLabels={"a/b/c": "x"}', "a/b/c"),
        ('commonAnnotations={"two words": "x"}', "two words"),
        ('extraEnv=[{"name": "FAX_EXPORTER_WEB_LISTEN_ADDRESS"}]', "/extraEnv/0/name"),
        ('extraEnv=[{"name": "FAX_EXPORTER_AMI_HOST"}]', "/extraEnv/0/name"),
        ('imagePullSecrets=[""]', "/imagePullSecrets/0"),
        ("global.imagePullSecrets=[{}]", "/global/imagePullSecrets/0"),
        ('monitoring.interval="1s1h"', "/monitoring/interval"),
        ('monitoring.replica="$1"', "/monitoring/replica"),
        ('monitoring.pairWith="a\\"b"', "/monitoring/pairWith"),
        ('monitoring.probe.relabelings=[{"source_labels": ["a"]}]', "source_labels"),
        ('monitoring.podMonitor.metricRelabelings=[{"action": "x"}]', "Relabelings/0/action"),
        ('monitoring.prometheusRule.alertLabels={"te-am": "x"}', "te-am"),
        ('monitoring.prometheusRule.select="a=\\"b\\"c\\""', "/prometheusRule/select"),
        ('monitoring.prometheusRule.select="telephony"', "/prometheusRule/select"),
        ('monitoring.prometheusRule.runbooks="https://x"', "/prometheusRule/runbooks"),
        ('monitoring.prometheusRule.dashboards="https://x/"', "/prometheusRule/dashboards"),
    ],
)
def test_the_schema_refuses_a_wrong_value_and_names_it(given: str, named: str) -> None:
    done = rendering(MINIMAL, "--set-json", given)
    assert done.returncode != 0, done.stdout
    said = done.stderr.partition("values don't meet the specifications of the schema(s)")[2]
    assert named in said, done.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('targets.fax-paris={"username": "x"}', "set secret.values.fax-paris"),
        ('secret.existingSecret="x"', "secret.existingSecret and secret.values are both set"),
        (
            'webConfig={"existingSecret": "x", "content": {"basic_auth_users": {}, '
            '"http_server_config": {}}}',
            "webConfig.existingSecret and webConfig.content are both set",
        ),
        (
            'webConfig.content={"tls_server_config": {"cert_file": "x", "key_file": "x", '
            '"client_auth_type": "RequireAndVerifyClientCert"}}',
            "set probes.handler to tcp or exec",
        ),
        (
            'monitoring.prometheusRule={"enabled": true, "thresholds": {"x": "y"}}',
            "there is no x; there is global:asterisk_fax_failures_objective:threshold, ",
        ),
        ("service.nodePort=30329", "service.nodePort is none of a Service of type ClusterIP: set"),
        (
            'monitoring={"tlsConfig": {"serverName": "x"}, "probe": {"enabled": true}}',
            "what is scraped speaks http: set webConfig.scheme to https, or monitoring.scheme",
        ),
        ('service.loadBalancerClass="x"', "service.loadBalancerClass is none of a Service"),
        (
            'monitoring.prometheusRule={"enabled": true, "absent": true}',
            "set monitoring.probe.enabled or monitoring.serviceMonitor.enabled",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_with_what_to_do(given: str, said: str) -> None:
    done = rendering(MINIMAL, "--set-json", given)
    assert done.returncode != 0, done.stdout
    assert said in done.stderr


# Without which there is no object, or not a valid one.
NEVER_NULL: Final = {
    "enabled",
    "hostNetwork",
    "image.pullPolicy",
    "image.repository",
    "ingress.enabled",
    "ingress.path",
    "ingress.pathType",
    "monitoring.dashboards.enabled",
    "monitoring.dashboards.suffix",
    "monitoring.podMonitor.enabled",
    "monitoring.probe.enabled",
    "monitoring.probe.jobName",
    "monitoring.prometheusRule.enabled",
    "monitoring.serviceMonitor.enabled",
    "networkPolicy.enabled",
    "persistence.accessModes",
    "persistence.enabled",
    "persistence.size",
    "podDisruptionBudget.enabled",
    "podDisruptionBudget.maxUnavailable",
    "podDisruptionBudget.unhealthyPodEvictionPolicy",
    "probes.handler",
    "probes.readinessPath",
    "restartOnChange",
    "service.port",
    "service.type",
    "serviceAccount.automount",
    "serviceAccount.create",
    "shards",
    "webConfig.scheme",
}


WITHIN: Final = {
    "monitoring.dashboards",
    "monitoring.podMonitor",
    "monitoring.probe",
    "monitoring.prometheusRule",
    "monitoring.serviceMonitor",
}


def nested(given: Json) -> Json:
    made: Json = {}
    for name, value in given.items():
        *above, last = name.split(".")
        inner = made
        for part in above:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return made


def test_null_is_refused_by_name_where_something_is_needed(tmp_path: Path) -> None:
    sections = {name.rpartition(".")[0] for name in LEAVES}
    for number, names in enumerate((LEAVES, {name for name in sections if name.count(".") == 0})):
        given = tmp_path / f"{number}.json"
        given.write_text(json.dumps(nested(dict.fromkeys(names))))
        found = set()
        for where, properties in re.findall(r"at '(\S*)': missing propert\S+ (.+)", refused(given)):
            for name in re.findall(r"'(\w+)'", properties):
                found.add(f"{where}/{name}".removeprefix("/").replace("/", "."))
        assert found == (NEVER_NULL if names is LEAVES else sections - {""} - WITHIN)


# What is empty in a file of values, below a key whose lines are all comments, is null too.
@pytest.mark.parametrize("monitor", ["serviceMonitor", "podMonitor"])
def test_null_is_as_good_as_empty_everywhere_else(
    monitor: str, tmp_path: Path, kubernetes: Path, operator: Path
) -> None:
    given: Json = dict.fromkeys(name for name in LEAVES if name not in NEVER_NULL)
    watched = {"fax-berlin": {"username": "x", "secret_env": "X"}}
    given |= {
        "persistence.enabled": True,
        "serviceAccount.create": True,
        "podDisruptionBudget.enabled": True,
        "networkPolicy.enabled": True,
        f"monitoring.{monitor}.enabled": True,
        "monitoring.prometheusRule.enabled": True,
        "monitoring.dashboards.enabled": True,
        "targets": watched if monitor == "podMonitor" else None,
        "monitoring.probe.enabled": True,
    }
    values = tmp_path / "values.json"
    values.write_text(json.dumps(nested(given)))
    documents = rendered(values)
    assert len({one["kind"] for one in documents}) == (10 if monitor == "podMonitor" else 9)
    for schemas, its_own in ((operator, True), (kubernetes, False)):
        of_it = [one for one in documents if (one["apiVersion"] == OF_THE_OPERATOR) is its_own]
        assert faults(of_it, schemas) == []


def test_a_target_takes_what_the_exporter_takes() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    known = AmiSettings.model_fields.keys() - {"secret"} | {"secret_env"}
    assert schema["definitions"]["target"]["properties"].keys() == known


@pytest.mark.parametrize("name", ["files/asterisk-fax.rules.yml", "files/dashboards"])
def test_a_chart_without_what_its_links_lead_to_says_so(name: str, tmp_path: Path) -> None:
    copy = shutil.copytree(CHART, tmp_path / CHART.name)
    gone = copy / name
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    done = rendering(EVERYTHING, chart=copy)
    assert done.returncode != 0
    assert f"{name} holds no" in done.stderr


# Whose fields are Kubernetes'.
WHOLE: Final = (
    "monitoring.dashboards.labels",
    "podSecurityContext",
    "probes.liveness",
    "probes.readiness",
    "probes.startup",
    "resources",
    "securityContext",
)


def leaves(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, dict) and value and name not in WHOLE:
            yield from leaves(value, f"{name}.")
        else:
            yield name


LEAVES: Final = list(leaves(read(CHART / "values.yaml")))


def test_the_readme_has_every_value_and_no_other() -> None:
    text = (CHART / "README.md").read_text()
    written = [
        name
        for row in re.findall(r"^\| (`.+?) \|", text, flags=re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", row)
    ]
    assert sorted(written) == sorted(LEAVES)


def test_the_schema_has_every_value_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())

    def known(of: Json, above: str = "") -> Iterator[str]:
        of = schema["definitions"][of["$ref"].rpartition("/")[2]] if "$ref" in of else of
        name = above.removesuffix(".")
        if name in (*LEAVES, "global"):
            yield name
            return
        # A typing error is refused at every step of the way.
        assert of.get("additionalProperties") is False, name
        for key, inner in of["properties"].items():
            yield from known(inner, f"{above}{key}.")

    assert set(known(schema)) == {*LEAVES, "global"}


# Something else for each value, and by the beginning of its name what must be set for it to matter.
MATTERS_WITH: Final[dict[str, Json]] = {
    "ingress.": {"ingress.enabled": True, "ingress.hosts": ["fax.example"]},
    "monitoring.basicAuth": {"monitoring.serviceMonitor.enabled": True},
    "monitoring.dashboards.": {"monitoring.dashboards.enabled": True},
    "monitoring.interval": {"monitoring.serviceMonitor.enabled": True},
    "monitoring.labels": {"monitoring.serviceMonitor.enabled": True},
    "monitoring.annotations": {"monitoring.serviceMonitor.enabled": True},
    "monitoring.namespace": {"monitoring.serviceMonitor.enabled": True},
    "monitoring.pairWith": {"monitoring.serviceMonitor.enabled": True},
    "monitoring.podMonitor.": {"monitoring.podMonitor.enabled": True, "webConfig.scheme": "https"},
    "monitoring.probe.": {"monitoring.probe.enabled": True, "webConfig.scheme": "https"},
    "monitoring.prometheusRule.": {
        "monitoring.prometheusRule.enabled": True,
        "monitoring.probe.enabled": True,
    },
    "monitoring.replica": {"monitoring.serviceMonitor.enabled": True},
    "monitoring.scheme": {"monitoring.serviceMonitor.enabled": True},
    "monitoring.scrapeTimeout": {"monitoring.serviceMonitor.enabled": True},
    "monitoring.serviceMonitor.": {
        "monitoring.serviceMonitor.enabled": True,
        "webConfig.scheme": "https",
    },
    "monitoring.tlsConfig": {"monitoring.probe.enabled": True, "webConfig.scheme": "https"},
    "networkPolicy.": {"networkPolicy.enabled": True},
    "persistence.": {"persistence.enabled": True},
    "persistentVolumeClaimRetentionPolicy": {"persistence.enabled": True, "shards": 2},
    "podDisruptionBudget.": {"podDisruptionBudget.enabled": True},
    "secret.existingSecret": {"secret.values": None, "targets.fax-berlin.secret_env": "X"},
    "service.external": {"service.type": "NodePort"},
    "service.loadBalancer": {"service.type": "LoadBalancer"},
    "service.nodePort": {"service.type": "NodePort"},
    "serviceAccount.": {"serviceAccount.create": True},
    "updateStrategy": {"shards": 2},
}
OTHERS: Final[Json] = {
    "affinity": {"nodeAffinity": {}},
    "commonAnnotations": {"a": "b"},
    "commonLabels": {"a": "b"},
    "dnsConfig": {"options": []},
    "dnsPolicy": "Default",
    "extraArgs": ["--metrics.peer-label"],
    "extraContainers": [{"name": "x"}],
    "extraEnv": [{"name": "X"}],
    "extraEnvFrom": [{"secretRef": {"name": "x"}}],
    "extraObjects": [{"kind": "ConfigMap"}],
    "extraVolumeMounts": [{"name": "x", "mountPath": "/x"}],
    "extraVolumes": [{"name": "x", "emptyDir": {}}],
    "fullnameOverride": "x",
    "hostAliases": [{"ip": "10.0.0.1"}],
    "image.digest": f"sha256:{64 * '0'}",
    "image.pullPolicy": "Always",
    "imagePullSecrets": [{"name": "x"}],
    "ingress.hosts": ["x.example"],
    "ingress.path": "/x",
    "ingress.pathType": "Exact",
    "ingress.tls": [{"secretName": "x"}],
    "initContainers": [{"name": "x"}],
    "lifecycle": {"preStop": {}},
    "monitoring.basicAuth": {
        "username": {"name": "x", "key": "y"},
        "password": {"name": "x", "key": "y"},
    },
    "monitoring.dashboards.labels": {"a": "b"},
    "monitoring.interval": "7s",
    "monitoring.prometheusRule.dashboards": "https://x",
    "monitoring.prometheusRule.disabled": ["AsteriskFaxReplicaDown"],
    "monitoring.prometheusRule.runbooks": "https://x/",
    "monitoring.prometheusRule.select": 'namespace="x"',
    "monitoring.prometheusRule.thresholds": {
        "global:asterisk_fax_failures_objective:threshold": "vector(1)"
    },
    "monitoring.scheme": "https",
    "monitoring.scrapeTimeout": "7s",
    "monitoring.tlsConfig": {"serverName": "x"},
    "networkPolicy.egress": [{}],
    "networkPolicy.from": [{"podSelector": {}}],
    "nodeSelector": {"a": "b"},
    "persistence.accessModes": ["ReadWriteMany"],
    "persistence.size": "2Gi",
    "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"},
    "podDisruptionBudget.unhealthyPodEvictionPolicy": "IfHealthyBudget",
    "podSecurityContext": {"runAsUser": None},
    "probes.handler": "exec",
    "probes.liveness": {"periodSeconds": 7},
    "probes.readiness": {"periodSeconds": 7},
    "probes.readinessPath": "/-/ready",
    "probes.startup": {"periodSeconds": 7},
    "resources": {"limits": None},
    "restartOnChange": False,
    "revisionHistoryLimit": 0,
    "secret.values": {"fax-berlin": "x"},
    "securityContext": {"runAsUser": 7},
    "service.externalTrafficPolicy": "Local",
    "service.ipFamilies": ["IPv6"],
    "service.ipFamilyPolicy": "SingleStack",
    "service.loadBalancerSourceRanges": ["10.0.0.0/8"],
    "service.nodePort": 30007,
    "service.type": "NodePort",
    "targets": {"fax-paris": {"username": "x", "secret_env": "X"}},
    "terminationGracePeriodSeconds": 0,
    "tolerations": [{"key": "x"}],
    "topologySpreadConstraints": [{"maxSkew": 1}],
    "updateStrategy": {"type": "OnDelete"},
    "webConfig.content": {"basic_auth_users": {"x": f"$2y$04${53 * 'x'}"}},
    "webConfig.scheme": "https",
}
BY_LAST_WORD: Final[Json] = {
    "alertAnnotations": {"a": "b"},
    "alertLabels": {"a": "b"},
    "annotations": {"a": "b"},
    "labels": {"a": "b"},
    "metricRelabelings": [{"action": "drop"}],
    "podAnnotations": {"a": "b"},
    "podLabels": {"a": "b"},
    "relabelings": [{"action": "drop"}],
    "spec": {"sampleLimit": 7},
    "tlsConfig": {"insecureSkipVerify": True},
}


@pytest.mark.parametrize("name", LEAVES)
def test_each_value_changes_what_is_made(name: str) -> None:
    default: Any = read(CHART / "values.yaml")
    for part in name.split("."):
        default = default[part]
    other = OTHERS.get(name, BY_LAST_WORD.get(name.rpartition(".")[2]))
    if other is None:
        kinds: dict[type, Any] = {bool: not default, int: 7, str: "x"}
        other = kinds[type(default)]
    needed: Json = {}
    for beginning, values in MATTERS_WITH.items():
        if name.startswith(beginning):
            needed |= values
    if isinstance(default, bool):
        needed = {key: value for key, value in needed.items() if key != name}
    given = [f"--set-json={key}={json.dumps(value)}" for key, value in needed.items()]
    changed = [*given, f"--set-json={name}={json.dumps(other)}"]
    assert rendered(MINIMAL, *changed) != rendered(MINIMAL, *given)


def test_the_example_of_the_readme_is_taken(tmp_path: Path) -> None:
    text = (CHART / "README.md").read_text().partition("`values.yaml` of your own:\n\n")[2]
    given = tmp_path / "values.yaml"
    given.write_text(textwrap.dedent(text.partition("\n\n")[0]))
    documents = rendered(given)
    assert {one["kind"] for one in documents} > {"ServiceMonitor", "Probe", "PrometheusRule"}
    image = pod(documents)["spec"]["containers"][0]["image"]
    assert f"buildah push {image}\n" in (CHART / "README.md").read_text()


def notes(values: Path, chart: Path, *arguments: str) -> str:
    # `helm template` leaves them out.
    path = "templates/zz.yaml"
    shown = '{{ include (print .Template.BasePath "/NOTES.txt") . | toJson | printf "notes: %s" }}'
    (shutil.copytree(CHART, chart) / path).write_text(shown)
    done = rendering(values, "--show-only", path, *arguments, chart=chart)
    assert done.returncode == 0, done.stderr
    return str(YAML(typ="safe", pure=True).load(done.stdout)["notes"])


def test_the_notes_say_what_is_still_missing(tmp_path: Path) -> None:
    text = notes(CHART / "values.yaml", tmp_path / "defaults")
    assert "set `targets`" in text
    assert f"must have asterisk-fax-exporter:{__version__}" in text

    waits = ("--set=podDisruptionBudget.enabled=true,podDisruptionBudget.maxUnavailable=0",)
    assert "waits until you delete the pod" in notes(MINIMAL, tmp_path / "drain", *waits)
    assert "nothing is installed" in notes(MINIMAL, tmp_path / "off", "--set=enabled=false")
    own = notes(MINIMAL, tmp_path / "own", "--set=image.registry=registry.example")
    assert "no public image" not in own

    text = notes(FLEET, tmp_path / "fleet", "--set", "monitoring.prometheusRule.enabled=true")
    assert "Targets: 4. To look at the exporter (at one of its 3 shards)" in text
    assert "port-forward service/fax-asterisk-fax-exporter 10329:10329" in text
    assert "set `targets`" not in text
    assert "none of the PBXs" not in text

    options = ("monitoring.prometheusRule.enabled=true", "monitoring.probe.enabled=false")
    text = notes(FLEET, tmp_path / "rules", "--set", ",".join(options))
    assert "The rules will see none of the PBXs" in text

    assert "rollout restart deployment/fax-asterisk-fax-exporter" in notes(TLS, tmp_path / "tls")
    text = notes(TLS, tmp_path / "auth", "--set", "monitoring.basicAuth=null")
    assert "Prometheus will be refused" in text
