"""Each cause is notified once, also with several replicas, and never with texts of people."""

from datetime import UTC, datetime, timedelta

import pytest

from service.domain.decision import Guard, Outcome
from service.domain.submission import Status
from service.notify.wording import Kind
from service.rules import Finding
from service.store.fetches import FAILED, FOUND, ask_sources, end_fetch, failed_lately, take_due
from service.store.pauses import add_pause, add_resume
from service.store.refusals import Refusal, add_refusals
from tests.integration.notify.harness import MESSAGE, PARTICIPANT, REASON, STUDY, Harness

DAY = timedelta(days=1)
FINDING = Finding("rules/a.yaml", 3, 5, "RUL017", "rules[0].reject.message", f"too short: {MESSAGE}")
OTHER = Finding("rules/b.yaml", 1, 1, "RUL002", "", "not YAML")


async def test_breaker_that_opens_is_notified_once_with_advice(told: Harness) -> None:
    await told.breaker()
    assert await told.look() == ["A limit was reached"]
    (message,) = told.receiver.messages
    assert f"Study {STUDY}, limit.reject: {REASON}" in message["text"]
    assert f"autoreview holds --study {STUDY}" in message["text"]
    assert f"autoreview resume --study {STUDY} --by NAME" in message["text"]
    assert await told.look() == []
    await told.breaker(None, Guard.LIMIT_REWARD)
    assert await told.look() == ["A limit was reached"]
    assert "The whole service, limit.reward" in told.receiver.messages[1]["text"]
    assert "`autoreview resume --by NAME" in told.receiver.messages[1]["text"]


async def test_a_study_without_rules_whose_submissions_wait_is_reported_once(told: Harness) -> None:
    other, done, part = (f"65f0000000000000000000{number}" for number in (61, 62, 63))
    await told.submission(study=other, claimed=False)
    await told.submission(study=done, claimed=False, status=Status.APPROVED)
    await told.submission(study=part, claimed=False, parent=STUDY)  # rules that came meanwhile claim it
    await told.submission()
    assert await told.look() == [], "rule files may be deployed a little after the study"
    await told.sql("UPDATE submissions SET first_seen_at = first_seen_at - interval '11 minutes'")
    await told.later(1)
    assert await told.look() == ["A study has no rules"]
    (message,) = told.receiver.messages
    assert f"1 submission of study {other} awaits review" in message["text"]
    assert "`studies:`" in message["text"]
    await told.submission(study=other, claimed=False)
    await told.sql("UPDATE submissions SET first_seen_at = first_seen_at - interval '11 minutes'")
    await told.later(24)
    assert await told.look() == []


async def test_refused_evidence_is_reported_once_an_hour_for_each_source(told: Harness) -> None:
    async def refuse(source: str, reason: str, number: int) -> None:
        async with told.database.begin() as connection:
            await add_refusals(connection, [Refusal(source, "s", reason, f"comment: {MESSAGE}", number)])

    await refuse("survey", "evidence", 2)
    await refuse("survey", "no_key", 1)
    assert await told.look() == ["Evidence is refused"]
    (message,) = told.receiver.messages
    assert "Source survey: 3 refused within an hour (evidence, no_key)." in message["text"]
    assert MESSAGE not in message["text"]
    await refuse("survey", "evidence", 1)
    assert await told.look() == []
    await refuse("other", "unauthorised", 1)
    assert await told.look() == ["Evidence is refused"]


async def fetched(told: Harness, submission: str, source: str, result: str, reason: str | None) -> None:
    """End the only attempt to ask a source about a submission."""
    async with told.database.begin() as connection:
        await ask_sources(connection, submission, {source: ("d", datetime.now(UTC) + timedelta(hours=1))})
        [due] = await take_due(connection, {source: 1})
        assert await end_fetch(connection, due, result, reason, after=None)


async def test_failed_requests_to_a_source_are_reported_once_an_hour_and_counted(told: Harness) -> None:
    await fetched(told, "s1", "lab", FOUND, None)
    assert await told.look() == []
    await fetched(told, "s2", "lab", FAILED, f"answered 500: {MESSAGE}")
    assert await told.look() == ["A source of evidence does not answer as declared"]
    (message,) = told.receiver.messages
    assert "Source lab: requests about 1 submission failed." in message["text"]
    assert MESSAGE not in message["text"]
    await fetched(told, "s3", "lab", FAILED, "no connection")
    assert await told.look() == []
    async with told.database.connect() as connection:
        [failed] = await failed_lately(connection)
    assert (failed.source, failed.number, failed.last_reason) == ("lab", 2, "no connection")
    assert failed.since < failed.last_at


async def test_pause_and_resume_are_notified_without_name_and_reason(told: Harness) -> None:
    async with told.database.begin() as connection:
        await add_pause(connection, STUDY, "Ada Lovelace", MESSAGE)
    assert await told.look() == ["Paused"]
    async with told.database.begin() as connection:
        await add_resume(connection, None, "Ada Lovelace", MESSAGE)
    assert await told.look() == ["Resumed"]
    said = str(told.receiver.messages)
    assert STUDY in said
    assert "The whole service" in said
    assert "Ada" not in said
    assert MESSAGE not in said


