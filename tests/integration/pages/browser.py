"""A real browser at the dashboard: headless Chromium, as Debian packages it."""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright, expect

from tests.world import ADMIN

ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
# All that axe has to say of a page takes longer to pass on than to find.
VIOLATIONS = """async options => (await axe.run(options)).violations.flatMap(
    one => one.nodes.map(node => `${one.id}: ${node.html.slice(0, 200)}`))"""
PATIENCE = 30_000  # milliseconds to wait for something to appear
PHONE, DESKTOP = (390, 844), (1280, 900)
expect.set_options(timeout=PATIENCE)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser; the test is skipped where the machine has none."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("there is no Chromium on this machine: `apt-get install chromium` brings it")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        await browser.close()


@dataclass
class Visit:
    """A person's tab, and all that went wrong in it."""

    page: Page
    url: str
    wrong: list[str] = field(default_factory=list)

    def note_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.wrong.append(f"console: {message.text}")

    def note_request(self, request: Request) -> None:
        if not request.url.startswith(self.url):
            self.wrong.append(f"another host: {request.url}")

    async def go(self, path: str) -> Page:
        await self.page.goto(f"{self.url}{path}")
        return self.page

    async def violations(self, rules: Sequence[str] = ()) -> list[str]:
        """What axe finds on the page as it is, by all its rules or these."""
        only = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate(AXE_SCRIPT)
        found: list[str] = await self.page.evaluate(VIOLATIONS, {"resultTypes": ["violations"], **only})
        return found

    async def is_wider_than_the_screen(self) -> bool:
        return bool(await self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@asynccontextmanager
async def visit(
    browser: Browser,
    url: str,
    *,
    token: str = ADMIN,
    name: str = "Ada",
    size: tuple[int, int] = DESKTOP,
) -> AsyncIterator[Visit]:
    """Somebody signed in. In the end no error was on the console, and no other host was asked for anything."""
    context = await browser.new_context(
        color_scheme="light",
        viewport={"width": size[0], "height": size[1]},
        timezone_id="America/New_York",
        locale="en-GB",
    )
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    found = Visit(page, url)
    page.on("console", found.note_console)
    page.on("pageerror", lambda error: found.wrong.append(f"script: {error}"))
    page.on("request", found.note_request)
    await page.goto(f"{url}/sign-in")
    await page.get_by_label("Your name").fill(name)
    await page.get_by_label("Token").fill(token)
    await page.get_by_role("button", name="sign in").click()
    await page.wait_for_url(f"{url}/")
    yield found
    await context.close()
    assert found.wrong == []
