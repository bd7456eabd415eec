"""The public address, and the webhook's below it."""

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
def test_the_webhooks_path_is_added_unless_it_is_there(url: str) -> None:
    assert webhook_url(url) == WEBHOOK
    assert public_base(url) == "https://review.example.org"


def test_a_service_below_a_path_keeps_it() -> None:
    assert webhook_url("https://example.org/a/b/") == "https://example.org/a/b/webhooks/prolific"


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "web:8080"])
def test_http_is_enough_on_the_own_network(host: str) -> None:
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
def test_what_prolific_could_not_send_to_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        public_base(url)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
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
def test_two_spellings_of_one_address_are_the_same_and_a_slash_is_not(other: str, same: bool) -> None:
    assert same_address(WEBHOOK, other) is same


@pytest.mark.parametrize(
    "host",
    ["localhost", "10.0.0.3", "192.168.1.7:8443", "[::1]", "[fd00::1]", "169.254.1.1", "web", "nas.local"],
)
def test_an_address_that_only_its_own_network_reaches_is_none_for_prolific(host: str) -> None:
    with pytest.raises(ConfigurationError, match="public addresses only"):
        refuse_private(public_base(f"https://{host}"))


@pytest.mark.parametrize("host", ["review.example.org", "8.8.8.8", "[2606:4700::1111]"])
def test_a_public_one_is_fine(host: str) -> None:
    refuse_private(public_base(f"https://{host}"))


@pytest.mark.parametrize("scheme", ["ftp", "http", "https"])
def test_password_is_never_printed(scheme: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        public_base(f"{scheme}://me:pa55word@review.example.org:{'x' if scheme == 'https' else 1}")
    assert "pa55word" not in str(refused.value)
