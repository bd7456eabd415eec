"""Settings of the network: proxy and certificate variables, and an API without TLS."""

import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings
from tests import warm
from tests.process import complete_settings, environment
from tests.world import rules_text, write_rules


def run(tmp_path: Path, command: str, **more: str) -> "subprocess.CompletedProcess[bytes]":
    settings = complete_settings(write_rules(tmp_path / "rules", rules_text()), tmp_path / "data")
    inherited = {
        name: value
        for name, value in environment(settings).items()
        if not name.lower().endswith("_proxy") and not name.startswith("SSL_CERT_")
    }
    return warm.run([command], env=inherited | more)


@pytest.mark.parametrize("command", ["serve", "doctor"])
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("NO_PROXY", "localhost,[::1]"),
        ("no_proxy", "[::1]"),
        ("ALL_PROXY", "socks5://me:hunter2@127.0.0.1:1080"),
        ("https_proxy", "http://me:hunter2@proxy:abc"),
        ("HTTPS_PROXY", "ftp://me:hunter2@proxy"),
        ("SSL_CERT_FILE", "/no/such/file.pem"),
        ("SSL_CERT_FILE", "/dev/null"),
        ("SSL_CERT_DIR", "/no/such/folder"),
    ],
)
def test_invalid_proxy_or_certificate_variable_is_named(
    tmp_path: Path, command: str, variable: str, value: str
) -> None:
    ended = run(tmp_path, command, **{variable: value})
    shown = ended.stderr.decode()
    assert ended.returncode == 2, shown
    assert shown.startswith(variable)
    assert shown.count("\n") == 1
    assert "hunter2" not in shown
    assert not (tmp_path / "data").exists(), "nothing was started"


@pytest.mark.parametrize(
    "url",
    [
        "http://api.prolific.com",
        "http://8.8.8.8",
        "http://203.0.113.7:8080",
        "http://[2001:db8::1]",
        "http://[::ffff:8.8.8.8]",
        "http://127.0.0.1.example.org",
        "http://172.32.0.1",
    ],
)
def test_api_across_the_internet_is_asked_with_tls_only(url: str) -> None:
    with pytest.raises(ValidationError, match="must start with https://"):
        Settings(prolific_url=url)


def test_service_does_not_start_with_an_api_across_the_internet_without_tls(tmp_path: Path) -> None:
    ended = run(tmp_path, "serve", AUTOREVIEW_PROLIFIC_URL="http://api.prolific.com")
    assert ended.returncode == 2
    assert ended.stderr.startswith(b"AUTOREVIEW_PROLIFIC_URL: must start with https://")
    assert not (tmp_path / "data").exists(), "nothing was started"


@pytest.mark.parametrize(
    "url",
    [
        "https://api.prolific.com",
        "http://localhost:8090",
        "http://sandbox:8090",
        "http://sandbox.demo.svc.cluster.local",
        "http://sandbox.demo.svc",
        "http://127.0.0.1:9",
        "http://[::1]:9",
        "http://10.1.2.3",
        "http://172.31.0.1",
        "http://192.168.0.4",
        "http://[fd00::1]",
        "http://[::ffff:10.0.0.1]",
    ],
)
def test_api_on_this_machine_or_a_private_network_may_be_without_tls(url: str) -> None:
    assert Settings(prolific_url=url).prolific_url == url
