"""The Helm chart: what helm makes of it, as Kubernetes' schemas, promtool, Prometheus and the
exporter itself judge it."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pytest
import trustme
from ruamel.yaml import YAML

from exporter import __version__
from exporter.settings import AmiSettings, WebSettings, share_of
from grafana import __main__ as generator
from harness.monitoring import Prometheus
from harness.programs import binary
from harness.rules import ROOT, RULES, read

pytestmark = pytest.mark.slow

Json = dict[str, Any]

FOLDER: Final = ROOT / "deploy/helm"
CHART: Final = FOLDER / "asterisk-fax-exporter"
CASES: Final = sorted((FOLDER / "ci").glob("*.yaml"))
EACH_CASE = pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
MINIMAL, FLEET, TLS, EVERYTHING, EXISTING = (
    FOLDER / "ci" / f"{name}.yaml"
    for name in ("minimal", "fleet", "tls-auth", "everything", "existing-secret")
)

OLDEST: Final = "1.28.0"
NEWEST: Final = "1.37.0"
OPERATOR: Final = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
KINDS: Final = (
    "configmap-v1.json",
    "deployment-apps-v1.json",
    "networkpolicy-networking-v1.json",
    "secret-v1.json",
    "service-v1.json",
    "statefulset-apps-v1.json",
)
OF_THE_OPERATOR: Final = "monitoring.coreos.com/v1"
MOUNTED: Final = "/etc/asterisk-fax-exporter"
UNDER_FLOOD_MIB: Final = 64
"""What both processes together may take above rest: SECURITY.md."""


def run_helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    helm = binary("helm", install="go install helm.sh/helm/v3/cmd/helm@v3.20.0")
    return subprocess.run([helm, *arguments], capture_output=True, text=True, check=False)


@cache
def rendering(
    values: Path, *arguments: str, chart: Path = CHART
) -> subprocess.CompletedProcess[str]:
    # What a helm that was built without a version takes Kubernetes to be is too old.
    fixed = ("template", "fax", chart, "--namespace", "telephony", "--kube-version", OLDEST)
    return run_helm(*fixed, "--values", values, *arguments)


@cache
def parsed(text: str) -> list[Json]:
    return list(YAML(typ="safe", pure=True).load_all(text))


def rendered(values: Path, *arguments: str) -> list[Json]:
    done = rendering(values, *arguments)
    assert done.returncode == 0, done.stderr
    return deepcopy(parsed(done.stdout))


def of_kind(documents: list[Json], *kinds: str) -> list[Json]:
    return [one for one in documents if one["kind"] in kinds]


def only(documents: list[Json], *kinds: str) -> Json:
    (found,) = of_kind(documents, *kinds)
    return found


def workload(documents: list[Json]) -> Json:
    return only(documents, "Deployment", "StatefulSet")


def pod(documents: list[Json]) -> Json:
    return dict(workload(documents)["spec"]["template"])


def container(documents: list[Json]) -> Json:
    (found,) = pod(documents)["spec"]["containers"]
    return dict(found)


def by_name(documents: list[Json]) -> dict[str, dict[str, str]]:
    """What ConfigMaps and Secrets hold, by their names."""
    held: dict[str, dict[str, str]] = {}
    for one in of_kind(documents, "ConfigMap"):
        held[one["metadata"]["name"]] = one["data"]
    for one in of_kind(documents, "Secret"):
        held[one["metadata"]["name"]] = {
            key: base64.b64decode(value).decode() for key, value in one["data"].items()
        }
    return held


def exporter_yml(documents: list[Json]) -> str:
    return next(data["exporter.yml"] for data in by_name(documents).values() if len(data) == 1)


# --- helm -----------------------------------------------------------------------------------


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


# --- Kubernetes -----------------------------------------------------------------------------


def strict(schema: Any) -> Any:
    """A schema that refuses fields it does not know, as the API server does not."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


