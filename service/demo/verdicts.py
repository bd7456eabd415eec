"""Whether each simulated participant got what they deserve, judged by what Prolific was asked to do."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from statistics import median, quantiles
from typing import Any

import httpx

from service.domain.decision import DecisionStatus, Guard, Outcome
from service.domain.submission import Status
from service.sandbox.model import SimSubmission
from service.sandbox.participants import Kind, ends_as
from service.sandbox.state import SandboxState

AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Ending:
    """How one submission ended. ``seconds``: from the webhook, or the data it waited for, to the transition."""

    submission_id: str
    kind: str
    deserved: str
    decision: dict[str, Any] | None
    status: Status
    calls: int
    seconds: float | None
    fair: bool

    @property
    def outcome(self) -> str:
        return self.decision["outcome"] if self.decision else "none"

    @property
    def rule(self) -> str:
        return (self.decision or {}).get("rule") or "(no rule: otherwise)"


def is_settled(submission: SimSubmission) -> bool:
    """Whether Prolific's side shows what the participant deserves; a hold shows as nothing happening."""
    assert submission.deserves
    deserves = Outcome(submission.deserves)
    if deserves is Outcome.REQUEST_RETURN:
        return submission.return_requested is not None
    return submission.status is ends_as(deserves, Kind(str(submission.kind)))


async def endings(state: SandboxState, http: httpx.AsyncClient) -> list[Ending]:
    """Compare what the service says of each submission with what Prolific's ledger says."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def ending(submission: SimSubmission) -> Ending:
        async with turn:
            answer = await http.get(f"/api/submissions/{submission.id}")
        return _ending(
            state, submission, answer.raise_for_status().json() if answer.status_code != 404 else {}
        )

    return list(await asyncio.gather(*(ending(one) for one in state.submissions.values())))


def _ending(state: SandboxState, submission: SimSubmission, told: dict[str, Any]) -> Ending:
    decision = _decisive(told.get("decisions", []))
    calls = [call for call in state.calls_for(submission.id) if submission.id in call.affected]
    outcome_is_right = decision is not None and decision["outcome"] == submission.deserves
    expected_calls = 0 if submission.deserves == Outcome.HOLD else 1
    fair = outcome_is_right and is_settled(submission) and len(calls) == expected_calls
    return Ending(
        submission_id=submission.id,
        kind=str(submission.kind),
        deserved=str(submission.deserves),
        decision=decision,
        status=submission.status,
        calls=len(calls),
        seconds=(calls[0].at - _cause(told)).total_seconds() if calls else None,
        fair=fair,
    )


def _decisive(decisions: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The decision that Prolific was told of; else the newest that isn't waiting for data."""
    applied = [decision for decision in decisions if decision["status"] == DecisionStatus.APPLIED]
    standing = [decision for decision in decisions if decision["guard"] != Guard.WAITING]
    return next(iter(applied or standing), None)


def _cause(told: dict[str, Any]) -> datetime:
    """When the last thing that the decision needed came in."""
    awaiting = [
        e["received_at"] for e in told["events"] if Status.parse(e["status"]) is Status.AWAITING_REVIEW
    ]
    pushed = [e["received_at"] for e in told["evidence"]]
    return max(datetime.fromisoformat(at) for at in (*awaiting, *pushed))


def latency(found: list[Ending]) -> tuple[float, float]:
    """Median and 99th percentile, in seconds."""
    seconds = [max(0.0, ending.seconds) for ending in found if ending.seconds is not None]
    if len(seconds) < 2:
        return (seconds or [0.0])[0], (seconds or [0.0])[0]
    return median(seconds), quantiles(seconds, n=100)[98]
