"""What has to be so after every day, however bad: judged by Prolific's ledger, the API and the database."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from service.domain.decision import Outcome
from service.domain.submission import FINAL, Status
from service.review.next_step import REACHED
from service.review.retry_policy import MOST_IN_AN_HOUR
from service.sandbox.model import By, Call, SimSubmission
from tests.integration.faults.basis import LEAST, LENIENT, STRICT, Said
from tests.integration.faults.day import DONE, HALF_DONE, NO_CODE, WRONG_CODE, Day
from tests.integration.faults.stored import Row, events, query
from tests.world import ADMIN, bearer

DECIDED = {"applied", "already"}
SHIFTED = timedelta(minutes=10)  # by which the evening puts back the time of attempts
TRUNCATED = timedelta(milliseconds=50)  # Prolific's times are in milliseconds


@dataclass(frozen=True, slots=True)
class Story:
    """One submission in Prolific and in the service; decisions newest first."""

    submission: SimSubmission
    calls: list[Call]
    decisions: list[dict[str, Any]]
    said: Said
    day: Day

    def to(self, endpoint: str) -> list[Call]:
        return [call for call in self.calls if call.path.rstrip("/").endswith(f"/{endpoint}")]

    def effects(self, endpoint: str) -> int:
        return sum(self.submission.id in call.affected for call in self.to(endpoint))

    def was_by_day(self, at: datetime | str) -> bool:
        """Whether something was before the evening, when what was unclear became clear."""
        moment = datetime.fromisoformat(at) if isinstance(at, str) else at
        return self.day.evening_at is None or moment < self.day.evening_at

    def decided_at(self, call: Call) -> datetime | None:
        """When the attempt was recorded that sent this: the newest before it arrived, in its own time."""
        moments = [
            datetime.fromisoformat(attempt["at"])
            for decision in self.decisions
            for attempt in decision["attempts"]
            if attempt["request"] and attempt["request"]["body"] == call.body
        ]
        real = [at + SHIFTED if at < self.day.began_at else at for at in moments]
        return max((at for at in real if at <= call.at + TRUNCATED), default=None)

    @property
    def statuses(self) -> list[Status]:
        return [change.status for change in self.submission.history]

    @property
    def was_meddled_with(self) -> bool:
        return any(change.by is By.SOMEBODY for change in self.submission.history)


async def broken(day: Day) -> list[str]:
    """Each invariant that does not hold, as a sentence."""
    found = await _in_store(day)
    for submission in day.state.submissions.values():
        decisions = (await _api(day, "decisions", submission=submission.id))["results"]
        # Of a call whose token is refused Prolific reads nothing else.
        calls = [call for call in day.state.calls_for(submission.id) if call.status_code != 401]
        story = Story(submission, calls, decisions, day.said[submission.id], day)
        checks = (_rightly_rejected, _sent_once, _nothing_after_somebody, _ended_well, _decisions_true)
        wrong = [f"{submission.id}: {what}" for check in checks for what in check(story)]
        found += [*wrong, _told(story)] if wrong else []
    return found


def _told(story: Story) -> str:
    """The whole story, for who has to find out why."""
    lines = [f"    {one.at:%T.%f} {one.by}: {one.status}" for one in story.submission.history]
    lines += [
        f"    {one.at:%T.%f} asked: {one.body} -> {one.status_code} {one.affected}" for one in story.calls
    ]
    lines += [f"    said: {story.said}"]
    for one in reversed(story.decisions):
        keys = ("id", "decided_at", "trigger", "outcome", "guard", "status")
        lines.append(f"    decision {[one[key] for key in keys]} by {one['facts'].get('evidence')}")
        lines += [
            f"        {attempt['at']} {attempt['request']} -> {attempt['status_code']} {attempt['answer']}"
            for attempt in one["attempts"]
        ]
    return "\n".join(lines)


async def _api(day: Day, path: str, **parameters: str) -> Any:
    answer = await day.serving.http.get(f"/api/{path}", params=parameters, headers=bearer(ADMIN))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _in_store(day: Day) -> list[str]:
    inbox, url = await events(day.database_url), day.database_url
    unheard: list[Row] = await query(url, "SELECT * FROM evidence WHERE handled_at IS NULL")
    left = await query(
        url, "SELECT * FROM procrastinate_jobs WHERE task_name <> 'rescue' AND status IN ('todo', 'doing')"
    )
    often = await query(url, "SELECT * FROM reviews WHERE in_hour > %(most)s", most=MOST_IN_AN_HOUR)
    pushed = await query(
        url, "SELECT submission_id AS id, count(*) AS number FROM evidence GROUP BY submission_id"
    )
    kept = {row["id"]: row["number"] for row in pushed}
    return [
        *(f"event {one} was answered 2xx and is not in the inbox" for one in day.acknowledged - inbox.keys()),
        *(f"event {one} was never handled" for one, row in inbox.items() if row["handled_at"] is None),
        *(f"evidence was never handled: {row}" for row in unheard),
        *(
            f"{one}: evidence was answered 202 and is not kept"
            for one, said in day.said.items()
            if not len(said.taken) <= kept.get(one, 0) <= len(said.sent)
        ),
        *(f"a job is left: {row}" for row in left),
        *(f"it was reviewed too often: {row}" for row in often),
    ]


def _sent_once(story: Story) -> list[str]:
    """By Prolific's ledger, and by our own of what was sent and not plainly refused.

    In the evening another transition may follow one that did not arrive: what Prolific shows is clear by then.
    """
    by_day = [call for call in story.to("transition") if story.was_by_day(call.at)]
    bodies = {json.dumps(call.body, sort_keys=True) for call in by_day}
    bodies |= {
        json.dumps(attempt["request"]["body"], sort_keys=True)
        for decision in story.decisions
        for attempt in decision["attempts"]
        if (attempt["request"] or {}).get("endpoint") == "transition"
        and story.was_by_day(attempt["at"])
        and not _refused(attempt)
    }
    return [
        *([f"different transitions were sent: {bodies}"] if len(bodies) > 1 else []),
        *(
            f"{endpoint} took effect {story.effects(endpoint)} times"
            for endpoint in ("transition", "request-return")
            if story.effects(endpoint) > 1
        ),
    ]


def _rightly_rejected(story: Story) -> list[str]:
    """No rejection reaches Prolific whose basis did not say reject when it was sent."""
    found = []
    for call in story.to("transition"):
        if call.body["action"] != "REJECT":
            continue
        decided_at = story.decided_at(call)
        if decided_at is None:
            found.append(f"a rejection that is not on record: {call}")
        elif not story.said.rejects(decided_at, call.at):
            found.append(f"rejected against what the survey had said at {decided_at}: {call}")
        elif STRICT not in (rules := story.day.rules.at(decided_at)):
            found.append(f"rejected at {decided_at} by {rules} rules, which never do: {call}")
    return found


def _refused(attempt: dict[str, Any]) -> bool:
    return attempt["status_code"] is not None and 400 <= attempt["status_code"] < 500


def _nothing_after_somebody(story: Story) -> list[str]:
    """One request may cross with a change of another person. Prolific refuses it, and no other follows."""
    ends = [one.at for one in story.submission.history if one.by is By.SOMEBODY and one.status in FINAL]
    if not ends:
        return []
    after = [call for call in story.calls if call.at > ends[0]]
    return [
        *(f"it changed after somebody decided it: {call}" for call in after if call.affected),
        *([f"asked again and again after somebody decided it: {after}"] if len(after) > 1 else []),
    ]


def _ended_well(story: Story) -> list[str]:
    submission = story.submission
    if story.was_meddled_with:
        return []
    if submission.completed_at is None:
        return [f"it is still worked on, and was sent {story.calls}"] if story.calls else []
    possible = _possible_ends(story)
    asked = int(submission.entered_code == NO_CODE)
    newest = story.decisions[0] if story.decisions else {"status": "none at all"}
    held = submission.status is Status.AWAITING_REVIEW and not asked
    return [
        *([f"it is {submission.status}, not in {possible}"] if submission.status not in possible else []),
        *(
            [f"it was asked to return {found} times"]
            if (found := story.effects("request-return"))
            not in ({0, asked} if _ended_before(story) else {asked})
            else []
        ),
        *(
            [f"it is left, and its newest decision {newest['status']}"]
            if held and newest["status"] != "held"
            else []
        ),
    ]


def _possible_ends(story: Story) -> set[Status]:
    """The final states of a submission that no other person changed."""
    said, code = story.said, story.submission.entered_code
    by_evidence = {Status.REJECTED if value >= LEAST else Status.APPROVED for value in said.sent}
    if LENIENT in story.day.rules.variants and said.sent:
        by_evidence.add(Status.APPROVED)
    # Evidence without an answer may or may not have arrived.
    if not said.taken or said.got_worse:
        by_evidence.add(Status.AWAITING_REVIEW)
    ends = {
        HALF_DONE: {Status.PARTIALLY_APPROVED},
        NO_CODE: {Status.AWAITING_REVIEW},
        WRONG_CODE: {Status.AWAITING_REVIEW},
        DONE: by_evidence,
    }[code]
    return ends | {Status.AWAITING_REVIEW} if _ended_before(story) else ends


def _ended_before(story: Story) -> bool:
    """Whether a webhook reported an end of it: then nothing is decided automatically."""
    return story.submission.id in story.day.ended_before


def _decisions_true(story: Story) -> list[str]:
    """What is on record as done was done, for the reason that is on record."""
    found = [
        f"decision {one['id']} is still {one['status']}"
        for one in story.decisions
        if one["status"] in {"pending", "failed"}
    ]
    done = [one for one in story.decisions if one["status"] in DECIDED]
    found += [
        f"decision {one['id']} says {one['outcome']}, which never was" for one in done if not _was(one, story)
    ]
    found += [
        f"decision {one['id']} rejects by {one['facts']}"
        for one in story.decisions
        if one["outcome"] == "reject" and _missed(one) < LEAST
    ]
    final = [one for one in done if one["outcome"] != "request_return"]
    return found + ([f"it was decided {len(final)} times"] if len(final) > 1 else [])


def _was(decision: dict[str, Any], story: Story) -> bool:
    outcome = Outcome(decision["outcome"])
    if outcome is Outcome.REQUEST_RETURN and story.submission.return_requested:
        return True
    return bool(REACHED[outcome] & set(story.statuses))


def _missed(decision: dict[str, Any]) -> int:
    return int(decision["facts"].get("evidence", {}).get("survey", {}).get("attention_failed", 0))
