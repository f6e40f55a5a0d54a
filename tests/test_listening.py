"""The listening sockets: where they listen, what they are bound to, and what systemd passes."""

import contextlib
import errno
import logging
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter import listening
from exporter.listening import RECEIVE_BUFFER, SEND_BUFFER, open_sockets, url_of
from exporter.settings import ListenAddress, WebSettings

PASSED = 200
"""What stands for descriptor 3, which pytest needs itself."""


def at(*addresses: tuple[str | None, int]) -> WebSettings:
    return WebSettings(listen_address=tuple(ListenAddress(*one) for one in addresses))


@contextlib.contextmanager
def opened(*addresses: tuple[str | None, int]) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(one) for one in open_sockets(at(*addresses), {})]


def port_of(one: socket.socket) -> int:
    port = one.getsockname()[1]
    assert isinstance(port, int)
    return port


def serves(one: socket.socket, host: str) -> bool:
    """Whether who connects to this host at the socket's port is accepted by the socket."""
    try:
        client = socket.create_connection((host, port_of(one)), timeout=10)
    except ConnectionRefusedError:
        return False
    with client, one.accept()[0] as accepted:
        return bool(accepted.getpeername()[1] == port_of(client))


class NoIpv6(socket.socket):
    """A socket of a machine whose kernel lacks IPv6."""

    def __init__(self, family: int = -1, *more: int, **also: int) -> None:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        super().__init__(family, *more, **also)


class Ipv6Off(socket.socket):
    """A socket of a machine that has IPv6 and no address of it."""

    def bind(self, address: Any) -> None:
        if self.family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        super().bind(address)


@pytest.mark.parametrize("host", [None, "::", "0::0"])
def test_without_a_host_one_port_serves_both_families(host: str | None) -> None:
    with opened((host, 0)) as (one,):
        assert serves(one, "127.0.0.1")
        assert serves(one, "::1")
        assert url_of(one, "http") == f"http://[::]:{port_of(one)}"


