"""Checks of Prolific's side: the token, the workspace and its balance, the secret, the subscription, the clock."""

import hmac
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from service.connect.plan import is_ours
from service.doctor.check import Unwell
from service.domain.decision import Complete
from service.prolific.client import Prolific
from service.prolific.errors import BadRequest, NoSuchCode, NotFound, TokenRefused, Unauthorised
from service.prolific.hooks import STATUS_CHANGE, Subscription
from service.prolific.sending import researcher_code
from service.prolific.workspaces import Workspace
from service.rules import RuleBook, RuleFile
from service.settings import Settings
from service.web.address import webhook_url

CONNECT = "Run `autoreview connect`."
MAX_SKEW = timedelta(seconds=30)  # deadlines and waits are in minutes at least
STUDY = "Write the id in the address of the study, or let the token's owner into its workspace."
CODE = "Add the code to the study on Prolific, or correct the rule."
MOST_STUDIES = 20  # one call each


class ProlificSide:
    """Checks that ask Prolific. ``workspace`` must pass before those about the workspace."""

    def __init__(self, prolific: Prolific, settings: Settings, workspace_id: str | None) -> None:
        self._prolific = prolific
        self._settings = settings
        self._public_url = settings.public_url
        self._wanted = workspace_id
        self._id = ""

    async def token(self) -> str:
        me = await self._prolific.me()
        return f"accepted, it is {me.get('email') or me.get('id') or 'somebody'}'s"

    async def workspace(self) -> str:
        workspaces = await self._prolific.workspaces()
        found = self._choose(workspaces) or await self._subscribed(workspaces)
        if found is None:
            raise self._no_choice(workspaces)
        self._id = found.id
        return f"{found.id} {found.title}".strip()

    def _choose(self, workspaces: tuple[Workspace, ...]) -> Workspace | None:
        if self._wanted is None:
            return workspaces[0] if len(workspaces) == 1 else None
        return next((one for one in workspaces if one.id == self._wanted), None)

    async def _subscribed(self, workspaces: tuple[Workspace, ...]) -> Workspace | None:
        """Return the workspace that sends webhooks here, of several."""
        if self._public_url is None or self._wanted is not None:
            return None
        target = webhook_url(self._public_url)
        for one in workspaces:
            if any(is_ours(hook, target) for hook in await self._prolific.hooks.subscriptions(one.id)):
                return one
        return None

    def _no_choice(self, workspaces: tuple[Workspace, ...]) -> Unwell:
        listed = ", ".join(f"{one.id} {one.title}".strip() for one in workspaces)
        if not workspaces:
            return Unwell("the token's owner is a member of none", "Make a workspace on Prolific.")
        if self._wanted is not None:
            return Unwell(
                f"{self._wanted} is none of those that the token sees: {listed}", "Choose one of them."
            )
        return Unwell(f"the token sees several: {listed}", "Choose one with --workspace.")

    async def balance(self) -> str:
        balance = await self._prolific.balance(self._id)
        if balance.total is None:
            return "Prolific does not report it"
        currency = f" {balance.currency}" if balance.currency else ""
        if balance.total <= 0:
            raise Unwell(
                f"{balance.total / 100:.2f}{currency}", "Top the workspace up: approvals are paid from it."
            )
        free = "" if balance.available is None else f", {balance.available / 100:.2f} of them available"
        return f"{balance.total / 100:.2f}{currency}{free}"

    async def studies(self, book: RuleBook) -> str:
        """Check that Prolific shows each study of the rules, with the codes that rules complete with."""
        named = [(study, file) for file in book.files for study in file.studies or ()]
        asked = named[:MOST_STUDIES]
        problems = [problem for study, file in asked async for problem in self._study(study, file)]
        if problems:
            raise Unwell.of(problems)
        if not named:
            return "no rule file names one: `studies: all`"
        more = f" (the first {len(asked)} of {len(named)} were checked)" if len(named) > len(asked) else ""
        return f"Prolific shows each of the {len(named)} to this token{more}"

    async def _study(self, study_id: str, file: RuleFile) -> AsyncIterator[Unwell]:
        try:
            study = await self._prolific.study(study_id)
        except (NotFound, BadRequest, Unauthorised) as error:
            # About the token and not this study: it would be reported for each study.
            if isinstance(error, TokenRefused):
                raise
            yield Unwell(
                f"Prolific knows no study {study_id} ({file.path}), or does not show it to this token", STUDY
            )
            return
        for rule in file.rules:
            if isinstance(action := rule.plan.action, Complete):
                try:
                    researcher_code(action, study)
                except NoSuchCode as error:
                    yield Unwell(f"{str(error).rstrip('.')} ({file.path}, rule ‘{rule.name}’)", CODE)

    async def secret(self) -> str:
        configured = self._settings.secret("WEBHOOK_SECRETS")
        if configured is None:
            raise Unwell(
                "none is configured",
                f"{CONNECT} It writes the file to name in AUTOREVIEW_WEBHOOK_SECRETS_FILE.",
            )
        ours = configured.parts()
        theirs = [secret.value for secret in await self._prolific.hooks.secrets(self._id)]
        if not theirs:
            raise Unwell("the workspace has none", CONNECT)
        if not any(theirs):
            return "configured; Prolific does not show the workspace's, so the two can't be compared"
        if not any(hmac.compare_digest(one.encode(), other.encode()) for one in ours for other in theirs):
            raise Unwell(
                "none of those configured is the workspace's: its webhooks are refused",
                f"{CONNECT} It writes the workspace's secret to a file; name that in "
                "AUTOREVIEW_WEBHOOK_SECRETS_FILE.",
            )
        return "the workspace's is configured"

    async def subscription(self) -> str:
        listed = await self._prolific.hooks.subscriptions(self._id)
        if self._public_url is None:
            return _any_enabled(listed)
        target = webhook_url(self._public_url)
        ours = [one for one in listed if is_ours(one, target)]
        if not ours:
            elsewhere = _targets(listed)
            raise Unwell(f"none sends to {target}{elsewhere and f', others to {elsewhere}'}", CONNECT)
        if not any(one.is_enabled for one in ours):
            raise Unwell(f"the one that sends to {target} is disabled", CONNECT)
        return f"enabled, sends to {target}"

    async def clock(self) -> str:
        before = datetime.now(UTC)
        theirs = await self._prolific.clock()
        if theirs is None:
            return "Prolific's answers contain no time"
        # Prolific reads its clock about halfway between the request and the answer.
        ours = before + (datetime.now(UTC) - before) / 2
        skew = ours - theirs - timedelta(seconds=0.5)  # the header has whole seconds, cut off
        if abs(skew) > MAX_SKEW:
            direction = "ahead of" if skew > timedelta() else "behind"
            raise Unwell(
                f"{abs(skew.total_seconds()):.0f} s {direction} Prolific's",
                "Let NTP set this machine's clock.",
            )
        return f"{abs(skew.total_seconds()):.0f} s off Prolific's"


def _any_enabled(listed: tuple[Subscription, ...]) -> str:
    targets = _targets(tuple(one for one in listed if one.is_enabled))
    if not targets:
        raise Unwell(f"none is enabled for {STATUS_CHANGE}", CONNECT)
    return f"enabled, sends to {targets}; set AUTOREVIEW_PUBLIC_URL to check whether that is here"


def _targets(listed: tuple[Subscription, ...]) -> str:
    return ", ".join(one.target_url for one in listed if one.event_type == STATUS_CHANGE)
