"""The pictures of the documents, taken from the dashboard of a rehearsal: ``python -m tests.screenshots``."""

import asyncio
import re
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import Page

from service.postgres.embedded import delete_database
from tests.integration.pages.browser import chromium, visit
from tests.process import environment

IMAGES = Path(__file__).parent.parent / "docs" / "images"
WIDTH, HEIGHT = 1200, 700
ADDRESS = re.compile(r"The dashboard is open: (\S+)/\s+sign in with any name and the token\s+(\S+)")


async def main() -> None:
    """Run the rehearsal, and take the pictures while it is open."""
    with TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", "demo", "--keep"),
            cwd=folder,
            env=environment({}),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            url, token = await _address(process)
            async with chromium() as browser, visit(browser, url, token=token, size=(WIDTH, HEIGHT)) as tab:
                await _take(tab.page, url)
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
                await process.communicate()
            delete_database(Path(folder) / ".autoreview" / "demo")


async def _address(process: asyncio.subprocess.Process) -> tuple[str, str]:
    """Wait for the end of the rehearsal; return the address of its dashboard and the token."""
    assert process.stdout
    shown = ""
    while "Stop with Ctrl-C." not in shown:
        line = await process.stdout.readline()
        assert line, shown
        shown += line.decode()
    found = ADDRESS.search(shown)
    assert found, shown
    return found[1], found[2]


async def _take(page: Page, url: str) -> None:
    await _save(page, "overview")
    await page.goto(f"{url}/decisions?outcome=request_return&status=applied")
    await page.locator("tbody a.id").first.click()
    await page.wait_for_url("**/submissions/*")
    await _save(page, "submission")
    await page.goto(f"{url}/holds")
    await page.keyboard.press("j")
    await page.keyboard.press("a")
    await page.locator("#planned .notice").wait_for()
    await _save(page, "holds")
    await page.keyboard.press("u")


async def _save(page: Page, name: str) -> None:
    await page.wait_for_load_state()
    await page.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    asyncio.run(main())
