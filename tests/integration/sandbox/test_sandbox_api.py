"""The sandbox over HTTP, through the real client where it has a method."""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest

from service.domain.decision import Complete, Reject
from service.domain.submission import Status
from service.prolific import Prolific, SubmissionFilter, action_request
from service.prolific.errors import BadRequest, NotFound, Unauthorised
from service.sandbox.model import ReturnAnswer, SimSubmission
from service.sandbox.state import SandboxState
from service.sandbox.studies import STROOP, TWO_PARTS

Until = Callable[[Callable[[], bool]], Awaitable[None]]
APPROVE = {"action": "APPROVE"}
MESSAGE = (
    "You missed two of the attention checks; each asked for one particular answer, as its own text had said."
)


def awaiting(state: SandboxState, study_id: str = STROOP, code: str | None = "C0L0UR12") -> SimSubmission:
    submission = state.reserve(study_id)
    state.start(submission)
    state.complete(submission, code, time_taken=600)
    return submission


async def test_list_and_detail_of_a_submission_agree(
    prolific: Prolific, http: httpx.AsyncClient, state: SandboxState
) -> None:
    submission = awaiting(state, code=None)
    raw = (await http.get(f"/api/v1/submissions/{submission.id}/")).json()
    page = await prolific.page(SubmissionFilter(study=STROOP))
    row = page.rows[0]
    assert raw["participant"] == row["participant_id"] == submission.participant_id
    assert (raw["entered_code"], row["study_code"]) == (None, "NOCODE")
    assert "study_id" not in row
    assert raw["started_at"] != row["started_at"]  # milliseconds and microseconds
    detail = await prolific.submission(submission.id)
    assert (detail.started_at, detail.completed_at) == (submission.started_at, submission.completed_at)
    assert page.results[0].started_at == detail.started_at
    assert page.results[0].time_taken == 600


async def test_wrong_token_is_refused_except_at_control_routes(
    base_url: str, http: httpx.AsyncClient
) -> None:
    async with Prolific(base_url, lambda: "wrong") as prolific:
        with pytest.raises(Unauthorised):
            await prolific.me()
    assert (await http.get("/sandbox/state/", headers={"Authorization": ""})).status_code == 200


async def test_path_accepts_a_missing_trailing_slash(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/v1/users/me")).status_code == 200
    assert (await http.get("/api/v1/no/such/path")).json() == {"detail": "Not Found."}
    assert (await http.delete("/api/v1/users/me/")).status_code == 405


# Transitions


async def test_completion_code_leads_to_its_status(prolific: Prolific, state: SandboxState) -> None:
    study = await prolific.study(TWO_PARTS)
    half = Complete(code_type="PARTIAL_PAYMENT", percentage_of_reward=50, message_to_participant="Thank you.")
    for action, status in (
        (half, Status.PARTIALLY_APPROVED),
        (Complete(code_type="SCREENED_OUT_PAYMENT"), Status.SCREENED_OUT),
    ):
        submission, request = awaiting(state, TWO_PARTS), action_request(action, study)
        assert request is not None
        assert (await prolific.transition(submission.id, request["body"])).status is status


async def test_completion_code_for_manual_review_keeps_the_status(
    prolific: Prolific, state: SandboxState
) -> None:
    codes = [
        {"code": "LOOK", "code_type": "A", "actor": "researcher"},
        {
            "code": "PAY",
            "code_type": "B",
            "actor": "researcher",
            "actions": [{"action": "AUTOMATICALLY_APPROVE"}],
        },
    ]
    study = state.add_study({"completion_codes": codes})
    submission = awaiting(state, study.id)
    for code, status in (("LOOK", Status.AWAITING_REVIEW), ("PAY", Status.APPROVED)):
        body = {"action": "COMPLETE", "completion_code": code}
        assert (await prolific.transition(submission.id, body)).status is status


async def test_repeated_transition_has_the_same_response_and_no_effect(
    prolific: Prolific, state: SandboxState
) -> None:
    submission = awaiting(state)
    first = await prolific.transition(submission.id, APPROVE)
    assert await prolific.transition(submission.id, APPROVE) == first
    assert [change.status for change in submission.history].count(Status.APPROVED) == 1
    assert [call.affected for call in state.calls] == [(submission.id,), ()]


async def test_other_transition_after_a_final_status_is_refused(
    prolific: Prolific, state: SandboxState
) -> None:
    submission = awaiting(state)
    await prolific.transition(submission.id, APPROVE)
    request = action_request(Reject("FAILED_CHECK", MESSAGE), await prolific.study(STROOP))
    assert request is not None
    with pytest.raises(BadRequest, match="APPROVED"):
        await prolific.transition(submission.id, request["body"])
    assert submission.status is Status.APPROVED


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.AWAITING_REVIEW, Status.UNKNOWN}))
async def test_transition_is_refused_unless_the_submission_awaits_review(
    status: Status, near_prolific: Prolific, state: SandboxState
) -> None:
    submission = awaiting(state)
    submission.status = status
    with pytest.raises(BadRequest):
        await near_prolific.transition(submission.id, APPROVE)
    with pytest.raises(BadRequest):
        await near_prolific.request_return(submission.id, ["Please."])


