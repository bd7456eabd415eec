"""The state of the simulated Prolific and its changes. No HTTP in here."""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from random import Random
from typing import Any

from service.domain.submission import Status
from service.sandbox.faults import Faults, WebhookFaults
from service.sandbox.groups import Group
from service.sandbox.hooks import Hooks
from service.sandbox.messages import Messages, SimMessage
from service.sandbox.model import Body, By, Call, Change, SimStudy, SimSubmission, actions_of
from service.sandbox.quirks import Quirks
from service.sandbox.studies import PROJECT, study_body
from service.sandbox.study_links import LinkSigner
from service.sandbox.times import Clock, Timers, in_list, seeded, to_milliseconds, utc_now

WORKSPACE = "5f0c3a1be7d94c0d12345678"
USER = {"id": "5ef1a2b3c4d5e6f708192a3b", "email": "researcher@sandbox.invalid", "name": "Sandbox Researcher"}
CURRENCY = "GBP"
RICH = 1_000_000  # minor units, the balance unless one is set

Listener = Callable[[SimSubmission], None]


class SandboxState:
    """The sandbox's state. Changes are synchronous, so that a call never sees half a change."""

    def __init__(
        self,
        *,
        clock: Clock = utc_now,
        random: Random | None = None,
        timers: Timers | None = None,
    ) -> None:
        self.clock: Clock = lambda: to_milliseconds(clock())
        self.random = random or seeded(None)
        self.timers = timers or Timers()
        self.studies: dict[str, SimStudy] = {}
        self.submissions: dict[str, SimSubmission] = {}
        self.calls: list[Call] = []
        self.hooks = Hooks(self.clock, self.new_id)
        self.messages = Messages(self.clock, self.new_id, USER["id"])
        self.groups: dict[str, Group] = {}
        self.links = LinkSigner()
        self.workspaces = {WORKSPACE: "Sandbox"}  # id → title
        self.projects = {PROJECT: WORKSPACE}  # id → workspace
        self.balance: int | None = None  # minor units that payments are taken from; None: no end of them
        self.rejection_limit: int | None = None  # rejections by the API that are let through
        self.faults = Faults(self.random)
        self.webhooks = WebhookFaults()
        self.quirks = Quirks()
        self.listeners: list[Listener] = []
        self.affected: list[str] = []  # ids of what changed, in that order: for the ledger

    def new_id(self, at: datetime | None = None) -> str:
        """Make an id as Prolific does: 24 hex digits, the first eight its creation time."""
        return f"{int((at or self.clock()).timestamp()):08x}{self.random.getrandbits(64):016x}"

    def add_study(self, body: Body) -> SimStudy:
        """Add a study; one with a ``parent_study_id`` is a part of a quota or representative-sample study."""
        given = {"id": self.new_id(), "date_created": in_list(self.clock()), **body}
        parent = given.pop("parent_study_id", None)
        study = SimStudy(study_body(given), parent_id=parent)
        self.studies[study.id] = study
        return study

    def reserve(
        self,
        study_id: str,
        participant_id: str | None = None,
        *,
        submission_id: str | None = None,
        notify: bool = True,
    ) -> SimSubmission:
        """Take a place in the study: the first thing a participant does."""
        submission = SimSubmission(
            id=submission_id or self.new_id(),
            study_id=self.studies[study_id].id,
            participant_id=participant_id or self.new_id(),
            started_at=self.clock(),
        )
        self.submissions[submission.id] = submission
        self.change(submission, Status.RESERVED, By.PARTICIPANT, notify=notify)
        return submission

    def start(self, submission: SimSubmission, *, at: datetime | None = None) -> None:
        submission.started_at = to_milliseconds(at or self.clock())
        self.change(submission, Status.ACTIVE, By.PARTICIPANT)

    def complete(
        self,
        submission: SimSubmission,
        entered_code: str | None,
        *,
        time_taken: int | None = None,
        notify: bool = True,
    ) -> None:
        """End the work and enter a code. Some codes are approved without a review."""
        self.finish(submission, entered_code, time_taken)
        code = self.studies[submission.study_id].participant_code(entered_code)
        approved = code is not None and "AUTOMATICALLY_APPROVE" in actions_of(code)
        status = Status.APPROVED if approved else Status.AWAITING_REVIEW
        self.change(submission, status, By.PARTICIPANT, notify=notify)

    def finish(self, submission: SimSubmission, entered_code: str | None, time_taken: int | None) -> None:
        """Set the times: with ``time_taken`` the completion is that long after the start."""
        if time_taken is None:
            submission.completed_at = self.clock()
        else:
            submission.completed_at = submission.started_at + timedelta(seconds=time_taken)
        submission.time_taken = round((submission.completed_at - submission.started_at).total_seconds())
        submission.entered_code = entered_code

    def give_back(self, submission: SimSubmission) -> None:
        """Let the participant return it, unless it was decided meanwhile."""
        if submission.status in (Status.RESERVED, Status.ACTIVE, Status.AWAITING_REVIEW, Status.TIMED_OUT):
            self.change(submission, Status.RETURNED, By.PARTICIPANT)

    def ask_to_return(self, submission: SimSubmission) -> None:
        """Request a return. The participant answers later."""
        submission.return_requested = self.clock()
        self.affected.append(submission.id)
        answer = submission.answer_to_return
        if answer.at_once:
            self.give_back(submission)
        elif answer.after is not None:
            self.timers.later(answer.after, lambda: self.give_back(submission))

    def approve_all(self, submissions: Iterable[SimSubmission]) -> None:
        """Approve those that still await review: the second half of a bulk approval."""
        for submission in submissions:
            reward = self.studies[submission.study_id].reward
            if submission.status is Status.AWAITING_REVIEW and self.pay(reward):
                self.change(submission, Status.APPROVED, By.BULK)
                submission.last_request = {"action": "APPROVE"}  # a single approval after it is a repeat

    def change(self, submission: SimSubmission, status: Status, by: By, *, notify: bool = True) -> None:
        submission.status = status
        if by is not By.API:
            submission.last_request = None  # the same transition as before would change something again
        submission.history.append(Change(self.clock(), status, by))
        self.affected.append(submission.id)
        if notify:
            for listener in self.listeners:
                listener(submission)

    def add_group(self, name: str, *, group_id: str | None = None) -> Group:
        """Make a participant group without members."""
        group = Group(group_id or self.new_id(), name, WORKSPACE)
        self.groups[group.id] = group
        return group

    def write_message(
        self,
        participant_id: str,
        study_id: str | None,
        body: str,
        *,
        category: str | None = None,
        at: datetime | None = None,
    ) -> SimMessage:
        """Let a participant write to the researcher, now or earlier."""
        return self.messages.receive(participant_id, study_id, body, category=category, at=at)

    @property
    def funds(self) -> int:
        return RICH if self.balance is None else self.balance

    def pay(self, amount: float) -> bool:
        """Take an amount from the balance, if it is there."""
        if self.balance is None:
            return True
        if amount > self.balance:
            return False
        self.balance -= math.ceil(amount)
        return True

    def may_reject(self) -> bool:
        if self.rejection_limit is None:
            return True
        changes = (change for one in self.submissions.values() for change in one.history)
        rejections = sum(change.by is By.API and change.status is Status.REJECTED for change in changes)
        return rejections < self.rejection_limit

    def meddle(self, submission: SimSubmission, status: Status, *, notify: bool = True) -> None:
        """Change the status as somebody else does: a colleague, the participant, Prolific itself."""
        submission.last_request = None
        self.change(submission, status, By.SOMEBODY, notify=notify)

    def of_study(self, study_id: str) -> list[SimSubmission]:
        return [s for s in self.submissions.values() if s.study_id == study_id]

    def counts(self, study_id: str) -> Counter[Status]:
        return Counter(s.status for s in self.of_study(study_id))

    def calls_for(self, submission_id: str) -> list[Call]:
        return [call for call in self.calls if submission_id in call.submission_ids]

    def record(self, call: Call) -> None:
        self.calls.append(call)

    def me(self) -> dict[str, Any]:
        return {**USER, "currency_code": CURRENCY, "balance": self.funds, "available_balance": self.funds}
