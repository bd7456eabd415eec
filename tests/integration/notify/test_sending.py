"""Sent at least once and never lost, not too often, and without a word about where to."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest

from service.notify.channels import urls_in
from service.notify.notifier import Notifier
from service.secret import Secret
from service.store.notifications import TRIES, add_notification, claim_due
from tests.integration.notify.harness import Harness
from tests.process import free_port

NOBODY = "json://127.0.0.1:{}/secret-path?+authorization=secret-header"


async def write(told: Harness, *keys: str, kind: str = "breaker") -> None:
    async with told.database.begin() as connection:
        for key in keys:
            await add_notification(connection, kind, key, "A title", f"Text {key}.")


async def test_restarted_service_repeats_no_notification(told: Harness) -> None:
    await told.hold()
    await told.breaker()
    assert await told.look() == ["2 notifications"]
    assert await told.look() == []


async def test_what_one_process_is_about_to_send_no_other_takes(told: Harness) -> None:
    await write(told, "1")
    async with told.database.begin() as one, told.database.begin() as other:
        assert [notice.key for notice in await claim_due(one)] == ["1"]
        assert await asyncio.wait_for(claim_due(other), 5) == []


async def test_of_many_that_send_at_once_one_does(told: Harness) -> None:
    await write(told, "1")
    await asyncio.gather(*(told.notifier().send() for _ in range(6)))
    assert len(told.receiver.messages) == 1
    assert told.counted == {("breaker", "sent"): 1}


async def test_a_receiver_that_is_down_is_tried_again_later_and_nothing_is_lost(told: Harness) -> None:
    told.receiver.status = 503
    await write(told, "1", "2")
    await told.notifier().send()
    await write(told, "3")
    await told.notifier().send()
    assert told.counted == {("breaker", "failed"): 3}
    assert await told.unsent() == 3
    told.receiver.status = 200
    await told.notifier().send()
    assert told.receiver.messages == [], "not before its time"
    await told.later(0.05)
    await told.notifier().send()
    (message,) = told.receiver.messages
    assert message["title"] == "Autoreview: 3 × A title"
    assert all(f"Text {key}." in message["text"] for key in "123")
    assert await told.unsent() == 0


async def test_what_a_killed_process_was_sending_is_sent_by_another(told: Harness) -> None:
    await write(told, "1")
    async with told.database.begin() as connection:
        assert [notice.key for notice in await claim_due(connection)] == ["1"]  # and then it is killed
    await told.notifier().send()
    assert told.receiver.messages == []
    await told.later(0.05)
    await told.notifier().send()
    assert len(told.receiver.messages) == 1


async def test_after_a_day_of_failures_it_is_given_up_and_said_so(
    told: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    told.receiver.status = 503
    await write(told, "1")
    for _ in range(TRIES):
        await told.notifier().send()
        await told.later(1.01)
    assert told.counted == {("breaker", "failed"): TRIES - 1, ("breaker", "given_up"): 1}
    assert "notice.given_up" in capsys.readouterr().out
    told.receiver.status = 200
    await told.notifier().send()
    assert told.receiver.messages == []


async def test_a_url_that_takes_it_is_enough_and_the_other_is_named_by_its_place(
    told: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    await write(told, "1")
    await told.notifier(NOBODY.format(free_port()), told.receiver.url, "nonsense://secret-path").send()
    assert len(told.receiver.messages) == 1
    assert await told.unsent() == 0
    log = capsys.readouterr().out
    assert "it could not be reached" in log
    assert "apprise does not know this kind of URL" in log
    assert "secret" not in log


async def test_ten_messages_an_hour_go_out_singly_and_the_rest_gathers(told: Harness) -> None:
    for key in range(30):
        await write(told, f"{key}")
        await told.notifier().send()
    assert len(told.receiver.messages) == 10
    await told.later(0.1)
    await told.notifier().send()
    assert len(told.receiver.messages) == 10, "six minutes later"
    await told.later(0.1)
    await told.notifier().send()
    assert told.receiver.titles[10:] == ["20 × A title"]
    await write(told, "one more")
    await told.notifier().send()
    assert len(told.receiver.messages) == 11
    await told.later(1)
    await told.notifier().send()
    assert "Text one more." in told.receiver.messages[11]["text"]


async def test_without_urls_notices_go_to_the_log(told: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    await write(told, "1")
    await told.notifier(is_set=False).send()
    assert "Text 1." in capsys.readouterr().out
    assert await told.unsent() == 0
    assert told.counted == {("breaker", "logged"): 1}


async def test_urls_in_a_file_are_read_anew_and_a_bad_file_loses_nothing(
    told: Harness, tmp_path: Path
) -> None:
    file = tmp_path / "urls"
    file.write_text(",\n")
    notifier = Notifier(
        told.database, told.rules, Secret("AUTOREVIEW_NOTIFY_URLS", file=file), told.ask_study
    )
    await write(told, "1")
    await notifier.send()
    file.write_text(f"{told.receiver.url}\n")
    await told.later(0.05)
    await notifier.send()
    assert len(told.receiver.messages) == 1


async def test_no_log_at_any_level_holds_a_url(told: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    await write(told, "1")
    told.receiver.status = 404
    address = told.receiver.url.removeprefix("json://").partition("/")[0]
    urls = (f"json://{address}/secret-path?+authorization=secret-header", NOBODY.format(free_port()))
    with everything_logged() as log:
        await told.notifier(*urls, "mailto://user:secret-password@", "secret-token").send()
        told.receiver.status = 200
        await told.later(0.05)
        await told.notifier(*urls).send()
        logging.getLogger("some.library").debug("is seen")
    assert len(told.receiver.messages) == 1
    written = capsys.readouterr()
    assert "it answered 404" in written.out
    assert "is seen" in log.getvalue()
    for text in (log.getvalue(), written.out, written.err):
        assert "secret" not in text
        assert address not in text


@contextmanager
def everything_logged() -> Iterator[StringIO]:
    """What a service at level debug would write; without the receiver's own log."""
    root, log = logging.getLogger(), StringIO()
    handler = logging.StreamHandler(log)
    handler.addFilter(lambda entry: not entry.name.startswith("uvicorn"))
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield log
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("json://a", ["json://a"]),
        (" json://a/x , slack://b/c/d,\n", ["json://a/x", "slack://b/c/d"]),
        ("json://a\nntfys://b", ["json://a", "ntfys://b"]),
        ("mailto://u:p@h?to=a@x,b@y,json://c", ["mailto://u:p@h?to=a@x,b@y", "json://c"]),
    ],
)
def test_urls_may_have_commas_in_them(text: str, urls: list[str]) -> None:
    assert urls_in(Secret("AUTOREVIEW_NOTIFY_URLS", value=text)) == urls
