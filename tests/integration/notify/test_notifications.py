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


async def test_breaker_that_opens_is_notified_once_with_advice(notifying: Harness) -> None:
    await notifying.breaker()
    assert await notifying.look() == ["A limit was reached"]
    (message,) = notifying.receiver.messages
    assert f"Study {STUDY}, limit.reject: {REASON}" in message["text"]
    assert f"autoreview holds --study {STUDY}" in message["text"]
    assert f"autoreview resume --study {STUDY} --by NAME" in message["text"]
    assert await notifying.look() == []
    await notifying.breaker(None, Guard.LIMIT_REWARD)
    assert await notifying.look() == ["A limit was reached"]
    assert "The whole service, limit.reward" in notifying.receiver.messages[1]["text"]
    assert "`autoreview resume --by NAME" in notifying.receiver.messages[1]["text"]


async def test_a_study_without_rules_whose_submissions_wait_is_reported_once(notifying: Harness) -> None:
    other, done, part = (f"65f0000000000000000000{number}" for number in (61, 62, 63))
    await notifying.submission(study=other, claimed=False)
    await notifying.submission(study=done, claimed=False, status=Status.APPROVED)
    await notifying.submission(study=part, claimed=False, parent=STUDY)  # rules that came meanwhile claim it
    await notifying.submission()
    assert await notifying.look() == [], "rule files may be deployed a little after the study"
    await notifying.sql("UPDATE submissions SET first_seen_at = first_seen_at - interval '11 minutes'")
    await notifying.later(1)
    assert await notifying.look() == ["A study has no rules"]
    (message,) = notifying.receiver.messages
    assert f"1 submission of study {other} awaits review" in message["text"]
    assert "`studies:`" in message["text"]
    await notifying.submission(study=other, claimed=False)
    await notifying.sql("UPDATE submissions SET first_seen_at = first_seen_at - interval '11 minutes'")
    await notifying.later(24)
    assert await notifying.look() == []


async def test_refused_evidence_is_reported_once_an_hour_for_each_source(notifying: Harness) -> None:
    async def refuse(source: str, reason: str, number: int) -> None:
        async with notifying.database.begin() as connection:
            await add_refusals(connection, [Refusal(source, "s", reason, f"comment: {MESSAGE}", number)])

    await refuse("survey", "evidence", 2)
    await refuse("survey", "no_key", 1)
    assert await notifying.look() == ["Evidence is refused"]
    (message,) = notifying.receiver.messages
    assert "Source survey: 3 refused within an hour (evidence, no_key)." in message["text"]
    assert MESSAGE not in message["text"]
    await refuse("survey", "evidence", 1)
    assert await notifying.look() == []
    await refuse("other", "unauthorised", 1)
    assert await notifying.look() == ["Evidence is refused"]


async def fetched(notifying: Harness, submission: str, source: str, result: str, reason: str | None) -> None:
    """End the only attempt to ask a source about a submission."""
    async with notifying.database.begin() as connection:
        await ask_sources(connection, submission, {source: ("d", datetime.now(UTC) + timedelta(hours=1))})
        [due] = await take_due(connection, {source: 1})
        assert await end_fetch(connection, due, result, reason, after=None)


async def test_failed_requests_to_a_source_are_reported_once_an_hour_and_counted(notifying: Harness) -> None:
    await fetched(notifying, "s1", "lab", FOUND, None)
    assert await notifying.look() == []
    await fetched(notifying, "s2", "lab", FAILED, f"answered 500: {MESSAGE}")
    assert await notifying.look() == ["A source of evidence does not answer as declared"]
    (message,) = notifying.receiver.messages
    assert "Source lab: requests about 1 submission failed." in message["text"]
    assert MESSAGE not in message["text"]
    await fetched(notifying, "s3", "lab", FAILED, "no connection")
    assert await notifying.look() == []
    async with notifying.database.connect() as connection:
        [failed] = await failed_lately(connection)
    assert (failed.source, failed.number, failed.last_reason) == ("lab", 2, "no connection")
    assert failed.since < failed.last_at