def complete(code: str, **data: Any) -> dict[str, Any]:
    return {"action": "COMPLETE", "completion_code": code, **({"completion_code_data": data} if data else {})}


REJECT = {"action": "REJECT", "rejection_category": "OTHER", "message": MESSAGE}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "action: This field is required."),
        ({"action": "UNREJECT"}, "not available here"),
        (REJECT | {"message": "m" * 99}, "message: Ensure this field has at least 100 characters."),
        (REJECT | {"message": "m" + " " * 100}, "at least 100 characters"),
        (REJECT | {"rejection_category": "FAILED_ATTENTION"}, "FAILED_ATTENTION"),
        (
            {"action": "REJECT"},
            "message: This field is required.; rejection_category: This field is required.",
        ),
        (complete("N0SUCH"), "none of the study's codes"),
        (complete("B0THPART"), "none of the study's codes"),  # a participant's
        (complete("PAYPART7"), "percentage_of_reward: This field is required."),
        (complete("PAYPART7", percentage_of_reward=7.9), "between 8 and 99"),
        (complete("PAYPART7", percentage_of_reward=100), "between 8 and 99"),
        (complete("PAYPART7", percentage_of_reward="50"), "A valid number"),
        (complete("PAYPART7", percentage_of_reward=True), "A valid number"),
    ],
)
async def test_invalid_transition_is_refused_with_the_field(
    body: dict[str, Any], says: str, near_prolific: Prolific, state: SandboxState
) -> None:
    submission = awaiting(state, TWO_PARTS)
    with pytest.raises(BadRequest) as refused:
        await near_prolific.transition(submission.id, body)
    assert says in refused.value.detail
    assert submission.status is Status.AWAITING_REVIEW


async def test_reopened_submission_can_be_decided_again(
    prolific: Prolific, http: httpx.AsyncClient, state: SandboxState
) -> None:
    submission = awaiting(state)
    await prolific.transition(submission.id, REJECT)
    await http.post(f"/sandbox/submissions/{submission.id}/status/", json={"status": "AWAITING REVIEW"})
    assert (await prolific.transition(submission.id, APPROVE)).status is Status.APPROVED


async def test_completion_code_may_approve_automatically(state: SandboxState) -> None:
    code = {"code": "PAID", "code_type": "COMPLETED", "actions": [{"action": "AUTOMATICALLY_APPROVE"}]}
    study = state.add_study({"completion_codes": [code]})
    assert awaiting(state, study.id, "PAID").status is Status.APPROVED
    assert awaiting(state, study.id, "OTHER").status is Status.AWAITING_REVIEW


# Requests to return


