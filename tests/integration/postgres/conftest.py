"""Roles with rights of their own, for tests of what a database refuses."""

from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.integration.postgres.roles import MakeRole, run


@pytest.fixture
def role() -> Iterator[MakeRole]:
    """``role(url, "GRANT … TO {role}")`` makes a role with these rights, and returns the URL with it."""
    made: list[tuple[str, str]] = []

    def make(url: str, *statements: str) -> str:
        name = f"role_{uuid4().hex[:8]}"
        made.append((url, name))
        run(url, f"CREATE ROLE {name} LOGIN PASSWORD 'x'", *(each.format(role=name) for each in statements))
        address = urlsplit(url)
        return f"postgresql://{name}:x@{address.hostname}:{address.port}{address.path}"

    yield make
    for url, name in made:
        run(url, f"DROP OWNED BY {name}", f"DROP ROLE {name}")
