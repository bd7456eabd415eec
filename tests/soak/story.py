"""What happened to one submission, in the order of time, for a person who asks why."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tests.soak.cast import deserts
from tests.soak.judge import Case, Finding

Line = tuple[datetime, str, str]


def story(case: Case, findings: list[Finding]) -> str:
    submission, deserved = case.submission, deserts(case.submission)
    head = (
        f"submission {submission.id} ({submission.kind}, answers to return after "
        f"{submission.answer_to_return.after}): is {submission.status}, deserves {deserved.status}"
    )
    lines = sorted((*_prolific(case), *_database(case)), key=lambda line: line[0])
    return "\n".join(
        (
            head,
            *(f"  {finding.fault.upper()}: {finding.why}" for finding in findings),
            *(f"    {at:%H:%M:%S.%f}  {who:10} {what}" for at, who, what in lines),
            *(f"    left in the queue: {_short(job)}" for job in case.stored.jobs),
        )
    )


def _prolific(case: Case) -> Iterator[Line]:
    for change in case.submission.history:
        yield change.at, "Prolific", f"{change.status} by {change.by}"
    for call in case.calls:
        effect = "took effect" if case.submission.id in call.affected else "changed nothing"
        what = f"{call.path.split('/')[-2]} {_short(call.body)} answered {call.status_code}, {effect}"
        yield call.at, "call", what


def _database(case: Case) -> Iterator[Line]:
    for event in case.stored.events:
        yield (
            event["received_at"],
            "event",
            f"{event['status']} {event['event_id']} handled {event['handled_at']}",
        )
    for said in case.stored.evidence:
        yield said["received_at"], "evidence", f"{said['source']} handled {said['handled_at']}"
    for decision in case.stored.decisions:
        what = f"{decision['id']} {decision['trigger']}: {decision['outcome']} guard {decision['guard']} "
        yield decision["decided_at"], "decision", f"{what}rule {decision['rule']}: {decision['status']}"
    for attempt in case.stored.attempts:
        what = f"at {attempt['decision_id']}: {_short(attempt['request'])}"
        yield attempt["at"], "attempt", what
        if attempt["answered_at"]:
            answer = f"{attempt['status']} {attempt['status_code']} {_short(attempt['answer'])}"
            yield attempt["answered_at"], "answer", f"to {attempt['decision_id']}: {answer}"


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 200 else f"{text[:200]}…"