async def test_participant_returns_at_once_later_or_never(
    prolific: Prolific, state: SandboxState, until: Until
) -> None:
    at_once, later, never = (awaiting(state) for _ in range(3))
    at_once.answer_to_return, later.answer_to_return = ReturnAnswer(0), ReturnAnswer(600)
    asked = [await prolific.request_return(s.id, ["Please."]) for s in (at_once, later, never)]
    assert [a.status for a in asked] == [Status.RETURNED, Status.AWAITING_REVIEW, Status.AWAITING_REVIEW]
    await until(lambda: later.status is Status.RETURNED)
    assert never.status is Status.AWAITING_REVIEW
    assert (await prolific.submission(never.id)).return_requested_at == asked[2].return_requested_at


async def test_second_request_to_return_is_refused(prolific: Prolific, state: SandboxState) -> None:
    submission = awaiting(state)
    await prolific.request_return(submission.id, ["Please."])
    with pytest.raises(BadRequest, match="already been requested"):
        await prolific.request_return(submission.id, ["Please."])


@pytest.mark.parametrize("reasons", [[], [""], [" "]])
async def test_request_to_return_requires_reasons(
    reasons: list[str], near_prolific: Prolific, state: SandboxState
) -> None:
    with pytest.raises(BadRequest):
        await near_prolific.request_return(awaiting(state).id, reasons)


async def test_decided_participant_does_not_return_later(
    prolific: Prolific, state: SandboxState, until: Until
) -> None:
    first, second = awaiting(state), awaiting(state)
    for submission, after in ((first, 80_000.0), (second, 90_000.0)):
        submission.answer_to_return = ReturnAnswer(after)
        await prolific.request_return(submission.id, ["Please."])
    await prolific.transition(first.id, APPROVE)
    await until(lambda: second.status is Status.RETURNED)
    assert first.status is Status.APPROVED


# Bulk approval


async def test_bulk_approval_is_delayed_and_skips_decided_submissions(
    prolific: Prolific, state: SandboxState, until: Until
) -> None:
    waiting, returned = awaiting(state), awaiting(state)
    state.give_back(returned)
    await prolific.bulk_approve([waiting.id, returned.id])
    await until(lambda: waiting.status is Status.APPROVED)
    assert returned.status is Status.RETURNED
    assert state.calls[0].affected == (waiting.id,)


async def test_bulk_approval_accepts_a_study_and_participants(
    http: httpx.AsyncClient, state: SandboxState, until: Until
) -> None:
    submission = awaiting(state)
    body = {"study_id": STROOP, "participant_ids": [submission.participant_id]}
    assert (
        await http.post("/api/v1/submissions/bulk-approve/", json=body)
    ).json() == "Bulk approve in progress."
    await until(lambda: submission.status is Status.APPROVED)


async def test_bulk_approval_of_unknown_ids_is_refused_naming_them(prolific: Prolific) -> None:
    with pytest.raises(BadRequest, match="none-such"):
        await prolific.bulk_approve(["none-such"])


# Lists

DAYS = {
    Status.ACTIVE: None,
    Status.TIMED_OUT: None,
    Status.RETURNED: None,
    Status.AWAITING_REVIEW: 1,
    Status.APPROVED: 2,
    Status.PARTIALLY_APPROVED: 3,
    Status.REJECTED: 4,
    Status.SCREENED_OUT: 5,
}


@pytest.fixture
def one_of_each(state: SandboxState) -> None:
    """Create one submission in each status, each completed on another day of May, started in the order of ``DAYS``."""
    for hour, (status, day) in enumerate(DAYS.items()):
        submission = state.reserve(STROOP)
        submission.started_at = datetime(2026, 4, 30, hour, tzinfo=UTC)
        submission.completed_at = datetime(2026, 5, day, 12, tzinfo=UTC) if day else None
        submission.status = status


DECIDED = [Status.APPROVED, Status.PARTIALLY_APPROVED, Status.REJECTED, Status.SCREENED_OUT]
COMPLETED = [Status.AWAITING_REVIEW, *DECIDED]


