"""Error responses: problem details of RFC 9457 beside the older fields."""

import json

from service.web.http import problem


def test_problem_has_the_older_fields_and_those_of_problem_details() -> None:
    answer = problem(
        404, "not_found", "There is no study x.", headers={"Retry-After": "10"}, fields={"a": "b"}
    )
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "10"
    assert json.loads(bytes(answer.body)) == {
        "error": "not_found",
        "message": "There is no study x.",
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is no study x.",
        "fields": {"a": "b"},
    }
