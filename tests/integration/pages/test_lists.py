"""Lists and their forms: filters, CSV, selections; and what hostile texts do on pages: nothing."""

import csv
import io
import re

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from service.app import Parts
from tests.conftest import Start
from tests.integration.manual.orders import HOLD, Later, held
from tests.integration.pages.browsing import person
from tests.world import ADMIN, MESSAGE, bearer, rules_text, until

WEB = Parts(worker=False)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}"
ODD = 'a/b?c#d%\u202e"<x>'


def insert_hostile(url: str, **values: str) -> None:
    """A decision of which every text is somebody else's."""
    row = {
        "submission_id": ODD,
        "study_id": HOSTILE,
        "participant_id": HOSTILE,
        "rule": HOSTILE,
        "rule_file": HOSTILE,
        "tag": HOSTILE,
        "reason": HOSTILE,
        "note": HOSTILE,
    } | values
    trace = [
        {
            "rule": HOSTILE,
            "result": "unknown",
            "why": HOSTILE,
            "values": {HOSTILE: None},
            "conditions": [
                {
                    "text": HOSTILE,
                    "state": "unknown",
                    "facts": [{"fact": HOSTILE, "value": HOSTILE, "source": HOSTILE, "age_s": 3}],
                }
            ],
        }
    ]
    statement = sql.SQL(
        "INSERT INTO decisions (decided_at, trigger, outcome, proposed, mode, facts, trace, {}) "
        "VALUES (now(), 'webhook', 'hold', 'reject', 'live', '{{}}', %s, {})"
    ).format(sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join([sql.Placeholder()] * len(row)))
    with psycopg.connect(url) as connection:
        connection.execute(statement, [Jsonb(trace), *row.values()])
        connection.execute(
            "INSERT INTO evidence (source, submission_id, payload) VALUES (%s, %s, %s)",
            [HOSTILE, ODD, Jsonb({HOSTILE: HOSTILE})],
        )
        connection.execute(
            "INSERT INTO submissions (id, study_id, participant_id, status, ever_final, claimed, data) "
            "VALUES (%s, %s, %s, 'AWAITING REVIEW', false, true, %s) ON CONFLICT DO NOTHING",
            [ODD, HOSTILE, HOSTILE, Jsonb({"id": ODD, "study_id": HOSTILE, "entered_code": HOSTILE})],
        )


async def test_texts_of_others_are_only_ever_shown(start: Start, database_url: str) -> None:
    async with start(parts=WEB) as world, person(world) as ada:
        insert_hostile(database_url)
        for path in (
            "/",
            "/holds",
            "/decisions",
            "/rules",
            "/decisions?submission=" + HOSTILE.replace("#", ""),
        ):
            page = await ada.page(path)
            assert "<script>alert" not in page
            assert "<img src=x" not in page
        page = await ada.page("/decisions")
        (link,) = set(re.findall(r'href="(/submissions/[^"]+)"', page))
        assert link == "/submissions/a%2Fb%3Fc%23d%25%E2%80%AE%22%3Cx%3E"
        story = await ada.page(link)
        assert story.count("&lt;script&gt;") > 8
        assert "<script>alert" not in story


async def test_the_csv_has_all_that_matches_and_runs_no_formula(start: Start, database_url: str) -> None:
    async with start(parts=WEB) as world, person(world) as ada:
        with psycopg.connect(database_url) as connection:
            connection.execute(
                "INSERT INTO decisions (submission_id, decided_at, trigger, outcome, proposed, mode, reason, trace, facts, guard)"
                " SELECT 's-' || i, now(), 'webhook', CASE WHEN i % 2 = 0 THEN 'hold' ELSE 'approve' END, 'reject', 'live',"
                " '=HYPERLINK(\"http://evil\")', '[]', '{}', CASE WHEN i % 4 = 0 THEN 'policy' END"
                " FROM generate_series(1, 2500) AS i"
            )
        answer = await ada.http.get("/decisions.csv", params={"outcome": "hold"})
        assert answer.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert len({row["id"] for row in rows}) == len(rows) == 1250
        assert {row["reason"] for row in rows} == {'\'=HYPERLINK("http://evil")'}
        assert {row["outcome"] for row in rows} == {"hold"}
        page = await ada.page("/decisions", guard="policy")
        assert page.count('<span class="tag">policy</span>') == 50
        (following,) = re.findall(r'rel="next" href="([^"]+)"', page)
        assert "guard=policy" in following
        seen = set(re.findall(r'href="/submissions/(s-\d+)"', page))
        assert not seen & set(
            re.findall(r'href="/submissions/(s-\d+)"', await ada.page(following.replace("&amp;", "&")))
        )
        answer = await ada.http.get("/decisions", params={"since": "tomorrow"})
        assert (answer.status_code, "since must be a time" in answer.text) == (422, True)


