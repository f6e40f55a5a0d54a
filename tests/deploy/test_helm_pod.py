"""What the Helm chart says of its pod: users, volumes, sidecars, probes, drains, its place."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from harness.chart import (
    FLEET,
    FOLDER,
    MINIMAL,
    TLS,
    Json,
    container,
    of_kind,
    only,
    pod,
    refused,
    rendered,
    workload,
)
from harness.rules import ROOT, read

pytestmark = pytest.mark.slow

ONE_POD, SHARDS = (FOLDER / "ci" / f"{name}.yaml" for name in ("one-pod", "shards"))
STATE: Final = "/var/lib/asterisk-fax-exporter"


def with_values(values: Path, *arguments: str, **given: Any) -> list[Json]:
    return rendered(
        values, *arguments, *(f"--set-json={k}={json.dumps(v)}" for k, v in given.items())
    )


def spec(documents: list[Json]) -> Json:
    return dict(pod(documents)["spec"])


# --- as it was given ------------------------------------------------------------------------


def test_what_a_pod_can_have_is_as_it_was_given() -> None:
    given, made = read(ONE_POD), spec(rendered(ONE_POD))
    for name in (
        "runtimeClassName",
        "schedulerName",
        "terminationGracePeriodSeconds",
        "hostNetwork",
        "hostAliases",
        "dnsConfig",
        "initContainers",
    ):
        assert made[name] == given[name]
    assert made["containers"][1]["name"] == "proxy"
    exporter = container(rendered(ONE_POD))
    assert exporter["lifecycle"] == given["lifecycle"]
    assert given["extraVolumeMounts"][0] in exporter["volumeMounts"]
    assert given["extraVolumes"][0] in made["volumes"]
    # In the network of its node it still finds names of the cluster.
    assert made["dnsPolicy"] == "ClusterFirstWithHostNet"
    assert spec(rendered(SHARDS))["dnsPolicy"] == "Default"
    assert "dnsPolicy" not in spec(rendered(MINIMAL))


def test_templates_are_filled_in_where_they_are_helms_and_nowhere_else() -> None:
    documents = rendered(ONE_POD)
    made, exporter = spec(documents), container(documents)
    assert made["containers"][1]["image"] == f"proxy:{_version()}"
    assert exporter["envFrom"] == [{"secretRef": {"name": "fax-env", "optional": True}}]
    sources = {one["name"]: one.get("secret", {}).get("secretName") for one in made["volumes"]}
    assert (sources["secrets"], sources["tls"]) == ("pbx-fax", "fax-exporter-tls")
    (term,) = made["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    labels = term["podAffinityTerm"]["labelSelector"]["matchLabels"]
    assert labels == {"app.kubernetes.io/instance": "fax"}
    assert "fax-more" in [one["metadata"]["name"] for one in of_kind(documents, "ConfigMap")]
    annotation = "vault.hashicorp.com/agent-inject-template-ami"
    template = read(ONE_POD)["podAnnotations"][annotation]
    assert pod(documents)["metadata"]["annotations"][annotation] == template


def _version() -> str:
    return str(read(FOLDER / "asterisk-fax-exporter/Chart.yaml")["appVersion"])


def test_labels_and_annotations_for_all_are_on_all() -> None:
    for one in rendered(ONE_POD):
        if one["metadata"]["name"] == "fax-more":
            continue
        for place in [one, one["spec"]["template"]] if "template" in one.get("spec", {}) else [one]:
            assert (
                place["metadata"]["labels"].items()
                >= {"cost-center": "4711", "part": "fax"}.items()
            )
            assert place["metadata"]["annotations"]["who"] == "telephony"


def test_the_workload_and_the_service_have_labels_and_annotations_of_their_own() -> None:
    documents, given = rendered(ONE_POD), read(ONE_POD)
    for made, name in (
        (workload(documents), "workload"),
        (only(documents, "Service"), "service"),
        (only(documents, "Ingress"), "ingress"),
        (only(documents, "PersistentVolumeClaim"), "persistence"),
    ):
        assert made["metadata"]["labels"].items() >= given[name]["labels"].items()
        assert made["metadata"]["annotations"].items() >= given[name]["annotations"].items()
    assert "reloader.stakater.com/auto" not in pod(documents)["metadata"]["annotations"]
    # A label by which the ServiceMonitor finds the Service is never another.
    own = with_values(MINIMAL, **{"service.labels": {"app.kubernetes.io/component": "x"}})
    assert only(own, "Service")["metadata"]["labels"]["app.kubernetes.io/component"] == "exporter"


def test_a_service_is_as_it_was_given() -> None:
    given, made = read(ONE_POD)["service"], only(rendered(ONE_POD), "Service")["spec"]
    (port,) = made["ports"]
    assert port["nodePort"] == given["nodePort"]
    for name in given.keys() - {"labels", "annotations", "nodePort"}:
        assert made[name] == given[name]
    # A shard's own name is of the same families.
    _, headless = of_kind(
        with_values(FLEET, **{"service.ipFamilyPolicy": "PreferDualStack"}), "Service"
    )
    assert headless["spec"]["ipFamilyPolicy"] == "PreferDualStack"


def test_the_page_can_be_reached_by_a_name() -> None:
    made = only(rendered(ONE_POD), "Ingress")["spec"]
    (rule,) = made["rules"]
    (path,) = rule["http"]["paths"]
    assert (rule["host"], path["path"], path["pathType"]) == ("fax.example", "/", "Exact")
    service = only(rendered(ONE_POD), "Service")
    assert path["backend"]["service"] == {
        "name": service["metadata"]["name"],
        "port": {"name": service["spec"]["ports"][0]["name"]},
    }
    assert made["tls"] == [{"hosts": ["fax.example"], "secretName": "page-tls"}]
    assert "name the hosts" in refused(MINIMAL, "--set=ingress.enabled=true")


# --- users ----------------------------------------------------------------------------------


def test_an_account_is_made_named_or_neither() -> None:
    assert "serviceAccountName" not in spec(rendered(MINIMAL))
    documents = rendered(ONE_POD)
    account = only(documents, "ServiceAccount")
    assert spec(documents)["serviceAccountName"] == account["metadata"]["name"]
    assert account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].endswith("role/fax")
    documents = rendered(SHARDS)
    assert spec(documents)["serviceAccountName"] == "faxes"
    assert not of_kind(documents, "ServiceAccount")


@pytest.mark.parametrize("automount", [True, False])
def test_a_token_is_in_the_pod_only_if_that_is_asked_for(automount: bool) -> None:
    given = {"serviceAccount.create": True, "serviceAccount.automount": automount}
    documents = with_values(MINIMAL, **given)
    assert only(documents, "ServiceAccount")["automountServiceAccountToken"] is automount
    assert spec(documents)["automountServiceAccountToken"] is automount


def test_openshift_gives_the_ids_and_others_of_ones_own_stay() -> None:
    openshift = "--api-versions=security.openshift.io/v1"
    kept = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert spec(rendered(MINIMAL, openshift))["securityContext"] == kept
    own = with_values(MINIMAL, openshift, **{"podSecurityContext.fsGroup": 7})
    assert spec(own)["securityContext"] == kept | {"fsGroup": 7}


def test_what_is_null_is_taken_out_of_a_security_context(tmp_path: Path) -> None:
    ids = dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"))
    documents = with_values(
        MINIMAL, podSecurityContext=ids, securityContext={"readOnlyRootFilesystem": None}
    )
    kept = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert spec(documents)["securityContext"] == kept
    assert "readOnlyRootFilesystem" not in container(documents)["securityContext"]
    none = with_values(MINIMAL, podSecurityContext=None, securityContext=None, resources=None)
    assert "securityContext" not in spec(none)
    assert not {"securityContext", "resources"} & container(none).keys()


# --- volumes --------------------------------------------------------------------------------


def test_one_pod_has_a_volume_for_its_history_and_its_peers() -> None:
    documents = rendered(ONE_POD)
    claim, given = only(documents, "PersistentVolumeClaim"), read(ONE_POD)["persistence"]
    assert claim["spec"] == {
        "accessModes": given["accessModes"],
        "storageClassName": "",
        "resources": {"requests": {"storage": given["size"]}},
    }
    (volume,) = (one for one in spec(documents)["volumes"] if one["name"] == "data")
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    exporter = container(documents)
    assert {"name": "data", "mountPath": STATE} in exporter["volumeMounts"]
    assert f"--history.file={STATE}/faxes.db" in exporter["args"]
    assert f"--metrics.peer-file={STATE}/peers.json" in exporter["args"]
    assert re.search(
        rf"^RUN install -d .* {STATE}$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )


def test_a_file_of_peers_is_kept_only_where_peers_are_counted() -> None:
    kept = f"--metrics.peer-file={STATE}/peers.json"
    on = {"persistence.enabled": True}
    assert kept not in container(with_values(MINIMAL, **on))["args"]
    for given in (
        {"extraArgs": ["--metrics.peer-label"]},
        {"extraEnv": [{"name": "FAX_EXPORTER_METRICS_PEER_LABEL", "value": "true"}]},
    ):
        assert kept in container(with_values(MINIMAL, **on, **given))["args"]


def test_a_claim_of_ones_own_is_mounted_and_none_made() -> None:
    given = {"persistence.enabled": True, "persistence.existingClaim": "{{ .Release.Name }}-old"}
    documents = with_values(MINIMAL, **given)
    assert not of_kind(documents, "PersistentVolumeClaim")
    (volume,) = (one for one in spec(documents)["volumes"] if one["name"] == "data")
    assert volume["persistentVolumeClaim"] == {"claimName": "fax-old"}
    said = refused(FLEET, "--set=persistence.enabled=true,persistence.existingClaim=old")
    assert "persistence.existingClaim is one volume, and each of several shards has" in said


def test_each_shard_has_a_volume_of_its_own() -> None:
    documents = rendered(SHARDS)
    made = workload(documents)["spec"]
    (claim,) = made["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    assert {"name": claim["metadata"]["name"], "mountPath": STATE} in container(documents)[
        "volumeMounts"
    ]
    assert "data" not in {one["name"] for one in made["template"]["spec"]["volumes"]}
    assert not of_kind(documents, "PersistentVolumeClaim")
    policy = read(SHARDS)["persistentVolumeClaimRetentionPolicy"]
    assert made["persistentVolumeClaimRetentionPolicy"] == policy


# --- probes ---------------------------------------------------------------------------------

PROBES: Final = ("startup", "liveness", "readiness")


def test_the_pod_can_ask_itself_where_a_certificate_is_demanded() -> None:
    entry = json.loads(
        (ROOT / "Dockerfile").read_text().rpartition("ENTRYPOINT ")[2].splitlines()[0]
    )
    for name in PROBES:
        probe = container(rendered(TLS, "--set=probes.handler=exec"))[f"{name}Probe"]
        assert probe["exec"] == {"command": [entry[-1], "--health-check"]}
        assert not {"httpGet", "tcpSocket"} & probe.keys()


def test_the_kubelets_times_are_those_given_and_else_those_of_the_chart() -> None:
    given, exporter = read(ONE_POD)["probes"], container(rendered(ONE_POD))
    defaults = read(FOLDER / "asterisk-fax-exporter/values.yaml")["probes"]
    for name in PROBES:
        probe = {k: v for k, v in exporter[f"{name}Probe"].items() if k != "exec"}
        assert probe == defaults[name] | given[name]


@pytest.mark.parametrize("handler", ["tcp", "exec"])
def test_only_http_can_ask_whether_every_pbx_is_reachable(handler: str) -> None:
    said = refused(MINIMAL, f"--set=probes.handler={handler},probes.readinessPath=/-/ready")
    assert f"must ask by HTTP, and probes.handler is {handler}" in said


# --- one after the other, and where -----------------------------------------------------------


def test_a_budget_is_of_the_pods_of_this_release() -> None:
    for case, most in ((ONE_POD, 0), (SHARDS, "50%")):
        documents = rendered(case)
        budget = only(documents, "PodDisruptionBudget")["spec"]
        assert budget["maxUnavailable"] == most
        assert budget["selector"] == workload(documents)["spec"]["selector"]
    shards = with_values(FLEET, **{"podDisruptionBudget.enabled": True})
    assert only(shards, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert not of_kind(rendered(FLEET), "PodDisruptionBudget")


def test_never_two_of_one_pod_whatever_is_asked_for() -> None:
    assert workload(rendered(ONE_POD))["spec"]["strategy"] == {"type": "Recreate"}
    said = refused(MINIMAL, "--set=updateStrategy.type=RollingUpdate")
    assert "ends its pod before the next one begins" in said
    assert workload(rendered(SHARDS))["spec"]["updateStrategy"] == read(SHARDS)["updateStrategy"]


def test_zero_is_a_number_and_not_nothing() -> None:
    documents = with_values(MINIMAL, revisionHistoryLimit=0, terminationGracePeriodSeconds=0)
    assert workload(documents)["spec"]["revisionHistoryLimit"] == 0
    assert spec(documents)["terminationGracePeriodSeconds"] == 0
    plain = rendered(MINIMAL)
    assert "revisionHistoryLimit" not in workload(plain)["spec"]
    assert "terminationGracePeriodSeconds" not in spec(plain)


def test_pods_are_spread_among_those_of_this_release_unless_others_are_named() -> None:
    (default,) = spec(rendered(ONE_POD))["topologySpreadConstraints"]
    selector = workload(rendered(ONE_POD))["spec"]["selector"]
    assert default == read(ONE_POD)["topologySpreadConstraints"][0] | {"labelSelector": selector}
    (named,) = spec(rendered(SHARDS))["topologySpreadConstraints"]
    assert named["labelSelector"] == {"matchLabels": {"app.kubernetes.io/instance": "fax"}}


def test_the_name_that_a_shard_goes_by_is_taken() -> None:
    given = '--set-json=extraEnv=[{"name": "SHARD", "value": "0"}]'
    assert "extraEnv has SHARD" in refused(FLEET, given)
    assert rendered(MINIMAL, given)


def test_all_is_in_the_namespace_that_was_asked_for() -> None:
    documents = rendered(MINIMAL, "--set=namespaceOverride=other")
    assert {one["metadata"]["namespace"] for one in documents} == {"other"}
