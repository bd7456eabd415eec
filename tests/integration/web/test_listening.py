"""Listening on IPv4, IPv6 or both, and the health check on these addresses."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from service.errors import ConfigurationError
from service.sandbox.app import create_app
from service.sandbox.server import running as sandbox_running
from service.sandbox.server import shipped_state
from service.serve import bind
from service.settings import Settings
from service.web import probe
from service.web.listening import listen_on, location, url_of


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


with_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


@contextmanager
def answering(host: str) -> Iterator[int]:
    """Run a server on this host that answers each connection with 200; yield its port."""
    with listen_on(host, 0) as listener:
        listener.listen()
        listener.settimeout(0.2)
        stopped = threading.Event()

        def answer() -> None:
            while not stopped.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stopped.set()
            thread.join()


@with_ipv6
@pytest.mark.parametrize("host", ["::", "[::]"])
def test_host_of_the_image_accepts_ipv4_and_ipv6(host: str) -> None:
    with bind(Settings(host=host, port=0)) as listener:
        listener.listen()
        port = listener.getsockname()[1]
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, port), timeout=10).close()
        assert url_of(listener) == f"http://[::]:{port}"


def test_host_of_the_image_falls_back_to_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)  # Python's own, not ours
    with listen_on("::", 0) as listener:
        assert listener.getsockname()[0] == "0.0.0.0"


async def test_responses_are_sent_without_waiting_for_an_acknowledgement() -> None:
    accepted = asyncio.Queue[asyncio.StreamWriter]()

    def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.put_nowait(writer)

    with listen_on("127.0.0.1", 0) as listener:
        async with await asyncio.start_server(note, sock=listener):
            socket.create_connection(listener.getsockname(), timeout=10).close()
            writer = await accepted.get()
            assert writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            writer.close()


def test_host_name_with_both_kinds_of_address_listens_on_ipv4() -> None:
    with listen_on("localhost", 0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("::1", "[::1]:80"),
        ("fe80::1%eth0", "[fe80::1%eth0]:80"),
        ("127.0.0.1", "127.0.0.1:80"),
        ("a.b", "a.b:80"),
    ],
)
def test_ipv6_address_is_printed_in_brackets(host: str, expected: str) -> None:
    assert location(host, 80) == expected


@with_ipv6
def test_taken_ipv6_address_is_printed_in_brackets() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as refused:
            bind(Settings(host="::1", port=port))
    assert str(refused.value).startswith(f"Can't listen on [::1]:{port} (")


def test_invalid_host_is_reported() -> None:
    with pytest.raises(ConfigurationError, match="AUTOREVIEW_HOST"):
        bind(Settings(host="no-such-host.invalid", port=0))


@with_ipv6
async def test_sandbox_listens_on_ipv6_and_prints_brackets() -> None:
    async with sandbox_running(create_app(shipped_state()), "::1") as url, httpx.AsyncClient() as http:
        assert url.startswith("http://[::1]:")
        assert (await http.get(f"{url}/sandbox/ledger/")).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "127.0.0.1", pytest.param("::", marks=with_ipv6), pytest.param("::1", marks=with_ipv6)],
)
@pytest.mark.parametrize("told", [True, False])
def test_health_check_reaches_the_service_on_ipv4_and_ipv6(
    monkeypatch: pytest.MonkeyPatch, host: str, told: bool
) -> None:
    monkeypatch.delenv("AUTOREVIEW_HOST", raising=False)
    if told:
        monkeypatch.setenv("AUTOREVIEW_HOST", host)
    with answering(host) as port:
        monkeypatch.setenv("AUTOREVIEW_PORT", str(port))
        assert probe.main() is None


def test_health_check_uses_the_address_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTOREVIEW_PORT", raising=False)
    monkeypatch.setenv("AUTOREVIEW_HOST", "fd00::5")
    assert probe.own_addresses() == ["http://[fd00::5]:8080/livez"]
