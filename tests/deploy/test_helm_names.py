"""The Helm chart beside others: names, parent charts, two releases, and the chart before it."""

import json
import shutil
from pathlib import Path
from typing import Any, Final

import pytest

from exporter import __version__
from harness.chart import (
    CASES,
    CHART,
    EVERYTHING,
    FLEET,
    MINIMAL,
    Json,
    container,
    of_kind,
    only,
    pod,
    refused,
    rendered,
    run_helm,
    workload,
)

pytestmark = pytest.mark.slow

DIGEST: Final = f"sha256:{'0123456789abcdef' * 4}"


def image(*given: str) -> str:
    return str(container(rendered(MINIMAL, *(f"--set-json={one}" for one in given)))["image"])


# --- images ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ([], f"asterisk-fax-exporter:{__version__}"),
        (['image.tag="1.5"'], "asterisk-fax-exporter:1.5"),
        ([f'image.digest="{DIGEST}"'], f"asterisk-fax-exporter@{DIGEST}"),
        ([f'image.digest="{DIGEST}"', 'image.tag="1.5"'], f"asterisk-fax-exporter@{DIGEST}"),
        (['image.repository="r.example:5000/a/b"'], f"r.example:5000/a/b:{__version__}"),
        (['image.repository="localhost/a__b--c"'], f"localhost/a__b--c:{__version__}"),
        (['image.registry="r.example"'], f"r.example/asterisk-fax-exporter:{__version__}"),
        (['image.registry="r:5000/m"'], f"r:5000/m/asterisk-fax-exporter:{__version__}"),
        (
            ['image.registry="r.example"', 'global.imageRegistry="all.example"'],
            f"all.example/asterisk-fax-exporter:{__version__}",
        ),
        (["global.imageRegistry=null"], f"asterisk-fax-exporter:{__version__}"),
    ],
)
def test_the_image_is_named_by_its_parts(given: list[str], made: str) -> None:
    assert image(*given) == made


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (f"image.tag={DIGEST}", f"image.tag is {DIGEST}, which is a digest: set image.digest to"),
        (f"image.tag=1@{DIGEST}", f"which is a digest: set image.digest to {DIGEST} instead"),
        ("image.tag=a/b", "image.tag is a/b, which is no tag"),
        ("image.tag=-1", "image.tag is -1, which is no tag"),
        (f"image.tag={129 * '1'}", "which is no tag"),
        ("image.digest=0123", "image.digest is 0123, which is none: it is sha256: and 64 of"),
        (f"image.digest={DIGEST.upper()}", "which is none"),
        (f"image.digest={DIGEST}0", "which is none"),
        (f"image.repository=x@{DIGEST}", f"with a digest: set image.digest to {DIGEST} instead"),
        ("image.repository=r.example/x:1", 'with a tag: set image.tag to "1" instead'),
        ("image.repository=https://r.example/x", "an image has no https://"),
        ("image.repository=r.example/X", "which names no image"),
        ("image.repository=r.example/x/", "which names no image"),
        ("image.registry=https://r.example", "image.registry is https://r.example, and an image"),
        ("image.registry=r.example/", "image.registry is r.example/, which is no registry"),
        ("global.imageRegistry=r example", "global.imageRegistry is r example, which is no"),
        (
            "image.registry=a.example,image.repository=b.example/c",
            "leave the registry out of image.repository",
        ),
        (
            "global.imageRegistry=a.example,image.repository=b.example/c",
            "and global.imageRegistry is a.example: leave the registry out of image.repository",
        ),
    ],
)
def test_a_name_that_is_none_is_refused_with_what_to_set_instead(given: str, said: str) -> None:
    assert said in refused(MINIMAL, "--set-string", given)


def test_secrets_for_pulling_come_from_the_parent_too_and_each_once() -> None:
    given = (
        'imagePullSecrets=[{"name": "own"}, "mine"]',
        'global.imagePullSecrets=["all", {"name": "own"}]',
    )
    spec = pod(rendered(MINIMAL, *(f"--set-json={one}" for one in given)))["spec"]
    assert spec["imagePullSecrets"] == [{"name": "all"}, {"name": "own"}, {"name": "mine"}]


# --- parent charts --------------------------------------------------------------------------


def parent(root: Path, *aliases: str) -> Path:
    """A chart that has this one as a dependency, once or by several names."""
    chart = root / "parent"
    needed = [
        {"name": CHART.name, "version": __version__, "condition": f"{alias or CHART.name}.enabled"}
        | ({"alias": alias} if alias else {})
        for alias in (aliases or ("",))
    ]
    shutil.copytree(CHART, chart / "charts" / CHART.name)
    about = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": needed}
    (chart / "Chart.yaml").write_text(json.dumps(about))
    return chart


