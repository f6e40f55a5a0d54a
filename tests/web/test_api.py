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
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import unsupported_method

from exporter.fax import MODEM_RATES, THEIRS, FaxStats, Operation, Reason, State, Transport
from exporter.ledger import HOURS, KEPT
from exporter.polling import Fleet, Health
from exporter.polling.health import FAILING_SHARE, LATELY, LEAST_FAILURES
from exporter.polling.snapshot import PEERS_SHOWN
from exporter.settings import Settings, WebConfigFile
from exporter.web.auth import OPEN_PATHS
from exporter.web.faxes import FaxesView, FaxView
from exporter.web.routes import application
from exporter.web.views import (
    DayView,
    EndedView,
    FailureView,
    HourView,
    PeerDayView,
    ResolutionView,
    SessionView,
    TargetView,
)
from harness.running import Exporter
from harness.web_side import linked

SPEC = Path(__file__).parents[2] / "docs/openapi.yaml"
DESCRIBED: dict[str, Any] = YAML(typ="safe").load(SPEC)
SCHEMAS = DESCRIBED["components"]["schemas"]

VIEWS = (
    TargetView,
    SessionView,
    EndedView,
    ResolutionView,
    DayView,
    PeerDayView,
    HourView,
    FailureView,
    FaxView,
    FaxesView,
)
USER, PASSWORD = "prometheus", "sesame"
METHODS = {"get", "post"}
BOUNDED = hypothesis_settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
"""Examples for each operation, beside those that are tried of each parameter and method."""

api = schemathesis.openapi.from_path(SPEC)
guarded = schemathesis.openapi.from_dict(DESCRIBED | {"security": [{"basic": []}]})
"""The same where there are users: what needs none says so itself."""


@pytest.fixture(scope="module")
def with_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    config = tmp_path_factory.mktemp("users") / "web.yml"
    config.write_text(f"basic_auth_users: {{{USER}: '{hashed}'}}\n")
    with Exporter("--demo", f"--web.config.file={config}") as exporter:
        yield exporter


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
@BOUNDED
def test_every_answer_is_as_the_description_says(
    case: schemathesis.Case[Any], busy: Exporter
) -> None:
    case.call_and_validate(base_url=busy.base)


@pytest.mark.slow
@guarded.parametrize()
@BOUNDED
def test_a_users_every_answer_is_as_the_description_says_and_a_stranger_gets_none(
    case: schemathesis.Case[Any], with_users: Exporter
) -> None:
    # The user would be given here even where the case is that the header is missing or wrong.
    without = case.meta is not None and case.meta.is_negative_at(ParameterLocation.HEADER)
    user = None if without else (USER, PASSWORD)
    case.call_and_validate(base_url=with_users.base, auth=user)


@pytest.mark.slow
@guarded.parametrize()
@BOUNDED
def test_a_strangers_every_answer_is_as_the_description_says(
    case: schemathesis.Case[Any], with_users: Exporter
) -> None:
    case.headers.pop("Authorization", None)
    answer = case.call(base_url=with_users.base)
    if case.path in OPEN_PATHS and case.method == "GET":
        assert answer.status_code in (200, 503)
    elif case.path not in OPEN_PATHS:
        assert answer.status_code == 401
        case.validate_response(answer, excluded_checks=[unsupported_method])


async def test_every_route_and_method_is_described() -> None:
    """But HEAD, which goes wherever GET does."""
    async with linked(Fleet(1.0, None)) as source:
        app = application(Settings(ami=None), source, WebConfigFile(None))
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    described = {
        (method, path)
        for path, item in DESCRIBED["paths"].items()
        for method in item.keys() & METHODS
    }
    assert described == served


def test_what_needs_no_user_says_so() -> None:
    without = {
        path
        for path, item in DESCRIBED["paths"].items()
        for method in item.keys() & METHODS
        if "security" in item[method]
    }
    assert without == OPEN_PATHS


@pytest.mark.parametrize(
    ("name", "view"),
    [(view.__name__, view) for view in VIEWS] + [("FaxStats", FaxStats)],
)
def test_the_description_has_exactly_the_fields_there_are(name: str, view: Any) -> None:
    fields = [field.name for field in dataclasses.fields(view)]
    assert list(SCHEMAS[name]["properties"]) == fields
    assert SCHEMAS[name]["required"] == fields


