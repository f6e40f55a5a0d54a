"""Clients that share an address, or a network that one of them has to itself, are one group."""

import pytest

from exporter.web.addresses import UNIX_SOCKET, group


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1::5", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::5", "2001:db8:0:2::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", UNIX_SOCKET),
        (None, UNIX_SOCKET),
        ("of no kind known", "of no kind known"),
    ],
)
def test_addresses_that_one_client_can_change_between_are_one_group(
    remote: str | None, expected: str
) -> None:
    assert group(remote) == expected