def test_a_parent_chart_turns_it_on_and_off(tmp_path: Path) -> None:
    chart = parent(tmp_path)
    own = _minimal() | {"enabled": True}
    given = tmp_path / "values.yaml"
    given.write_text(json.dumps({CHART.name: own, "global": {"storageClass": "x"}}))
    assert rendered(given, chart=chart)
    done = run_helm("lint", "--strict", "--kube-version=1.28.0", f"--values={given}", chart)
    assert done.returncode == 0, done.stdout + done.stderr
    off = f"{CHART.name}.enabled=false"
    assert rendered(given, "--set", off, chart=chart) == []


def test_a_parent_chart_can_take_a_default_away(tmp_path: Path) -> None:
    given = tmp_path / "values.yaml"
    ids = dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"))
    given.write_text(json.dumps({CHART.name: _minimal() | {"podSecurityContext": ids}}))
    security = pod(rendered(given, chart=parent(tmp_path)))["spec"]["securityContext"]
    assert security == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def _minimal() -> Json:
    return {
        "targets": {"fax-berlin": {"host": "10.0.0.5", "username": "fax-exporter"}},
        "secret": {"values": {"fax-berlin": "not a secret"}},
    }


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_turned_off_by_itself_nothing_is_made_whatever_else_is_said(case: Path) -> None:
    # Not even what is wrong is told then.
    off = ("--set", "enabled=false", "--set", "image.tag=sha256:x")
    assert rendered(case, *off) == []


def names(documents: list[Json]) -> list[tuple[str, str, str]]:
    return [
        (one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]) for one in documents
    ]


def test_two_aliases_of_one_parent_have_nothing_in_common(tmp_path: Path) -> None:
    aliases = ("faxExporterOfTheFirstSite_Berlin", "faxExporterOfTheFirstSite_Paris")
    given = tmp_path / "values.yaml"
    given.write_text(json.dumps(dict.fromkeys(aliases, _minimal())))
    # Together too long for a name.
    documents = rendered(given, chart=parent(tmp_path, *aliases), release="telephony-of-production")
    assert len(set(names(documents))) == len(names(documents)) == 2 * 4
    selectors = [one["spec"]["selector"] for one in of_kind(documents, "Deployment", "Service")]
    assert len({json.dumps(one) for one in selectors}) == 4  # as many as there are, of two kinds


@pytest.mark.parametrize(
    ("release", "aliases"),
    [("fax2", ("fax", "fax2")), ("berlin-paris", ("berlin", "paris")), (CHART.name, ("fax", ""))],
)
def test_aliases_that_the_release_has_in_its_name_have_nothing_in_common(
    release: str, aliases: tuple[str, str], tmp_path: Path
) -> None:
    given = tmp_path / "values.yaml"
    given.write_text(json.dumps({alias or CHART.name: _minimal() for alias in aliases}))
    chart = parent(tmp_path, *aliases)
    documents = rendered(given, chart=chart, release=release)
    assert len(set(names(documents))) == len(names(documents)) == 2 * 4


def test_an_alias_that_ends_where_it_is_cut_is_still_a_label(tmp_path: Path) -> None:
    alias = "b" * 62 + "_-x"
    given = tmp_path / "values.yaml"
    given.write_text(json.dumps({alias: _minimal()}))
    documents = rendered(given, chart=parent(tmp_path, alias))
    assert pod(documents)["metadata"]["labels"]["app.kubernetes.io/name"] == "b" * 62


# --- names ----------------------------------------------------------------------------------

LONGEST: Final = "x" * 53
"""A release may have no longer name."""


@pytest.mark.parametrize(
    ("release", "options", "name"),
    [
        ("fax", (), "fax-asterisk-fax-exporter"),
        ("asterisk-fax-exporter", (), "asterisk-fax-exporter"),
        ("my.fax", (), "my-fax-asterisk-fax-exporter"),
        ("fax", ("fullnameOverride=other",), "other"),
        ("fax", ("nameOverride=page",), "fax-page"),
        # Cut before a hyphen.
        ("a" * 28, (), "a" * 28 + "-asterisk-fax-exporter"[:22]),
        ("a" * 40, (), "a" * 40 + "-asterisk"),
        ("a" * 41, (), "a" * 41 + "-asterisk"[:9]),
        ("a" * 49, (), "a" * 49),
    ],
)
def test_names_are_made_of_the_release(release: str, options: tuple[str, ...], name: str) -> None:
    chosen = [part for option in options for part in ("--set", option)]
    documents = rendered(MINIMAL, *chosen, release=release)
    assert workload(documents)["metadata"]["name"] == name


def test_a_long_name_is_valid_everywhere_and_still_its_own() -> None:
    found = set()
    for release in (LONGEST, LONGEST[:-1] + "y", LONGEST[:39] + "-" * 10 + "1234"):
        documents = rendered(FLEET, release=release)
        name = workload(documents)["metadata"]["name"]
        found.add(name)
        assert len(name) <= 50
        for _, _, each in names(documents):
            assert len(each) <= 63
            assert not each.endswith("-")
        for one in documents:
            for value in one["metadata"]["labels"].values():
                assert len(value) <= 63
    assert len(found) == 3


def test_a_name_that_no_service_can_have_is_refused() -> None:
    assert "set fullnameOverride" in refused(MINIMAL, release="39")


