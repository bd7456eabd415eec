"""What helm prints after an install can be followed word for word."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.unit.deploy.chart import CI, ci, texts

# Replaces a cluster: logs its calls, keeps its input, and fails on request.
STUB = """#!/bin/sh
echo "$(basename "$0") $*" >> "$LOG"
case "$*" in
  *"$FAILS"*) exit 1;;
  *"cat /tmp/webhook-secret") printf '%s' "$SECRET";;
  *"--patch-file /dev/stdin" | *"=-") cat > "$GIVEN";;
esac
"""
OWN_SECRET, INLINE = "minimal", "demo"


def notes(values: str) -> str:
    return texts(ci(values))["NOTES.txt"]


def setting_up(values: str) -> str:
    """The commands of step 2."""
    (step,) = re.findall(r"^2\. .*?(?=^3\. )", notes(values), re.MULTILINE | re.DOTALL)
    return "\n".join(line for line in step.splitlines() if line.startswith("     "))


def follow(values: str, folder: Path, fails: str = "nothing", held: str = "s3cret") -> tuple[list[str], str]:
    """What was asked of the cluster in turn, by the commands of step 2, and what was written there."""
    for name in ("kubectl", "helm"):
        (folder / name).write_text(STUB, encoding="utf-8")
        (folder / name).chmod(0o755)
    log, given = folder / "log", folder / "given"
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "LOG": str(log), "GIVEN": str(given)}
    subprocess.run(
        ["/bin/sh", "-c", setting_up(values)],
        env={**environment, "FAILS": fails, "SECRET": held},
        check=False,
        timeout=60,
    )
    written = given.read_text(encoding="utf-8") if given.exists() else ""
    return log.read_text(encoding="utf-8").splitlines(), written


def test_chart_notes_have_the_next_step_and_no_secret() -> None:
    assert "autoreview connect --url http://demo " in notes("demo")
    assert "WARNING: the secrets stand in the release's values" in notes("demo")
    for secret in ci("demo")["secrets"]["values"].values():
        assert secret not in notes("demo")
    assert "autoreview connect --url https://review.example.org" in notes("production")


def test_the_signing_secret_goes_into_the_secret_and_its_file_away(tmp_path: Path) -> None:
    asked, given = follow(OWN_SECRET, tmp_path)
    assert json.loads(given) == {"stringData": {"webhook-secrets": "s3cret"}}
    execute = "kubectl -n lab exec deploy/autoreview-worker --"
    connect, read, patch, remove = asked
    assert connect.startswith(f"{execute} autoreview connect --url https://")
    assert (read, remove) == (f"{execute} cat /tmp/webhook-secret", f"{execute} rm /tmp/webhook-secret")
    assert patch == "kubectl -n lab patch secret autoreview --patch-file /dev/stdin"


def test_an_inline_secret_goes_into_the_releases_values(tmp_path: Path) -> None:
    asked, given = follow(INLINE, tmp_path)
    assert given == "s3cret"
    assert asked[2].startswith("helm -n lab upgrade autoreview ./helm --reuse-values ")
    assert asked[2].endswith(" --set-file secrets.values.webhookSecrets=-")
    assert asked[3].endswith("rm /tmp/webhook-secret")
    assert "kubectl -n lab patch" not in notes(INLINE)


@pytest.mark.parametrize("values", [OWN_SECRET, INLINE])
@pytest.mark.parametrize("fails", ["autoreview connect", "cat /tmp/webhook-secret"])
def test_a_step_that_fails_changes_no_secret(values: str, fails: str, tmp_path: Path) -> None:
    asked, given = follow(values, tmp_path, fails=fails)
    assert fails in asked[-1]
    assert given == ""


@pytest.mark.parametrize("values", [OWN_SECRET, INLINE])
def test_an_empty_secret_replaces_none(values: str, tmp_path: Path) -> None:
    asked, given = follow(values, tmp_path, held="")
    assert asked[-1].endswith("cat /tmp/webhook-secret")
    assert given == ""


@pytest.mark.parametrize(("values", "fails"), [(OWN_SECRET, "patch secret"), (INLINE, "upgrade")])
def test_the_file_stays_until_its_secret_was_taken_over(values: str, fails: str, tmp_path: Path) -> None:
    asked, _ = follow(values, tmp_path, fails=fails)
    assert fails in asked[-1]


@pytest.mark.parametrize("values", CI)
def test_no_step_is_taken_after_one_that_failed(values: str, tmp_path: Path) -> None:
    for index, step in enumerate(steps := follow(values, tmp_path)[0]):
        (tmp_path / "log").unlink()
        asked, _ = follow(values, tmp_path, fails=step.partition(" ")[2])
        assert asked == steps[: index + 1]
