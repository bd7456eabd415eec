"""Bodies of the simulated API. Each endpoint has other field names for the same submission."""

from typing import Any

from starlette.datastructures import URL

from service.domain.submission import Status
from service.sandbox.hooks import Event, Subscription
from service.sandbox.messages import MessageStyle, SimMessage
from service.sandbox.model import Call, SimStudy, SimSubmission
from service.sandbox.quirks import Quirks
from service.sandbox.state import CURRENCY, USER, SandboxState
from service.sandbox.times import in_detail, in_list

Body = dict[str, Any]

MEMBER = {**USER, "roles": ["WORKSPACE_ADMIN"]}
NO_CODE = "NOCODE"  # what lists show where no code was entered, also while somebody still works


def short(submission: SimSubmission, state: SandboxState) -> Body:
    """Build a list's row: ``participant_id`` and ``study_code``, and no study id."""
    return {
        "id": submission.id,
        "participant_id": submission.participant_id,
        "status": submission.status.value,
        "started_at": in_list(submission.started_at),
        "completed_at": in_list(submission.completed_at),
        "is_complete": submission.completed_at is not None,
        "time_taken": submission.time_taken,
        "reward": state.studies[submission.study_id].body["reward"],
        "study_code": submission.entered_code or NO_CODE,
        "has_siblings": False,
        "return_requested": in_list(submission.return_requested),
        "bonus_payments": [],
        "ip": "",
        "strata": {},
        "star_awarded": False,
    }


def transitioned(submission: SimSubmission) -> Body:
    """Build the reply to a transition: the detail's names, fewer fields."""
    return {
        "id": submission.id,
        "study_id": submission.study_id,
        "participant": submission.participant_id,
        "status": submission.status.value,
        "started_at": in_detail(submission.started_at),
        "completed_at": in_detail(submission.completed_at),
        "entered_code": submission.entered_code,
    }


def detail(submission: SimSubmission, state: SandboxState) -> Body:
    return transitioned(submission) | {
        "parent_study_id": state.studies[submission.study_id].parent_id,
        "bonus_payments": [],
        "return_requested": in_detail(submission.return_requested),
    }


def return_requested(submission: SimSubmission, quirks: Quirks) -> Body:
    status = Status.RETURNED if quirks.answers_returned else submission.status
    return {
        "id": submission.id,
        "status": status.value,
        "participant": submission.participant_id,
        "return_requested": in_detail(submission.return_requested),
    }


def counts(state: SandboxState, study_id: str) -> Body:
    by_status = state.counts(study_id)
    named = [status for status in Status if status not in (Status.PROCESSING, Status.UNKNOWN)]
    return {status.value: by_status[status] for status in named} | {"TOTAL": by_status.total()}


def study_detail(study: SimStudy, state: SandboxState, url: URL) -> Body:
    """Build a study's detail; ``url`` is any of the sandbox's, to which its links are absolute."""
    itself = url.replace(path=f"/api/v1/studies/{study.id}/", query="")
    links = {
        "self": {"href": str(itself), "title": "Study"},
        "related": {"href": f"{itself}submissions/", "title": "Submissions"},
    }
    extra = {"average_reward_per_hour": _reward_per_hour(study, state), "_links": links}
    return study.body | _places(study, state) | extra


def study_short(study: SimStudy, state: SandboxState) -> Body:
    kept = ("id", "name", "internal_name", "status", "estimated_completion_time", "total_available_places")
    dates = ("date_created", "published_at")
    return {key: study.body[key] for key in (*kept, "reward", "study_type", *dates)} | _places(study, state)


def _places(study: SimStudy, state: SandboxState) -> Body:
    by_status = state.counts(study.id)
    free = by_status[Status.RETURNED] + by_status[Status.TIMED_OUT]
    return {"number_of_submissions": by_status.total(), "places_taken": by_status.total() - free}


def _reward_per_hour(study: SimStudy, state: SandboxState) -> float | None:
    """Return minor units per hour of the average time taken, or of the estimate without submissions.

    None for a study that shows no reward.
    """
    if study.body["reward"] is None:
        return None
    taken = [one.time_taken for one in state.of_study(study.id) if one.time_taken]
    seconds = sum(taken) / len(taken) if taken else study.body["estimated_completion_time"] * 60
    return round(study.reward * 3600 / seconds, 2)


def workspace_short(workspace_id: str, state: SandboxState) -> Body:
    title = state.workspaces[workspace_id]
    return {"id": workspace_id, "title": title, "description": "", "owner": USER["id"], "users": [MEMBER]}


def workspace(workspace_id: str, state: SandboxState) -> Body:
    owned = [project(one) for one, owner in state.projects.items() if owner == workspace_id]
    return workspace_short(workspace_id, state) | {"projects": owned, "naivety_distribution_rate": None}


def project(project_id: str) -> Body:
    body = {"id": project_id, "title": "Project", "description": "", "owner": USER["id"], "users": [MEMBER]}
    return body | {"type": "PRIVATE", "public_details": None, "naivety_distribution_rate": None}


def subscription(known: Subscription) -> Body:
    return {
        "id": known.id,
        "event_type": known.event_type,
        "target_url": known.target_url,
        "is_enabled": known.is_enabled,
        "workspace_id": known.workspace_id,
    }


def event(known: Event) -> Body:
    return {
        "id": known.id,
        "datetime_created": in_list(known.created),
        "datetime_updated": in_list(known.updated),
        "event_type": known.event_type,
        "resource_id": known.resource_id,
        "status": known.status.value,
        "target_url": known.target_url,
        "payload": known.payload,
    }


def message(known: SimMessage, style: MessageStyle) -> Body:
    created = in_list(known.created)
    times: dict[MessageStyle, Body] = {
        MessageStyle.LIVE: {"datetime_created": created},
        MessageStyle.SPEC: {"sent_at": created},
        MessageStyle.TIMELESS: {"datetime_created": None, "sent_at": None},
    }
    about = {"study_id": known.study_id, "category": known.category}
    return {
        "id": known.id,
        "sender_id": known.sender_id,
        "body": known.body,
        "type": "message",
        "channel_id": known.channel_id,
        "data": {name: value for name, value in about.items() if value is not None},
    } | times[style]


def unread_message(known: SimMessage, style: MessageStyle) -> Body:
    """Build a row of the unread, which name their sender otherwise than the list of all."""
    body = message(known, style)
    if style is not MessageStyle.SPEC:
        body["sender"] = body["sender_id"]
    if style is MessageStyle.LIVE:
        del body["sender_id"]
    return body


def balance(state: SandboxState) -> Body:
    left = state.funds
    parts = {"rewards": left, "fees": 0, "vat": 0}
    return {
        "currency_code": CURRENCY,
        "total_balance": left,
        "balance_breakdown": parts,
        "available_balance": left,
        "available_balance_breakdown": parts,
    }


def call(known: Call) -> Body:
    return {
        "at": in_list(known.at),
        "method": known.method,
        "path": known.path,
        "body": known.body,
        "submission_ids": list(known.submission_ids),
        "status_code": known.status_code,
        "answer": known.answer,
        "affected": list(known.affected),
    }


def everything(submission: SimSubmission, state: SandboxState) -> Body:
    """Build the fields that only the control routes show."""
    history = [
        {"at": in_list(change.at), "status": change.status.value, "by": change.by.value}
        for change in submission.history
    ]
    return detail(submission, state) | {
        "time_taken": submission.time_taken,
        "kind": submission.kind,
        "deserves": submission.deserves,
        "history": history,
        "calls": [call(known) for known in state.calls_for(submission.id)],
    }
