"""The soak in small, and that its judge sees what it is there to see."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.domain.submission import Status
from service.sandbox.model import Call, SimSubmission
from tests.soak.judge import Case, Fault, judge
from tests.soak.sources import Stored

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
APPROVE = {"action": "APPROVE"}


def call(body: Any = APPROVE, *, took_effect: bool = True) -> Call:
    return Call(NOW, "POST", "/api/v1/submissions/s/transition/", body, ("s",), 200, {}, ("s",) * took_effect)


def decision(status: str = "applied", outcome: str = "approve", guard: str | None = None) -> dict[str, Any]:
    return {"id": 1, "outcome": outcome, "status": status, "guard": guard}


def case(
    *calls: Call,
    status: Status = Status.APPROVED,
    decisions: tuple[dict[str, Any], ...] = (decision(),),
    deserves: str = "approve",
    in_inbox: bool = True,
    told: tuple[dict[str, Any], ...] | None = None,
) -> Case:
    submission = SimSubmission("s", "study", "participant", NOW, status, kind="careful", deserves=deserves)
    events = [{"event_id": "e", "handled_at": NOW}] if in_inbox else []
    stored = Stored(list(decisions), events=events)
    api = {"decisions": list(decisions if told is None else told), "events": events}
    return Case(submission, list(calls), ["e"], stored, api)


HELD = (decision("held", "hold", "undecidable"),)
WAITING = (decision("held", "hold", "waiting"),)
REJECT = {"action": "REJECT"}


@pytest.mark.parametrize(
    "fine",
    [
        pytest.param(case(call()), id="approved once"),
        pytest.param(
            case(call(), call(took_effect=False)), id="the same request again, which changed nothing"
        ),
        pytest.param(case(status=Status.AWAITING_REVIEW, deserves="hold", decisions=HELD), id="held"),
    ],
)
def test_the_judge_has_nothing_against_what_is_right(fine: Case) -> None:
    assert judge(fine) == []


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        pytest.param(case(status=Status.AWAITING_REVIEW, decisions=()), Fault.LOST, id="nothing came about"),
        pytest.param(case(call(), in_inbox=False), Fault.LOST, id="an acknowledged event is gone"),
        pytest.param(
            case(status=Status.AWAITING_REVIEW, deserves="hold", decisions=WAITING),
            Fault.LOST,
            id="still waiting",
        ),
        pytest.param(case(call(), call()), Fault.DOUBLED, id="two transitions took effect"),
        pytest.param(
            case(call(), call(REJECT, took_effect=False)), Fault.DOUBLED, id="two different requests"
        ),
        pytest.param(case(call(REJECT), status=Status.REJECTED), Fault.WRONG, id="rejected instead"),
        pytest.param(case(call(), deserves="hold", decisions=HELD), Fault.WRONG, id="held and yet approved"),
        pytest.param(case(call(), decisions=(decision("pending"),)), Fault.WRONG, id="still pending"),
        pytest.param(
            case(call(), decisions=(decision("superseded"),)), Fault.WRONG, id="recorded as not done"
        ),
        pytest.param(case(call(), told=()), Fault.WRONG, id="the API tells otherwise"),
    ],
)
def test_the_judge_sees(bad: Case, fault: Fault) -> None:
    assert fault in {finding.fault for finding in judge(bad)}


@pytest.mark.acceptance
def test_nothing_is_lost_doubled_or_wrong_while_processes_are_killed() -> None:
    soak = [sys.executable, "-m", "tests.soak", "--minutes", "2", "--kills", "20", "--participants", "150"]
    done = subprocess.run(soak, capture_output=True, text=True, timeout=900, check=False, cwd=ROOT)
    told = done.stdout + done.stderr
    assert re.fullmatch(r"events \d{2,}, lost 0, doubled 0, wrong 0", done.stdout.splitlines()[-1]), told
    assert done.returncode == 0, told
