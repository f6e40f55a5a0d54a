"""What holds for all tests."""

from pathlib import Path

import pytest
import trustme
from hypothesis import HealthCheck, Phase, settings

from harness.certificates import renew_server_certificate
from harness.programs import binary

# A slow machine is not a defect of the code: no test here asserts a time.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")
# `make mutants` runs them a thousand times and asks only whether they fail: with fewer examples,
# and no search for a simpler one. What needs more than others takes a multiple of max_examples.
settings.register_profile(
    "mutants",
    settings.get_profile("any machine"),
    max_examples=25,
    phases=(Phase.explicit, Phase.generate),
    database=None,
)


@pytest.fixture
def ca(tmp_path: Path) -> trustme.CA:
    """Its file is ca.pem; fax.pem and fax.key are of a server it knows."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    renew_server_certificate(ca, tmp_path)
    return ca


@pytest.fixture(scope="session")
def promtool() -> str:
    """The path of Prometheus' own checker."""
    return binary("promtool", package="prometheus")
