"""Settings, commands, codes and log events of the code, to compare with the tables in ``docs/reference.md``."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType
from typing import Any

import typer

import service
from service.cli import app
from service.errors import AutoreviewError
from tests.unit.docs.pages import ROOT

SOURCES = {
    path: path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "service").rglob("*.py"))
    if not {"sandbox", "demo"} & set(path.relative_to(ROOT).parts)
}
LEVELS = {"info", "warning", "error", "exception", "critical"}


@cache
def modules() -> tuple[ModuleType, ...]:
    found = walk_packages(service.__path__, "service.")
    return tuple(import_module(one.name) for one in found if not one.name.endswith(("__main__", "_child")))


def defined(name: str, package: str = "service") -> Any:
    """Return the one class or constant of this name in a package."""
    holders = [vars(one) for one in modules() if one.__name__.startswith(package) and name in vars(one)]
    (only,) = {id(holder[name]): holder[name] for holder in holders}.values()
    return only


def commands() -> dict[str, set[str]]:
    """Return each command with its options."""

    def walk(command: Any, path: str) -> Iterator[tuple[str, set[str]]]:
        if inner := getattr(command, "commands", None):
            for name, one in inner.items():
                yield from walk(one, f"{path} {name}")
        else:
            options = {option for one in command.params for option in one.opts if option.startswith("-")}
            yield path, options - {"--help", "-h", "--env-file"}

    return dict(walk(typer.main.get_command(app), "autoreview"))


def error_codes() -> set[str]:
    """Return the codes of errors and of refused requests."""

    def branch(root: type[AutoreviewError]) -> Iterator[str]:
        for error in root.__subclasses__():
            yield error.code
            yield from branch(error)

    modules()  # so that each error is defined
    refused = {
        code
        for text in SOURCES.values()
        for code in re.findall(r'(?:problem|_refuse|Refused)\(\s*\d+,\s*"(\w+)"', text)
    }
    return set(branch(AutoreviewError)) | refused


def log_events() -> set[str]:
    """Return the literal names of log events above level debug."""
    return {
        node.args[0].value
        for text in SOURCES.values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LEVELS
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def texts() -> set[str]:
    """Return all literal texts in the code."""
    return {
        node.value
        for text in SOURCES.values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
