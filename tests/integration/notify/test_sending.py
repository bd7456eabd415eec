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


async def write(notifying: Harness, *keys: str, kind: str = "breaker") -> None:
    async with notifying.database.begin() as connection:
        for key in keys:
            await add_notification(connection, kind, key, "A title", f"Text {key}.")


async def test_restarted_service_repeats_no_notification(notifying: Harness) -> None:
    await notifying.hold()
    await notifying.breaker()
    assert await notifying.look() == ["2 notifications"]
    assert await notifying.look() == []


async def test_what_one_process_is_about_to_send_no_other_takes(notifying: Harness) -> None:
    await write(notifying, "1")
    async with notifying.database.begin() as one, notifying.database.begin() as other:
        assert [notice.key for notice in await claim_due(one)] == ["1"]
        assert await asyncio.wait_for(claim_due(other), 5) == []


async def test_of_many_that_send_at_once_one_does(notifying: Harness) -> None:
    await write(notifying, "1")
    await asyncio.gather(*(notifying.notifier().send() for _ in range(6)))
    assert len(notifying.receiver.messages) == 1
    assert notifying.counted == {("breaker", "sent"): 1}


async def test_a_receiver_that_is_down_is_tried_again_later_and_nothing_is_lost(notifying: Harness) -> None:
    notifying.receiver.status = 503
    await write(notifying, "1", "2")
    await notifying.notifier().send()
    await write(notifying, "3")
    await notifying.notifier().send()
    assert notifying.counted == {("breaker", "failed"): 3}
    assert await notifying.unsent() == 3
    notifying.receiver.status = 200
    await notifying.notifier().send()
    assert notifying.receiver.messages == [], "not before its time"
    await notifying.later(0.05)
    await notifying.notifier().send()
    (message,) = notifying.receiver.messages
    assert message["title"] == "Autoreview: 3 × A title"
    assert all(f"Text {key}." in message["text"] for key in "123")
    assert await notifying.unsent() == 0


async def test_what_a_killed_process_was_sending_is_sent_by_another(notifying: Harness) -> None:
    await write(notifying, "1")
    async with notifying.database.begin() as connection:
        assert [notice.key for notice in await claim_due(connection)] == ["1"]  # and then it is killed
    await notifying.notifier().send()
    assert notifying.receiver.messages == []
    await notifying.later(0.05)
    await notifying.notifier().send()
    assert len(notifying.receiver.messages) == 1


async def test_after_a_day_of_failures_it_is_given_up_and_said_so(
    notifying: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    notifying.receiver.status = 503
    await write(notifying, "1")
    for _ in range(TRIES):
        await notifying.notifier().send()
        await notifying.later(1.01)
    assert notifying.counted == {("breaker", "failed"): TRIES - 1, ("breaker", "given_up"): 1}
    assert "notice.given_up" in capsys.readouterr().out
    notifying.receiver.status = 200
    await notifying.notifier().send()
    assert notifying.receiver.messages == []


async def test_a_url_that_takes_it_is_enough_and_the_other_is_named_by_its_place(
    notifying: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    await write(notifying, "1")
    await notifying.notifier(
        NOBODY.format(free_port()), notifying.receiver.url, "nonsense://secret-path"
    ).send()
    assert len(notifying.receiver.messages) == 1
    assert await notifying.unsent() == 0
    log = capsys.readouterr().out
    assert "it could not be reached" in log
    assert "apprise does not know this kind of URL" in log
    assert "secret" not in log


async def test_ten_messages_an_hour_go_out_singly_and_the_rest_gathers(notifying: Harness) -> None:
    for key in range(30):
        await write(notifying, f"{key}")
        await notifying.notifier().send()
    assert len(notifying.receiver.messages) == 10
    await notifying.later(0.1)
    await notifying.notifier().send()
    assert len(notifying.receiver.messages) == 10, "six minutes later"
    await notifying.later(0.1)
    await notifying.notifier().send()
    assert notifying.receiver.titles[10:] == ["20 × A title"]
    await write(notifying, "one more")
    await notifying.notifier().send()
    assert len(notifying.receiver.messages) == 11
    await notifying.later(1)
    await notifying.notifier().send()
    assert "Text one more." in notifying.receiver.messages[11]["text"]


async def test_without_urls_notices_go_to_the_log(
    notifying: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    await write(notifying, "1")
    await notifying.notifier(is_set=False).send()
    assert "Text 1." in capsys.readouterr().out
    assert await notifying.unsent() == 0
    assert notifying.counted == {("breaker", "logged"): 1}


async def test_urls_in_a_file_are_read_anew_and_a_bad_file_loses_nothing(
    notifying: Harness, tmp_path: Path
) -> None:
    file = tmp_path / "urls"
    file.write_text(",\n")
    notifier = Notifier(
        notifying.database, notifying.rules, Secret("AUTOREVIEW_NOTIFY_URLS", file=file), notifying.ask_study
    )
    await write(notifying, "1")
    await notifier.send()
    file.write_text(f"{notifying.receiver.url}\n")
    await notifying.later(0.05)
    await notifier.send()
    assert len(notifying.receiver.messages) == 1


async def test_no_log_at_any_level_holds_a_url(
    notifying: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    await write(notifying, "1")
    notifying.receiver.status = 404
    address = notifying.receiver.url.removeprefix("json://").partition("/")[0]
    urls = (f"json://{address}/secret-path?+authorization=secret-header", NOBODY.format(free_port()))
    with everything_logged() as log:
        await notifying.notifier(*urls, "mailto://user:secret-password@", "secret-token").send()
        notifying.receiver.status = 200
        await notifying.later(0.05)
        await notifying.notifier(*urls).send()
        logging.getLogger("some.library").debug("is seen")
    assert len(notifying.receiver.messages) == 1
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
