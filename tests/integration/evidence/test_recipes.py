"""The example of each recipe, sent to the real endpoint."""

import hmac
import json
from base64 import b64encode
from hashlib import sha256

import pytest

from service.app import Parts
from service.evidence.csv_table import read_documents
from service.evidence.recipe import PLATFORMS, Recipe, recipe
from service.sandbox.studies import STROOP
from tests.conftest import Start
from tests.world import EVIDENCE, bearer

ID = "65f0000000000000000000aa"
SECRET = "the-secret-of-the-webhook"


def body_of(found: Recipe) -> bytes:
    """Return the example as it is sent. Rows of a file are read as by `evidence push`."""
    if found.example.content_type != "text/csv":
        return found.example.body.encode()
    rows = [row for _, row in read_documents(found.example.body.encode())]
    assert all(isinstance(row, dict) for row in rows)
    return json.dumps(rows).encode()


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_recipe_example_is_accepted_by_the_endpoint(
    start: Start, monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    monkeypatch.setenv(f"AUTOREVIEW_SOURCE_{platform.upper()}", SECRET)
    found = recipe(platform)
    rules = f"version: 1\nname: {platform}\nstudies: [{STROOP}]\n{found.evidence}\notherwise: approve\n"
    async with start(rules, parts=Parts(web=True, worker=False)) as world:
        body = body_of(found)
        headers = {"Content-Type": "application/json"} | bearer(EVIDENCE)
        if platform == "typeform":
            digest = b64encode(hmac.digest(SECRET.encode(), body, sha256)).decode()
            headers = {"Typeform-Signature": f"sha256={digest}"}
        answer = await world.http.post(f"/evidence/{platform}", content=body, headers=headers)
        # A second row of an example may lack every value.
        assert answer.status_code in {202, 207}, answer.text
        (stored,) = (await world.api(f"submissions/{ID}"))["evidence"]
        assert stored["payload"] == found.example.values
