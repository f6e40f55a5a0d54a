"""The addresses that lines of manager.conf are to name: the PBX's, and this machine's."""

import asyncio
import ipaddress
from typing import Any

import pytest
from pydantic import SecretStr

from exporter.check_pbx.addresses import address_here, address_of, permit
from exporter.settings import AmiSettings


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("fe80::7%lo", "fe80::7"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "::1"),
    ],
)
async def test_an_address_is_its_own_and_all_addresses_are_this_machine(
    host: str, address: str
) -> None:
    assert await address_of(host) == ipaddress.ip_address(address)


async def test_of_a_name_the_ipv4_address_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_: object, **__: Any) -> list[Any]:
        return [(10, 1, 6, "", ("2001:db8::7", 0, 0, 0)), (2, 1, 6, "", ("192.0.2.7", 0))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)
    assert await address_of("pbx.example") == ipaddress.ip_address("192.0.2.7")


async def test_a_name_that_does_not_resolve_has_no_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def resolve(*_: object, **__: Any) -> list[Any]:
        raise OSError("no such name")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)
    settings = AmiSettings(host="pbx.example", username="x", secret=SecretStr("y"))
    assert await address_of("pbx.example") is None
    assert await address_here(settings) is None


async def test_a_pbx_on_this_machine_sees_the_loopback_address_and_permits_it_alone() -> None:
    settings = AmiSettings(host="127.0.0.1", username="x", secret=SecretStr("y"))
    here = await address_here(settings)
    assert here is not None
    assert permit(here) == "permit = 127.0.0.1/32"
    assert permit(ipaddress.ip_address("2001:db8::7")) == "permit = 2001:db8::7/128"
