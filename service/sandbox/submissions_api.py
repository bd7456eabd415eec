"""The simulated API's endpoints of users, workspaces, studies and submissions."""

from starlette.routing import Route

from service.domain.submission import Status
from service.sandbox import bodies, listing, transitions
from service.sandbox.answers import REQUIRED, Answer, Refusal, invalid, not_found
from service.sandbox.endpoint import Ask, Endpoints
from service.sandbox.model import BULK_APPROVAL_TAKES, Body, SimStudy, SimSubmission
from service.sandbox.state import SandboxState


class SubmissionsApi:
    def __init__(self, state: SandboxState) -> None:
        self._state = state

    def routes(self, endpoints: Endpoints) -> list[Route]:
        at, study, one = endpoints.at, "/studies/{study_id}/", "/submissions/{submission_id}/"
        return [
            *at("/users/me/", {"GET": self.me}),
            *at("/workspaces/", {"GET": self.workspaces}),
            *at("/workspaces/{workspace_id}/", {"GET": self.workspace}),
            *at("/workspaces/{workspace_id}/balance/", {"GET": self.balance}),
            *at("/workspaces/{workspace_id}/projects/", {"GET": self.projects}),
            *at("/projects/{project_id}/studies/", {"GET": self.project_studies}, bare=True),
            *at("/studies/", {"GET": self.studies}, bare=True),
            *at(study, {"GET": self.study}),
            *at(study + "submissions/", {"GET": self.study_submissions}, bare=True),
            *at(study + "submissions/counts/", {"GET": self.counts}, bare=True),
            *at("/submissions/", {"GET": self.submissions}, bare=True),
            *at("/submissions/bulk-approve/", {"POST": self.bulk_approve}, bare=True),
            *at(one, {"GET": self.submission}),
            *at(one + "transition/", {"POST": self.transition}),
            *at(one + "request-return/", {"POST": self.request_return}),
        ]

    def me(self, _: Ask) -> Answer:
        return Answer(self._state.me())

    def workspaces(self, ask: Ask) -> Answer:
        found = [bodies.workspace_short(one, self._state) for one in self._state.workspaces]
        rows, links = listing.slice_of(found, ask.query, ask.url, limit=listing.PAGE_SIZE)
        return Answer({"results": rows, **links})

    def workspace(self, ask: Ask) -> Answer:
        return Answer(bodies.workspace(self._workspace_id(ask), self._state))

    def balance(self, ask: Ask) -> Answer:
        self._workspace_id(ask)
        return Answer(bodies.balance(self._state))

    def projects(self, ask: Ask) -> Answer:
        found = bodies.workspace(self._workspace_id(ask), self._state)["projects"]
        rows, links = listing.slice_of(found, ask.query, ask.url)
        return Answer({"results": rows, **links})

    def project_studies(self, ask: Ask) -> Answer:
        project_id = ask.path["project_id"]
        if project_id not in self._state.projects:
            raise not_found(f"Project with id {project_id}")
        of_project = [one for one in self._state.studies.values() if one.body["project"] == project_id]
        found = listing.ordered(
            of_project, ask.query.get("ordering", "date_created"), listing.study_list_keys()
        )
        return self._study_list(found, ask)

    def studies(self, ask: Ask) -> Answer:
        states = ask.query.get("state", "").strip("()").lower().replace("_", " ")
        wanted = set(states.split("|")) if states else None
        found = [
            study
            for study in self._state.studies.values()
            if wanted is None or str(study.body["status"]).lower() in wanted
        ]
        return self._study_list(found, ask)

    def _study_list(self, found: list[SimStudy], ask: Ask) -> Answer:
        """Return the requested page, or all studies without one."""
        rows, links = listing.page_of(found, ask.query, ask.url, size=max(1, len(found)))
        return Answer({"results": [bodies.study_short(one, self._state) for one in rows], **links})

    def study(self, ask: Ask) -> Answer:
        return Answer(bodies.study_detail(self._study(ask), self._state, ask.url))

    def study_submissions(self, ask: Ask) -> Answer:
        found = self._state.of_study(self._study(ask).id)
        found = listing.ordered(found, ask.query.get("ordering"), listing.study_keys())
        rows, links = listing.slice_of(found, ask.query, ask.url)
        return Answer({"results": [bodies.short(row, self._state) for row in rows], **links})

    def counts(self, ask: Ask) -> Answer:
        return Answer(bodies.counts(self._state, self._study(ask).id))

    def submissions(self, ask: Ask) -> Answer:
        found = listing.listed(self._state, ask.query)
        rows, links = listing.page_of(found, ask.query, ask.url, quirks=self._state.quirks)
        return Answer({"results": [bodies.short(row, self._state) for row in rows], **links})

    def submission(self, ask: Ask) -> Answer:
        return Answer(bodies.detail(self._submission(ask), self._state))

    def transition(self, ask: Ask) -> Answer:
        submission = self._submission(ask)
        transitions.transition(self._state, submission, ask.body)
        return Answer(bodies.transitioned(submission))

    def request_return(self, ask: Ask) -> Answer:
        submission = self._submission(ask)
        transitions.request_return(self._state, submission, ask.body)
        return Answer(bodies.return_requested(submission, self._state.quirks))

    def bulk_approve(self, ask: Ask) -> Answer:
        """Answer at once and approve later, as Prolific does."""
        found = self._named(ask.body)
        self._state.affected.extend(s.id for s in found if s.status is Status.AWAITING_REVIEW)
        self._state.timers.later(BULK_APPROVAL_TAKES, lambda: self._state.approve_all(found))
        ids = tuple(submission.id for submission in found)
        return Answer("Bulk approve in progress.", submission_ids=ids)

    def _named(self, body: Body) -> list[SimSubmission]:
        if "submission_ids" in body:
            known = self._state.submissions
            return _pick(body, "submission_ids", known)
        study_id = body.get("study_id")
        if not isinstance(study_id, str) or study_id not in self._state.studies:
            raise invalid("submission_ids", REQUIRED)
        by_participant = {s.participant_id: s for s in self._state.of_study(study_id)}
        return _pick(body, "participant_ids", by_participant)

    def _workspace_id(self, ask: Ask) -> str:
        workspace_id = ask.path["workspace_id"]
        if workspace_id not in self._state.workspaces:
            raise not_found(f"Workspace with id {workspace_id}")
        return workspace_id

    def _study(self, ask: Ask) -> SimStudy:
        study = self._state.studies.get(ask.path["study_id"])
        if study is None:
            raise not_found(f"Study with id {ask.path['study_id']}")
        return study

    def _submission(self, ask: Ask) -> SimSubmission:
        submission = self._state.submissions.get(ask.path["submission_id"])
        if submission is None:
            raise not_found(f"Submission with id {ask.path['submission_id']}")
        return submission


def _pick(body: Body, field: str, known: dict[str, SimSubmission]) -> list[SimSubmission]:
    ids = body.get(field)
    if not isinstance(ids, list) or not ids or not all(isinstance(one, str) for one in ids):
        raise invalid(field, "A list of one or more ids is expected.")
    unknown = [one for one in ids if one not in known]
    if unknown:
        raise Refusal(400, f"Unknown in {field}: {', '.join(unknown)}.")
    return [known[one] for one in dict.fromkeys(ids)]
