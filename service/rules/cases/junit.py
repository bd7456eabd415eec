"""Test results as JUnit XML, for CI."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from service.domain.printable import printable
from service.rules.cases.run import CaseResult
from service.rules.sentences import seen_values
from service.rules.templates import written

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def junit_xml(results: Iterable[CaseResult]) -> str:
    """Return one suite per file and one case per test, well-formed for any names."""
    # `check` and the service import this module too, and never write XML.
    from xml.etree.ElementTree import Element, indent, tostring

    by_file: dict[str, list[CaseResult]] = {}
    for result in results:
        by_file.setdefault(result.file, []).append(result)
    root = Element("testsuites", name="autoreview")
    for file, cases in by_file.items():
        _suite(root, file, cases)
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suite(root: "Element", file: str, cases: Sequence[CaseResult]) -> None:
    from xml.etree.ElementTree import SubElement

    failed = sum(not case.ok for case in cases)
    counts = {"tests": str(len(cases)), "failures": str(failed), "errors": "0", "skipped": "0"}
    suite = SubElement(root, "testsuite", {"name": _clean(file), **counts})
    for case in cases:
        attributes = {"classname": _clean(file), "name": _clean(case.case.name), "line": str(case.case.line)}
        element = SubElement(suite, "testcase", attributes)
        if not case.ok:
            lines = failure_lines(case)
            SubElement(element, "failure", message=lines[0]).text = "\n".join(lines)


def failure_lines(result: CaseResult) -> list[str]:
    """Return the expected and actual results, and each evaluated rule with its values."""
    lines = [
        f"{failure.key}: expected {_shown(failure.expected)}, came {_shown(failure.came)}"
        for failure in result.failures
    ]
    lines.append(f"reason: {result.came['reason']}")
    lines += [
        f"{entry['rule']}: {_result(entry)}: {seen_values(entry['values'])}" for entry in result.verdict.trace
    ]
    return [_clean(" ".join(line.split())) for line in lines]


def _result(entry: Mapping[str, Any]) -> str:
    return f"{entry['result']}, only observed" if "observe" in entry else str(entry["result"])


def _shown(value: str | bool | None) -> str:
    return "nothing" if value is None else written(value)


def _clean(text: str) -> str:
    return printable(text, keep="\t\n\r")
