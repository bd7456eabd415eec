"""What Prometheus sees. Each service has its own registry, so that two in one process don't mix."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The counters, by name as the README lists them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.webhooks = self._counter(
            "autoreview_webhooks", "Webhook deliveries by what became of them.", "result"
        )
        self.evidence = self._counter("autoreview_evidence", "Evidence pushed, by HTTP status.", "status")
        self.reviews = self._counter("autoreview_reviews", "Reviews by how they ended.", "result")
        self.decisions = self._counter("autoreview_decisions", "Decisions recorded.", "outcome", "guard")
        self.applications = self._counter(
            "autoreview_applications", "Attempts at applying decisions, by status after.", "status"
        )
        self.prolific_errors = self._counter("autoreview_prolific_errors", "Prolific's refusals.", "code")
        self.unclaimed = self._counter(
            "autoreview_unclaimed", "Reviews of submissions whose study no rule file names."
        )
        self.rules_loaded = Gauge("autoreview_rules_files", "Rule files in force.", registry=self.registry)
        self.rules_broken = Gauge(
            "autoreview_rules_broken",
            "1 while the rules folder has errors and the last good rules are in force.",
            registry=self.registry,
        )
        self.review_seconds = Histogram(
            "autoreview_review_seconds",
            "Seconds a review took.",
            registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def exposition(self) -> bytes:
        return generate_latest(self.registry)
