"""The JSON Schema for editors accepts files that load, and refuses files that cannot load where possible."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from service.rules import FACTS, check, schema
from service.rules.format.document import Mapping, Node, Scalar, read
from service.rules.format.findings import Findings

RULES = Path(__file__).parents[3] / "rules"
FILES = sorted(RULES.glob("*.yaml"))
HEAD = "version: 1\nname: n\nstudies: [60aca280709ee40ec37d4885]\n"
RULE = f"{HEAD}rules:\n  - name: r\n    when: submission.pace > 1.0\n"
LONG = "You missed two of our attention checks, and each of them said in plain words what to answer. Please write."

VALIDATOR = Draft202012Validator(schema())


def as_editors_read(text: str) -> Any:
    """Load YAML by the core schema of YAML 1.2."""
    tree = read(text, Findings("a.yaml"))
    assert tree is not None
    return value(tree)


def value(node: Node) -> Any:
    if isinstance(node, Mapping):
        return {key: value(item) for key, (_, item) in node.entries.items()}
    if not isinstance(node, Scalar):
        return [value(item) for item in node.items]
    if node.is_null or node.is_bool:
        return {"true": True, "false": False}.get(node.value)
    if node.plain and re.fullmatch("[-+]?[0-9]+", node.value):
        return int(node.value)
    if node.plain and re.fullmatch(r"[-+]?[0-9]*[.][0-9]+", node.value):
        return float(node.value)
    return node.value


def test_json_schema_is_valid() -> None:
    Draft202012Validator.check_schema(schema())


def test_json_schema_beside_the_rules_is_up_to_date() -> None:
    written = json.loads((RULES / "rules.schema.json").read_text(encoding="utf-8"))
    assert written == schema(), "run: autoreview schema > rules/rules.schema.json"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_json_schema_accepts_the_examples_which_name_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    VALIDATOR.validate(as_editors_read(text))
    assert text.startswith("# yaml-language-server: $schema=./rules.schema.json\n")


def defined(name: str) -> dict[str, Any]:
    """Return the properties of one definition."""
    properties: dict[str, Any] = schema()["$defs"][name]["properties"]
    return properties


def test_json_schema_describes_every_fact() -> None:
    given = defined("Given")
    for fact in FACTS:
        group, _, field = fact.partition(".")
        described = defined(group)[field] if field else given[group]
        assert described["description"]


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}",
        "version: 1\nname: 2024\nstudies: [123456789012345678901234, 5e10]\n",
        "version: 1\nname: n\nstudies: all\nmode: observe\nlimits: {reject: {share: 12.5%, of_last: 10, per_day: 0}}\n",
        f"{HEAD}limits: {{request_return: {{per_day: 0}}, approve: {{reward_per_day: 50000}}}}\nhold_at_most: 72h\n",
        f"{RULE}    approve:\n",
        f"{RULE}    hold: x\n    observe: true\ntests: [{{name: t, expect: {{would: {{r: null}}}}}}]\n",
        f"{RULE}    hold: x\n    observe: false\n",
        f"{RULE}    approve: {{}}\n    tag: 7\n",
        f"{RULE}    reject: {{category: FAILED_CHECK, message: '{LONG}'}}\n    if_unknown: skip\n",
        f"{RULE}    reject: {{category: NO_CODE, message: '{LONG}'}}\n    allow: [POL003]\n    because: x\n",
        f"{RULE}    request_return: {{reasons: [Please.]}}\n    recheck_after: 1d12h\n",
        f"{RULE}    complete: {{code: X, percentage_of_reward: 8.5}}\n",
        f"{HEAD}rules:\n  - name: r\n    when: {{none: ['submission.pace > 1.0', 'false']}}\n    hold: x\n",
        f"{HEAD}tests:\n  - name: t\n    given: {{stats: {{z: null}}, evidence: {{}}}}\n    expect: {{rule: null, undecidable: false}}\n",
    ],
)
def test_json_schema_accepts_files_that_load(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    assert not [finding for finding in check(path) if finding.severity == "error"]
    VALIDATOR.validate(as_editors_read(text))


@pytest.mark.parametrize(
    "text",
    [
        "name: n\nstudies: [60aca280709ee40ec37d4885]\n",
        "version: 2\nname: n\nstudies: [60aca280709ee40ec37d4885]\n",
        "version: 1\nname: n\nstudies: []\n",
        "version: 1\nname: n\nstudies: 60aca280709ee40ec37d4885\n",
        "version: 1\nname: n\nstudies: [all]\n",
        f"{HEAD}rulez: []\n",
        f"{HEAD}mode: lief\n",
        f"{HEAD}otherwise: reject\n",
        f"{HEAD}limits: {{reject: {{share: 0.1}}}}\n",
        f"{HEAD}limits: {{reject: {{share: 101%}}}}\n",
        f"{HEAD}limits: {{reject: {{of_last: 0}}}}\n",
        f"{HEAD}limits: {{request_return: {{per_day: -1}}}}\n",
        f"{HEAD}limits: {{request_return: {{share: 10%}}}}\n",
        f"{HEAD}limits: {{approve: {{reward_per_day: 0.5}}}}\n",
        f"{HEAD}limits: {{approve: {{reward_per_day: true}}}}\n",
        f"{HEAD}hold_at_most: 72\n",
        f"{HEAD}hold_at_most: 0h\n",
        f"{HEAD}evidence: {{Survey: {{from: push, fields: {{a: int}}}}}}\n",
        f"{HEAD}evidence: {{in: {{from: push, fields: {{a: int}}}}}}\n",
        f"{HEAD}evidence: {{s: {{from: push, fields: {{a: integer}}}}}}\n",
        f"{HEAD}evidence: {{s: {{from: push, fields: {{}}}}}}\n",
        f"{HEAD}evidence: {{s: {{from: push, fields: {{a: int}}, wait: 0h}}}}\n",
        f"{HEAD}rules:\n  - name: r\n    approve:\n",
        f"{HEAD}rules:\n  - name: r\n    when: {{all: []}}\n    approve:\n",
        f"{HEAD}rules:\n  - name: r\n    when: {{all: ['true'], any: ['true']}}\n    approve:\n",
        RULE,
        f"{RULE}    aprove:\n",
        f"{RULE}    approve:\n    hold: x\n",
        f"{RULE}    hold:\n",
        f"{RULE}    hold: {{now}}\n",
        f"{RULE}    reject: {{category: FAILED_CHEK, message: '{LONG}'}}\n",
        f"{RULE}    reject: {{category: FAILED_CHECK, message: short}}\n",
        f"{RULE}    reject: {{category: FAILED_CHECK}}\n",
        f"{RULE}    request_return: {{reasons: []}}\n",
        f"{RULE}    request_return: {{reasons: [Please.]}}\n    recheck_after: soon\n",
        f"{RULE}    complete: {{percentage_of_reward: 50}}\n",
        f"{RULE}    complete: {{code: A, code_type: B}}\n",
        f"{RULE}    complete: {{code: A, percentage_of_reward: 7}}\n",
        f"{RULE}    approve:\n    if_unknown: skip\n",
        f"{RULE}    approve:\n    observe: yes\n",
        f"{RULE}    approve:\n    observe: true\ntests: [{{name: t, expect: {{would: {{}}}}}}]\n",
        f"{RULE}    approve:\n    observe: true\ntests: [{{name: t, expect: {{would: {{r: pay}}}}}}]\n",
        f"{RULE}    approve:\n    observe: true\ntests: [{{name: t, expect: {{would: hold}}}}]\n",
        f"{RULE}    approve:\n    allow: [POL003]\n",
        f"{RULE}    approve:\n    allow: [POL999]\n    because: x\n",
        f"{HEAD}tests:\n  - name: t\n    expect: {{}}\n",
        f"{HEAD}tests:\n  - name: t\n    expect: {{outcome: pay}}\n",
        f"{HEAD}tests:\n  - name: t\n    given: {{submission: {{pac: 1}}}}\n    expect: {{outcome: hold}}\n",
        f"{HEAD}tests:\n  - name: t\n    given: {{submission: {{pace: fast}}}}\n    expect: {{outcome: hold}}\n",
    ],
)
def test_json_schema_refuses_files_that_cannot_load(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    assert [finding for finding in check(path) if finding.severity == "error"]
    assert not VALIDATOR.is_valid(as_editors_read(text))