async def test_first_hold_is_notified_at_once_then_a_daily_digest(told: Harness) -> None:
    first = await told.hold()
    assert await told.look() == ["A submission is held for manual review"]
    assert (
        f"Submission {first} of study {STUDY} is held: rule look at it." in told.receiver.messages[0]["text"]
    )
    await told.hold(guard=Guard.POLICY)
    await told.hold(guard=Guard.POLICY)
    assert await told.look() == []
    await told.later(23.9)
    assert await told.look() == []
    await told.later(0.2)
    assert await told.look() == ["Submissions are held for manual review"]
    text = told.receiver.messages[1]["text"]
    assert "3 are held" in text
    assert f"2 of study {STUDY}: rule look at it, guard policy" in text
    assert f"1 of study {STUDY}: rule look at it\n" in text
    await told.later(24.1)
    assert await told.look() == ["Submissions are held for manual review"]


async def test_first_hold_of_an_empty_queue_is_notified_at_most_hourly(
    told: Harness,
) -> None:
    await told.resolve(await told.hold())
    assert await told.look() == [], "it was gone before anybody looked"
    first = await told.hold()
    assert await told.look() == ["A submission is held for manual review"]
    await told.resolve(first)
    assert await told.look() == []
    second = await told.hold()
    assert await told.look() == [], "within the hour"
    await told.later(1.1)
    assert await told.look() == ["A submission is held for manual review"]
    assert second in told.receiver.messages[1]["text"]


async def test_no_digest_comes_while_nothing_is_held(told: Harness) -> None:
    first = await told.hold()
    assert len(await told.look()) == 1
    await told.resolve(first)
    assert await told.look() == []
    await told.later(48)
    assert await told.look() == []


async def test_breaker_holds_are_notified_by_the_breaker_then_by_the_digest(told: Harness) -> None:
    await told.breaker()
    for _ in range(30):
        await told.hold(guard=Guard.LIMIT_REJECT, ago=timedelta(hours=23))
    assert await told.look() == ["A limit was reached"]
    await told.hold(guard=Guard.LIMIT_REJECT, ago=timedelta(hours=25))
    assert await told.look() == ["Submissions are held for manual review"]
    assert "31 are held, the oldest for 25 hours" in told.receiver.messages[1]["text"]


async def test_first_notified_hold_is_not_one_of_a_breaker(told: Harness) -> None:
    await told.hold(guard=Guard.LIMIT_REJECT, ago=timedelta(hours=1))
    await told.hold(guard=Guard.PAUSED, ago=timedelta(hours=1))
    assert await told.look() == []
    await told.hold(guard=Guard.POLICY, ago=timedelta(minutes=1))
    other = await told.hold(guard=Guard.UNDECIDABLE, ago=timedelta(minutes=2))
    await told.hold(guard=Guard.POLICY)
    assert await told.look() == ["A submission is held for manual review"]
    assert f"{other} of study" in told.receiver.messages[0]["text"]


async def test_failures_of_an_hour_are_notified_together_and_once(told: Harness) -> None:
    failed = [await told.submission() for _ in range(4)]
    await told.fail(failed[0])
    await told.fail(failed[1])
    assert await told.look() == ["2 × A decision could not be applied"]
    assert (
        f"{failed[0]} of study {STUDY}: approve, Prolific answered 400" in told.receiver.messages[0]["text"]
    )
    await told.fail(failed[2])
    assert await told.look() == []
    await told.fail(failed[3])
    assert await told.look() == []
    await told.later(1.01)
    assert await told.look() == ["2 × A decision could not be applied"]
    text = told.receiver.messages[1]["text"]
    assert failed[2] in text
    assert failed[3] in text
    assert failed[0] not in text
    await told.later(24)
    assert await told.look() == []


async def test_a_refusal_that_may_still_be_settled_is_no_failure_yet(told: Harness) -> None:
    submission = await told.submission()
    await told.fail(submission, seconds_ago=0)
    assert await told.look() == []


async def test_failure_that_was_decided_again_sends_no_notification(told: Harness) -> None:
    submission = await told.submission(status=Status.APPROVED)
    await told.fail(submission)
    await told.decided(submission, Outcome.APPROVE, ago=timedelta(0))
    assert await told.look() == []


async def test_more_than_a_message_can_hold_is_counted(told: Harness) -> None:
    for _ in range(23):
        await told.fail(await told.submission())
    assert await told.look() == ["23 × A decision could not be applied"]
    text = told.receiver.messages[0]["text"]
    assert text.count("Submission ") == 20
    assert "… and 3 more of these" in text


async def test_lost_and_restored_subscription_are_notified(told: Harness) -> None:
    for state, expected in [
        ("enabled", []),
        ("disabled", ["Prolific sends no webhooks"]),
        ("unknown", []),
        ("missing", ["Prolific sends no webhooks"]),
        ("enabled", ["Prolific sends webhooks again"]),
        ("disabled", ["Prolific sends no webhooks"]),
        ("enabled", ["Prolific sends webhooks again"]),
    ]:
        await told.swept(state)
        assert await told.look() == expected, state


