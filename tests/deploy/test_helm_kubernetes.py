"""The Helm chart as Kubernetes and Prometheus' operator take it, and what its pods may."""

import re
from pathlib import Path
from typing import Final

import pytest

from exporter.settings import WebSettings
from harness.chart import (
    CASES,
    EVERYTHING,
    EXISTING,
    FLEET,
    FOLDER,
    MINIMAL,
    OF_THE_OPERATOR,
    OLDEST,
    TLS,
    Json,
    container,
    faults,
    of_kind,
    only,
    pod,
    rendered,
    workload,
)
from harness.rules import ROOT, read

pytestmark = pytest.mark.slow

UNDER_FLOOD_MIB: Final = 64
"""What both processes together may take above rest: SECURITY.md."""

EACH_CASE = pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)


@EACH_CASE
def test_kubernetes_takes_it(case: Path, kubernetes: Path) -> None:
    # What is made of the oldest one other tests have too, and it is not made again.
    version = () if kubernetes.name == OLDEST else ("--kube-version", kubernetes.name)
    documents = [d for d in rendered(case, *version) if d["apiVersion"] != OF_THE_OPERATOR]
    assert faults(documents, kubernetes) == []


@pytest.mark.parametrize("case", [FLEET, TLS, EVERYTHING, EXISTING], ids=lambda path: path.stem)
def test_prometheus_operator_takes_it(case: Path, operator: Path) -> None:
    documents = [one for one in rendered(case) if one["apiVersion"] == OF_THE_OPERATOR]
    assert documents
    assert faults(documents, operator) == []


def test_the_schemas_refuse_what_does_not_exist(kubernetes: Path) -> None:
    documents = [one for one in rendered(EVERYTHING) if one["apiVersion"] != OF_THE_OPERATOR]
    pod(documents)["spec"]["containers"][0]["readinesProbe"] = {}
    (fault,) = faults(documents, kubernetes)
    assert fault.startswith("StatefulSet: ")
    assert "readinesProbe" in fault


def test_the_operator_refuse_what_does_not_exist(operator: Path) -> None:
    documents = of_kind(rendered(EVERYTHING), "Probe", "ServiceMonitor", "PrometheusRule")
    of_kind(documents, "Probe")[0]["spec"]["targets"]["staticConfig"]["statics"] = []
    only(documents, "ServiceMonitor")["spec"]["endpoints"][0]["intervall"] = "1m"
    only(documents, "PrometheusRule")["spec"]["groups"][0]["rules"][0]["fore"] = "1m"
    assert {fault.partition(":")[0] for fault in faults(documents, operator)} == {
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
        # A mesh takes a port that is called http for one without TLS, if nothing else is said.
        for service in of_kind(documents, "Service"):
            assert [port["appProtocol"] for port in service["spec"]["ports"]] == [scheme]
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


# What YAML takes for a number, a truth or nothing unless it is quoted.
LOOKS_LIKE_SOMETHING_ELSE: Final = {
    "commonLabels.a": "true",
    "fullnameOverride": "null",
    "image.tag": "1e3",
    "ingress.className": "1",
    "monitoring.interval": "1m",
    "monitoring.namespace": "0x1",
    "monitoring.pairWith": "on",
    "monitoring.probe.jobName": "1e3",
    "monitoring.replica": "1",
    "nameOverride": "yes",
    "nodeSelector.a": "1e3",
    "persistence.size": "1",
    "persistence.storageClass": "1",
    "podAnnotations.a": "null",
    "priorityClassName": "1",
    "runtimeClassName": "true",
    "schedulerName": "0",
    "service.annotations.a": "true",
    "serviceAccount.name": "1e3",
    "workload.labels.a": "0",
}


@pytest.mark.parametrize("name", ["one-pod", "shards", "fleet"])
def test_a_text_stays_one_whatever_it_looks_like(
    name: str, kubernetes: Path, operator: Path
) -> None:
    chosen = {"namespaceOverride": ""} | LOOKS_LIKE_SOMETHING_ELSE
    if name == "one-pod":
        chosen |= {"secret.existingSecret": "1", "webConfig.tlsSecret": "1e3"}
    options = tuple(f"--set-string={key}={value}" for key, value in chosen.items())
    case = FOLDER / "ci" / f"{name}.yaml"
    documents = rendered(case, *options, release="39", namespace="1")
    for schemas, its_own in ((operator, True), (kubernetes, False)):
        of_it = [one for one in documents if (one["apiVersion"] == OF_THE_OPERATOR) is its_own]
        assert of_it
        assert faults(of_it, schemas) == []
    for one in documents:
        if one["metadata"]["name"] != "39-more":
            of_the_workload = one["kind"] in ("Deployment", "StatefulSet")
            assert one["metadata"]["labels"]["a"] == ("0" if of_the_workload else "true")
            assert one["metadata"]["namespace"] in ("1", "0x1", "grafana")
    assert pod(documents)["spec"]["serviceAccountName"] == "1e3"
    assert workload(documents)["metadata"]["name"] == "null"
