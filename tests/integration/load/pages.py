"""The pages of the dashboard on a filled database, each with filters that match and that match nothing."""

from urllib.parse import quote

STUDY, SUBMISSION, PARTICIPANT = "study-7", "submission-7", "participant-1"

HOLDS = (
    "",
    f"?study={STUDY}",
    "?study=unknown",
    f"?rule={quote('rule 3')}",
    "?rule=unknown",
    "?guard=policy",
    f"?submission={SUBMISSION}",
)
DECISIONS = (
    "",
    f"?submission={SUBMISSION}",
    f"?study={STUDY}",
    f"?participant={PARTICIPANT}",
    f"?rule={quote('rule 3')}",
    "?rule=unknown",
    "?outcome=complete",
    "?status=failed",
    "?guard=policy",
    "?trigger=person",
    "?since=2040-01-01",
    "?until=2020-01-01",
)
PAGES = (
    "/",
    "/studies",
    f"/studies/{STUDY}",
    *(f"/find?id={one}" for one in (STUDY, SUBMISSION, PARTICIPANT)),
    *(f"/holds{query}" for query in HOLDS),
    "/holds/planned",
    *(f"/decisions{query}" for query in DECISIONS),
    f"/submissions/{SUBMISSION}",
    f"/submissions/{SUBMISSION}/news",
    "/rules",
    "/rules?within=all",
    "/backtest",
)
