from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.rules import load
from tests.integration.notify.harness import STUDY, Harness, harness
from tests.world import write_rules

RULES = f"""
version: 1
name: A test
studies: [{STUDY}]
rules:
  - name: look at it
    when: "true"
    hold: Somebody should look.
otherwise: approve
"""


@pytest.fixture
async def notifying(database_url: str, tmp_path: Path) -> AsyncIterator[Harness]:
    async with harness(database_url, load(write_rules(tmp_path / "rules", RULES))) as made:
        yield made
