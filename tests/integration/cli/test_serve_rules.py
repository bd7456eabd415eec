"""``autoreview serve`` with broken rule files: on the last good ones if there are any, loudly."""

from hashlib import sha256
from pathlib import Path

import pytest

from tests.process import autoreview, complete_settings, serving
from tests.world import ADMIN, bearer, rules_text, until, write_rules

GOOD = rules_text()
BROKEN = rules_text("\n  - name: a\n    when: submission.pase < 1.0\n    approve:\n")


@pytest.mark.parametrize("database", ["embedded", "external"])
async def test_it_starts_on_the_last_good_rules_and_says_so(
    tmp_path: Path, data_dir: Path, database_url: str, database: str
) -> None:
    folder, log = write_rules(tmp_path / "rules", GOOD), tmp_path / "log"
    settings = complete_settings(folder, data_dir)
    if database == "external":
        settings["database_url"] = database_url
    async with serving(settings, log) as service:

        async def kept() -> bool:
            return "rules.kept" in log.read_text()

        await until(kept, "the rules to be kept")
        await service.stop()
    write_rules(folder, BROKEN)
    async with serving(settings, log) as service:
        rules = (await service.http.get("/api/status", headers=bearer(ADMIN))).json()["rules"]
        assert [file["hash"] for file in rules["files"]] == [sha256(GOOD.encode()).hexdigest()]
        assert rules["errors"][0].startswith(f"{folder}/rules.yaml:12:11: ")
        ready = (await service.http.get("/readyz?verbose")).json()
        assert f"{folder}/rules.yaml:12:11: " in ready["checks"]["rules"]["detail"]
        assert "autoreview_rules_broken 1.0" in (await service.http.get("/metrics")).text
        assert "rules.broken" in log.read_text()


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", None])
def test_without_last_good_rules_it_stops_with_all_errors(
    tmp_path: Path, empty_database_url: str, url: str | None
) -> None:
    """A database without a schema, and one that can't be reached."""
    folder = write_rules(tmp_path / "rules", BROKEN)
    settings = complete_settings(folder, tmp_path / "data") | {"database_url": url or empty_database_url}
    ended = autoreview("serve", settings=settings)
    assert ended.returncode == 2
    assert f"{folder}/rules.yaml:12:11: " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_missing_settings_are_reported_before_rules(tmp_path: Path) -> None:
    folder = write_rules(tmp_path / "rules", BROKEN)
    ended = autoreview("serve", settings={"rules_dir": folder, "data_dir": tmp_path / "data"})
    assert ended.returncode == 2
    assert "AUTOREVIEW_PROLIFIC_TOKEN" in ended.stderr
    assert not (tmp_path / "data").exists()


def test_broken_rules_and_no_database_yet_create_nothing(tmp_path: Path) -> None:
    folder = write_rules(tmp_path / "rules", BROKEN)
    ended = autoreview("serve", settings=complete_settings(folder, tmp_path / "data"))
    assert ended.returncode == 2
    assert not (tmp_path / "data").exists()
