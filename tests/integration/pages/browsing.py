"""A person at the dashboard without a browser: signs in, reads pages, and sends their forms."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx

from tests.world import ADMIN, World

CSRF = re.compile(r'name="csrf" value="([^"]*)"')


@dataclass
class Person:
    """Somebody's session at the dashboard."""

    http: httpx.AsyncClient

    async def page(self, path: str, **query: Any) -> str:
        answer = await self.http.get(path, params=query or None)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return answer.text

    async def csrf(self) -> str:
        return csrf_of(await self.page("/"))

    async def send(self, path: str, *, csrf: str | None = None, **fields: Any) -> httpx.Response:
        """Send a form of this session's."""
        token = await self.csrf() if csrf is None else csrf
        return await self.http.post(path, data={"csrf": token, **fields})


def csrf_of(page: str) -> str:
    found = CSRF.search(page)
    assert found, page
    return unescape(found[1])


async def sign_in(
    http: httpx.AsyncClient, token: str = ADMIN, name: str = "Ada", **fields: str
) -> httpx.Response:
    form = await http.get("/sign-in")
    fields = {"csrf": csrf_of(form.text), "token": token, "name": name, **fields}
    return await http.post("/sign-in", data=fields)


@asynccontextmanager
async def person(world: World, token: str = ADMIN, name: str = "Ada") -> AsyncIterator[Person]:
    """Somebody who has signed in."""
    async with httpx.AsyncClient(base_url=world.url, timeout=30) as http:
        answer = await sign_in(http, token, name)
        assert (answer.status_code, answer.headers["location"]) == (303, "/"), answer.text
        yield Person(http)