@pytest.fixture(scope="session", params=[OLDEST, NEWEST])
def kubernetes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the schemas of one version of Kubernetes, named like it."""
    version: str = request.param
    directory = tmp_path_factory.mktemp("schemas") / version
    directory.mkdir()
    shipped = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}-local-strict"
    definitions = json.loads((shipped / "_definitions.json").read_text())["$defs"]
    for name in KINDS:
        # They refer to a file at /api, and by an address that does not exist.
        text = (shipped / name).read_text().replace("/api/_definitions.json#", "#")
        made = json.loads(text) | {"$defs": definitions}
        del made["$id"]
        (directory / name).write_text(json.dumps(made))
    return directory


@pytest.fixture(scope="session")
def operators_schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the schemas of what Prometheus' operator defines."""
    go = binary("go", install="see https://go.dev/doc/install")
    directory = tmp_path_factory.mktemp("schemas")
    # Kept in Go's module cache, and compared with Go's checksum database.
    done = subprocess.run(
        [go, "mod", "download", "-json", OPERATOR],
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    definitions = Path(json.loads(done.stdout)["Dir"]) / "example/prometheus-operator-crd"
    for plural in ("probes", "prometheusrules", "servicemonitors"):
        defined = read(definitions / f"monitoring.coreos.com_{plural}.yaml")["spec"]
        (version,) = (one for one in defined["versions"] if one["name"] == "v1")
        made = strict(version["schema"]["openAPIV3Schema"])
        name = f"{defined['names']['kind'].lower()}-monitoring-v1.json"
        (directory / name).write_text(json.dumps(made))
    return directory


def faults(documents: list[Json], schemas: Path) -> list[str]:
    """What kubeconform says is wrong; a kind without a schema is a fault too."""
    kubeconform = binary(
        "kubeconform", install="go install github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0"
    )
    location = f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    done = subprocess.run(
        [kubeconform, "-strict", "-output=json", "-verbose", "-schema-location", location],
        input="\n---\n".join(json.dumps(one) for one in documents),
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)["resources"]
    assert len(found) == len(documents), done.stdout + done.stderr
    wrong = [f"{one['kind']}: {one['msg']}" for one in found if one["status"] != "statusValid"]
    assert bool(wrong) == (done.returncode != 0)
    return wrong


@EACH_CASE
def test_kubernetes_takes_it(case: Path, kubernetes: Path) -> None:
    version = ("--kube-version", kubernetes.name)
    documents = [d for d in rendered(case, *version) if d["apiVersion"] != OF_THE_OPERATOR]
    assert faults(documents, kubernetes) == []


@pytest.mark.parametrize("case", [FLEET, TLS, EVERYTHING, EXISTING], ids=lambda path: path.stem)
def test_prometheus_operator_takes_it(case: Path, operators_schemas: Path) -> None:
    documents = [one for one in rendered(case) if one["apiVersion"] == OF_THE_OPERATOR]
    assert documents
    assert faults(documents, operators_schemas) == []


def test_the_schemas_refuse_what_does_not_exist(kubernetes: Path) -> None:
    documents = [one for one in rendered(EVERYTHING) if one["apiVersion"] != OF_THE_OPERATOR]
    pod(documents)["spec"]["containers"][0]["readinesProbe"] = {}
    (fault,) = faults(documents, kubernetes)
    assert fault.startswith("StatefulSet: ")
    assert "readinesProbe" in fault


def test_the_operators_schemas_refuse_what_does_not_exist(operators_schemas: Path) -> None:
    documents = of_kind(rendered(EVERYTHING), "Probe", "ServiceMonitor", "PrometheusRule")
    only(documents, "Probe")["spec"]["targets"]["staticConfig"]["statics"] = []
    only(documents, "ServiceMonitor")["spec"]["endpoints"][0]["intervall"] = "1m"
    only(documents, "PrometheusRule")["spec"]["groups"][0]["rules"][0]["fore"] = "1m"
    assert {fault.partition(":")[0] for fault in faults(documents, operators_schemas)} == {
        "Probe",
        "ServiceMonitor",
        "PrometheusRule",
    }


@EACH_CASE
def test_labels_bring_pods_services_and_prometheus_together(case: Path) -> None:
    documents = rendered(case)
    labels = pod(documents)["metadata"]["labels"].items()
    assert workload(documents)["spec"]["selector"]["matchLabels"].items() <= labels
    services = of_kind(documents, "Service")
    ports = {port["name"] for port in container(documents)["ports"]}
    for service in services:
        assert service["spec"]["selector"].items() <= labels
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for policy in of_kind(documents, "NetworkPolicy"):
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels
    for monitor in of_kind(documents, "ServiceMonitor"):
        # Of two, each pod would be scraped twice.
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        (found,) = (one for one in services if wanted <= one["metadata"]["labels"].items())
        assert [monitor["spec"]["endpoints"][0]["port"]] == [
            port["name"] for port in found["spec"]["ports"]
        ]
        assert monitor["spec"]["jobLabel"] in found["metadata"]["labels"]


def test_a_pod_may_do_as_little_as_the_restricted_profile_of_kubernetes_allows() -> None:
    documents = rendered(MINIMAL)
    spec = pod(documents)["spec"]
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user is not None
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": int(user[1]),
        "runAsGroup": int(user[2]),
        "fsGroup": int(user[2]),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert spec["automountServiceAccountToken"] is False
    assert container(documents)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_port_is_that_of_the_exporter() -> None:
    documents = rendered(MINIMAL)
    port = WebSettings().listen_address[0].port
    assert container(documents)["ports"] == [{"name": "http", "containerPort": port}]
    assert only(documents, "Service")["spec"]["ports"][0]["port"] == port


def paths(documents: list[Json]) -> list[str]:
    probes = (container(documents)[f"{name}Probe"] for name in ("startup", "liveness", "readiness"))
    return [probe["httpGet"]["path"] for probe in probes]


def test_one_dead_pbx_does_not_take_the_exporter_out_of_its_service_unless_asked() -> None:
    healthy, ready = "/-/healthy", "/-/ready"
    assert paths(rendered(MINIMAL)) == [healthy, healthy, healthy]
    chosen = rendered(MINIMAL, "--set", "probes.readinessPath=/-/ready")
    assert paths(chosen) == [healthy, healthy, ready]


def test_the_kubelet_is_patient_since_a_restart_loses_the_counters() -> None:
    probe = container(rendered(MINIMAL))["livenessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 180
    assert probe["timeoutSeconds"] >= 5


def mebibytes(quantity: str) -> int:
    assert quantity.endswith("Mi")
    return int(quantity.removesuffix("Mi"))


def test_a_flood_fits_into_the_memory_that_the_pod_may_have() -> None:
    resources = container(rendered(MINIMAL))["resources"]
    at_rest = mebibytes(resources["requests"]["memory"])
    assert mebibytes(resources["limits"]["memory"]) >= at_rest + UNDER_FLOOD_MIB


def test_probes_and_prometheus_speak_tls_where_the_exporter_does() -> None:
    for case, scheme in ((FLEET, "http"), (EXISTING, "https"), (EVERYTHING, "https")):
        documents = rendered(case)
        assert container(documents)["livenessProbe"]["httpGet"]["scheme"] == scheme.upper()
        (endpoint,) = only(documents, "ServiceMonitor")["spec"]["endpoints"]
        assert endpoint["scheme"] == scheme
        assert ("tlsConfig" in endpoint) == (scheme == "https")
        for probe in of_kind(documents, "Probe"):
            assert probe["spec"]["prober"]["scheme"] == scheme


def test_prometheus_shows_what_the_exporter_asks_for() -> None:
    documents, given = rendered(TLS), read(TLS)["monitoring"]
    (endpoint,) = only(documents, "ServiceMonitor")["spec"]["endpoints"]
    for place in (endpoint, only(documents, "Probe")["spec"]):
        assert place["basicAuth"] == given["basicAuth"]
        # A pod is scraped by its address, which no certificate names.
        name = {"serverName": "fax-asterisk-fax-exporter.telephony.svc"}
        assert place["tlsConfig"] == given["tlsConfig"] | name


def test_the_kubelet_only_connects_where_a_certificate_is_demanded() -> None:
    for name in ("startup", "liveness", "readiness"):
        assert container(rendered(TLS))[f"{name}Probe"]["tcpSocket"] == {"port": "http"}


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
        "fax-exporter-tls": tls,
        "fax-exporter-web": {"web.yml": web},
        "rome": {"secret": "nor this"},
    }


def checked(documents: list[Json], root: Path, shard: int = 0) -> set[str]:
    """The targets that the real exporter finds when it is started as the pod would start it."""
    held = by_name(documents) | existing_secrets()
    run = container(documents)
    volumes = {volume["name"]: volume for volume in pod(documents)["spec"]["volumes"]}
    moved = [mount["mountPath"] for mount in run["volumeMounts"]]

    def here(text: str) -> str:
        for path in moved:
            text = text.replace(path, f"{root}{path}")
        return text

    for mount in run["volumeMounts"]:
        volume = volumes[mount["name"]]
        directory = Path(f"{root}{mount['mountPath']}")
        directory.mkdir(parents=True)
        source = volume["secret"]["secretName"] if "secret" in volume else ""
        for key, text in held[source or volume["configMap"]["name"]].items():
            (directory / key).write_text(here(text))
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
    *web, targets = done.stdout.splitlines()
    assert bool(web) == ("web" in volumes)
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
    made = YAML(typ="safe", pure=True).load(exporter_yml(rendered(case)))["targets"]
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


# --- Prometheus and Grafana -----------------------------------------------------------------


RELEASE: Final = "telephony/fax-asterisk-fax-exporter"


def rules_made(values: Path, *arguments: str) -> Json:
    rule = ("--set", "monitoring.prometheusRule.enabled=true")
    return dict(only(rendered(values, *rule, *arguments), "PrometheusRule")["spec"])


def site(made: Json) -> list[Json]:
    """The rules that a site sets."""
    return [rule for group in made["groups"][:2] for rule in group["rules"]]


def shipped_rules(release: str, watched: str) -> Json:
    """The shipped rules as a site makes them its own: by the command that they begin with."""
    text = RULES.read_text()
    text = text.replace('rules="asterisk-fax"', f'rules="{release}"')
    text = text.replace("rules: asterisk-fax", f"rules: {release}")
    return dict(YAML(typ="safe", pure=True).load(text.replace('job!=""', watched)))


def test_the_rules_are_those_of_the_file() -> None:
    assert rules_made(MINIMAL) == shipped_rules(RELEASE, 'job!=""')


def test_the_rules_of_a_release_see_its_scrapes_and_no_others() -> None:
    own = f'fax_release="{RELEASE}"'
    expected = shipped_rules(RELEASE, own)
    for rule in site(expected):
        if rule["record"] == "target:asterisk_fax_scrape:up":
            rule["expr"] = f"up{{{own}}}"
    assert rules_made(FLEET) == expected
    documents = rendered(FLEET)
    static = only(documents, "Probe")["spec"]["targets"]["staticConfig"]
    assert static["labels"] == {"fax_release": RELEASE}
    (endpoint,) = only(documents, "ServiceMonitor")["spec"]["endpoints"]
    assert {"targetLabel": "fax_release", "replacement": RELEASE} in endpoint["relabelings"]


def test_what_must_be_scraped_is_each_target_and_the_exporter() -> None:
    (rule,) = (
        rule
        for rule in site(rules_made(FLEET, "--set", "monitoring.prometheusRule.absent=true"))
        if rule["record"] == "pbx:asterisk_fax_scrape:absent"
    )
    named = set(re.findall(r'absent\(up{fax_release="(\S+)", job="(\S+?)"(.*?)}\)', rule["expr"]))
    jobs = {(RELEASE, "asterisk-fax", f', instance="{name}"') for name in read(FLEET)["targets"]}
    assert named == jobs | {(RELEASE, "asterisk-fax-exporter", "")}


def test_of_two_releases_that_watch_the_same_pbxs_only_the_replica_differs() -> None:
    def monitors(*options: str) -> list[Any]:
        chosen = [part for option in options for part in ("--set", f"monitoring.{option}")]
        probe, monitor = (
            only(rendered(FLEET, "--set", "shards=1", *chosen), kind)["spec"]
            for kind in ("Probe", "ServiceMonitor")
        )
        (endpoint,) = monitor["endpoints"]
        return [probe["targets"]["staticConfig"], endpoint["relabelings"]]

    first = monitors("replica=a")
    second = monitors("replica=b", "pairWith=fax-asterisk-fax-exporter")
    assert first[0]["labels"] == {"fax_release": RELEASE, "replica": "a"}
    assert {"targetLabel": "replica", "replacement": "a"} in first[1]
    assert json.loads(json.dumps(first).replace('"a"', '"b"')) == second
    other = ("--set", "fullnameOverride=other", "--set", "monitoring.pairWith=fax")
    assert rules_made(FLEET, *other)["groups"][0]["rules"][0]["labels"]["rules"] == "telephony/fax"


def test_a_pod_that_takes_anothers_place_goes_on_with_its_series() -> None:
    (endpoint,) = only(rendered(TLS), "ServiceMonitor")["spec"]["endpoints"]
    assert {"targetLabel": "instance", "replacement": "fax-asterisk-fax-exporter"} in endpoint[
        "relabelings"
    ]
    (endpoint,) = only(rendered(FLEET), "ServiceMonitor")["spec"]["endpoints"]
    assert {"targetLabel": "instance", "sourceLabels": ["__meta_kubernetes_pod_name"]} in endpoint[
        "relabelings"
    ]
    assert {"action": "labeldrop", "regex": "pod|container|endpoint"} in endpoint["relabelings"]


def test_thresholds_links_and_more_can_be_others_and_all_else_stays(tmp_path: Path) -> None:
    given = read(EVERYTHING)["monitoring"]["prometheusRule"]
    release, watched = "telephony/watch-the-faxes", given["select"]
    expected = shipped_rules(release, watched)
    changed = 0
    for group in expected["groups"]:
        for rule in group["rules"]:
            # To the dashboards of this release.
            for key, text in rule.get("annotations", {}).items():
                suffixed = rf"\1-{read(EVERYTHING)['monitoring']['dashboards']['suffix']}?"
                rule["annotations"][key] = re.sub(r"(/d/asterisk-fax-[a-z-]+)\?", suffixed, text)
    for rule in site(expected):
        other = given["thresholds"].get(rule["record"])
        if other is not None:
            rule["expr"] = other.replace('job!=""', watched)
            changed += 1
        if rule["record"] == "global:asterisk_fax_links:info":
            rule["labels"] |= {key: given[key] for key in ("runbooks", "dashboards")}
        if rule["record"] == "pbx:asterisk_fax_scrape:absent":
            rule["expr"] = "\nor ".join(
                f'absent(up{{fax_release="{release}", job="fax"{instance}}})'
                for instance in (
                    *(f', instance="{name}"' for name in read(EVERYTHING)["targets"]),
                    "",
                )
            )
    assert changed == len(given["thresholds"]) > 0
    made = only(rendered(EVERYTHING), "PrometheusRule")["spec"]
    assert made == expected
    (tmp_path / "rules.yml").write_text(json.dumps(made))
    promtool = binary("promtool", package="prometheus")
    done = subprocess.run(
        [promtool, "check", "rules", "--lint=all", "--lint-fatal", tmp_path / "rules.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("suffix", ["", "berlin", "of-2nd-site"])
def test_the_dashboards_are_those_of_the_tree_to_the_letter(suffix: str) -> None:
    made = rendered(EVERYTHING, "--set", f"monitoring.dashboards.suffix={suffix}")
    maps = [one for one in of_kind(made, "ConfigMap") if "json" in str(one["data"])]
    found = {name: text for one in maps for name, text in one["data"].items() if ".json" in name}
    assert found == generator.texts(suffix)
    for one in maps:
        assert one["metadata"]["labels"]["grafana_dashboard"] == "fax"
        # What `kubectl apply` can carry in an annotation.
        assert len(json.dumps(one)) < 262144


def as_the_operator_would(probe: Json) -> Json:
    """The scrape that Prometheus' operator makes of a Probe (generateProbeConfig of promcfg.go)."""
    spec = probe["spec"]
    static = spec["targets"]["staticConfig"]
    relabelings: list[Json] = [
        {"target_label": "job", "replacement": spec["jobName"]},
        {"source_labels": ["__address__"], "target_label": "__param_target"},
        {"source_labels": ["__param_target"], "target_label": "instance"},
        {"target_label": "__address__", "replacement": spec["prober"]["url"]},
    ]
    for given in static.get("relabelingConfigs", []):
        relabelings.append(
            {re.sub(r"[A-Z]", lambda c: f"_{c[0].lower()}", key): v for key, v in given.items()}
        )
    return {
        "job_name": "probe",
        "metrics_path": spec["prober"]["path"],
        "scheme": spec["prober"]["scheme"],
        "static_configs": [{"targets": static["static"]}],
        "relabel_configs": relabelings,
    }


@pytest.mark.parametrize("case", [FLEET, TLS], ids=lambda path: path.stem)
def test_prometheus_asks_for_each_pbx_the_exporter_that_watches_it(
    case: Path, tmp_path: Path
) -> None:
    documents = rendered(case)
    shards = workload(documents)["spec"]["replicas"]
    scrape = as_the_operator_would(only(documents, "Probe"))
    host = "fax-asterisk-fax-exporter"
    with Prometheus({"scrape_configs": [scrape]}, tmp_path) as prometheus:
        prometheus.wait_until(lambda one: bool(one.targets()), 30, "targets")
        found = {
            target["labels"]["instance"]: (target["labels"]["job"], target["scrapeUrl"])
            for target in prometheus.targets()
        }
    expected = {}
    for name in read(case)["targets"]:
        server = f"{host}.telephony.svc"
        if shards > 1:
            server = f"{host}-{share_of(name, shards).index}.{host}-shards.telephony.svc"
        url = f"{scrape['scheme']}://{server}:10329/probe?target={name}"
        expected[name] = ("asterisk-fax", url)
    assert found == expected
    governing = workload(documents)["spec"].get("serviceName")
    assert governing == (f"{host}-shards" if shards > 1 else None)


def test_the_faxes_of_one_pbx_are_not_scraped_twice() -> None:
    alone = rendered(MINIMAL, "--set", "monitoring.serviceMonitor.enabled=true")
    (endpoint,) = only(alone, "ServiceMonitor")["spec"]["endpoints"]
    assert "metricRelabelings" not in endpoint
    (endpoint,) = only(rendered(FLEET), "ServiceMonitor")["spec"]["endpoints"]
    (relabeling,) = endpoint["metricRelabelings"]
    assert relabeling["action"] == "keep"
    assert re.fullmatch(relabeling["regex"], "asterisk_fax_exporter_targets")
    assert not re.fullmatch(relabeling["regex"], "asterisk_fax_up")


# --- wrong values ---------------------------------------------------------------------------

PBX: Final = "targets.fax-berlin"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("target={}", "target"),
        ("shards=0", "/shards"),
        ('shards="two"', "/shards"),
        ("image.tag=1.5", "/image/tag"),
        ('image.registry="x"', "registry"),
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
        ('probes.handler="exec"', "/probes/handler"),
        ('probes.readinessPath="/metrics"', "/probes/readinessPath"),
        ('monitoring.interval="often"', "/monitoring/interval"),
        ('monitoring.basicAuth={"username": {"name": "x", "key": "y"}}', "password"),
        ('monitoring.basicAuth={"username": "x", "password": "y"}', "/basicAuth/username"),
        ('monitoring.probes={"enabled": true}', "probes"),
        ('monitoring.probe.enabled="yes"', "/monitoring/probe/enabled"),
        ('podLabels={"a": 1}', "/podLabels/a"),
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
            "set probes.handler to tcp",
        ),
        (
            'monitoring.prometheusRule={"enabled": true, "thresholds": {"x": "y"}}',
            "there is no x; there is global:asterisk_fax_failures_objective:threshold, ",
        ),
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


# --- what it says of itself -----------------------------------------------------------------


def leaves(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict) and value and not key.lower().endswith("context"):
            yield from leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


def test_the_readme_has_every_value_and_no_other() -> None:
    text = (CHART / "README.md").read_text()
    written = {
        name
        for row in re.findall(r"^\| (`.+?) \|", text, flags=re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", row)
    }
    assert written == {
        re.sub(r"^resources\..*", "resources", name) for name in leaves(read(CHART / "values.yaml"))
    } - {"monitoring.dashboards.labels.grafana_dashboard"} | {"monitoring.dashboards.labels"}


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