async def test_pause_and_resume_are_notified_without_name_and_reason(notifying: Harness) -> None:
    async with notifying.database.begin() as connection:
        await add_pause(connection, STUDY, "Ada Lovelace", MESSAGE)
    assert await notifying.look() == ["Paused"]
    async with notifying.database.begin() as connection:
        await add_resume(connection, None, "Ada Lovelace", MESSAGE)
    assert await notifying.look() == ["Resumed"]
    said = str(notifying.receiver.messages)
    assert STUDY in said
    assert "The whole service" in said
    assert "Ada" not in said
    assert MESSAGE not in said


async def test_first_hold_is_notified_at_once_then_a_daily_digest(notifying: Harness) -> None:
    first = await notifying.hold()
    assert await notifying.look() == ["A submission is held for manual review"]
    assert (
        f"Submission {first} of study {STUDY} is held: rule look at it."
        in notifying.receiver.messages[0]["text"]
    )
    await notifying.hold(guard=Guard.POLICY)
    await notifying.hold(guard=Guard.POLICY)
    assert await notifying.look() == []
    await notifying.later(23.9)
    assert await notifying.look() == []
    await notifying.later(0.2)
    assert await notifying.look() == ["Submissions are held for manual review"]
    text = notifying.receiver.messages[1]["text"]
    assert "3 are held" in text
    assert f"2 of study {STUDY}: rule look at it, guard policy" in text
    assert f"1 of study {STUDY}: rule look at it\n" in text
    await notifying.later(24.1)
    assert await notifying.look() == ["Submissions are held for manual review"]


async def test_first_hold_of_an_empty_queue_is_notified_at_most_hourly(
    notifying: Harness,
) -> None:
    await notifying.resolve(await notifying.hold())
    assert await notifying.look() == [], "it was gone before anybody looked"
    first = await notifying.hold()
    assert await notifying.look() == ["A submission is held for manual review"]
    await notifying.resolve(first)
    assert await notifying.look() == []
    second = await notifying.hold()
    assert await notifying.look() == [], "within the hour"
    await notifying.later(1.1)
    assert await notifying.look() == ["A submission is held for manual review"]
    assert second in notifying.receiver.messages[1]["text"]


async def test_no_digest_comes_while_nothing_is_held(notifying: Harness) -> None:
    first = await notifying.hold()
    assert len(await notifying.look()) == 1
    await notifying.resolve(first)
    assert await notifying.look() == []
    await notifying.later(48)
    assert await notifying.look() == []


async def test_breaker_holds_are_notified_by_the_breaker_then_by_the_digest(notifying: Harness) -> None:
    await notifying.breaker()
    for _ in range(30):
        await notifying.hold(guard=Guard.LIMIT_REJECT, ago=timedelta(hours=23))
    assert await notifying.look() == ["A limit was reached"]
    await notifying.hold(guard=Guard.LIMIT_REJECT, ago=timedelta(hours=25))
    assert await notifying.look() == ["Submissions are held for manual review"]
    assert "31 are held, the oldest for 25 hours" in notifying.receiver.messages[1]["text"]


async def test_first_notified_hold_is_not_one_of_a_breaker(notifying: Harness) -> None:
    await notifying.hold(guard=Guard.LIMIT_REJECT, ago=timedelta(hours=1))
    await notifying.hold(guard=Guard.PAUSED, ago=timedelta(hours=1))
    assert await notifying.look() == []
    await notifying.hold(guard=Guard.POLICY, ago=timedelta(minutes=1))
    other = await notifying.hold(guard=Guard.UNDECIDABLE, ago=timedelta(minutes=2))
    await notifying.hold(guard=Guard.POLICY)
    assert await notifying.look() == ["A submission is held for manual review"]
    assert f"{other} of study" in notifying.receiver.messages[0]["text"]


