"""Metrics for Prometheus. Each service has its own registry, so that two in one process don't mix."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters and gauges. docs/reference.md lists them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._add_deliveries()
        self._add_reviews()
        self._add_operation()
        self._add_gauges()

    def _add_deliveries(self) -> None:
        self.webhooks = self._counter("autoreview_webhooks", "Webhook deliveries, by result.", "result")
        self.signatures = self._counter(
            "autoreview_webhook_signatures", "Valid signatures, by the signed form of the body.", "form"
        )
        self.wrong_tokens = self._counter(
            "autoreview_wrong_tokens", "Requests without the right bearer token, by its setting.", "token"
        )
        self.evidence = self._counter("autoreview_evidence", "Evidence pushed, by HTTP status.", "status")
        self.evidence_fetches = self._counter(
            "autoreview_evidence_fetches",
            "Requests to evidence sources, by result.",
            "source",
            "result",
        )
        self.evidence_refused = self._counter(
            "autoreview_evidence_refused",
            "Deliveries of evidence that were refused, by source and reason.",
            "source",
            "reason",
        )
        self.evidence_conflicts = self._counter(
            "autoreview_evidence_conflicts",
            "Decisions that ignored evidence which names another participant.",
        )
        self.evidence_unknown = self._counter(
            "autoreview_evidence_unknown",
            "Reviews for evidence about a submission that neither Prolific nor a webhook knows.",
        )

    def _add_reviews(self) -> None:
        self.reviews = self._counter("autoreview_reviews", "Reviews, by result.", "result")
        self.decisions = self._counter("autoreview_decisions", "Decisions recorded.", "outcome", "guard")
        self.applications = self._counter(
            "autoreview_applications",
            "Attempts to apply decisions, by the decision's status after it.",
            "status",
        )
        self.also = self._counter(
            "autoreview_also", "Requests beside decisions, by their status.", "endpoint", "status"
        )
        self.prolific_errors = self._counter("autoreview_prolific_errors", "Prolific's refusals.", "code")
        self.unclaimed = self._counter(
            "autoreview_unclaimed", "Reviews of submissions whose study no rule file names."
        )
        self.review_seconds = Histogram(
            "autoreview_review_seconds",
            "Seconds a review took.",
            registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )

    def _add_operation(self) -> None:
        self.rescued = self._counter(
            "autoreview_sweep_rescued", "Reviews that a sweep enqueued, by cause.", "cause"
        )
        self.pruned = self._counter(
            "autoreview_pruned", "Rows deleted after the retention time, by kind.", "kind"
        )
        self.database_errors = self._counter(
            "autoreview_database_errors", "Errors of the database, by kind.", "kind"
        )
        self.notices = self._counter(
            "autoreview_notices", "Notifications, by kind and result.", "kind", "result"
        )

    def _add_gauges(self) -> None:
        self.build_info = self._gauge("autoreview_build_info", "1, with the version as label.", "version")
        self.mode = self._gauge("autoreview_mode", "1 for the mode of this process, 0 for others.", "mode")
        self.subscription_enabled = self._gauge(
            "autoreview_subscription_enabled",
            "1 while Prolific's subscription points here and is enabled, 0 if disabled or missing.",
        )
        self.failed = self._gauge("autoreview_failed", "Submissions whose last decision failed.")
        self.holds = self._gauge("autoreview_holds", "Submissions held for manual review.")
        self.oldest_hold = self._gauge("autoreview_oldest_hold_seconds", "Age of the oldest hold.")
        self.next_deadline = self._gauge(
            "autoreview_next_deadline_timestamp_seconds",
            "When Prolific approves the next held submission, NaN if nothing is held.",
        )
        self.paused = self._gauge("autoreview_paused", "Pauses in force, of the service and of studies.")
        self.breakers = self._gauge("autoreview_breakers_open", "Open circuit breakers.")
        self.jobs_queued = self._gauge("autoreview_jobs_queued", "Jobs that are due.")
        self.oldest_job = self._gauge("autoreview_oldest_job_seconds", "Age of the oldest due job.")
        self.last_webhook = self._gauge(
            "autoreview_last_webhook_timestamp_seconds", "When the last webhook arrived."
        )
        self.last_sweep = self._gauge("autoreview_last_sweep_timestamp_seconds", "When the last sweep ended.")
        self.rules_loaded = self._gauge("autoreview_rules_files", "Rule files in force.")
        self.rules_broken = self._gauge(
            "autoreview_rules_broken",
            "1 while the rules folder has errors and the last valid rules are in force.",
        )

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def exposition(self) -> bytes:
        return generate_latest(self.registry)
