"""The request of each action."""

import pytest

from service.domain.decision import Action, Approve, Complete, Hold, Reject, RequestReturn
from service.domain.submission import CompletionCode, Study
from service.prolific import action_request
from service.prolific.errors import NoSuchCode

STUDY = Study(
    id="s",
    name="n",
    status="ACTIVE",
    estimated_completion_time=10.0,
    maximum_allowed_time=None,
    reward=150,
    total_available_places=10,
    metadata=None,
    completion_codes=(
        CompletionCode("DONE", "COMPLETED"),
        CompletionCode("PART", "PARTIAL_PAYMENT", "researcher", ("DYNAMIC_PAYMENT",)),
        CompletionCode("OUT", "SCREENED_OUT_PAYMENT", "researcher", ("FIXED_SCREEN_OUT_PAYMENT",)),
        CompletionCode("TW1", "TWICE", "researcher", ("MANUALLY_REVIEW",)),
        CompletionCode("TW2", "TWICE", "researcher", ("MANUALLY_REVIEW",)),
        CompletionCode(None, "NAMELESS", "researcher"),
    ),
)


@pytest.mark.parametrize(
    ("action", "body"),
    [
        (Approve(), {"action": "APPROVE"}),
        (
            Reject("FAILED_CHECK", "m" * 100),
            {"action": "REJECT", "rejection_category": "FAILED_CHECK", "message": "m" * 100},
        ),
        (
            Complete(code_type="PARTIAL_PAYMENT", percentage_of_reward=50, message_to_participant="Thanks."),
            {
                "action": "COMPLETE",
                "completion_code": "PART",
                "completion_code_data": {"percentage_of_reward": 50, "message_to_participant": "Thanks."},
            },
        ),
        (
            Complete(code="PART", percentage_of_reward=8.5),
            {
                "action": "COMPLETE",
                "completion_code": "PART",
                "completion_code_data": {"percentage_of_reward": 8.5},
            },
        ),
        (
            Complete(
                code_type="SCREENED_OUT_PAYMENT", message_to_participant="Left out: no dynamic payment."
            ),
            {"action": "COMPLETE", "completion_code": "OUT"},
        ),
        (Complete(code="TW2"), {"action": "COMPLETE", "completion_code": "TW2"}),
    ],
)
def test_each_action_becomes_its_transition(action: Action, body: dict[str, object]) -> None:
    assert action_request(action, STUDY) == {"endpoint": "transition", "body": body}


def test_request_to_return_has_its_own_endpoint() -> None:
    assert action_request(RequestReturn(("Withdrew consent.",)), STUDY) == {
        "endpoint": "request-return",
        "body": {"request_return_reasons": ["Withdrew consent."]},
    }


def test_hold_has_no_request() -> None:
    assert action_request(Hold("look"), STUDY) is None


@pytest.mark.parametrize(
    "action",
    [
        Complete(code_type="NONE_SUCH"),
        Complete(code_type="COMPLETED"),  # a participant's
        Complete(code="DONE"),
        Complete(code_type="TWICE"),
        Complete(code_type="NAMELESS"),
        Complete(),
        Complete(code="PART"),  # pays a share, and none is given
    ],
)
def test_complete_without_exactly_one_researcher_code_is_no_such_code(action: Complete) -> None:
    with pytest.raises(NoSuchCode):
        action_request(action, STUDY)