async def test_failures_of_an_hour_are_notified_together_and_once(notifying: Harness) -> None:
    failed = [await notifying.submission() for _ in range(4)]
    await notifying.fail(failed[0])
    await notifying.fail(failed[1])
    assert await notifying.look() == ["2 × A decision could not be applied"]
    assert (
        f"{failed[0]} of study {STUDY}: approve, Prolific answered 400"
        in notifying.receiver.messages[0]["text"]
    )
    await notifying.fail(failed[2])
    assert await notifying.look() == []
    await notifying.fail(failed[3])
    assert await notifying.look() == []
    await notifying.later(1.01)
    assert await notifying.look() == ["2 × A decision could not be applied"]
    text = notifying.receiver.messages[1]["text"]
    assert failed[2] in text
    assert failed[3] in text
    assert failed[0] not in text
    await notifying.later(24)
    assert await notifying.look() == []


async def test_a_refusal_that_may_still_be_settled_is_no_failure_yet(notifying: Harness) -> None:
    submission = await notifying.submission()
    await notifying.fail(submission, seconds_ago=0)
    assert await notifying.look() == []


async def test_failure_that_was_decided_again_sends_no_notification(notifying: Harness) -> None:
    submission = await notifying.submission(status=Status.APPROVED)
    await notifying.fail(submission)
    await notifying.decided(submission, Outcome.APPROVE, ago=timedelta(0))
    assert await notifying.look() == []


async def test_more_than_a_message_can_hold_is_counted(notifying: Harness) -> None:
    for _ in range(23):
        await notifying.fail(await notifying.submission())
    assert await notifying.look() == ["23 × A decision could not be applied"]
    text = notifying.receiver.messages[0]["text"]
    assert text.count("Submission ") == 20
    assert "… and 3 more of these" in text


async def test_lost_and_restored_subscription_are_notified(notifying: Harness) -> None:
    for state, expected in [
        ("enabled", []),
        ("disabled", ["Prolific sends no webhooks"]),
        ("unknown", []),
        ("missing", ["Prolific sends no webhooks"]),
        ("enabled", ["Prolific sends webhooks again"]),
        ("disabled", ["Prolific sends no webhooks"]),
        ("enabled", ["Prolific sends webhooks again"]),
    ]:
        await notifying.swept(state)
        assert await notifying.look() == expected, state


async def test_broken_rules_are_notified_once_per_set_of_errors_and_when_fixed(notifying: Harness) -> None:
    notifying.rules.errors = (FINDING,)
    assert await notifying.look() == ["Rule files have errors"]
    assert "a.yaml:3:5 RUL017" in notifying.receiver.messages[0]["text"]
    notifying.rules.errors = (FINDING, OTHER)
    assert await notifying.look() == ["Rule files have errors"]
    notifying.rules.errors = (FINDING,)
    assert await notifying.look() == []
    notifying.rules.errors = ()
    assert await notifying.look() == [], "another replica may still find them broken"
    await notifying.later(0.1)
    assert await notifying.look() == ["The rule files are valid again"]
    notifying.rules.errors = (FINDING,)
    assert await notifying.look() == ["Rule files have errors"]


async def test_silence_is_notified_once_while_a_study_with_rules_is_active(notifying: Harness) -> None:
    await notifying.study()
    await notifying.submission()
    await notifying.webhook(25)
    assert await notifying.look() == ["No webhook for 24 hours"]
    text = notifying.receiver.messages[0]["text"]
    assert "25 hours ago" in text
    assert f"1 study is active: {STUDY}" in text
    assert await notifying.look() == []
    await notifying.webhook(24.5)
    assert await notifying.look() == ["No webhook for 24 hours"], "another silence"
    await notifying.webhook(1)
    assert await notifying.look() == []


