"""No page of another site makes a browser reload the exporter; whoever means to is let through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.web.origins import foreign

OWN = frozenset({"Fax-7.example.org", "monitor.example.org."})


def refused(
    host: str | None = "192.0.2.1:9799",
    origin: str | None = None,
    site: str | None = None,
    *,
    logged_in: bool = False,
) -> bool:
    return foreign(host, origin, site, OWN, logged_in=logged_in) is not None


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:9799",
        "192.0.2.1",
        "[::1]:9799",
        "[2001:db8::5]",
        "[::ffff:192.0.2.1]:9799",
        "localhost:9799",
        "LOCALHOST",
        "fax.localhost:9799",
        "asterisk-fax-exporter:9799",
        "exporter.monitoring.svc:9799",
        "exporter.monitoring.svc.cluster.local.:9799",
        "fax.lan.internal",
        "pbx.home.arpa",
        "fax-7.example.org:9799",
        "FAX-7.Example.org.",
        "monitor.example.org",
        "",
        None,
    ],
)
def test_a_host_that_leads_only_here_is_let_through(host: str | None) -> None:
    assert not refused(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:9799",
        "fax-7.example.org.evil.example",
        "evilfax-7.example.org",
        "127.0.0.1.evil.example",
        "192.0.2.1.:80:80",
        "localhost.evil.example",
        "evilsvc.example",
        "evil.example@127.0.0.1",
        "127.0.0.1/evil.example",
        "[::1",
        "[127.0.0.1.evil.example]",
        "127.0.0.1:x",
        "127.0.0.1:99999",
        ":9799",
        "evil.example\t",
    ],
)
def test_a_name_that_anybody_can_make_lead_here_is_refused_without_a_login(host: str) -> None:
    assert refused(host)
    assert not refused(host, logged_in=True)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("192.0.2.1:9799", "http://192.0.2.1:9799"),
        ("fax-7.example.org", "https://FAX-7.example.org"),
        ("fax-7.example.org:443", "https://fax-7.example.org"),
        ("fax-7.example.org", "http://fax-7.example.org:80"),
        ("[::1]:9799", "http://[::1]:9799"),
    ],
)
def test_a_page_of_ours_is_let_through(host: str, origin: str) -> None:
    assert not refused(host, origin)
    assert not refused(host, origin, "same-origin")


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("192.0.2.1:9799", "http://evil.example"),
        ("192.0.2.1:9799", "http://192.0.2.1"),
        ("192.0.2.1:9799", "http://192.0.2.1:9090"),
        ("192.0.2.1", "https://192.0.2.1:80"),
        ("192.0.2.1:9799", "http://evil.example:9799"),
        ("192.0.2.1:9799", "http://192.0.2.1:9799/"),
        ("192.0.2.1:9799", "http://evil.example@192.0.2.1:9799"),
        ("192.0.2.1:9799", "null"),
        ("192.0.2.1:9799", ""),
        ("192.0.2.1:9799", "192.0.2.1:9799"),
        ("192.0.2.1:9799", "file://192.0.2.1:9799"),
        ("192.0.2.1:9799", "http://"),
        ("192.0.2.1:9799", "http://[::1"),
        ("", "http://"),
        (None, "http://192.0.2.1:9799"),
        ("evil example:x", "http://evil example:x"),
    ],
)
def test_a_page_of_another_site_is_refused_even_with_a_login(host: str | None, origin: str) -> None:
    # A browser adds the password that its user gave before.
    assert refused(host, origin)
    assert refused(host, origin, logged_in=True)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", "", "anything"])
def test_what_a_browser_says_is_of_another_site_is_refused(site: str) -> None:
    assert refused(site=site)
    assert refused(site=site, logged_in=True)
    assert refused(origin="http://192.0.2.1:9799", site=site)


@pytest.mark.parametrize("site", ["same-origin", "none", None])
def test_what_a_user_asks_for_is_let_through(site: str | None) -> None:
    assert not refused(site=site)


def test_it_says_what_to_do_about_a_name() -> None:
    advice = foreign("evil.example", None, None, frozenset())
    assert advice is not None
    assert "use its address" in advice
    assert "--web.config.file" in advice
    assert "evil" not in advice


@given(*(st.none() | st.text(alphabet="a.:[]/@%?#\\ \tx1\u2100é", max_size=12) for _ in range(3)))
def test_whatever_the_headers_say_nothing_fails(
    host: str | None, origin: str | None, site: str | None
) -> None:
    foreign(host, origin, site, OWN)
    foreign(host, f"http://{origin}", None, OWN)