@pytest.mark.parametrize("words", [Operation, State, Transport, Reason, Health])
def test_the_description_has_exactly_the_words_there_are(words: Any) -> None:
    assert SCHEMAS[words.__name__]["enum"] == [word.value for word in words]


def test_the_description_has_the_rates_and_the_length_of_the_history() -> None:
    assert SCHEMAS["DataRate"]["enum"] == [*MODEM_RATES, None]
    target = SCHEMAS["TargetView"]["properties"]
    assert (target["failed"]["maxItems"], target["others"]["maxItems"]) == (KEPT, KEPT)
    day = SCHEMAS["DayView"]["properties"]
    assert (day["hours"]["minItems"], day["hours"]["maxItems"]) == (HOURS, HOURS)
    assert day["peers"]["maxItems"] == PEERS_SHOWN


def test_the_description_says_from_which_share_on_faxes_fail() -> None:
    said = " ".join(SCHEMAS["Health"]["description"].split())
    assert (
        f"of the last {KEPT} of the past {LATELY / 3600:g} hours at least {LEAST_FAILURES}" in said
    )
    assert FAILING_SHARE == 1 / 4
    assert "all but " + " and ".join(THEIRS) in said


def test_every_field_is_described_and_no_other_is_allowed() -> None:
    for name, schema in SCHEMAS.items():
        assert "description" in schema, name
        if "properties" in schema:
            assert schema["additionalProperties"] is False, name
            assert schema["required"] == list(schema["properties"]), name
        for field, of_field in schema.get("properties", {}).items():
            assert "description" in of_field or "$ref" in of_field, (name, field)


def status(url: str, method: str = "GET") -> tuple[int, str]:
    """Of what is answered there: the status and the content type."""
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers.get_content_type()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get_content_type()


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/api/v1/targets", "/api/v1/sessions", "/api/v1/faxes"])
def test_a_target_that_is_unknown_or_named_twice_is_refused_as_described(
    busy: Exporter, path: str
) -> None:
    assert status(f"{busy.base}{path}?target=nobody") == (404, "text/plain")
    assert status(f"{busy.base}{path}?target=demo&target=demo") == (400, "text/plain")
    assert status(f"{busy.base}{path}?target=demo") == (200, "application/json")
    assert {"400", "401", "404"} < DESCRIBED["paths"][path]["get"]["responses"].keys()


@pytest.mark.slow
def test_where_there_are_users_a_stranger_gets_401_exactly_where_described(
    with_users: Exporter,
) -> None:
    for path, item in DESCRIBED["paths"].items():
        for method in item.keys() & METHODS:
            responses = item[method]["responses"]
            found = status(with_users.base + path, method.upper())
            assert (found == (401, "text/plain")) == ("401" in responses), path
            # The same door answers 503 where too many knock at once.
            described = responses.get("503", {}).get("$ref", "").endswith("/busy")
            assert described == ("401" in responses), path


@pytest.mark.slow
def test_a_reload_that_a_foreign_page_asks_for_is_refused_as_described(busy: Exporter) -> None:
    request = urllib.request.Request(
        f"{busy.base}/-/reload", method="POST", headers={"Origin": "http://elsewhere.example"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    with refused.value as answer:
        assert str(answer.code) in DESCRIBED["paths"]["/-/reload"]["post"]["responses"]
        assert answer.code == 403


@pytest.mark.slow
@pytest.mark.parametrize("path", DESCRIBED["paths"])
def test_other_methods_are_refused_and_the_answer_names_those_there_are(
    busy: Exporter, path: str
) -> None:
    described = DESCRIBED["paths"][path].keys() & METHODS
    allowed = {method.upper() for method in described} | ({"HEAD"} if "get" in described else set())
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"):
        if method not in allowed:
            request = urllib.request.Request(
                busy.base + path.format(name="page.css"), method=method
            )
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=10)
            with refused.value as answer:
                assert answer.code == 405
                assert set(answer.headers["Allow"].split(",")) == allowed
