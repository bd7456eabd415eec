"""Checks of sources that are asked: the address, the query, the file."""

import re
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from service.rules.templates import Template, TemplateError

URL_FACTS = ("submission.id", "submission.participant_id", "submission.study_id", "study.id")
PARAMETERS = ("submission_id", "participant_id", "study_id")
BOUND = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")  # as SQLAlchemy finds them
READS = re.compile(r"\s*(select|with|values|table)\b", re.IGNORECASE)


def url_problem(url: str) -> str | None:
    """Return what is wrong with the address of an ``http`` source, None if it is valid."""
    try:
        parts, template = urlsplit(url), Template.parse(url)
        _ = parts.port  # raises ValueError where it is none
    except (ValueError, TemplateError):
        return "is no address: `https://survey.example.org/api/results/{submission.id}`"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "must start with https:// (or http://) and name a host"
    if parts.username is not None:
        return "has a user or password in it: put a token into AUTOREVIEW_SOURCE_<NAME>"
    if "{" in parts.netloc or parts.fragment:
        return "fills in the host, or ends in `#…`: facts belong into the path and the query"
    if any(template.forms):
        return "has a format behind a fact's name: ids are filled in as they are"
    return _facts_problem(template.facts)


def _facts_problem(facts: tuple[str, ...]) -> str | None:
    if unknown := [fact for fact in facts if fact not in URL_FACTS]:
        return f"{{{unknown[0]}}} can't be filled in; what can: {', '.join(URL_FACTS)}"
    if not {"submission.id", "submission.participant_id"} & set(facts):
        return "names no submission: write {submission.id} where its id belongs"
    return None


def query_problem(query: str) -> str | None:
    """Return what is wrong with the query of an ``sql`` source, None if it is valid."""
    if not READS.match(query):
        return "must begin with SELECT or WITH: the database is only read"
    bound = BOUND.findall(query)
    if unknown := [name for name in bound if name not in PARAMETERS]:
        known = ", ".join(f":{name}" for name in PARAMETERS)
        return f":{unknown[0]} is no parameter; there are {known}"
    if not {"submission_id", "participant_id"} & set(bound):
        return "names no submission: compare a column with :submission_id"
    return None


def file_problem(file: str) -> str | None:
    """Return what is wrong with the path of a ``csv`` source, None if it is valid. It need not exist yet."""
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts or "\\" in file or file.startswith("~"):
        return (
            "must be a path below the rule file's folder, with `/` between: `exports/survey.csv` "
            "(a link there may lead anywhere)"
        )
    return None