async def test_broken_rules_are_notified_once_per_set_of_errors_and_when_fixed(told: Harness) -> None:
    told.rules.errors = (FINDING,)
    assert await told.look() == ["Rule files have errors"]
    assert "a.yaml:3:5 RUL017" in told.receiver.messages[0]["text"]
    told.rules.errors = (FINDING, OTHER)
    assert await told.look() == ["Rule files have errors"]
    told.rules.errors = (FINDING,)
    assert await told.look() == []
    told.rules.errors = ()
    assert await told.look() == [], "another replica may still find them broken"
    await told.later(0.1)
    assert await told.look() == ["The rule files are valid again"]
    told.rules.errors = (FINDING,)
    assert await told.look() == ["Rule files have errors"]


async def test_silence_is_notified_once_while_a_study_with_rules_is_active(told: Harness) -> None:
    await told.study()
    await told.submission()
    await told.webhook(25)
    assert await told.look() == ["No webhook for 24 hours"]
    text = told.receiver.messages[0]["text"]
    assert "25 hours ago" in text
    assert f"1 study is active: {STUDY}" in text
    assert await told.look() == []
    await told.webhook(24.5)
    assert await told.look() == ["No webhook for 24 hours"], "another silence"
    await told.webhook(1)
    assert await told.look() == []


@pytest.mark.parametrize("case", ["not claimed", "no submissions", "not active", "over by now", "lately"])
async def test_expected_silence_sends_no_notification(told: Harness, case: str) -> None:
    study = "65f0000000000000000000ff" if case == "not claimed" else STUDY
    await told.study("COMPLETED" if case == "not active" else "ACTIVE", study)
    if case != "no submissions":
        await told.submission(study=study)
    told.study_status = "COMPLETED" if case == "over by now" else "ACTIVE"
    await told.webhook(23.9 if case == "lately" else 30)
    assert await told.look() == []
    assert bool(told.asked) == (case == "over by now")


async def test_silence_is_notified_without_prolific_and_without_any_webhook(
    told: Harness,
) -> None:
    told.study_status = None
    await told.study()
    submission = await told.submission()
    assert await told.look() == []
    await told.sql(
        "UPDATE submissions SET first_seen_at = now() - interval '2 days' WHERE id = %s", submission
    )
    assert await told.look() == ["No webhook for 24 hours"]
    assert "2 days ago" in told.receiver.messages[0]["text"]


async def test_holds_near_their_deadline_are_notified_together_and_once(told: Harness) -> None:
    near = [await told.hold(completed=18 * DAY, guard=Guard.LIMIT_REJECT) for _ in range(2)]
    far = await told.hold(completed=16 * DAY, guard=Guard.LIMIT_REJECT)
    assert await told.look() == ["2 × A held submission is near its deadline"]
    text = told.receiver.messages[0]["text"]
    assert all(one in text for one in near)
    assert far not in text
    assert "Prolific approves" in text
    await told.resolve(near[0])
    later = await told.hold(completed=19 * DAY, guard=Guard.LIMIT_REJECT)
    await told.later(1)
    assert await told.look() == [], "gathered for six hours"
    await told.later(5.5)
    assert await told.look() == ["A held submission is near its deadline"]
    assert later in told.receiver.messages[1]["text"]


async def test_notifications_contain_no_text_of_people(told: Harness) -> None:
    """Of every kind one: no participant, no reason, no evidence, no answer of Prolific's, no text of a rule."""
    await told.breaker()
    async with told.database.begin() as connection:
        await add_pause(connection, STUDY, "Ada", MESSAGE)
        await add_resume(connection, STUDY, "Ada", MESSAGE)
    await told.hold(completed=19 * DAY)
    await told.fail(await told.submission())
    await told.submission(study="65f000000000000000000061", claimed=False)
    await told.sql("UPDATE submissions SET first_seen_at = first_seen_at - interval '11 minutes'")
    await told.study()
    await told.webhook(30)
    async with told.database.begin() as connection:
        await add_refusals(connection, [Refusal("survey", "s", "evidence", f"comment: {MESSAGE}")])
    await fetched(told, "s", "lab", FAILED, f"answered 500: {MESSAGE}")
    told.rules.errors = (FINDING,)
    for state in ("disabled", "enabled"):
        await told.swept(state)
        await told.look()
    told.rules.errors = ()
    await told.later(25)
    await told.look()
    assert {kind for kind, result in told.counted if result == "sent"} == set(Kind)
    said = str(told.receiver.messages)
    for words in (MESSAGE, PARTICIPANT, "Ada", "too short"):
        assert words not in said


async def test_failed_check_does_not_stop_other_notifications(told: Harness) -> None:
    await told.sql("ALTER TABLE submissions RENAME COLUMN status TO state")  # no hold can be looked for
    await told.swept("disabled")
    await told.breaker()
    await told.study()
    assert sorted(await told.look()) == ["2 notifications"]