def without(*statuses: Status) -> list[Status]:
    return [status for status in DAYS if status not in statuses]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, list(DAYS)),
        *(({"status": status}, [status]) for status in DAYS),
        ({"status": "awaiting review"}, [Status.AWAITING_REVIEW]),
        ({"completed": True}, COMPLETED),
        ({"completed": False}, [Status.ACTIVE, Status.TIMED_OUT, Status.RETURNED]),
        ({"returned": True}, [Status.RETURNED]),
        ({"returned": False}, without(Status.RETURNED)),
        ({"awaiting_review": True}, [Status.AWAITING_REVIEW]),
        ({"awaiting_review": False}, without(Status.AWAITING_REVIEW)),
        ({"approved": True}, [Status.APPROVED]),
        ({"approved": False}, without(Status.APPROVED)),
        ({"active": True}, [Status.ACTIVE]),
        ({"active": False}, without(Status.ACTIVE)),
        ({"timeout": True}, [Status.TIMED_OUT]),
        ({"timeout": False}, without(Status.TIMED_OUT)),
        ({"rejected": True}, [Status.REJECTED]),
        ({"rejected": False}, without(Status.REJECTED)),
        ({"screened_out": True}, [Status.SCREENED_OUT]),
        ({"screened_out": False}, without(Status.SCREENED_OUT)),
        ({"completeoractive": True}, [Status.ACTIVE, *COMPLETED]),
        ({"completeoractive": False}, [Status.TIMED_OUT, Status.RETURNED]),
        ({"submitted_from": date(2026, 5, 3)}, COMPLETED[2:]),
        ({"submitted_before": date(2026, 5, 3)}, COMPLETED[:2]),
        ({"submitted_from": date(2026, 5, 2), "submitted_before": date(2026, 5, 4)}, COMPLETED[1:3]),
        ({"completed": True, "approved": False}, without(*list(DAYS)[:3], Status.APPROVED)),
        ({"ordering": "started_at"}, list(DAYS)),
        ({"ordering": "-started_at"}, list(reversed(DAYS))),
        ({"ordering": "submission_reward"}, list(DAYS)),
        ({"ordering": "-study_name"}, list(DAYS)),
    ],
)
@pytest.mark.usefixtures("one_of_each")
async def test_list_applies_every_filter(
    wanted: dict[str, Any], found: list[Status], near_prolific: Prolific
) -> None:
    listed = [
        s.status
        async for s in near_prolific.submissions(SubmissionFilter(study=STROOP, page_size=3, **wanted))
    ]
    assert listed == found


@pytest.mark.usefixtures("one_of_each")
async def test_list_ends_with_a_null_link_and_404_past_the_last_page(prolific: Prolific) -> None:
    last = await prolific.page(SubmissionFilter(study=STROOP, page_size=4, page=2))
    assert (len(last.results), last.next) == (4, False)
    with pytest.raises(NotFound):
        await prolific.page(SubmissionFilter(study=STROOP, page_size=4, page=3))
    empty = await prolific.page(SubmissionFilter(study=TWO_PARTS))
    assert (empty.results, empty.next) == ((), False)


@pytest.mark.usefixtures("one_of_each")
async def test_list_has_20_rows_per_page_by_default(prolific: Prolific, state: SandboxState) -> None:
    for _ in range(20):
        state.reserve(STROOP)
    assert len((await prolific.page(SubmissionFilter(study=STROOP))).results) == 20


@pytest.mark.parametrize(
    "query",
    [
        "",
        "study=none-such",
        "page=0",
        "page_size=0",
        "page=one",
        "ordering=colour",
        "status=PONDERED",
        "approved=si",
        "submitted_from=2026-05-01",
        "submitted_before=31/02/2026",
    ],
)
async def test_invalid_query_is_refused(query: str, near_http: httpx.AsyncClient) -> None:
    study = "" if query in ("", "study=none-such") else f"study={STROOP}&"
    assert (await near_http.get(f"/api/v1/submissions/?{study}{query}")).status_code in (400, 404)


