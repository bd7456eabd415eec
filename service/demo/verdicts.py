"""Whether each simulated participant got what they deserve, by the requests to the simulated Prolific."""

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
    """The ending of a submission. ``seconds``: from the webhook, or the awaited evidence, to the transition."""

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
    """Return True if the submission's status at Prolific is what the participant deserves."""
    assert submission.deserves
    deserves = Outcome(submission.deserves)
    if deserves is Outcome.REQUEST_RETURN:
        return submission.return_requested is not None
    return submission.status is ends_as(deserves, Kind(str(submission.kind)))


async def endings(state: SandboxState, http: httpx.AsyncClient) -> list[Ending]:
    """Compare the service's decision on each submission with Prolific's ledger."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def ending(submission: SimSubmission) -> Ending:
        async with slots:
            answer = await http.get(f"/api/submissions/{submission.id}")
        return _ending(
            state, submission, answer.raise_for_status().json() if answer.status_code != 404 else {}
        )

    return list(await asyncio.gather(*(ending(one) for one in state.submissions.values())))


def _ending(state: SandboxState, submission: SimSubmission, shown: dict[str, Any]) -> Ending:
    decision = _decisive(shown.get("decisions", []))
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
        seconds=(calls[0].at - _cause(shown)).total_seconds() if calls else None,
        fair=fair,
    )


def _decisive(decisions: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the applied decision, else the newest one that does not wait for evidence."""
    applied = [decision for decision in decisions if decision["status"] == DecisionStatus.APPLIED]
    standing = [decision for decision in decisions if decision["guard"] != Guard.WAITING]
    return next(iter(applied or standing), None)


def _cause(shown: dict[str, Any]) -> datetime:
    """Return when the last event or evidence arrived that the decision needed."""
    awaiting = [
        e["received_at"] for e in shown["events"] if Status.parse(e["status"]) is Status.AWAITING_REVIEW
    ]
    pushed = [e["received_at"] for e in shown["evidence"]]
    return max(datetime.fromisoformat(at) for at in (*awaiting, *pushed))


def latency(found: list[Ending]) -> tuple[float, float]:
    """Return the median and 99th percentile in seconds."""
    seconds = [max(0.0, ending.seconds) for ending in found if ending.seconds is not None]
    if len(seconds) < 2:
        return (seconds or [0.0])[0], (seconds or [0.0])[0]
    return median(seconds), quantiles(seconds, n=100)[98]
