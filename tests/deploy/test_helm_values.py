"""The values of the Helm chart: wrong ones are refused, all are told of, and each does a thing."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from exporter import __version__
from exporter.settings import AmiSettings
from harness.chart import CHART, EVERYTHING, FLEET, MINIMAL, TLS, rendering
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
        ('podDisruptionBudget.maxUnavailable="101%"', "/podDisruptionBudget/maxUnavailable"),
        ('persistence.size="big"', "/persistence/size"),
        ('monitoring.podMonitor.spec={"selector": {}}', "/podMonitor/spec"),
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