@pytest.mark.parametrize("machine", [NoIpv6, Ipv6Off])
@pytest.mark.parametrize("host", [None, "::"])
def test_without_a_host_a_machine_without_ipv6_serves_ipv4(
    host: str | None, machine: type[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "socket", machine)
    with opened((host, 0)) as (one,):
        assert url_of(one, "https") == f"https://0.0.0.0:{port_of(one)}"
        assert serves(one, "127.0.0.1")


def test_each_address_has_its_socket_and_no_other_family() -> None:
    with opened(("0.0.0.0", 0), ("::1", 0), ("127.0.0.1", 0)) as (v4, v6, local):
        assert [serves(one, "127.0.0.1") for one in (v4, v6, local)] == [True, False, True]
        assert [serves(one, "::1") for one in (v4, v6, local)] == [False, True, False]
        assert url_of(v6, "http") == f"http://[::1]:{port_of(v6)}"
        assert url_of(local, "http") == f"http://127.0.0.1:{port_of(local)}"


@pytest.fixture
def a_name_with_two_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """fax.example is 127.0.0.1 and ::1, and as with /etc/hosts one of them comes twice."""
    look_up = socket.getaddrinfo

    def both(host: str, *more: Any, **also: Any) -> list[Any]:
        hosts = ("::1", "127.0.0.1", "::1") if host == "fax.example" else (host,)
        return [found for one in hosts for found in look_up(one, *more, **also)]

    monkeypatch.setattr(socket, "getaddrinfo", both)


@pytest.mark.usefixtures("a_name_with_two_addresses")
def test_a_name_is_listened_on_at_each_of_its_addresses() -> None:
    with opened(("fax.example", 0)) as (v6, v4):
        assert serves(v6, "::1")
        assert serves(v4, "127.0.0.1")


@pytest.mark.usefixtures("a_name_with_two_addresses")
@pytest.mark.parametrize("machine", [NoIpv6, Ipv6Off])
def test_of_a_name_what_the_machine_cannot_have_is_left_out(
    machine: type[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "socket", machine)
    with opened(("fax.example", 0)) as (v4,):
        assert serves(v4, "127.0.0.1")


def test_sockets_do_not_block_and_are_for_this_process() -> None:
    with opened((None, 0), ("127.0.0.1", 0)) as sockets:
        for one in sockets:
            assert not one.getblocking()
            assert not one.get_inheritable()
            assert one.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", None])
def test_the_kernel_keeps_little_for_a_client_that_does_not_read(host: str | None) -> None:
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    with opened((host, 0)) as (one,), socket.socket(family) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        deaf.connect((host or "127.0.0.1", port_of(one)))
        with one.accept()[0] as accepted:
            for option, size in (
                (socket.SO_RCVBUF, RECEIVE_BUFFER),
                (socket.SO_SNDBUF, SEND_BUFFER),
            ):
                assert accepted.getsockopt(socket.SOL_SOCKET, option) <= 2 * size
            accepted.setblocking(False)
            taken = 0
            with contextlib.suppress(BlockingIOError):
                while taken < 10_000_000:
                    taken += accepted.send(bytes(65536))
            assert 0 < taken <= 2 * SEND_BUFFER


def test_an_address_that_is_taken_is_named_and_nothing_stays_open() -> None:
    with opened(("::1", 0)) as (other,):
        free = port_of(other)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = port_of(taken)
        said = rf"cannot listen on 127\.0\.0\.1:{port}: address already in use; another .*--web\."
        with pytest.raises(OSError, match=said):
            open_sockets(at(("::1", free), ("127.0.0.1", port)), {})
        with opened(("::1", free)):  # which was closed again
            pass


@pytest.mark.usefixtures("a_name_with_two_addresses")
def test_a_name_of_which_one_address_is_taken_is_an_error_and_nothing_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = port_of(taken)
        with pytest.raises(OSError, match=f"cannot listen on fax.example:{port}: address already"):
            open_sockets(at(("fax.example", port)), {})
        with opened(("::1", port)):
            pass


def test_an_address_that_another_one_includes_is_told_so() -> None:
    with opened((None, 0)) as (one,):
        port = port_of(one)
    said = rf"cannot listen on 127\.0\.0\.1:{port}: it is listened on already, by another --web\."
    with pytest.raises(OSError, match=said):
        open_sockets(at((None, port), ("127.0.0.1", port)), {})


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("192.0.2.1", "it is none of this machine's; see --web.listen-address"),
        ("2001:db8::1", r"cannot listen on \[2001:db8::1\]:10329: "),
        ("nowhere.invalid", "cannot listen on nowhere.invalid:10329: .+; see --web.listen-address"),
        ("b" * 64, "not a host name"),  # which the settings refuse before
    ],
)
def test_an_address_of_nobody_is_an_error_that_names_it(host: str, said: str) -> None:
    with pytest.raises(OSError, match=said):
        open_sockets(at((host, 10329)), {})


def test_a_machine_without_ipv6_says_so_of_an_ipv6_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", NoIpv6)
    with pytest.raises(OSError, match=r"cannot listen on \[::1\]:0: .*no addresses of that kind"):
        open_sockets(at(("::1", 0)), {})


# What systemd passes


@contextlib.contextmanager
def passed(*files: socket.socket | int) -> Iterator[dict[str, str]]:
    """These are where systemd would have put them; what it would say in the environment."""
    numbers = range(PASSED, PASSED + len(files))
    for number, file in zip(numbers, files, strict=True):
        os.dup2(file if isinstance(file, int) else file.fileno(), number, inheritable=True)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(listening, "_FIRST_PASSED", PASSED)
            yield {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(files))}
    finally:
        for number in numbers:
            with contextlib.suppress(OSError):
                os.close(number)


BY_SYSTEMD = WebSettings(systemd_socket=True)