# --- two releases ---------------------------------------------------------------------------


def told_apart_by(documents: list[Json]) -> list[str]:
    """What must differ where Prometheus and Grafana have both."""
    found = [f"{kind} {namespace}/{name}" for kind, namespace, name in names(documents)]
    rule = only(documents, "PrometheusRule")["spec"]
    for group in rule["groups"]:
        found.append(f"group {group['name']}")
        # Two alerts of one name, and two series, are two by this label.
        found.extend(
            f"{r.get('alert') or r['record']} {r['labels']['rules']} {r['labels']}"
            for r in group["rules"]
        )
    for one in of_kind(documents, "ConfigMap"):
        for file, text in one["data"].items():
            if file.endswith(".json"):
                board = json.loads(text)
                found += [f"file {file}", f"uid {board['uid']}", f"title {board['title']}"]
                found += [f"tag {tag}" for tag in board["tags"]]
    return found


ALL_ON: Final = tuple(
    f"--set=monitoring.{one}.enabled=true"
    for one in ("serviceMonitor", "probe", "prometheusRule", "dashboards")
)


@pytest.mark.parametrize(
    ("first", "second", "options"),
    [
        (("fax", "a"), ("fax", "b"), ()),
        (("fax", "a"), ("page", "a"), ()),
        (("fax", "a"), ("fax", "b"), ("--set=monitoring.namespace=c",)),
        (("fax", "a-b"), ("fax", "a"), ("--set=monitoring.dashboards.namespace=c",)),
    ],
    ids=["namespaces", "names", "monitors-in-one-namespace", "dashboards-in-one-namespace"],
)
def test_two_releases_of_the_same_values_meet_nowhere(
    first: tuple[str, str], second: tuple[str, str], options: tuple[str, ...]
) -> None:
    found = [
        told_apart_by(rendered(MINIMAL, *ALL_ON, *options, release=release, namespace=namespace))
        for release, namespace in (first, second)
    ]
    assert len(found[0]) == len(found[1]) > 100
    assert not set(found[0]) & set(found[1])


def test_a_suffix_is_the_same_for_a_release_and_alerts_lead_to_its_dashboards() -> None:
    documents = rendered(MINIMAL, *ALL_ON)
    uids = {
        json.loads(text)["uid"]
        for one in of_kind(documents, "ConfigMap")
        for file, text in one["data"].items()
        if file.endswith(".json")
    }
    links = {
        rule["annotations"]["dashboard_url"].partition("/d/")[2].partition("?")[0]
        for group in only(documents, "PrometheusRule")["spec"]["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert links
    assert links <= uids
    # Without dashboards of its own they lead to those of the documents.
    (alone,) = of_kind(rendered(MINIMAL, ALL_ON[2]), "PrometheusRule")
    assert "/d/asterisk-fax-overview?" in json.dumps(alone)


# --- upgrades -------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [MINIMAL, FLEET], ids=lambda path: path.stem)
def test_what_an_upgrade_cannot_change_depends_on_nothing_that_one_changes(
    case: Path, tmp_path: Path
) -> None:
    newer = shutil.copytree(CHART, tmp_path / "newer")
    about = newer / "Chart.yaml"
    about.write_text(about.read_text().replace(__version__, "9.9.9"))
    persisted = ("--set=persistence.enabled=true",)
    changed = (
        "--set=commonLabels.a=b",
        "--set=podLabels.a=b",
        "--set=workload.labels.a=b",
        "--set=service.labels.a=b",
        "--set=commonAnnotations.a=b",
        "--set-string=image.tag=2",
    )

    def fixed(documents: list[Json]) -> list[Any]:
        spec = workload(documents)["spec"]
        keys = ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates")
        return [names(documents), *(spec.get(key) for key in keys)]

    before = fixed(rendered(case, *persisted))
    assert fixed(rendered(case, *persisted, *changed, chart=newer)) == before
    # And these they were from the first chart on.
    assert before[1] == {
        "matchLabels": {
            "app.kubernetes.io/name": "asterisk-fax-exporter",
            "app.kubernetes.io/instance": "fax",
        }
    }
    assert before[2:4] == (
        ["fax-asterisk-fax-exporter-shards", "Parallel"] if case == FLEET else [None, None]
    )


def test_another_chart_alone_restarts_nothing(tmp_path: Path) -> None:
    newer = shutil.copytree(CHART, tmp_path / "newer")
    about = newer / "Chart.yaml"
    about.write_text(about.read_text().replace(f"version: {__version__}", "version: 9.9.9", 1))
    assert pod(rendered(MINIMAL, chart=newer)) == pod(rendered(MINIMAL))


@pytest.mark.parametrize("key", ["app.kubernetes.io/name", "app.kubernetes.io/instance"])
@pytest.mark.parametrize("value", ["podLabels", "commonLabels"])
def test_a_label_that_finds_pods_cannot_be_another(key: str, value: str) -> None:
    given = json.dumps({key: "x"})
    assert f"{value} has {key}" in refused(EVERYTHING, f"--set-json={value}={given}")