@pytest.mark.parametrize("case", ["not claimed", "no submissions", "not active", "over by now", "lately"])
async def test_expected_silence_sends_no_notification(notifying: Harness, case: str) -> None:
    study = "65f0000000000000000000ff" if case == "not claimed" else STUDY
    await notifying.study("COMPLETED" if case == "not active" else "ACTIVE", study)
    if case != "no submissions":
        await notifying.submission(study=study)
    notifying.study_status = "COMPLETED" if case == "over by now" else "ACTIVE"
    await notifying.webhook(23.9 if case == "lately" else 30)
    assert await notifying.look() == []
    assert bool(notifying.asked) == (case == "over by now")


async def test_silence_is_notified_without_prolific_and_without_any_webhook(
    notifying: Harness,
) -> None:
    notifying.study_status = None
    await notifying.study()
    submission = await notifying.submission()
    assert await notifying.look() == []
    await notifying.sql(
        "UPDATE submissions SET first_seen_at = now() - interval '2 days' WHERE id = %s", submission
    )
    assert await notifying.look() == ["No webhook for 24 hours"]
    assert "2 days ago" in notifying.receiver.messages[0]["text"]


async def test_holds_near_their_deadline_are_notified_together_and_once(notifying: Harness) -> None:
    near = [await notifying.hold(completed=18 * DAY, guard=Guard.LIMIT_REJECT) for _ in range(2)]
    far = await notifying.hold(completed=16 * DAY, guard=Guard.LIMIT_REJECT)
    assert await notifying.look() == ["2 × A held submission is near its deadline"]
    text = notifying.receiver.messages[0]["text"]
    assert all(one in text for one in near)
    assert far not in text
    assert "Prolific approves" in text
    await notifying.resolve(near[0])
    later = await notifying.hold(completed=19 * DAY, guard=Guard.LIMIT_REJECT)
    await notifying.later(1)
    assert await notifying.look() == [], "gathered for six hours"
    await notifying.later(5.5)
    assert await notifying.look() == ["A held submission is near its deadline"]
    assert later in notifying.receiver.messages[1]["text"]


async def test_notifications_contain_no_text_of_people(notifying: Harness) -> None:
    """Of every kind one: no participant, no reason, no evidence, no answer of Prolific's, no text of a rule."""
    await notifying.breaker()
    async with notifying.database.begin() as connection:
        await add_pause(connection, STUDY, "Ada", MESSAGE)
        await add_resume(connection, STUDY, "Ada", MESSAGE)
    await notifying.hold(completed=19 * DAY)
    await notifying.fail(await notifying.submission())
    await notifying.submission(study="65f000000000000000000061", claimed=False)
    await notifying.sql("UPDATE submissions SET first_seen_at = first_seen_at - interval '11 minutes'")
    await notifying.study()
    await notifying.webhook(30)
    async with notifying.database.begin() as connection:
        await add_refusals(connection, [Refusal("survey", "s", "evidence", f"comment: {MESSAGE}")])
    await fetched(notifying, "s", "lab", FAILED, f"answered 500: {MESSAGE}")
    notifying.rules.errors = (FINDING,)
    for state in ("disabled", "enabled"):
        await notifying.swept(state)
        await notifying.look()
    notifying.rules.errors = ()
    await notifying.later(25)
    await notifying.look()
    assert {kind for kind, result in notifying.counted if result == "sent"} == set(Kind)
    said = str(notifying.receiver.messages)
    for words in (MESSAGE, PARTICIPANT, "Ada", "too short"):
        assert words not in said


async def test_failed_check_does_not_stop_other_notifications(notifying: Harness) -> None:
    await notifying.sql("ALTER TABLE submissions RENAME COLUMN status TO state")  # no hold can be looked for
    await notifying.swept("disabled")
    await notifying.breaker()
    await notifying.study()
    assert sorted(await notifying.look()) == ["2 notifications"]
