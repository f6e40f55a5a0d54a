"""The API is as docs/openapi.yaml says: a running exporter, and the types of its values."""

import dataclasses
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from ruamel.yaml import YAML

from exporter.fax import MODEM_RATES, FaxStats, Operation, Reason, State, Transport
from exporter.ledger import KEPT
from exporter.web.views import EndedView, ResolutionView, SessionView, TargetView
from harness.running import Exporter

SPEC = Path(__file__).parents[2] / "docs/openapi.yaml"
DESCRIBED: dict[str, Any] = YAML(typ="safe").load(SPEC)
SCHEMAS = DESCRIBED["components"]["schemas"]

api = schemathesis.openapi.from_path(SPEC)


@pytest.fixture(scope="module")
def busy() -> Iterator[Exporter]:
    """An exporter that shows details, with faxes that run and others that ended."""
    with Exporter("--demo", "--web.show-details") as exporter:
        exporter.wait_until(
            lambda now: (
                now.sum("failures_total") > 0
                and now.sum("finished_total") > now.sum("failures_total")
                and now.sum("negotiated_sessions") > 0
            ),
            120,
            "a fax runs, one failed, one did not",
        )
        yield exporter


@pytest.mark.slow
@api.parametrize()
@hypothesis_settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_every_answer_is_as_the_description_says(
    case: schemathesis.Case[Any], busy: Exporter
) -> None:
    case.call_and_validate(base_url=busy.base)


@pytest.mark.parametrize(
    ("name", "view"),
    [(view.__name__, view) for view in (TargetView, SessionView, EndedView, ResolutionView)]
    + [("FaxStats", FaxStats)],
)
def test_the_description_has_exactly_the_fields_there_are(name: str, view: Any) -> None:
    fields = [field.name for field in dataclasses.fields(view)]
    assert list(SCHEMAS[name]["properties"]) == fields
    assert SCHEMAS[name]["required"] == fields


@pytest.mark.parametrize("words", [Operation, State, Transport, Reason])
def test_the_description_has_exactly_the_words_there_are(words: Any) -> None:
    assert SCHEMAS[words.__name__]["enum"] == [word.value for word in words]


def test_the_description_has_the_rates_and_the_length_of_the_history() -> None:
    assert SCHEMAS["DataRate"]["enum"] == [*MODEM_RATES, None]
    target = SCHEMAS["TargetView"]["properties"]
    assert (target["failed"]["maxItems"], target["others"]["maxItems"]) == (KEPT, KEPT)


def test_every_field_is_described_and_no_other_is_allowed() -> None:
    for name, schema in SCHEMAS.items():
        assert "description" in schema, name
        if "properties" in schema:
            assert schema["additionalProperties"] is False, name
            assert schema["required"] == list(schema["properties"]), name
        for field, of_field in schema.get("properties", {}).items():
            assert "description" in of_field or "$ref" in of_field, (name, field)


def status(url: str) -> tuple[int, str]:
    """Of what is answered there: the status and the content type."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.headers.get_content_type()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get_content_type()


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/api/v1/targets", "/api/v1/sessions"])
def test_a_target_that_is_unknown_or_named_twice_is_refused_as_described(
    busy: Exporter, path: str
) -> None:
    assert status(f"{busy.base}{path}?target=nobody") == (404, "text/plain")
    assert status(f"{busy.base}{path}?target=demo&target=demo") == (400, "text/plain")
    assert status(f"{busy.base}{path}?target=demo") == (200, "application/json")
    assert {"400", "401", "404"} < DESCRIBED["paths"][path]["get"]["responses"].keys()


@pytest.mark.slow
def test_where_there_are_users_a_stranger_gets_401_exactly_where_described(tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(b"sesame", bcrypt.gensalt(4)).decode()
    config = tmp_path / "web.yml"
    config.write_text(f"basic_auth_users: {{prometheus: '{hashed}'}}\n")
    with Exporter("--demo", f"--web.config.file={config}") as exporter:
        for path, item in DESCRIBED["paths"].items():
            refused = status(exporter.base + path) == (401, "text/plain")
            assert refused == ("401" in item["get"]["responses"]), path
            # The same door answers 503 where too many knock at once.
            described = item["get"]["responses"].get("503", {}).get("$ref", "").endswith("/busy")
            assert refused == described, path
