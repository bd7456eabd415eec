"""The health check of the image."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from service.web import probe


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/livez": 200, "/readyz": 503}.get(self.path, 404))
        self.end_headers()

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@contextmanager
def a_service() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_probe_requests_livez_on_the_port_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    with a_service() as port:
        monkeypatch.setenv("AUTOREVIEW_PORT", str(port))
        assert probe.main() is None


@pytest.mark.parametrize(
    ("port", "asked"),
    [("9000", "http://127.0.0.1:9000/livez"), ("tcp://10.0.0.1:80", "http://127.0.0.1:8080/livez")],
)
def test_probe_ignores_the_port_variable_of_kubernetes(
    monkeypatch: pytest.MonkeyPatch, port: str, asked: str
) -> None:
    monkeypatch.setenv("AUTOREVIEW_PORT", port)
    assert probe.own_addresses()[0] == asked
    monkeypatch.delenv("AUTOREVIEW_PORT")
    assert probe.own_addresses() == ["http://127.0.0.1:8080/livez", "http://[::1]:8080/livez"]


def test_probe_reports_a_status_other_than_200() -> None:
    with a_service() as port:
        assert probe.main(f"http://127.0.0.1:{port}/livez") is None
        assert probe.main(f"http://127.0.0.1:{port}/readyz") == f"http://127.0.0.1:{port}/readyz: 503"


def test_probe_reports_a_missing_answer_and_fails() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/livez"
        ended = subprocess.run(
            [sys.executable, "-m", "service.web.probe", url], capture_output=True, text=True, check=False
        )
    assert ended.returncode == 1
    assert "ConnectionRefusedError" in ended.stderr


def test_probe_reports_an_answer_that_is_not_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            server.accept()[0].close()

        thread = Thread(target=hang_up)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/livez"
        assert (probe.main(url) or "").startswith(url)
        thread.join()
