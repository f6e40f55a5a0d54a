"""Schemas for the tests of the chart."""

from pathlib import Path

import pytest

from harness import chart


@pytest.fixture(scope="session", params=[chart.OLDEST, chart.NEWEST])
def kubernetes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the schemas of one version of Kubernetes, named like it."""
    version: str = request.param
    directory = tmp_path_factory.mktemp("schemas") / version
    directory.mkdir()
    chart.kubernetes_schemas(version, directory)
    return directory


@pytest.fixture(scope="session")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the schemas of what Prometheus' operator defines."""
    directory = tmp_path_factory.mktemp("schemas")
    chart.operators_schemas(directory)
    return directory
