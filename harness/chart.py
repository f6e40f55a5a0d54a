"""The Helm chart for the tests: what helm makes of it, and the schemas that judge that."""

import base64
import json
import subprocess
from copy import deepcopy
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from harness.programs import binary
from harness.rules import ROOT, read

Json = dict[str, Any]

FOLDER: Final = ROOT / "deploy/helm"
CHART: Final = FOLDER / "asterisk-fax-exporter"
CASES: Final = sorted((FOLDER / "ci").glob("*.yaml"))
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
    "ingress-networking-v1.json",
    "networkpolicy-networking-v1.json",
    "persistentvolumeclaim-v1.json",
    "poddisruptionbudget-policy-v1.json",
    "secret-v1.json",
    "service-v1.json",
    "serviceaccount-v1.json",
    "statefulset-apps-v1.json",
)
OF_THE_OPERATOR: Final = "monitoring.coreos.com/v1"


def run_helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A run of helm."""
    helm = binary("helm", install="go install helm.sh/helm/v3/cmd/helm@v3.20.0")
    return subprocess.run([helm, *arguments], capture_output=True, text=True, check=False)


@cache
def rendering(
    values: Path,
    *arguments: str,
    chart: Path = CHART,
    release: str = "fax",
    namespace: str = "telephony",
) -> subprocess.CompletedProcess[str]:
    """What `helm template` says; what was asked once is not asked again."""
    # What a helm that was built without a version takes Kubernetes to be is too old.
    fixed = ("template", release, chart, "--namespace", namespace, "--kube-version", OLDEST)
    return run_helm(*fixed, "--values", values, *arguments)


@cache
def _parsed(text: str) -> list[Json]:
    return list(YAML(typ="safe", pure=True).load_all(text))


def rendered(
    values: Path,
    *arguments: str,
    chart: Path = CHART,
    release: str = "fax",
    namespace: str = "telephony",
) -> list[Json]:
    """The objects that the chart makes of these values."""
    done = rendering(values, *arguments, chart=chart, release=release, namespace=namespace)
    assert done.returncode == 0, done.stderr
    return deepcopy([one for one in _parsed(done.stdout) if one])


def refused(values: Path, *arguments: str, chart: Path = CHART, release: str = "fax") -> str:
    """What helm says as it makes nothing of these values."""
    done = rendering(values, *arguments, chart=chart, release=release)
    assert done.returncode != 0, done.stdout
    return done.stderr


def of_kind(documents: list[Json], *kinds: str) -> list[Json]:
    """The objects of these kinds."""
    return [one for one in documents if one["kind"] in kinds]


def only(documents: list[Json], *kinds: str) -> Json:
    """The one object of these kinds."""
    (found,) = of_kind(documents, *kinds)
    return found


def workload(documents: list[Json]) -> Json:
    """The Deployment, or with shards the StatefulSet."""
    return only(documents, "Deployment", "StatefulSet")


def pod(documents: list[Json]) -> Json:
    """Its pods, as a template."""
    return dict(workload(documents)["spec"]["template"])


def container(documents: list[Json]) -> Json:
    """The exporter in the pod."""
    (found,) = (one for one in pod(documents)["spec"]["containers"] if one["name"] == "exporter")
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


def targets_of_shards(documents: list[Json]) -> list[Json]:
    """The targets as each shard's file has them, of one exporter those of the one, in the order of
    the shards."""
    workload_ = workload(documents)
    name, shards = workload_["metadata"]["name"], workload_["spec"]["replicas"]
    own = [name] if workload_["kind"] == "Deployment" else _of_shards(name, shards)
    files_ = [by_name(documents)[one]["exporter.yml"] for one in own]
    return [dict(_parsed(text)[0]["targets"]) for text in files_]


def _of_shards(name: str, shards: int) -> list[str]:
    return [f"{name}-shard-{index}" for index in range(shards)]


def _strict(schema: Any) -> Any:
    """A schema that refuses fields it does not know, as the API server does not."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


def kubernetes_schemas(version: str, directory: Path) -> None:
    """Fill a folder with the schemas of one version of Kubernetes."""
    shipped = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}-local-strict"
    definitions = json.loads((shipped / "_definitions.json").read_text())["$defs"]
    for name in KINDS:
        # They refer to a file at /api, and by an address that does not exist.
        text = (shipped / name).read_text().replace("/api/_definitions.json#", "#")
        made = json.loads(text) | {"$defs": definitions}
        del made["$id"]
        (directory / name).write_text(json.dumps(made))


def operators_schemas(directory: Path) -> None:
    """Fill a folder with the schemas of what Prometheus' operator defines."""
    go = binary("go", install="see https://go.dev/doc/install")
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
    for plural in ("podmonitors", "probes", "prometheusrules", "servicemonitors"):
        defined = read(definitions / f"monitoring.coreos.com_{plural}.yaml")["spec"]
        (version,) = (one for one in defined["versions"] if one["name"] == "v1")
        made = _strict(version["schema"]["openAPIV3Schema"])
        name = f"{defined['names']['kind'].lower()}-monitoring-v1.json"
        (directory / name).write_text(json.dumps(made))


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