async def test_a_selection_is_frozen_and_ones_own(start: Start) -> None:
    clock = Later()
    async with start(HOLD, clock=clock) as world, person(world) as ada, person(world, name="Bob") as bob:
        submissions = [await held(world) for _ in range(2)]
        answer = await ada.send("/holds/dialog", all="1", action="approve")
        assert "2 submissions, rewards of <strong>3.60</strong> in all" in answer.text
        (selection,) = re.findall(r'name="selection" value="([^"]+)"', answer.text)
        late = await held(world)
        refused = await bob.send("/holds/decide", selection=selection, action="approve")
        assert (refused.status_code, "not yours" in refused.text) == (422, True)
        answer = await ada.send("/holds/decide", selection=selection, action="approve")
        assert answer.status_code == 303
        clock.shift += 2 * clock.shift.resolution * 10_000_000
        for submission in submissions:
            assert (await world.settled(submission.id, decisions=2))["by"] == "Ada"
        assert len(await world.decisions(late.id)) == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"action": "reject", "category": "OTHER", "message": "short"}, "100 characters"),
        ({"action": "reject", "category": "SPITE", "message": MESSAGE}, "category"),
        ({"action": "request_return", "reasons": " \n "}, "reasons"),
        ({"action": "complete", "code_type": "NONE_SUCH"}, "no researcher codes"),
        ({"action": "hold", "reason": ""}, "text is needed"),
        ({"action": "delete"}, "none of"),
    ],
)
async def test_a_decision_that_can_not_be_sent_is_refused_at_once(
    start: Start, fields: dict[str, str], said: str
) -> None:
    async with start(HOLD) as world, person(world) as ada:
        submission = await held(world)
        answer = await ada.send("/holds/decide", submission=submission.id, **fields)
        assert (answer.status_code, said in answer.text) == (422, True), answer.text
        assert len(await world.decisions(submission.id)) == 1


async def test_the_rejection_that_the_rules_proposed_is_where_a_persons_begins(start: Start) -> None:
    rules = rules_text(
        f"""
  - name: missed two
    when: evidence.survey.attention_failed >= 2
    reject: {{category: FAILED_CHECK, message: "You missed {{evidence.survey.attention_failed}}. {MESSAGE}"}}"""
    )
    async with start(rules, mode="approve-only") as world, person(world) as ada:
        submission = world.completed()
        await world.push(submission.id, {"attention_failed": 3})
        await world.tell(submission.id)

        async def look() -> bool:
            return submission.id in await ada.page("/holds")

        await until(look, "the hold")
        answer = await ada.send("/holds/dialog", submission=submission.id, action="reject")
        assert f"You missed 3. {MESSAGE}</textarea>" in answer.text
        assert '<option value="FAILED_CHECK" selected>' in answer.text


async def test_a_study_has_its_figures_on_its_page_and_in_the_api(start: Start) -> None:
    async with start(HOLD) as world, person(world) as ada:
        submission = await held(world)
        study = submission.study_id
        figures = await world.api(f"studies/{study}")
        assert figures["study"]["name"] == "Stroop, wave 2"
        assert figures["submissions"] == {"AWAITING REVIEW": 1}
        assert figures["outcomes"] == [{"rule": None, "outcome": "hold", "guard": None, "number": 1}]
        assert figures["webhook_to_decision"]["number"] == 1
        page = await ada.page(f"/studies/{study}")
        assert all(text in page for text in ("Stroop, wave 2", "1.80", "1 await review", submission.id))
        assert (await world.http.get("/api/studies/none", headers=bearer(ADMIN))).status_code == 404
        assert (await ada.http.get("/studies/none")).status_code == 404
