"""Loaded rule files and folders."""

import hashlib
import os
from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from service.domain.decision import Mode, Outcome
from service.rules import (
    FieldType,
    InvalidRules,
    Limits,
    RejectLimit,
    ReturnLimit,
    RewardLimit,
    RuleFile,
    check,
    load,
)

LoadText = Callable[[str], RuleFile]


def write(folder: Path, name: str, studies: str, text: str = "") -> Path:
    path = folder / name
    path.write_text(f"version: 1\nname: n\nstudies: {studies}\n{text}", encoding="utf-8")
    return path


def test_status_lists_what_a_rule_file_declares(loaded: LoadText, tmp_path: Path) -> None:
    file = loaded(
        "mode: approve-only\nlimits: {reject: {share: 12.5%, of_last: 10, per_day: 0}}\notherwise: approve\n"
    )
    assert (file.path, file.name, file.studies, file.mode) == (
        "a.yaml",
        "A study",
        ("60aca280709ee40ec37d4885",),
        Mode.APPROVE_ONLY,
    )
    assert file.hash == hashlib.sha256((tmp_path / "a.yaml").read_bytes()).hexdigest()
    assert file.source_text.startswith("version: 1\nname: A study\n")
    assert file.limits.reject == RejectLimit(share=Fraction(1, 8), of_last=10, per_day=0)
    assert file.otherwise is Outcome.APPROVE


def test_absent_sections_of_a_file_have_their_defaults(loaded: LoadText) -> None:
    file = loaded("")
    assert (file.mode, file.otherwise, file.rules) == (None, Outcome.HOLD, ())
    assert file.limits == Limits(
        reject=RejectLimit(share=Fraction(1, 10), of_last=50, per_day=20),
        request_return=ReturnLimit(per_day=50),
        approve=RewardLimit(reward_per_day=None),
    )
    assert file.hold_at_most is None
    assert file.evidence["survey"].wait is None


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("request_return: {per_day: 3}", Limits(request_return=ReturnLimit(per_day=3))),
        ("request_return: {per_day: 0}", Limits(request_return=ReturnLimit(per_day=0))),
        ("request_return: {}", Limits()),
        ("approve: {reward_per_day: 50000}", Limits(approve=RewardLimit(reward_per_day=50000))),
        ("approve: {reward_per_day: 0}", Limits(approve=RewardLimit(reward_per_day=0))),
        ("approve: {}", Limits()),
        (
            "reject: {per_day: 1}, request_return: {per_day: 2}, approve: {reward_per_day: 3}",
            Limits(
                reject=RejectLimit(per_day=1),
                request_return=ReturnLimit(per_day=2),
                approve=RewardLimit(reward_per_day=3),
            ),
        ),
    ],
)
def test_each_limit_can_be_set_by_itself(loaded: LoadText, text: str, limits: Limits) -> None:
    assert loaded(f"limits: {{{text}}}\n").limits == limits


@pytest.mark.parametrize(
    ("text", "longest"),
    [("72h", timedelta(hours=72)), ("1m", timedelta(minutes=1)), ("1d12h", timedelta(hours=36))],
)
def test_hold_at_most_is_a_duration(loaded: LoadText, text: str, longest: timedelta) -> None:
    assert loaded(f"hold_at_most: {text}\n").hold_at_most == longest


def test_hold_at_most_over_21_days_is_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml", "[60aca280709ee40ec37d4885]", "hold_at_most: 21d1s\n")
    [finding] = check(path)
    assert (finding.line, finding.column, finding.code, finding.severity) == (4, 15, "RUL024", "warning")
    assert finding.message == "has no effect: Prolific itself pays on day 21"
    assert load(path).files[0].hold_at_most == timedelta(days=21, seconds=1)
    assert check(write(tmp_path, "a.yaml", "[60aca280709ee40ec37d4885]", "hold_at_most: 21d\n")) == []


def test_study_id_of_digits_stays_text(tmp_path: Path) -> None:
    ids = (
        "123456789012345678901234",
        "5e10",
        "0x1f",
        "007",
        "1_000",
        "yes",
        "1.50",
        "60aca280709ee40ec37d4885",
    )
    assert load(write(tmp_path, "a.yaml", f"[{', '.join(ids)}]")).files[0].studies == ids
    listed = "\n" + "\n".join(f"- {study}" for study in ids)
    assert load(write(tmp_path, "a.yaml", listed)).files[0].studies == ids


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("45s", timedelta(seconds=45)),
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("1d2h3m4s", timedelta(days=1, hours=2, minutes=3, seconds=4)),
    ],
)
def test_duration_is_read(tmp_path: Path, text: str, duration: timedelta) -> None:
    evidence = f"evidence: {{s: {{from: push, fields: {{a: int}}, wait: {text}}}}}\n"
    assert (
        load(write(tmp_path, "a.yaml", "[60aca280709ee40ec37d4885]", evidence)).files[0].evidence["s"].wait
        == duration
    )


