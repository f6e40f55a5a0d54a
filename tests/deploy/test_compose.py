"""compose.yml, what it mounts and what its images are built from.

Whether the images do what they should is the business of pbx/test_container.py.
"""

import json
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from exporter import __version__
from harness.programs import binary, succeeds
from tools.digests import images

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final = ROOT / "compose.yml"
PORTS: Final = {"exporter": 10329, "prometheus": 9090, "alertmanager": 9093, "grafana": 3000}


def yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path)


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml(COMPOSE)["services"]
    assert set(found) == {*PORTS, "asterisk"}
    return found


def dockerfile(service: Mapping[str, Any]) -> str:
    return Path(ROOT, str(service["build"]["context"]), "Dockerfile").read_text()


def mounts(service: Mapping[str, Any]) -> dict[str, Path]:
    """The files and folders of the tree that it sees, by their paths there."""
    volumes = [volume.split(":") for volume in service.get("volumes", ())]
    return {inside: ROOT / outside for outside, inside, *_ in volumes if outside.startswith(".")}


def test_it_is_valid_by_the_compose_specification() -> None:
    schema = ["--builtin-schema", "vendor.compose-spec"]
    succeeds(sys.executable, "-m", "check_jsonschema", *schema, COMPOSE)


def test_whatever_it_mounts_is_in_the_tree_and_read_only(
    services: dict[str, dict[str, Any]],
) -> None:
    for service in services.values():
        for inside, outside in mounts(service).items():
            assert outside.exists(), outside
            assert any(v.endswith(f":{inside}:ro") for v in service["volumes"]), inside
    assert all((ROOT / secret["file"]).is_file() for secret in yaml(COMPOSE)["secrets"].values())


def test_its_ports_are_for_this_machine_only(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        expected = [f"127.0.0.1:{PORTS[name]}:{PORTS[name]}"] if name in PORTS else []
        assert service.get("ports", []) == expected


def test_ami_is_reached_by_the_exporter_and_by_nobody_else(
    services: dict[str, dict[str, Any]],
) -> None:
    assert yaml(COMPOSE)["networks"]["pbx"]["internal"] is True
    assert {n for n, s in services.items() if "pbx" in s["networks"]} == {"asterisk", "exporter"}
    assert services["asterisk"]["networks"] == ["pbx"]


def test_every_container_is_without_capabilities_and_writes_only_where_it_must(
    services: dict[str, dict[str, Any]],
) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        if "build" in service:
            assert re.search(r"^USER \d+:\d+$", dockerfile(service), re.MULTILINE), name


def test_every_image_has_a_version_and_a_digest_and_those_built_here_this_version(
    services: dict[str, dict[str, Any]],
) -> None:
    for name, service in services.items():
        reference, at, digest = service["image"].partition("@")
        tag = reference.rpartition(":")[2]
        assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag), name
        if "build" in service:
            assert (tag, at) == (__version__, "")
        else:
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest), name
    label = f'org.opencontainers.image.version="{__version__}"'
    assert label in dockerfile(services["exporter"])


def test_what_is_built_here_starts_from_a_digest_of_what_its_dockerfile_names(
    services: dict[str, dict[str, Any]],
) -> None:
    for service in (one for one in services.values() if "build" in one):
        ((argument, given),) = service["build"]["args"].items()
        (default,) = re.findall(rf"^ARG {argument}=(\S+)$", dockerfile(service), re.MULTILINE)
        assert re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", given)
        # Of sid a dated tag, since the other is another image every few weeks.
        undated = re.sub(r"-20\d{6}(?=-slim)", "", given.partition("@")[0])
        assert undated == default


def test_make_digests_knows_every_image_that_is_not_ours() -> None:
    known = images(COMPOSE.read_text())
    assert set(known) == {"prometheus", "alertmanager", "grafana", "python", "debian"}


def test_each_waits_until_those_it_needs_are_healthy(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        check = service.get("healthcheck")
        if check is None:
            assert re.search(r"^HEALTHCHECK .*\n +CMD \[", dockerfile(service), re.MULTILINE), name
        else:
            assert check["test"][0] == "CMD", name
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services
            assert how == {"condition": "service_healthy"}
    assert set(services["prometheus"]["depends_on"]) == {"alertmanager", "exporter"}


def test_the_exporter_logs_in_as_the_user_that_the_pbx_knows(
    services: dict[str, dict[str, Any]],
) -> None:
    manager = (ROOT / "deploy/asterisk/etc/manager.conf").read_text()
    environment = services["exporter"]["environment"]
    assert environment["FAX_EXPORTER_AMI_HOST"] in services
    assert f"[{environment['FAX_EXPORTER_AMI_USERNAME']}]" in manager
    assert services["asterisk"]["secrets"] == services["exporter"]["secrets"]
    (secret,) = services["exporter"]["secrets"]
    path = f"/run/secrets/{secret}"
    assert environment["FAX_EXPORTER_AMI_SECRET_FILE"] == path
    assert path in manager


def test_the_pbx_grants_what_the_documents_say_and_no_more() -> None:
    readme = (ROOT / "docs/install.md").read_text()
    manager = (ROOT / "deploy/asterisk/etc/manager.conf").read_text()
    settings = r"^ *((?:read|write|writetimeout|displayconnects|eventfilter|channelvars) = .*)$"
    assert len(granted := re.findall(settings, manager, re.MULTILINE)) == 6
    asked = readme[readme.index("channelvars =") :]
    assert granted == re.findall(settings, f"        {asked}", re.MULTILINE)[:6]


def test_prometheus_has_the_shipped_rules_and_finds_the_others(
    services: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    mounted = mounts(services["prometheus"])
    assert ROOT / "deploy/prometheus/asterisk-fax.rules.yml" in mounted.values()
    settings = yaml(mounted["/etc/prometheus/prometheus.yml"])
    for file in settings["rule_files"]:
        assert f"/etc/prometheus/{file}" in mounted
    (scraped,) = settings["scrape_configs"]
    assert scraped["static_configs"] == [{"targets": [f"exporter:{PORTS['exporter']}"]}]
    (told,) = settings["alerting"]["alertmanagers"]
    assert told["static_configs"] == [{"targets": [f"alertmanager:{PORTS['alertmanager']}"]}]

    promtool = binary("promtool", package="prometheus")
    for inside, outside in mounted.items():
        shutil.copy(outside, tmp_path / Path(inside).name)
    succeeds(promtool, "check", "config", tmp_path / "prometheus.yml")


def test_grafana_has_every_dashboard_and_opens_with_the_overview(
    services: dict[str, dict[str, Any]],
) -> None:
    grafana = services["grafana"]
    mounted = mounts(grafana)
    provisioning = "/etc/grafana/provisioning"
    (provider,) = yaml(mounted[f"{provisioning}/dashboards/asterisk-fax.yml"])["providers"]
    dashboards = mounted[provider["options"]["path"]]
    assert list(dashboards.glob("*.json"))

    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert json.loads((dashboards / home.name).read_text())["title"] == "Fax overview"

    (source,) = yaml(mounted[f"{provisioning}/datasources/asterisk-fax.yml"])["datasources"]
    (shipped,) = yaml(ROOT / "grafana/provisioning/datasources/asterisk-fax.yml")["datasources"]
    interval = yaml(ROOT / "deploy/compose/prometheus.yml")["global"]["scrape_interval"]
    assert source["url"] == f"http://prometheus:{PORTS['prometheus']}"
    assert source["uid"] == shipped["uid"]
    assert source["jsonData"]["timeInterval"] == interval
