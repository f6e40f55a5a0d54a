"""The Helm chart for Prometheus and Grafana: monitors, rules and dashboards."""

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from exporter.settings import RENDEZVOUS, share_of
from grafana import __main__ as generator
from harness.chart import (
    EVERYTHING,
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
from harness.monitoring import Prometheus
from harness.programs import binary, succeeds
from harness.rules import RULES, read

pytestmark = pytest.mark.slow


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
    made = YAML(typ="safe", pure=True).load(text.replace('job!=""', watched))
    for group in made["groups"]:
        group["name"] += "." + release.replace("/", ".")
    return dict(made)


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
    for probe in of_kind(documents, "Probe"):
        assert probe["spec"]["targets"]["staticConfig"]["labels"] == {"fax_release": RELEASE}
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
        "job_name": f"probe/{probe['metadata']['name']}",
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
    scrapes = [as_the_operator_would(probe) for probe in of_kind(documents, "Probe")]
    host, given = "fax-asterisk-fax-exporter", read(case)["targets"]
    with Prometheus({"scrape_configs": scrapes}, tmp_path) as prometheus:
        prometheus.wait_until(lambda one: len(one.targets()) == len(given), 30, "targets")
        found = {
            target["labels"]["instance"]: (target["labels"]["job"], target["scrapeUrl"])
            for target in prometheus.targets()
        }
    expected = {}
    for name in given:
        server = f"{host}.telephony.svc"
        if shards > 1:
            share = share_of(name, shards, RENDEZVOUS).index
            server = f"{host}-{share}.{host}-shards.telephony.svc"
        url = f"{scrapes[0]['scheme']}://{server}:10329/probe?target={name}"
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


# --- what is added --------------------------------------------------------------------------

ONE_POD, SHARDS = (FOLDER / "ci" / f"{name}.yaml" for name in ("one-pod", "shards"))


def test_pods_are_scraped_as_the_service_would_be() -> None:
    on = tuple(f"--set=monitoring.{one}.enabled=true" for one in ("probe", "prometheusRule"))
    by_service = rendered(FLEET, *on, "--set=monitoring.prometheusRule.absent=true")
    instead = "monitoring.serviceMonitor.enabled=false,monitoring.podMonitor.enabled=true"
    by_pods = rendered(
        FLEET, *on, f"--set={instead}", "--set=monitoring.prometheusRule.absent=true"
    )
    (endpoint,) = only(by_service, "ServiceMonitor")["spec"]["endpoints"]
    monitor = only(by_pods, "PodMonitor")["spec"]
    assert monitor["podMetricsEndpoints"] == [endpoint]
    assert monitor["selector"]["matchLabels"].items() <= pod(by_pods)["metadata"]["labels"].items()
    assert monitor["jobLabel"] in pod(by_pods)["metadata"]["labels"]
    assert endpoint["port"] in [port["name"] for port in container(by_pods)["ports"]]
    assert only(by_pods, "PrometheusRule") == only(by_service, "PrometheusRule")


def test_nothing_is_scraped_twice() -> None:
    both = "--set=monitoring.serviceMonitor.enabled=true,monitoring.podMonitor.enabled=true"
    assert "would scrape every pod twice: enable one of them" in refused(MINIMAL, both)


@pytest.mark.parametrize("name", ["serviceMonitor", "podMonitor", "probe"])
def test_relabelings_of_ones_own_come_after_those_of_the_chart(name: str) -> None:
    case = ONE_POD if name == "serviceMonitor" else SHARDS
    given, documents = read(case)["monitoring"][name], rendered(case)
    if name == "probe":
        made = of_kind(documents, "Probe")[0]["spec"]
        assert made["metricRelabelings"] == given["metricRelabelings"]
        relabelings = made["targets"]["staticConfig"]["relabelingConfigs"]
    else:
        made = only(documents, name[0].upper() + name[1:])["spec"]
        (endpoint,) = made.get("endpoints") or made["podMetricsEndpoints"]
        relabelings = endpoint["relabelings"]
        assert relabelings[0]["targetLabel"] == "fax_release"
        assert endpoint["metricRelabelings"][-1:] == given["metricRelabelings"]
        kept = [one for one in endpoint["metricRelabelings"] if one["action"] == "keep"]
        assert len(kept) == (case == SHARDS)  # which has the Probe too
    assert relabelings[-1:] == given["relabelings"]
    assert made.items() >= given["spec"].items()


def test_what_one_monitor_says_of_tls_is_over_what_all_say() -> None:
    (endpoint,) = only(rendered(ONE_POD), "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["tlsConfig"] == {
        "serverName": "fax-asterisk-fax-exporter.fax.svc",
        "caFile": "/etc/prom-certs/root-cert.pem",
        "insecureSkipVerify": True,
    }
    # A mesh has TLS where the exporter has none.
    assert container(rendered(SHARDS))["livenessProbe"]["httpGet"]["scheme"] == "HTTP"
    for one in of_kind(rendered(SHARDS), "Probe"):
        probe = one["spec"]
        assert probe["prober"]["scheme"] == "https"
        assert probe["tlsConfig"] == {"serverName": "mesh.example", "insecureSkipVerify": True}
    # Whole, and not mixed with it: a certificate comes from one place.
    own = '{"ca": {"configMap": {"name": "x", "key": "y"}}}'
    made = rendered(TLS, f"--set-json=monitoring.probe.tlsConfig={own}")
    assert only(made, "Probe")["spec"]["tlsConfig"]["ca"] == json.loads(own)["ca"]
    (endpoint,) = only(made, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["tlsConfig"]["ca"] == read(TLS)["monitoring"]["tlsConfig"]["ca"]


def test_monitors_elsewhere_look_where_the_pods_are() -> None:
    documents = rendered(ONE_POD)
    monitor = only(documents, "ServiceMonitor")
    assert monitor["metadata"]["namespace"] == "monitoring"
    assert monitor["metadata"]["annotations"]["who"] == "telephony"
    assert monitor["spec"]["namespaceSelector"] == {
        "matchNames": [workload(documents)["metadata"]["namespace"]]
    }
    assert only(documents, "PrometheusRule")["metadata"]["namespace"] == "monitoring"
    boards = [one for one in of_kind(documents, "ConfigMap") if ".json" in str(one["data"].keys())]
    assert {one["metadata"]["namespace"] for one in boards} == {"grafana"}
    assert "namespaceSelector" not in only(rendered(FLEET), "ServiceMonitor")["spec"]


def test_alerts_can_have_more_labels_other_annotations_and_be_left_out() -> None:
    plain = rules_made(MINIMAL)
    given = {
        "alertLabels": {"team": "telephony"},
        "alertAnnotations": {"runbook_url": "https://x/{{ $labels.instance }}"},
        "disabled": ["AsteriskFaxReplicaDown"],
    }
    made = rules_made(
        MINIMAL,
        *(f"--set-json=monitoring.prometheusRule.{k}={json.dumps(v)}" for k, v in given.items()),
    )
    expected = json.loads(json.dumps(plain))
    for group in expected["groups"]:
        group["rules"] = [r for r in group["rules"] if r.get("alert") != "AsteriskFaxReplicaDown"]
        for rule in group["rules"]:
            if "alert" in rule:
                rule["labels"] |= given["alertLabels"]
                rule["annotations"] |= given["alertAnnotations"]
    assert made == {"groups": [group for group in expected["groups"] if group["rules"]]}
    assert made != plain


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('disabled=["AsteriskFax"]', "there is no AsteriskFax; there is AsteriskFax"),
        ('alertLabels={"severity": "x"}', "severity is what every alert has of its own"),
        ('alertLabels={"alertname": "x"}', "alertname is what every alert has of its own"),
        ('alertLabels={"rules": "x"}', "rules is what every alert has of its own"),
    ],
)
def test_what_cannot_be_said_of_alerts_is_refused(given: str, said: str) -> None:
    on = "--set=monitoring.prometheusRule.enabled=true"
    assert said in refused(MINIMAL, on, f"--set-json=monitoring.prometheusRule.{given}")


