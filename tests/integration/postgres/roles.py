"""Statements of an administrator, and commands that end in one sentence."""

from collections.abc import Callable

import psycopg

from tests.process import autoreview

MakeRole = Callable[..., str]


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def refused(command: str, url: str, **settings: object) -> str:
    """Run the command; return the sentence that it exits with."""
    ended = autoreview(*command.split(), settings={**settings, "database_url": url})
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    *logged, sentence = ended.stderr.splitlines()
    assert all("database." in line or '"starting"' in line for line in logged), ended.stderr
    return sentence
