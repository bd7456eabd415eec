"""``autoreview status``: the state of the service on one screen, and as ``/api/status`` has it."""

import json

from tests.conftest import Start
from tests.integration.manual.conftest import Command
from tests.world import rules_text

WAITS = rules_text("""
  - name: no code
    when: submission.code_type == "NONE"
    hold: Look at the data.
  - name: failed two checks
    when: evidence.survey.attention_failed >= 2
    hold: Look.
""").replace("from: push\n", "from: push\n    wait: 1h\n")


async def test_status_shows_what_waits_for_a_person_and_for_evidence(start: Start, command: Command) -> None:
    async with start(WAITS) as world:
        held = world.completed(code=None)
        await world.reviewed(held)
        waits = world.completed()
        await world.reviewed(waits)
        await world.http.put("/evidence/survey/x", headers={"Authorization": "Bearer wrong"}, json={})
        assert (await command("pause", "--by", "Ada", "--reason", "a test")).returncode == 0
        ended = await command("status")
        assert (ended.returncode, ended.stderr) == (0, "")
        shown = " ".join(ended.stdout.split())
        for text in (
            "mode live",
            "workers 1 at work",
            "rules.yaml: ",
            "webhooks 2 received",
            f"1 wait for a person: autoreview holds (oldest {held.id}",
            f"1 wait for evidence (oldest {waits.id}",
            "Waiting for evidence of survey)",
            "paused the whole service by Ada",
            "breakers none",
        ):
            assert text in shown
        as_json = json.loads((await command("status", "--json")).stdout)
        from_api = await world.api("status")
        assert as_json.keys() == from_api.keys()
        assert as_json["waiting"]["by_state"] == {"data": 1, "held": 1} == from_api["waiting"]["by_state"]
        assert as_json["rules"]["files"] == from_api["rules"]["files"]