def test_a_suffix_of_its_own_is_of_eight_characters_and_titles_name_the_release() -> None:
    made = rendered(MINIMAL, "--set=monitoring.dashboards.enabled=true")
    found = {
        file: text
        for one in of_kind(made, "ConfigMap")
        for file, text in one["data"].items()
        if file.endswith(".json")
    }
    suffix = hashlib.sha256(RELEASE.encode()).hexdigest()[:8]
    assert found == generator.texts(suffix, RELEASE)


@pytest.mark.parametrize("case", [MINIMAL, FLEET, ONE_POD, SHARDS], ids=lambda path: path.stem)
def test_promtool_and_pint_find_nothing_in_the_rules_of_a_release(
    case: Path, tmp_path: Path, promtool: str
) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(json.dumps(rules_made(case)))
    succeeds(promtool, "check", "rules", "--lint=all", "--lint-fatal", rules)
    pint = binary("pint", install=".ci/go-tools builds it, where Go is")
    # As of the file they come from, whose comments answer what they mean; here those are gone.
    off = '["rule/dependency", "group/interval", "promql/nan", "alerts/comparison"]'
    (tmp_path / "pint.hcl").write_text(f"checks {{ disabled = {off} }}\n")
    options = ("--offline", "--no-color", "--config", tmp_path / "pint.hcl")
    succeeds(pint, *options, "lint", "--fail-on=warning", rules)
