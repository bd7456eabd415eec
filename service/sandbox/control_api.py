"""The sandbox's own routes under ``/sandbox``, for tests and for what Prolific has no endpoint for."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from starlette.routing import Route

from service.domain.submission import Status
from service.sandbox import bodies
from service.sandbox.answers import Answer, Refusal, invalid, not_found, required
from service.sandbox.endpoint import Ask, Endpoints
from service.sandbox.messages import CATEGORIES
from service.sandbox.model import Body, By, ReturnAnswer, SimSubmission
from service.sandbox.state import SandboxState
from service.sandbox.times import to_milliseconds

WORKING = (Status.RESERVED, Status.ACTIVE)


class ControlApi:
    """The control routes. ``in_delivery`` returns how many events are still to be delivered or retried."""

    def __init__(self, state: SandboxState, in_delivery: Callable[[], int]) -> None:
        self._state = state
        self._in_delivery = in_delivery

    def routes(self, endpoints: Endpoints) -> list[Route]:
        at, one = endpoints.at, "/sandbox/submissions/{submission_id}/"
        return [
            *at("/sandbox/state/", {"GET": self.everything}),
            *at("/sandbox/ledger/", {"GET": self.ledger}),
            *at("/sandbox/studies/", {"POST": self.add_study}),
            *at("/sandbox/submissions/", {"GET": self.submissions, "POST": self.add_submission}),
            *at("/sandbox/messages/", {"POST": self.write_message}),
            *at(one, {"GET": self.submission}),
            *at(one + "status/", {"POST": self.set_status}),
            *at(one + "link/", {"GET": self.link}),
            *at("/sandbox/keys/", {"POST": self.rotate_keys}),
            *at("/.well-known/study/jwks.json", {"GET": self.keys}),
        ]

    def everything(self, _: Ask) -> Answer:
        studies = [
            {"id": study.id, "name": study.name, "counts": bodies.counts(self._state, study.id)}
            for study in self._state.studies.values()
        ]
        return Answer(
            {
                "studies": studies,
                "submissions": len(self._state.submissions),
                "calls": len(self._state.calls),
                "events": self._state.hooks.count_events(),
                "in_delivery": self._in_delivery(),
            }
        )

    def ledger(self, ask: Ask) -> Answer:
        """List the mutating calls, and count per submission those that changed something."""
        submission_id = ask.query.get("submission")
        calls = self._state.calls_for(submission_id) if submission_id else self._state.calls
        effects = Counter(one for call in calls for one in call.affected)
        return Answer({"results": [bodies.call(call) for call in calls], "effects": effects})

    def add_study(self, ask: Ask) -> Answer:
        try:
            study = self._state.add_study(ask.body)
        except (TypeError, ValueError, AttributeError) as error:
            raise Refusal(400, f"Not a study: {error}") from None
        return Answer(bodies.study_detail(study, self._state, ask.url), 201)

    def submissions(self, _: Ask) -> Answer:
        found = [bodies.everything(one, self._state) for one in self._state.submissions.values()]
        return Answer({"results": found})

    def submission(self, ask: Ask) -> Answer:
        return Answer(bodies.everything(self._submission(ask), self._state))

    def link(self, ask: Ask) -> Answer:
        """Return the signed study link of a submission, as its participant opens it now."""
        one = self._submission(ask)
        study = self._state.studies[one.study_id]
        url = str(study.body["external_study_url"])
        url = url.replace("{{%PROLIFIC_PID%}}", one.participant_id).replace("{{%SESSION_ID%}}", one.id)
        token = self._state.links.token(one.id, one.study_id, one.participant_id, url)
        return Answer({"url": f"{url}&prolific_token={token}", "token": token})

    def keys(self, _: Ask) -> Answer:
        return Answer(self._state.links.published())

    def rotate_keys(self, _: Ask) -> Answer:
        self._state.links.rotate()
        return Answer(self._state.links.published())

    def add_submission(self, ask: Ask) -> Answer:
        """Make a submission in any status; ``notify: false`` is a webhook that never comes."""
        study_id = required(ask.body, "study_id")
        if study_id not in self._state.studies:
            raise not_found(f"Study with id {study_id}")
        status, times = _status(ask.body, Status.AWAITING_REVIEW), _times(ask.body)
        taken, answer_to_return = _time_taken(ask.body), _answer_to_return(ask.body)
        submission = self._state.reserve(
            study_id, ask.body.get("participant_id"), submission_id=ask.body.get("id"), notify=False
        )
        submission.answer_to_return = answer_to_return
        self._set_times(submission, status, times, taken, ask.body)
        self._state.change(submission, status, By.PARTICIPANT, notify=_notify(ask.body))
        return Answer(bodies.everything(submission, self._state), 201)

    def set_status(self, ask: Ask) -> Answer:
        """Change a status as a colleague, the participant or Prolific would."""
        submission, status = self._submission(ask), _status(ask.body, None)
        if submission.completed_at is None and status not in WORKING:
            self._set_times(submission, status, {}, _time_taken(ask.body), ask.body)
        self._state.meddle(submission, status, notify=_notify(ask.body))
        return Answer(bodies.everything(submission, self._state))

    def write_message(self, ask: Ask) -> Answer:
        """Let a participant write to the researcher, now or at ``created_at``."""
        participant_id, text = required(ask.body, "participant_id"), required(ask.body, "body")
        study_id, category = ask.body.get("study_id"), ask.body.get("category")
        if study_id is not None and study_id not in self._state.studies:
            raise not_found(f"Study with id {study_id}")
        if category not in (None, *CATEGORIES):
            raise invalid("category", f"One of {', '.join(CATEGORIES)} is expected.")
        at = _times(ask.body).get("created_at")
        written = self._state.write_message(participant_id, study_id, text, category=category, at=at)
        return Answer(bodies.message(written, self._state.messages.style), 201)

    def _set_times(
        self,
        submission: SimSubmission,
        status: Status,
        times: dict[str, datetime],
        taken: int | None,
        body: Body,
    ) -> None:
        """Fit the times to each other: a start, and the time taken until now or a given completion."""
        end = times.get("completed_at", self._state.clock())
        if "started_at" in times:
            submission.started_at = times["started_at"]
        elif taken is not None:
            submission.started_at = end - timedelta(seconds=taken)
        if status not in WORKING:
            span = round((end - submission.started_at).total_seconds())
            self._state.finish(submission, body.get("entered_code"), span if taken is None else taken)

    def _submission(self, ask: Ask) -> SimSubmission:
        submission = self._state.submissions.get(ask.path["submission_id"])
        if submission is None:
            raise not_found(f"Submission with id {ask.path['submission_id']}")
        return submission


def _notify(body: Body) -> bool:
    return body.get("notify", True) is not False


def _status(body: Body, default: Status | None) -> Status:
    text: Any = body.get("status", default)
    status = Status.parse(text) if isinstance(text, str) else Status.UNKNOWN
    if status is Status.UNKNOWN:
        raise invalid("status", f'"{text}" is not a valid choice.')
    return status


def _times(body: Body) -> dict[str, datetime]:
    times: dict[str, datetime] = {}
    for name in ("started_at", "completed_at", "created_at"):
        if name in body:
            try:
                moment = datetime.fromisoformat(body[name])
            except (TypeError, ValueError):
                raise invalid(name, "An ISO 8601 time is expected.") from None
            if moment.tzinfo is None:
                raise invalid(name, "The time needs an offset.")
            times[name] = to_milliseconds(moment)
    return times


def _time_taken(body: Body) -> int | None:
    taken = body.get("time_taken")
    if taken is None or (isinstance(taken, int) and not isinstance(taken, bool) and taken >= 0):
        return taken
    raise invalid("time_taken", "A whole number of seconds is expected.")


def _answer_to_return(body: Body) -> ReturnAnswer:
    """Read ``returns_after``: 0 for at once, simulated seconds, or null for never."""
    after = body.get("returns_after")
    if after is not None and (isinstance(after, bool) or not isinstance(after, int | float) or after < 0):
        raise invalid("returns_after", "A number of seconds or null is expected.")
    return ReturnAnswer(after)
