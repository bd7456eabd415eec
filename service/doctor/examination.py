"""All checks, in the order of their dependencies."""

from contextlib import suppress

from pydantic import ValidationError

from service.doctor.check import SET_RIGHT, Check, Step, examine, one_line
from service.doctor.own_side import OwnSide
from service.doctor.prolific_side import ProlificSide
from service.errors import ConfigurationError
from service.prolific.client import Prolific
from service.settings import Settings

NAMES = (
    "token",
    "workspace",
    "balance",
    "secret",
    "subscription",
    "clock",
    "database",
    "schema",
    "worker",
    "rules",
    "evidence",
    "studies",
    "public_url",
)


async def examination(workspace_id: str | None = None) -> list[Check]:
    """Run every check. Start nothing and change nothing.

    ``workspace_id`` is the workspace to check; None: the only one, or the one that sends webhooks here.
    """
    # With an unknown variable the other settings can still be checked.
    settings, wrong = _settings()
    if settings is None:
        skipped = "not checked, because of configuration"
        first = Check("configuration", False, wrong, SET_RIGHT)
        return [first, *(Check(name, False, skipped, "See to configuration first.") for name in NAMES)]
    own = OwnSide(settings)
    try:
        async with _prolific(settings) as prolific:
            found = await _examine_all(_steps(own, ProlificSide(prolific, settings, workspace_id)))
    finally:
        await own.close()
    return [Check("configuration", False, wrong, SET_RIGHT), *found[1:]] if wrong else found


def _settings() -> tuple[Settings | None, str]:
    """Return the settings, and what is wrong with them. The readable ones are used anyway."""
    try:
        return Settings.from_environment(), ""
    except ConfigurationError as error:
        wrong = one_line(str(error))
    with suppress(ValidationError):
        return Settings(), wrong  # only an unknown variable
    return None, wrong


def _prolific(settings: Settings) -> Prolific:
    def token() -> str:
        return settings.require("PROLIFIC_TOKEN", "Prolific's API is called with it").read()

    return Prolific(settings.prolific_url, token, concurrency=1)


def _steps(own: OwnSide, prolific: ProlificSide) -> tuple[Step, ...]:
    return (
        Step("configuration", own.configuration),
        Step("token", prolific.token),
        Step("workspace", prolific.workspace, needs=("token",)),
        Step("balance", prolific.balance, needs=("workspace",)),
        Step("secret", prolific.secret, needs=("workspace",)),
        Step("subscription", prolific.subscription, needs=("workspace",)),
        Step("clock", prolific.clock, needs=("token",)),
        Step("database", own.database),
        Step("schema", own.schema, needs=("database",)),
        Step("worker", own.worker, needs=("schema",)),
        Step("rules", own.rules),
        Step("evidence", own.evidence, needs=("rules",)),
        Step("studies", lambda: prolific.studies(own.book), needs=("rules", "token")),
        Step("public_url", own.public_url),
    )


async def _examine_all(steps: tuple[Step, ...]) -> list[Check]:
    found: list[Check] = []
    for step in steps:
        # One after the other: later checks depend on earlier ones, and Prolific asks for one call at a time.
        found += await examine(step, {check.name: check for check in found})
    return found
