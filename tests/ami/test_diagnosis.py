"""What it means that there is no connection: each cause has its name and its remedy."""

import errno

import pytest

from exporter.ami import Cause
from exporter.ami.diagnosis import not_greeted, refused_login, unreached


def failed(number: int) -> OSError:
    # As asyncio raises it.
    return OSError(number, "Connect call failed ('192.0.2.1', 5038)")


@pytest.mark.parametrize(
    ("number", "cause", "said"),
    [
        (errno.ECONNREFUSED, Cause.REFUSED, "refused: nothing listens"),
        (errno.EHOSTUNREACH, Cause.NO_HOST, "host unreachable: nobody answers"),
        (errno.ENETUNREACH, Cause.NO_ROUTE, "no route: this machine has no network"),
        (errno.EADDRNOTAVAIL, Cause.NO_ROUTE, "no route: "),
        (errno.ETIMEDOUT, Cause.TIMED_OUT, "timed out: a firewall drops"),
        (errno.EPERM, Cause.FORBIDDEN, "not permitted: this machine"),
        (errno.EACCES, Cause.FORBIDDEN, "not permitted: this machine"),
        (errno.ECONNRESET, Cause.REFUSED, "refused: nothing listens on this port, or a firewall"),
        (errno.ENOPROTOOPT, Cause.REFUSED, "refused: nothing listens on this port, or a firewall"),
        (errno.EMFILE, Cause.LIMIT, "too many open files: this process has as many as it may"),
        (errno.ENFILE, Cause.LIMIT, "too many open files: this process has as many as it may"),
        (errno.ENOBUFS, Cause.OTHER, "No buffer space available: check"),
    ],
)
def test_every_errno_has_its_cause_and_what_to_do(number: int, cause: Cause, said: str) -> None:
    text, found = unreached({"192.0.2.1": failed(number)})
    assert found is cause
    assert text.startswith(said)


def test_of_several_addresses_each_is_told_and_the_remedy_is_that_of_the_one_with_a_way() -> None:
    text, cause = unreached(
        {"::1": failed(errno.EADDRNOTAVAIL), "127.0.0.1": failed(errno.ECONNREFUSED)}
    )
    assert cause is Cause.REFUSED
    assert text.startswith("no route (::1), refused (127.0.0.1): nothing listens")


def test_addresses_that_all_say_the_same_are_one_cause() -> None:
    refused = {name: failed(errno.ECONNREFUSED) for name in ("::1", "127.0.0.1")}
    assert unreached(refused)[0].startswith("refused: nothing listens")


def test_an_alert_of_tls_tells_its_port_from_a_crowd() -> None:
    text, cause = not_greeted(b"\x15\x03\x01\x00\x02\x02\x46", "closed", tls=False)
    assert cause is Cause.CLOSED
    assert "it is the port of tlsbindaddr" in text
    assert "authlimit" not in text


@pytest.mark.parametrize(
    ("said", "cause", "remedy"),
    [
        ("Authentication failed", Cause.CREDENTIALS, "permit, deny and acl"),
        ("", Cause.LOGIN, "no reason given; Asterisk's log says why"),
        ("Go away", Cause.LOGIN, "Go away; Asterisk's log says why"),
        ("Login Already In Use", Cause.IN_USE, "allowmultiplelogin = no"),
    ],
)
def test_a_refused_login_has_the_remedy_of_its_cause(said: str, cause: Cause, remedy: str) -> None:
    text, found = refused_login(said)
    assert found is cause
    assert remedy in text
