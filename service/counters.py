"""Start counters at 0: Prometheus' ``increase()`` ignores the first value of a new series.

Without this, an alert on the first refused token or the first failed notification would never fire.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, product

from prometheus_client import Counter

from service.domain.decision import DecisionStatus, Guard, Outcome
from service.errors import ProlificError
from service.intake.signature import Form
from service.intake.writer import Receipt
from service.notify.wording import Kind
from service.postgres.database import ERROR_HINTS
from service.rules import RuleBook
from service.store.fetches import FAILED, FOUND, NOT_YET
from service.store.overdue import Cause
from service.telemetry.metrics import Metrics

WEBHOOK_REFUSALS = ("unreadable", "signature", "too_large", "configuration")
TOKENS = ("admin_token", "evidence_token", "source_signature", "study_link", "sign_in")
NOTIFICATION_RESULTS = ("sent", "logged", "failed", "given_up")
REVIEW_RESULTS = ("nothing_to_decide", "retried", "lease_lost", "crashed")
PRUNED = ("event", "job", "refusal")
# The reasons for which a delivery of evidence is refused: error codes.
REFUSALS = (
    *("charset", "configuration", "content_encoding", "duplicate_key", "evidence", "no_field", "no_key"),
    *("no_rows", "no_such_source", "not_a_form", "not_an_object", "not_configured", "not_json", "not_stored"),
    *("origin_not_allowed", "signature", "study_link", "study_link_keys", "submission_id", "too_large"),
    *("too_many_fields", "too_many_rows", "too_many_wrong_tokens", "unauthorised"),
)


def start_counters(metrics: Metrics) -> None:
    """Create the series of each label that does not depend on rule files."""
    _start(metrics.webhooks, Receipt, WEBHOOK_REFUSALS)
    _start(metrics.signatures, Form)
    _start(metrics.wrong_tokens, TOKENS)
    _start(metrics.reviews, DecisionStatus, REVIEW_RESULTS)
    _start(metrics.applications, DecisionStatus)
    _start(metrics.prolific_errors, sorted(_codes(ProlificError)))
    _start(metrics.rescued, Cause)
    _start(metrics.pruned, PRUNED)
    _start(metrics.database_errors, ERROR_HINTS, ("other",))
    for outcome in Outcome:
        metrics.decisions.labels(outcome.value, "")
    for guard in Guard:
        metrics.decisions.labels(Outcome.HOLD.value, guard.value)
    for kind, result in product(Kind, NOTIFICATION_RESULTS):
        metrics.notices.labels(kind.value, result)


def start_source_counters(metrics: Metrics, book: RuleBook) -> None:
    """Create the series of each source of evidence that the rule files declare."""
    sources = [source for file in book.files for source in file.evidence.values()]
    for name, reason in product({source.name for source in sources} | {"unknown"}, REFUSALS):
        metrics.evidence_refused.labels(name, reason)
    asked = {source.name for source in sources if source.is_asked}
    for name, result in product(asked, (FOUND, NOT_YET, FAILED)):
        metrics.evidence_fetches.labels(name, result)


def _start(counter: Counter, *values: Iterable[str]) -> None:
    for value in chain(*values):
        counter.labels(str(value))


def _codes(root: type[ProlificError]) -> Iterator[str]:
    yield root.code
    for error in root.__subclasses__():
        yield from _codes(error)
