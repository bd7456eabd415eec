"""The public address and the webhook address below it."""

import pytest

from service.errors import ConfigurationError
from service.web.address import public_base, refuse_private, same_address, webhook_url

WEBHOOK = "https://review.example.org/webhooks/prolific"


@pytest.mark.parametrize(
    "url",
    [
        "https://review.example.org",
        "https://review.example.org/",
        " https://Review.Example.org ",
        WEBHOOK,
        f"{WEBHOOK}/",
    ],
)
def test_public_url_gets_the_webhook_path_once(url: str) -> None:
    assert webhook_url(url) == WEBHOOK
    assert public_base(url) == "https://review.example.org"


def test_public_url_keeps_a_path_prefix() -> None:
    assert webhook_url("https://example.org/a/b/") == "https://example.org/a/b/webhooks/prolific"


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "web:8080"])
def test_public_url_on_a_private_network_may_be_http(host: str) -> None:
    assert webhook_url(f"http://{host}") == f"http://{host}/webhooks/prolific"


@pytest.mark.parametrize(
    "url",
    [
        "http://review.example.org",
        "http://203.0.113.5",
        "review.example.org",
        "ftp://review.example.org",
        "https://",
        "https://review.example.org?x=1",
        "https://review.example.org#x",
        "https://review.example.org:port",
        "https://[::1",
        "",
    ],
)
def test_public_url_that_prolific_cannot_reach_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        public_base(url)


def test_public_url_with_a_password_is_refused_without_printing_it() -> None:
    with pytest.raises(ConfigurationError) as refused:
        public_base("https://me:pa55word@review.example.org")
    assert "pa55word" not in str(refused.value)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("https://REVIEW.example.org:443/webhooks/prolific", True),
        ("https://review.example.org/webhooks/prolific/", False),
        ("https://review.example.org/webhooks/Prolific", False),
        ("http://review.example.org/webhooks/prolific", False),
        ("https://review.example.org:8443/webhooks/prolific", False),
        ("https://[", False),
    ],
)
def test_public_urls_are_compared_without_spelling_but_with_the_slash(other: str, same: bool) -> None:
    assert same_address(WEBHOOK, other) is same


@pytest.mark.parametrize(
    "host",
    ["localhost", "10.0.0.3", "192.168.1.7:8443", "[::1]", "[fd00::1]", "169.254.1.1", "web", "nas.local"],
)
def test_private_address_is_not_public(host: str) -> None:
    with pytest.raises(ConfigurationError, match="public addresses only"):
        refuse_private(public_base(f"https://{host}"))


@pytest.mark.parametrize("host", ["review.example.org", "8.8.8.8", "[2606:4700::1111]"])
def test_public_address_is_public(host: str) -> None:
    refuse_private(public_base(f"https://{host}"))


@pytest.mark.parametrize("scheme", ["ftp", "http", "https"])
def test_url_password_is_never_printed(scheme: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        public_base(f"{scheme}://me:pa55word@review.example.org:{'x' if scheme == 'https' else 1}")
    assert "pa55word" not in str(refused.value)
