"""The chart accepts and refuses the same values as the settings of the service."""

import pytest
from pydantic import ValidationError

from service.domain import duration
from service.errors import ConfigurationError
from service.settings import Settings, variables
from service.web.address import public_base
from tests.unit.deploy.chart import ci, environment, main_container, refusal, render


@pytest.mark.parametrize(
    "text",
    [
        *("1s", "10m", "1h30m", "2d12h", "1d2h3m4s", "007m", "3650d", "87600h", "315360000s"),
        *("0s", "0d0h0m0s", "3651d", "9999d", "3650d1s", "315360001s", "999999999d", "1234567890s"),
        *("m", "10", "30m1h", "1m1m", "1.5h", "-1m", " 1m", "1m ", "10M", "1w", "１m"),
    ],
)
def test_chart_accepts_the_durations_that_the_service_accepts(text: str) -> None:
    assert (refusal(ci("minimal", sweepEvery=text)) == "") == (duration.parse(text) is not None)


def test_empty_duration_is_refused() -> None:
    assert "sweepEvery" in refusal(ci("minimal", sweepEvery=""))


@pytest.mark.parametrize("name", [*sorted(variables()), "AUTOREVIEW_FOO", "autoreview_mode"])
def test_extra_env_refuses_settings_of_the_service(name: str) -> None:
    refused = refusal(ci("minimal", extraEnv=[{"name": name, "value": "1"}]))
    assert f"extraEnv names {name}: leave it out" in refused


@pytest.mark.parametrize("name", ["PGSSLROOTCERT", "HTTPS_PROXY", "MY_AUTOREVIEW_FOO"])
def test_extra_env_accepts_other_variables(name: str) -> None:
    assert refusal(ci("minimal", extraEnv=[{"name": name, "value": "1"}])) == ""


@pytest.mark.parametrize(
    "url",
    [
        "https://review.example.org",
        "https://review.example.org/",
        "https://review.example.org:8443/lab-1/~a/review_2",
        "https://review.example.org:65535",
        "https://review.example.org/webhooks/prolific",
        "http://localhost:8080",
        "http://127.0.0.1:8080/a",
        "http://demo",
    ],
)
def test_public_url_accepts_addresses_that_prolific_or_a_sandbox_reaches(url: str) -> None:
    assert public_base(url)
    assert refusal(ci("minimal", publicUrl=url)) == ""


@pytest.mark.parametrize(
    "url",
    [
        "review.example.org",
        "ftp://review.example.org",
        "https://",
        "https:///path",
        "https://:443",
        "http://review.example.org",
        "http://127.0.0.1.example.org",
        "https://review.example.org?a=b",
        "https://review.example.org/#a",
        "https://user:password@review.example.org",
        "https://review.example.org:65536",
        "https://review.example.org:port",
    ],
)
def test_public_url_refuses_what_connect_refuses(url: str) -> None:
    with pytest.raises(ConfigurationError):
        public_base(url)
    assert "/publicUrl" in refusal(ci("minimal", publicUrl=url))


@pytest.mark.parametrize(
    "url",
    [
        "https://review.example.org/a b",
        "https://review example.org",
        " https://review.example.org",
        "https://review.example.org\n",
        "https://-review.example.org",
        "https://..",
        "https://review.example.org/$(id)",
        "https://review.example.org/;id",
        "https://review.example.org/'",
    ],
)
def test_public_url_refuses_shell_metacharacters(url: str) -> None:
    assert "/publicUrl" in refusal(ci("minimal", publicUrl=url))


@pytest.mark.parametrize(
    "url",
    [
        *("https://api.prolific.com", "https://8.8.8.8/", "http://sandbox:8090", "http://sandbox.demo.svc/a"),
        *("http://sandbox.demo.svc.cluster.local", "http://localhost", "http://a.b.internal:80"),
        *("http://127.0.0.1", "http://10.1.2.3:8090", "http://172.16.0.1", "http://172.31.255.255/a"),
        *("http://192.168.1.1", "http://169.254.1.1"),
        *(
            "http://api.prolific.com",
            "http://8.8.8.8",
            "http://172.15.0.1",
            "http://172.32.0.1",
            "http://11.0.0.1",
        ),
        *(
            "http://192.169.1.1",
            "http://10.1.2.3.example.org",
            "http://localhost.example.org",
            "http://10.1.2",
        ),
    ],
)
def test_prolific_url_without_tls_is_accepted_where_the_service_accepts_it(url: str) -> None:
    try:
        Settings(prolific_url=url)
        taken = True
    except ValidationError:
        taken = False
    assert (refusal(ci("minimal", prolific={"url": url, "concurrency": 4})) == "") == taken


@pytest.mark.parametrize("host", ["::", "0.0.0.0", "::1", "fd00::5"])
def test_pods_listen_on_the_configured_address(host: str) -> None:
    for component in ("web", "worker"):
        found = environment(main_container(render(ci("minimal", host=host)), component))
        assert found["AUTOREVIEW_HOST"] == host


@pytest.mark.parametrize("host", ["", "localhost", "[::]", "0.0.0.0:8080"])
def test_host_that_is_no_address_is_refused(host: str) -> None:
    assert "/host" in refusal(ci("minimal", host=host))
