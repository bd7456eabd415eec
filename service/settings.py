"""Settings from the environment, prefix ``AUTOREVIEW_``; each secret also from a file (``…_FILE``)."""

import difflib
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from service.domain import duration
from service.domain.decision import Mode
from service.errors import ConfigurationError
from service.secret import Secret

PREFIX = "AUTOREVIEW_"
SECRETS = (
    "DATABASE_URL",
    "PROLIFIC_TOKEN",
    "WEBHOOK_SECRETS",
    "ADMIN_TOKEN",
    "VIEWER_TOKEN",
    "EVIDENCE_TOKEN",
    "NOTIFY_URLS",
)
# The secret of a source of evidence, with the source's name in upper case; ``…_FILE`` names a file that has it.
SOURCE = re.compile(r"AUTOREVIEW_SOURCE_[A-Z_][A-Z0-9_]*")
# What Kubernetes injects into each pod for a Service of this name.
KUBERNETES = re.compile(r"^AUTOREVIEW_(SERVICE_(HOST|PORT)(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)$")

PRIVATE_NAMES = (".localhost", ".local", ".internal", ".svc")
PRIVATE_NETWORKS = tuple(
    ip_network(network)
    for network in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _postgres(url: str) -> str:
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("must start with postgresql://")
    return url


def _web(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must start with https:// (or http://) and name a host")
    _ = parts.port  # raises ValueError for an invalid port
    return url


def _api(url: str) -> str:
    parts = urlsplit(_web(url))
    if parts.scheme == "http" and not _is_near(parts.hostname or ""):
        raise ValueError(
            "must start with https://: over http the token could be read on its way "
            "(http is for this machine and private networks only)"
        )
    return url


def _is_near(host: str) -> bool:
    """Return True if the host is this machine, in a private network, or a name that only such a network resolves."""
    try:
        address = ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(PRIVATE_NAMES)
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in PRIVATE_NETWORKS)


def _duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    length = duration.parse(value)
    if length is None:
        raise ValueError(f"not a duration: {value!r}; write a number and a unit, such as 30m, 12h or 7d")
    return length


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Ids = Annotated[tuple[str, ...], NoDecode, BeforeValidator(lambda v: _split(v) if isinstance(v, str) else v)]


class Settings(BaseSettings):
    """The settings. A test compares docs/reference.md with this class."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    database_url: Annotated[str, AfterValidator(_postgres)] | None = None
    data_dir: Path = Path(".autoreview")
    prolific_url: Annotated[str, AfterValidator(_api)] = "https://api.prolific.com"
    prolific_token: str | None = Field(None, repr=False)
    webhook_secrets: str | None = Field(None, repr=False)
    rules_dir: Path = Path("rules")
    shadow_rules_dir: Path | None = None
    mode: Mode = Mode.OBSERVE
    admin_token: str | None = Field(None, repr=False)
    viewer_token: str | None = Field(None, repr=False)
    evidence_token: str | None = Field(None, repr=False)
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    sweep_every: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(minutes=10)
    inbox_retention: Annotated[Duration, Field(ge=timedelta(hours=1))] = timedelta(days=7)
    public_url: Annotated[str, AfterValidator(_web)] | None = None
    studies: Ids = ()
    limit_reject_per_day: int | None = Field(None, ge=0)
    limit_request_return_per_day: int | None = Field(None, ge=0)
    limit_reward_per_day: int | None = Field(None, ge=0)
    notify_urls: str | None = Field(None, repr=False)
    prolific_concurrency: int = Field(4, ge=1, le=64)
    log_format: Literal["json", "console"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    database_url_file: Path | None = None
    prolific_token_file: Path | None = None
    webhook_secrets_file: Path | None = None
    admin_token_file: Path | None = None
    viewer_token_file: Path | None = None
    evidence_token_file: Path | None = None
    notify_urls_file: Path | None = None

    @field_validator("log_level", "log_format", "mode", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("port", mode="before")
    @classmethod
    def _not_of_kubernetes(cls, value: object) -> object:
        """Ignore ``AUTOREVIEW_PORT=tcp://…``, which Kubernetes sets if a Service of this name exists."""
        is_injected = isinstance(value, str) and value.startswith("tcp://")
        return cls.model_fields["port"].default if is_injected else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # No .env file and no secrets folder: only the environment counts.
        return (init_settings, env_settings)

    @classmethod
    def from_environment(cls) -> Self:
        """Read and check the environment. Raise ConfigurationError that names every mistake."""
        refuse_unknown(os.environ)
        try:
            return cls()
        except ValidationError as error:
            raise ConfigurationError(_sentences(error)) from None

    def secret(self, name: str) -> Secret | None:
        """Return the secret of a variable (without prefix), from its file if it has one, None if unset."""
        field = name.lower()
        value, file = getattr(self, field), getattr(self, f"{field}_file")
        variable = f"{PREFIX}{name}"
        if value and file:
            raise ConfigurationError(f"Both {variable} and {variable}_FILE are set: keep one of them.")
        return Secret(variable, value=value, file=file) if value or file else None

    def source_secret(self, source: str) -> Secret | None:
        """Return the secret of an evidence source, from its file if it has one, None if unset."""
        variable = f"{PREFIX}SOURCE_{source.upper()}"
        value, file = os.environ.get(variable), os.environ.get(f"{variable}_FILE")
        if value and file:
            raise ConfigurationError(f"Both {variable} and {variable}_FILE are set: keep one of them.")
        return Secret(variable, value=value, file=Path(file) if file else None) if value or file else None

    def require(self, name: str, purpose: str) -> Secret:
        """Return the secret. Raise ConfigurationError with the variable to set and its purpose."""
        found = self.secret(name)
        if found is None:
            variable = f"{PREFIX}{name}"
            raise ConfigurationError(f"{variable} is not set: {purpose}. Set it, or {variable}_FILE.")
        return found


def variables() -> set[str]:
    """Return every variable that this version reads."""
    return {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def refuse_unknown(environ: Mapping[str, str]) -> None:
    # A misspelt setting would keep its default without any sign.
    known = variables()
    problems = []
    # Upper and lower case, because pydantic reads both.
    for name in sorted(name for name in environ if name.upper().startswith(PREFIX)):
        if name in known or KUBERNETES.match(name) or SOURCE.fullmatch(name):
            continue
        nearest = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.0)
        problems.append(f"Unknown setting {name}: did you mean {nearest[0]}?")
    if problems:
        raise ConfigurationError("\n".join(problems))


def _sentences(error: ValidationError) -> str:
    return "\n".join(
        f"{PREFIX}{str(problem['loc'][0]).upper()}: {problem['msg'].removeprefix('Value error, ')}"
        for problem in error.errors(include_url=False, include_input=False)
    )