@pytest.mark.parametrize("text", ["0s", "-1h", "1 h", "1w", "30", "m", "1m1h", "1.5h", "999999999d", "٣h"])
def test_invalid_duration_is_refused(tmp_path: Path, text: str) -> None:
    path = write(
        tmp_path,
        "a.yaml",
        "[60aca280709ee40ec37d4885]",
        f"evidence: {{s: {{from: push, fields: {{a: int}}, wait: {text}}}}}\n",
    )
    assert [finding.path for finding in check(path)] == ["evidence.s.wait"]


def test_file_accepts_a_byte_order_mark_and_anchors(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    text = "\ufeffversion: 1\nname: &n Stroop\nstudies: all\nrules:\n  - {name: *n, when: true, approve: }\n"
    path.write_text(text, encoding="utf-8")
    file = load(path).files[0]
    assert (file.studies, file.rules[0].name) == (None, "Stroop")


def test_study_has_the_file_that_names_it_else_the_one_for_all(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "all")
    write(
        tmp_path,
        "b.yaml",
        "[60aca280709ee40ec37d4885]",
        "evidence: {survey: {from: push, fields: {a: int}}}\n",
    )
    book = load(tmp_path)
    assert [file.path for file in book.files] == ["a.yaml", "b.yaml"]
    assert [
        file and file.path
        for file in (book.file_for("60aca280709ee40ec37d4885"), book.file_for("61b0f1c9a5d3e24c7f8a1b02"))
    ] == ["b.yaml", "a.yaml"]
    assert [file.path for file in book.files_declaring("survey")] == ["b.yaml"]
    assert book.files_declaring("other") == ()


def test_part_of_a_study_has_its_own_file_else_that_of_its_parent_else_the_one_for_all(
    tmp_path: Path,
) -> None:
    write(tmp_path, "all.yaml", "all")
    write(tmp_path, "child.yaml", "[child]")
    write(tmp_path, "parent.yaml", "[parent]")
    book = load(tmp_path)
    asked = [("child", "parent"), ("other", "parent"), ("other", "unknown"), ("other", None)]
    found = [file and file.path for file in (book.file_for(*one) for one in asked)]
    assert found == ["child.yaml", "parent.yaml", "all.yaml", "all.yaml"]


def test_unclaimed_study_has_no_file(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "[60aca280709ee40ec37d4885]")
    assert load(tmp_path).file_for("61b0f1c9a5d3e24c7f8a1b02") is None


def test_two_files_for_one_study_are_reported_with_both_names(tmp_path: Path) -> None:
    first, second = (
        write(tmp_path, "a.yaml", "[60aca280709ee40ec37d4885]"),
        write(tmp_path, "b.yaml", "[61b0f1c9a5d3e24c7f8a1b00, 60aca280709ee40ec37d4885]"),
    )
    [finding] = check(tmp_path)
    assert (
        str(finding)
        == f"{second}:3:37: RUL010 error studies: study 60aca280709ee40ec37d4885 is named by both {first} and {second}"
    )


def test_two_files_for_all_studies_are_reported_with_both_names(tmp_path: Path) -> None:
    first, second = write(tmp_path, "a.yaml", "all"), write(tmp_path, "b.yaml", "all", "rulez: []\n")
    found = check(tmp_path)
    assert [finding.code for finding in found] == ["RUL010", "RUL005"]
    assert str(first) in found[0].message
    assert str(second) in found[0].message


def test_folder_reports_errors_of_all_files_in_order(tmp_path: Path) -> None:
    write(tmp_path, "b.yaml", "[]")
    write(tmp_path, "a.yaml", "[60aca280709ee40ec37d4885]", "mode: x\nrulez: []\n")
    write(tmp_path, "c.yaml", "[61b0f1c9a5d3e24c7f8a1b03]")
    with pytest.raises(InvalidRules) as caught:
        load(tmp_path)
    places = [(Path(finding.file).name, finding.line) for finding in caught.value.findings]
    assert places == [("a.yaml", 4), ("a.yaml", 5), ("b.yaml", 3)]


def test_findings_have_the_path_that_the_caller_gave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yaml").touch()
    monkeypatch.chdir(tmp_path)
    assert [str(finding) for finding in check(Path("rules"))] == [
        "rules/a.yaml:1:1: RUL003 error the file is empty"
    ]


def test_missing_or_empty_folder_is_an_error(tmp_path: Path) -> None:
    assert [finding.code for finding in check(tmp_path)] == ["RUL003"]
    [finding] = check(tmp_path / "nowhere")
    assert (finding.code, finding.line, finding.column) == ("RUL001", 1, 1)


@pytest.mark.parametrize("name", ["b.yml", "b.YAML", "b.Yml", "b.yaml.txt", "b.YML.TXT", "b.yaml.rtf"])
def test_file_that_looks_like_rules_is_reported_and_not_read(tmp_path: Path, name: str) -> None:
    write(tmp_path, "a.yaml", "[60aca280709ee40ec37d4885]")
    (tmp_path / name).write_text("nonsense", encoding="utf-8")
    [finding] = check(tmp_path)
    assert (finding.severity, finding.code) == ("warning", "RUL021")
    assert "b.yaml" in finding.message
    assert len(load(tmp_path).files) == 1


def test_hidden_file_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "[60aca280709ee40ec37d4885]")
    (tmp_path / ".#a.yaml").symlink_to("nowhere")
    assert check(tmp_path) == []


