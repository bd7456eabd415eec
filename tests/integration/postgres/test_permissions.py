"""Roles that may not do everything: each refusal is a sentence that names the right."""

from pathlib import Path

import pytest

from tests.integration.postgres.roles import MakeRole, refused, run
from tests.process import autoreview, complete_settings
from tests.world import rules_text, write_rules


def test_migrate_names_the_right_to_create_tables(empty_database_url: str, role: MakeRole) -> None:
    sentence = refused("migrate", role(empty_database_url))
    assert "GRANT CREATE ON SCHEMA public" in sentence


def test_migrate_works_in_a_schema_of_its_own(empty_database_url: str, role: MakeRole) -> None:
    url = role(empty_database_url, "CREATE SCHEMA review AUTHORIZATION {role}")
    own = f"{url}?options=-csearch_path%3Dreview"
    ended = autoreview("migrate", settings={"database_url": own})
    assert (ended.returncode, ended.stderr) == (0, "")
    assert autoreview("holds", settings={"database_url": own}).returncode == 0
    assert "run `autoreview migrate`" in refused("holds", url)


@pytest.mark.parametrize(
    "thing", ["TYPE procrastinate_job_status AS ENUM ('todo')", "TABLE procrastinate_jobs ()"]
)
def test_migrate_leaves_another_programs_jobs_alone(empty_database_url: str, thing: str) -> None:
    run(empty_database_url, f"CREATE {thing}")
    assert "another program that uses Procrastinate" in refused("migrate", empty_database_url)


def test_migrate_names_a_search_path_without_a_schema(empty_database_url: str) -> None:
    assert "No schema" in refused("migrate", f"{empty_database_url}?options=-csearch_path%3Dnowhere")


def test_serve_names_the_missing_rights_of_a_reading_role(
    database_url: str, role: MakeRole, tmp_path: Path
) -> None:
    rules = write_rules(tmp_path / "rules", rules_text())
    url = role(database_url, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    sentence = refused("serve", url, **complete_settings(rules, tmp_path / "data"))
    assert "GRANT INSERT ON " in sentence
    assert " more)" in sentence


def test_commands_name_a_missing_right(database_url: str, role: MakeRole) -> None:
    sentence = refused("decisions list", role(database_url))
    assert "permission denied for table decisions" in sentence
    assert "Grant the role this right" in sentence


def test_commands_name_a_database_that_takes_no_writes(database_url: str, role: MakeRole) -> None:
    url = role(
        database_url,
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        "ALTER ROLE {role} SET default_transaction_read_only = on",
    )
    assert "takes no writes" in refused("pause --by Ada --reason why", url)
