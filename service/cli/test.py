"""``autoreview test``: runs the tests in rule files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.check import Where, rules_dir
from service.console.decision import flat
from service.console.output import Json, echo, print_json, print_table
from service.errors import ConfigurationError

if TYPE_CHECKING:
    from service.rules import CaseResult, RuleBook

Unreached = list[tuple[str, str]]


def run_tests(
    path: Where = None,
    require_coverage: Annotated[
        bool, typer.Option("--require-coverage", help="Exit 1 if a rule is reached by no test.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print the facts of each test, with defaults.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the tests in rule files. Exit 1 if a test fails or a file has errors."""
    from service.rules import junit_xml, run, unreached

    where = path or rules_dir()
    book = _loaded(where, as_json)
    results = [result for file in book.files for result in run(file)]
    missed = [(file.path, rule) for file in book.files for rule in unreached(file, results)]
    if junit:
        _write(junit, junit_xml(results))
    ok = all(result.ok for result in results) and not (require_coverage and missed)
    if as_json:
        print_json(_as_json(ok, results, missed))
    else:
        _print(where, results, missed, verbose=verbose)
        if require_coverage and missed:
            rules = "1 rule has" if len(missed) == 1 else f"{len(missed)} rules have"
            echo(f"Failed: {rules} no test that reaches it, and --require-coverage asks for one.")
    raise typer.Exit(0 if ok else 1)


def _loaded(where: Path, as_json: bool) -> "RuleBook":
    from service.cli.findings import print_findings
    from service.rules import InvalidRules, load

    try:
        return load(where)
    except InvalidRules as error:
        if as_json:
            findings = [finding.as_json() for finding in error.findings]
            print_json({"ok": False, "tests": [], "unreached": [], "findings": findings})
        else:
            print_findings(error.findings)
        raise typer.Exit(1) from None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"can't write {path}: {error.strerror}") from None


def _print(where: Path, results: "Sequence[CaseResult]", missed: Unreached, *, verbose: bool) -> None:
    if not results:
        echo(f"No tests in {where}.")
    else:
        print_table(("file", "test", "result"), [_row(result) for result in results])
    for result in results:
        if verbose:
            _print_facts(result)
        if not result.ok:
            _print_failure(result)
    for file, rule in missed:
        echo(f"{file}: no test reaches ‘{rule}’")
    if results:
        failed = sum(not result.ok for result in results)
        echo(f"{len(results) - failed} ok, {failed} failed")


def _row(result: "CaseResult") -> dict[str, str]:
    return {
        "file": result.file,
        "test": " ".join(result.case.name.split()),
        "result": "ok" if result.ok else "failed",
    }


def _print_facts(result: "CaseResult") -> None:
    echo("", f"{result.file}:{result.case.line}: {result.case.name}: facts")
    for name, value in flat(result.facts):
        origin = "given" if name in result.case.given else "default"
        echo(f"  {name} = {json.dumps(value, ensure_ascii=False)} ({origin})")


def _print_failure(result: "CaseResult") -> None:
    from service.rules import failure_lines

    echo("", f"{result.file}:{result.case.line}: {result.case.name}: failed")
    echo(*(f"  {line}" for line in failure_lines(result)))


def _as_json(ok: bool, results: "Sequence[CaseResult]", missed: Unreached) -> dict[str, Any]:
    return {
        "ok": ok,
        "tests": [_result_as_json(result) for result in results],
        "unreached": [{"file": file, "rule": rule} for file, rule in missed],
        "findings": [],
    }


def _result_as_json(result: "CaseResult") -> dict[str, Any]:
    return {
        "file": result.file,
        "line": result.case.line,
        "name": result.case.name,
        "ok": result.ok,
        "failures": [
            {"key": failure.key, "expected": failure.expected, "came": failure.came}
            for failure in result.failures
        ],
        "came": result.came,
        "trace": list(result.verdict.trace),
        "facts": result.facts,
    }