def test_folder_named_as_a_rule_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    assert [finding.message for finding in check(tmp_path)] == ["is not a file"]


def test_evidence_types_are_strict(loaded: LoadText) -> None:
    source = loaded("").evidence["survey"]
    assert source.fields["failed"] is FieldType.INT
    accepted = source.validate({"failed": 2**63 - 1, "gibberish": 2**60, "consented": False, "note": None})
    assert accepted.values == {"failed": 2**63 - 1, "gibberish": float(2**60), "consented": False}
    assert accepted.problems == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("failed", True),
        ("failed", 1.0),
        ("failed", "1"),
        ("failed", 2**63),
        ("failed", -(2**63)),
        ("gibberish", True),
        ("gibberish", "0.1"),
        ("gibberish", float("nan")),
        ("gibberish", float("inf")),
        ("gibberish", 10**400),
        ("consented", 1),
        ("consented", "true"),
        ("note", 1),
        ("note", "a\0"),
        ("note", "\udc00"),
        ("note", ["a"]),
        ("received", True),
        ("unheard_of", 1),
        ("unheard_of", None),
    ],
)
def test_evidence_of_another_type_is_refused_with_its_field(
    loaded: LoadText, field: str, value: object
) -> None:
    accepted = loaded("").evidence["survey"].validate({field: value})
    assert accepted.values == {}
    [(named, problem)] = accepted.problems
    assert named == field
    assert field in problem


@pytest.mark.parametrize("target", ["../secret", "nested/../../secret"])
def test_link_out_of_the_folder_is_refused_without_its_content(tmp_path: Path, target: str) -> None:
    (tmp_path / "secret").write_text("password: hunter2\n", encoding="utf-8")
    (tmp_path / "rules" / "nested").mkdir(parents=True)
    (tmp_path / "rules" / "a.yaml").symlink_to(target)
    [finding] = check(tmp_path / "rules")
    assert (finding.code, finding.message) == (
        "RUL001",
        "links to a file outside of the folder: copy it into the folder",
    )


def test_links_of_a_mounted_config_map_are_read(tmp_path: Path) -> None:
    (tmp_path / "real" / "..1").mkdir(parents=True)
    write(tmp_path / "real" / "..1", "a.yaml", "[60aca280709ee40ec37d4885]")
    (tmp_path / "real" / "..data").symlink_to("..1")
    (tmp_path / "real" / "a.yaml").symlink_to("..data/a.yaml")
    (tmp_path / "mounted").symlink_to("real")
    assert [file.path for file in load(tmp_path / "mounted").files] == ["a.yaml"]


def test_named_rule_file_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "[60aca280709ee40ec37d4885]")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "b.yaml").symlink_to(tmp_path / "a.yaml")
    assert check(tmp_path / "links" / "b.yaml") == []


@pytest.mark.parametrize("target", [None, "a.yaml", "/dev/zero"])
def test_pipe_loop_and_device_are_errors_without_waiting(tmp_path: Path, target: str | None) -> None:
    if target is None:
        os.mkfifo(tmp_path / "a.yaml")
    else:
        (tmp_path / "a.yaml").symlink_to(target)
    for path in (tmp_path, tmp_path / "a.yaml"):
        [finding] = check(path)
        assert finding.code == "RUL001"
