"""What a scraper asks for and what it gets: format, compression, families.

Where prometheus_client answers otherwise, a test is expected to fail until it no longer does.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import exposition as upstream
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

from exporter.web.negotiation import exposition, families_wanted, gzip_accepted, only

CLASSIC_TYPE = "text/plain; version=0.0.4; charset=utf-8"
TEXT_1 = "text/plain; version=1.0.0; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
OPEN_METRICS_0 = "application/openmetrics-text; version=0.0.1; charset=utf-8"

PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)
# What Prometheus sends, by its sources: acceptHeader in scrape/scrape.go.
PROMETHEUS = {
    "1.8": (f"{PROTOBUF};q=0.7,text/plain;version=0.0.4;q=0.3,*/*;q=0.1", CLASSIC_TYPE),
    "2.0": ("text/plain;version=0.0.4;q=1,*/*;q=0.1", CLASSIC_TYPE),
    "2.5": (
        "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        OPEN_METRICS_0,
    ),
    "2.40": (
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
        "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        OPEN_METRICS,
    ),
    "2.53": (
        "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;"
        "version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        OPEN_METRICS,
    ),
    "2.53, native histograms": (
        f"{PROTOBUF};q=0.5,application/openmetrics-text;version=1.0.0;q=0.4,"
        "application/openmetrics-text;version=0.0.1;q=0.3,text/plain;version=0.0.4;q=0.2,"
        "*/*;q=0.1",
        OPEN_METRICS,
    ),
    "3.0": (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;escaping=allow-utf-8;q=0.5,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
        "text/plain;version=0.0.4;escaping=allow-utf-8;q=0.3,*/*;q=0.2",
        f"{OPEN_METRICS}; escaping=allow-utf-8",
    ),
    "3.5": (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,"
        "*/*;q=0.2",
        f"{OPEN_METRICS}; escaping=allow-utf-8",
    ),
    "3.5, legacy names": (
        "application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,"
        "text/plain;version=1.0.0;escaping=underscores;q=0.4,text/plain;version=0.0.4;q=0.3,"
        "*/*;q=0.2",
        f"{OPEN_METRICS}; escaping=underscores",
    ),
    "3.5, text first": (
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.4",
        f"{TEXT_1}; escaping=allow-utf-8",
    ),
    "3.5, text 0.0.4 alone": ("text/plain;version=0.0.4;q=0.6,*/*;q=0.5", CLASSIC_TYPE),
    "3.5, native histograms": (
        f"{PROTOBUF};q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
        "application/openmetrics-text;version=0.0.1;q=0.4,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,"
        "*/*;q=0.1",
        f"{OPEN_METRICS}; escaping=allow-utf-8",
    ),
}


class Faxes(Collector):
    """Metrics with names like ours."""

    def collect(self) -> list[Metric]:
        bad_lines = CounterMetricFamily(
            "fax_bad_lines", 'Lines. "# HELP"\n# HELP x', labels=["a_b"]
        )
        bad_lines.add_metric(["\n# HELP fax_up y\n# EOF\n"], 3)
        seconds = HistogramMetricFamily("fax_seconds", "Durations.")
        seconds.add_metric([], [("1.0", 1), ("+Inf", 2)], 5)
        return [GaugeMetricFamily("fax_up", "Up.", 1), bad_lines, seconds]


# --- Accept ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", PROMETHEUS)
def test_every_prometheus_gets_the_best_that_it_asks_for(version: str) -> None:
    accept, content_type = PROMETHEUS[version]
    assert exposition(accept).content_type == content_type


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        # Nothing that says much: what curl, Go, Java and a browser send.
        ("", CLASSIC_TYPE),
        ("*/*", CLASSIC_TYPE),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", CLASSIC_TYPE),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", CLASSIC_TYPE),
        ("text/*", CLASSIC_TYPE),
        ("application/*", OPEN_METRICS),
        ("text/plain", CLASSIC_TYPE),
        ("application/openmetrics-text", OPEN_METRICS),
        # Weights.
        ("text/plain;q=0.5,application/openmetrics-text;q=0.6", OPEN_METRICS),
        ("application/openmetrics-text;q=0.5,text/plain;q=0.6", CLASSIC_TYPE),
        ("application/openmetrics-text;version=1.0.0;q=0,*/*", CLASSIC_TYPE),
        ("application/openmetrics-text;version=1.0.0;q=0", CLASSIC_TYPE),
        ("text/plain;q=0,*/*", OPEN_METRICS),
        ("*/*;q=0.9,text/plain;q=0.5", OPEN_METRICS),
        ("*/*;q=0.1,text/*;q=0", OPEN_METRICS),
        (
            "application/openmetrics-text;version=1.0.0;q=0,application/openmetrics-text",
            CLASSIC_TYPE,
        ),
        ("text/plain;version=0.0.4,text/plain;version=1.0.0;q=0.9", CLASSIC_TYPE),
        ("text/plain;version=0.0.4;q=0.8,text/plain;version=1.0.0;q=0.9", TEXT_1),
        ("text/plain;version=1.0.0;q=0.001, text/html", TEXT_1),
        # The same weight: what is named before what is meant, then in the client's order.
        ("*/*, application/openmetrics-text", OPEN_METRICS),
        ("text/plain, application/openmetrics-text", CLASSIC_TYPE),
        ("application/openmetrics-text, text/plain", OPEN_METRICS),
        (f"{OPEN_METRICS},text/plain", OPEN_METRICS),  # Metricbeat
        ("text/plain;q=0.5, application/openmetrics-text;version=1.0.0;q=0.5", CLASSIC_TYPE),
        # Versions that we do not have.
        ("application/openmetrics-text;version=2.0.0", CLASSIC_TYPE),
        ("application/openmetrics-text;version=2.0.0,application/openmetrics-text", OPEN_METRICS),
        (
            "application/openmetrics-text;version=2.0.0,"
            "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;q=0.1",
            OPEN_METRICS,
        ),
        ("application/openmetrics-text;version=1.x", CLASSIC_TYPE),
        ("text/plain;version=9,application/openmetrics-text;version=0.0.1;q=0.1", OPEN_METRICS_0),
        ("*/*;version=9", CLASSIC_TYPE),
        # Other formats.
        (PROTOBUF, CLASSIC_TYPE),
        ("application/json", CLASSIC_TYPE),
        # Spelling.
        (' Application/OpenMetrics-Text ; VERSION = "1.0.0" ;Q=0.9, */* ; q=0.1', OPEN_METRICS),
        ("text/plain;version=;q=1", CLASSIC_TYPE),
        (",, ,application/openmetrics-text,", OPEN_METRICS),
        # A weight that nobody can read.
        *(
            (f"application/openmetrics-text;q={weight}, */*;q=0.1", CLASSIC_TYPE)
            for weight in (
                "",
                "x",
                "-1",
                "2",
                "1.1",
                "nan",
                "inf",
                "1e0",
                "0,6",
                "\u0660.\u0669",
                ".",
            )
        ),
        # Not a media type at all.
        ("*/", CLASSIC_TYPE),
        (";;=;,=,;q", CLASSIC_TYPE),
    ],
)
def test_weights_wildcards_and_versions_are_read_as_rfc_9110_says(
    accept: str, content_type: str
) -> None:
    assert exposition(accept).content_type == content_type


@pytest.mark.parametrize("scheme", ["allow-utf-8", "underscores", "dots", "values"])
def test_the_escaping_is_said_where_it_was_asked_for_in_a_version_that_has_it(scheme: str) -> None:
    for asked, has_it in (
        ("text/plain;version=1.0.0", TEXT_1),
        ("application/openmetrics-text;version=1.0.0", OPEN_METRICS),
        ("application/openmetrics-text", OPEN_METRICS),
    ):
        format = exposition(f"{asked};escaping={scheme}")
        assert format.content_type == f"{has_it}; escaping={scheme}"
        assert exposition(asked).content_type == has_it
    for asked, lacks_it in (
        ("text/plain;version=0.0.4", CLASSIC_TYPE),
        ("text/plain", CLASSIC_TYPE),
        ("application/openmetrics-text;version=0.0.1", OPEN_METRICS_0),
    ):
        assert exposition(f"{asked};escaping={scheme}").content_type == lacks_it


def test_of_a_scheme_that_nobody_knows_it_is_said_which_one_is_used_instead() -> None:
    format = exposition("application/openmetrics-text;version=1.0.0;escaping=runes")
    assert format.content_type == f"{OPEN_METRICS}; escaping=underscores"


PIECES = [
    "text/plain",
    "application/openmetrics-text",
    ";",
    ",",
    "=",
    "*",
    "*/*",
    "q",
    "version",
    "1.0.0",
    "0.5",
    "escaping",
    "dots",
]


@given(st.text(max_size=60) | st.lists(st.sampled_from(PIECES)).map("".join))
def test_whatever_a_client_sends_it_gets_a_format_that_can_be_read(header: str) -> None:
    assert exposition(header).content_type.partition(";escaping")[0].isprintable()
    gzip_accepted(header)


# --- the bytes ------------------------------------------------------------------------------


def test_the_format_is_the_one_that_the_content_type_says() -> None:
    for accept, content_type in PROMETHEUS.values():
        body = exposition(accept).encode([], Faxes()).decode()
        parse = parse_openmetrics if "openmetrics" in content_type else parse_text
        names = {sample.name for family in parse(body) for sample in family.samples}
        assert names >= {"fax_up", "fax_bad_lines_total", "fax_seconds_bucket"}


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text"])
def test_escaping_leaves_our_names_alone_but_for_dots(accept: str) -> None:
    plain = exposition(f"{accept};version=1.0.0").encode([], Faxes())
    for scheme in ("allow-utf-8", "underscores", "values"):
        format = exposition(f"{accept};version=1.0.0;escaping={scheme}")
        assert format.encode([], Faxes()) == plain
        assert format.body == exposition(f"{accept};version=1.0.0").body
    dots = exposition(f"{accept};version=1.0.0;escaping=dots")
    lines = dots.encode([], Faxes()).decode().splitlines()
    assert {"# TYPE fax__up gauge", "fax__up 1.0"} <= set(lines)
    assert any(line.startswith('fax__bad__lines__total{a__b="') for line in lines)
    assert dots.body != exposition(f"{accept};version=1.0.0").body


# --- Accept-Encoding ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", False),
        ("gzip", True),
        ("GZip", True),
        ("x-gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("deflate, br", False),
        ("identity", False),
        ("*", True),
        ("br, *;q=0.1", True),
        ("*;q=0", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("gzip ; q=0.5", True),
        ("*;q=0, gzip;q=0.5", True),
        ("gzip;q=0.5, identity", False),
        ("gzip, identity;q=0.5", True),
        ("gzip, identity;q=0", True),
        ("gzip;q=1.0, identity; q=0.5, *;q=0", True),
        ("gzip;q=x", False),
        ("notgzip", False),
        (",;=", False),
    ],
)
def test_gzip_is_sent_to_who_takes_it_and_does_not_prefer_plain_bytes(
    header: str, accepted: bool
) -> None:
    assert gzip_accepted(header) is accepted


# --- name[] ---------------------------------------------------------------------------------

WANTED = [
    (["fax_up"], {"fax_up"}),
    (["fax_bad_lines"], {"fax_bad_lines"}),
    (["fax_bad_lines_total"], {"fax_bad_lines"}),
    (["fax_seconds_bucket"], {"fax_seconds"}),
    (["fax_seconds", "fax_up"], {"fax_seconds", "fax_up"}),
    (["fax", "ax_up", "x"], set()),
]


@pytest.mark.parametrize(("names", "families"), WANTED)
def test_only_the_families_are_kept_that_are_named(names: list[str], families: set[str]) -> None:
    wanted = families_wanted(names)
    assert wanted is not None
    for accept in ("text/plain", "application/openmetrics-text"):
        kept = only(exposition(accept).encode([], Faxes()), wanted).decode()
        parse = parse_openmetrics if "openmetrics" in accept else parse_text
        assert {family.name for family in parse(kept)} == families
    dots = exposition("text/plain;version=1.0.0;escaping=dots")
    escaped = only(dots.encode([], Faxes()), wanted).decode()
    assert escaped.count("# TYPE") == len(families)


def test_when_all_are_named_nothing_changes() -> None:
    everything = frozenset({"fax_up", "fax_bad_lines", "fax_seconds"})
    for accept in ("text/plain", "application/openmetrics-text"):
        body = exposition(accept).encode([], Faxes())
        assert only(body, everything) == body


def test_when_none_is_named_all_are_wanted() -> None:
    assert families_wanted([]) is None
    assert families_wanted([""]) is None
    assert families_wanted(["a", "", "a"]) == frozenset("a")


# --- what prometheus_client does ------------------------------------------------------------

MENDED = (
    "prometheus_client does this right now: remove the case. Once none is left, its choose_encoder "
    "and gzip_accepted can do what exposition and gzip_accepted in exporter/web/negotiation.py do"
)


@pytest.mark.parametrize(
    "accept",
    [
        # It has no 0.0.1, which is what its encoder for 1.0.0 writes too.
        PROMETHEUS["2.5"][0],
        # Weights count for nothing.
        "application/openmetrics-text;q=0.5,text/plain;q=0.6",
        "application/openmetrics-text;q=0,*/*",
        # It says that it writes any version that is asked for, ...
        "application/openmetrics-text;version=9.9",
        "text/plain;version=9.9",
        # ... fails at what is no number, ...
        "text/plain;version=x",
        # ... and takes this for something else.
        'application/OpenMetrics-Text;version="1.0.0";escaping=dots',
        "application/*",
    ],
)
def test_prometheus_client_still_chooses_the_wrong_format(accept: str) -> None:
    try:
        _, content_type = upstream.choose_encoder(accept)
    except TypeError:
        return
    assert content_type != exposition(accept).content_type, MENDED


@pytest.mark.parametrize("header", ["gzip;q=0", "*", "gzip;q=0.5, identity"])
def test_prometheus_client_still_takes_a_wrong_encoding(header: str) -> None:
    assert upstream.gzip_accepted(header) is not gzip_accepted(header), MENDED


def test_prometheus_client_still_escapes_legacy_names_as_values() -> None:
    escaped = openmetrics.generate_latest(Faxes(), openmetrics.VALUES)  # type: ignore[no-untyped-call]
    assert b"U__fax__up 1.0" in escaped, (
        "prometheus_client leaves legacy names alone now: Format.encode can pass on `values`"
    )
