"""``autoreview notify --test``: whether a message gets through, without showing where to."""

import asyncio
import json
from pathlib import Path

from tests.integration.notify.harness import receiving
from tests.process import autoreview, free_port


async def run(*arguments: str, **settings: object) -> tuple[int, str, str]:
    done = await asyncio.to_thread(autoreview, "notify", *arguments, settings=settings)
    return done.returncode, done.stdout, done.stderr


async def test_a_test_goes_to_each_url_and_says_so_by_place_and_schema(tmp_path: Path) -> None:
    file = tmp_path / "urls"
    async with receiving() as receiver:
        file.write_text(f"{receiver.url}, {receiver.url}?method=POST\n")
        code, out, err = await run("--test", notify_urls_file=file)
    assert (code, out, err) == (0, "1: json ok\n2: json ok\n", "")
    assert receiver.titles == ["a test", "a test"]


async def test_one_that_fails_is_exit_1_and_no_url_is_shown() -> None:
    async with receiving() as receiver:
        receiver.status = 403
        nobody = f"jsons://secret:secret@127.0.0.1:{free_port()}/secret"
        urls = f"{receiver.url.replace('a-token', 'secret')},{nobody},nonsense://secret"
        code, out, err = await run("--test", notify_urls=urls)
        assert (code, err) == (1, "")
        assert out.splitlines() == [
            "1: json failed: it answered 403",
            "2: jsons failed: it could not be reached, or did not accept the message",
            "3: nonsense failed: apprise does not know this kind of URL",
        ]
        receiver.status = 200
        code, out, err = await run("--test", "--json", notify_urls=urls)
    assert (code, err) == (1, "")
    assert [(one["position"], one["schema"], one["ok"]) for one in json.loads(out)] == [
        (1, "json", True),
        (2, "jsons", False),
        (3, "nonsense", False),
    ]
    assert "secret" not in out


async def test_nothing_configured_is_exit_2_and_names_the_setting() -> None:
    code, out, err = await run("--test")
    assert (code, out) == (2, "")
    assert "AUTOREVIEW_NOTIFY_URLS is not set" in err
    code, _, err = await run("--test", notify_urls=",")
    assert (code, err) == (2, "AUTOREVIEW_NOTIFY_URLS contains no URL.\n")
    code, _, err = await run(notify_urls="json://127.0.0.1")
    assert code == 2
    assert "--test" in err
