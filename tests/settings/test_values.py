"""Each kind of value: what it takes, and what it does not."""

import shlex

import pytest

from tests.settings.loaded import loaded, refusal


def test_the_level_may_be_spelled_as_prometheus_does() -> None:
    assert loaded("--log.level=warn").log.level == "warning"


@pytest.mark.parametrize(
    ("flag", "good", "bad"),
    [
        (
            "ami.host",
            ["pbx", "10.0.0.1", "::1", "a_b.c-d."],
            ["", "a b", "a:1", "[::1]", "999.1.1"],
        ),
        (
            "ami.host",
            [".".join(["x" * 63] * 3), "pbx."],
            [
                ".".join(["x" * 63] * 4),
                "x" * 64,
                "a..b",
                "-a",
                "a/b",
                "a\r\nb",
                "fe80::1%\r\nb",
                "é",
            ],
        ),
        ("ami.port", ["1", "65535"], ["0", "65536", "-1", "", "x", "80.5", "9" * 5000]),
        ("ami.username", ["fax", "é"], ["", "x" * 256]),
        ("ami.timeout", ["0.1", "300", "5s", "100ms", "1m30s"], ["0.09", "301", "nan", "inf", ""]),
        ("ami.timeout", ["5m"], ["5 s", "5d", "-5s", "s", "9" * 400 + "s", "1e999", "1h"]),
        ("poll.interval", ["0.05", "3600", "1h", "50ms"], ["0.04", "3601", "NaN", "-inf", "1s,"]),
        ("web.listen-address", [":0", "127.0.0.1:80", "a:80", "[::]:80"], ["80", "a", "", ":"]),
        ("web.listen-address", ["[fe80::1%eth0]:80"], ["::1:80", "[::1]", "[a]:80", ":65536"]),
        ("web.listen-address", ["0.0.0.0:65535"], ["999.1.1.1:80", "a b:80", ":-1", "tcp://a:1"]),
        (
            "web.telemetry-path",
            ["/metrics", "/a/b.c/"],
            [
                "",
                "/",
                "/-/healthy",
                "metrics",
                "/a?b",
                "/a#b",
                "/probe",
                "/sd/",
                "/api/x",
                "/static",
            ],
        ),
        ("web.telemetry-path", ["/-m"], ["/a b", "/a//b", "/{a}", "/a\n", "/a%0a", "//"]),
        ("log.level", ["debug", "info", "warning", "error"], ["", "trace", "INFO "]),
        ("log.format", ["logfmt", "json"], ["", "xml"]),
        ("web.max-connections", ["1", "10000"], ["0", "10001", "x"]),
        ("metrics.peer-limit", ["1", "10000"], ["0", "10001", "x", "1.5"]),
    ],
)
def test_a_setting_takes_what_it_says_and_nothing_else(
    flag: str, good: list[str], bad: list[str]
) -> None:
    for value in good:
        loaded(f"--{flag}={shlex.quote(value)}")
    for value in bad:
        said = refusal(f"--{flag}={shlex.quote(value)}")
        assert said.startswith(f"--{flag} '")
        assert "takes " in said
        assert said.isprintable()
        assert len(said) < 500


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":10329", None, 10329),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("[::1]:10329", "::1", 10329),
        ("fax.example:80", "fax.example", 80),
    ],
)
def test_a_listen_address_is_read_and_written_alike(text: str, host: str | None, port: int) -> None:
    (address,) = loaded(f"--web.listen-address={text}").web.listen_address
    assert (address.host, address.port) == (host, port)
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("2", 2), ("2s", 2), ("1500ms", 1.5), ("1.5s", 1.5), ("1m30s", 90)]
)
def test_a_duration_is_in_seconds_or_has_its_unit(text: str, seconds: float) -> None:
    assert loaded(f"--poll.interval={text}").poll.interval == pytest.approx(seconds)


def test_a_port_behind_a_host_is_told_to_be_a_setting_of_its_own() -> None:
    assert "the port is a setting of its own" in refusal("--ami.host=pbx.example:5038")
    assert "the port is a setting of its own" in refusal("--ami.host=10.0.0.5:5038")
    assert "not an IP address" in refusal("--ami.host=fe80::zz")