def test_the_sockets_of_systemd_are_taken_as_they_come(tmp_path: Path) -> None:
    path = str(tmp_path / "fax.sock")
    with (
        socket.create_server(("127.0.0.1", 0)) as v4,
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as both,
        socket.socket(socket.AF_UNIX) as local,
    ):
        local.bind(path)
        local.listen()
        with passed(v4, both, local) as environment:
            environment |= {"LISTEN_FDNAMES": "a:b:c", "PATH": "/bin"}
            sockets = open_sockets(BY_SYSTEMD, environment)
            assert environment == {"PATH": "/bin"}
            assert [one.fileno() for one in sockets] == [PASSED, PASSED + 1, PASSED + 2]
            assert [url_of(one, "http") for one in sockets] == [
                f"http://127.0.0.1:{port_of(v4)}",
                f"http://[::]:{port_of(both)}",
                f"http://unix:{path}:",
            ]
            for one in sockets:
                assert not one.getblocking()
                assert not one.get_inheritable()
            for one in sockets[:2]:
                assert one.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * SEND_BUFFER
                assert one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * RECEIVE_BUFFER
            assert serves(sockets[0], "127.0.0.1")
            assert serves(sockets[1], "127.0.0.1")
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                sockets[2].accept()[0].close()
            for one in sockets:
                one.close()


def test_a_socket_outside_of_the_file_system_has_an_address_that_can_be_logged() -> None:
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0fax-exporter-{os.getpid()}")
        assert url_of(abstract, "http") == f"http://unix:@fax-exporter-{os.getpid()}:"


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ({}, r"systemd passes no socket \(LISTEN_FDS is not set\): start it by its .socket unit"),
        ({"LISTEN_FDS": "0", "LISTEN_PID": "1"}, "LISTEN_FDS is '0'"),
        ({"LISTEN_FDS": "-1"}, "LISTEN_FDS is '-1'"),
        ({"LISTEN_FDS": "\u0661"}, r"LISTEN_FDS is '\\u0661'"),
        ({"LISTEN_FDS": "9" * 5000}, "passes no socket .LISTEN_FDS is '9{49}"),
        ({"LISTEN_FDS": "1"}, "for another process .LISTEN_PID is '', this process [0-9]+"),
        (
            {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
            "LISTEN_PID is '1', .*: .* say exec before",
        ),
    ],
)
def test_what_systemd_did_not_pass_to_this_process_is_not_taken(
    said: dict[str, str], refusal: str
) -> None:
    environment = dict(said)
    with pytest.raises(OSError, match=refusal):
        open_sockets(BY_SYSTEMD, environment)
    assert environment == {}


def test_a_descriptor_that_does_not_listen_is_refused_by_its_name(tmp_path: Path) -> None:
    def refused(*files: socket.socket | int, **more: str) -> str:
        with passed(*files) as environment, pytest.raises(OSError, match="systemd") as caught:
            open_sockets(BY_SYSTEMD, environment | more)
        return str(caught.value)

    number = f"descriptor {PASSED + 1} of systemd"
    with (
        socket.create_server(("127.0.0.1", 0)) as good,
        socket.socket() as deaf,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as packets,
        socket.create_connection(good.getsockname()) as connected,
        open(tmp_path / "file", "wb") as file,
    ):
        names = {"LISTEN_FDNAMES": "one:\x1btwo"}
        packets.bind(str(tmp_path / "packets"))
        packets.listen()
        for wrong in (deaf, datagrams, packets, connected):
            assert refused(good, wrong, **names).startswith(f"{number} (\\x1btwo) does not listen")
        assert refused(good, file.fileno()) == f"{number} (no name) is no socket"
        assert refused(good, LISTEN_FDS="2") == f"{number} (no name) is not open"
        # The good one was closed each time: a client would wait at it for nobody.
        with passed(good) as environment:
            with pytest.raises(OSError, match="not open"):
                open_sockets(BY_SYSTEMD, environment | {"LISTEN_FDS": "999999999"})
            with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
                os.fstat(PASSED)


def test_sockets_of_systemd_that_nobody_asked_for_are_a_warning_and_no_childs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x"}
    for one in open_sockets(at(("127.0.0.1", 0)), environment):
        one.close()
    assert environment == {}
    ((_, level, text),) = caplog.record_tuples
    assert level == logging.WARNING
    assert re.search("--web.systemd-socket", text)