async def test_list_of_a_study_respects_limit_and_offset(
    http: httpx.AsyncClient, state: SandboxState
) -> None:
    ids = [awaiting(state).participant_id for _ in range(5)]
    url, seen = f"/api/v1/studies/{STROOP}/submissions/?limit=2&ordering=-participant_id", list[str]()
    while url:
        body = (await http.get(url)).json()
        seen += [row["participant_id"] for row in body["results"]]
        url = body["_links"]["next"]["href"]
    assert seen == sorted(ids, reverse=True)


@pytest.mark.usefixtures("one_of_each")
async def test_counts_and_list_of_a_study_agree(prolific: Prolific, http: httpx.AsyncClient) -> None:
    counts = await prolific.counts(STROOP)
    assert counts == {status: int(status in DAYS) for status in Status if status in counts} | {"TOTAL": 8}
    studies = (await http.get("/api/v1/studies/?state=(active|completed)")).json()["results"]
    assert [(s["id"], s["number_of_submissions"]) for s in studies] == [(STROOP, 8), (TWO_PARTS, 0)]
    assert (await http.get("/api/v1/studies/?state=(completed)")).json()["results"] == []


# Control routes


async def test_ledger_lists_mutating_calls_and_changes_per_submission(
    prolific: Prolific, http: httpx.AsyncClient, state: SandboxState
) -> None:
    first, second = awaiting(state), awaiting(state)
    await prolific.transition(first.id, APPROVE)
    await prolific.transition(first.id, APPROVE)
    with pytest.raises(BadRequest):
        await prolific.transition(second.id, {"action": "REJECT"})
    await prolific.submission(first.id)
    ledger = (await http.get("/sandbox/ledger/")).json()
    assert [call["status_code"] for call in ledger["results"]] == [200, 200, 400]
    assert ledger["results"][0]["body"] == APPROVE
    assert ledger["effects"] == {first.id: 1}
    of_second = (await http.get(f"/sandbox/ledger/?submission={second.id}")).json()
    assert [call["path"] for call in of_second["results"]] == [f"/api/v1/submissions/{second.id}/transition/"]


async def test_control_routes_create_and_show_studies_and_submissions(
    prolific: Prolific, http: httpx.AsyncClient
) -> None:
    study = (await http.post("/sandbox/studies/", json={"name": "Mine", "reward": 99})).json()
    wanted = {"study_id": study["id"], "id": "5ub", "time_taken": 300, "entered_code": "C0MPL3TE"}
    made = await http.post("/sandbox/submissions/", json=wanted)
    assert made.status_code == 201
    submission = await prolific.submission("5ub")
    assert submission.status is Status.AWAITING_REVIEW
    assert submission.completed_at is not None
    assert submission.started_at is not None
    assert (submission.completed_at - submission.started_at).total_seconds() == 300
    changed = await http.post("/sandbox/submissions/5ub/status/", json={"status": "returned"})
    assert [change["by"] for change in changed.json()["history"]] == [
        "participant",
        "participant",
        "somebody",
    ]
    assert (await http.get("/sandbox/state/")).json()["submissions"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "PONDERED"},
        {"time_taken": -1},
        {"started_at": "soon"},
        {"completed_at": "2026-01-01T00:00:00"},
        {"returns_after": "soon"},
        {"study_id": "none-such"},
        {"study_id": None},
    ],
)
async def test_invalid_control_call_changes_nothing(
    wrong: dict[str, Any], near_http: httpx.AsyncClient, state: SandboxState
) -> None:
    response = await near_http.post("/sandbox/submissions/", json={"study_id": STROOP} | wrong)
    assert response.status_code in (400, 404)
    assert not state.submissions


@pytest.mark.parametrize("raw", [b"{", b"[]", b"[" * 100_000, b"\xff"])
async def test_body_that_is_no_json_object_is_refused(
    raw: bytes, near_http: httpx.AsyncClient, state: SandboxState
) -> None:
    response = await near_http.post(f"/api/v1/submissions/{awaiting(state).id}/transition/", content=raw)
    assert response.status_code == 400
