"""What /metrics shows: counters of this process, and gauges read from the database."""

from contextlib import AbstractContextManager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from stockwright.store.health import Health

_LATENCIES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """The metrics of one application; no global registry, so that tests and processes do not share any."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._webhooks = Counter(
            "stockwright_webhooks", "Webhooks answered by this process.", ["result"], registry=registry
        )
        self._webhook_seconds = Histogram(
            "stockwright_webhook_seconds",
            "From the first byte of a webhook to the moment before its answer.",
            buckets=_LATENCIES_S,
            registry=registry,
        )
        self._inbox_waiting = _gauge(
            registry, "inbox_waiting", "Webhooks of this process that wait to be stored."
        )
        self._database_up = _gauge(registry, "database_up", "Whether the database answers: 1 or 0.")
        # Left out while the database does not answer: old numbers would look like new ones.
        self._stored = registry = CollectorRegistry()
        self._jobs = _gauge(registry, "jobs", "Jobs of the job engine.", "state")
        self._work = _gauge(
            registry, "work_waiting", "Events that wait for a run, not yet due ones included."
        )
        self._oldest = _gauge(
            registry, "oldest_wakeup_seconds", "Age of the oldest event that is due and waits."
        )
        self._failing = _gauge(
            registry, "failing_keys", "Subjects whose last run ended in an unexpected error."
        )
        self._runs = _gauge(registry, "runs_last_hour", "Runs started in the last hour.", "state")
        self._requests = _gauge(registry, "api_requests_last_hour", "Admin API requests made by these runs.")
        self._pools = _gauge(registry, "pools", "Shared stocks.", "shop")
        self._frozen = _gauge(registry, "pools_frozen", "Shared stocks that wait for a person.", "shop")
        self._in_doubt = _gauge(registry, "pools_in_doubt", "Shared stocks with an open correction.", "shop")
        self._assumed = _gauge(
            registry, "assumed_outcomes", "Corrections booked as applied without proof.", "shop"
        )

    def webhook(self, result: str) -> None:
        """Count one webhook by what became of it."""
        self._webhooks.labels(result).inc()

    def webhook_timer(self) -> AbstractContextManager[object]:
        """Measures one webhook."""
        return self._webhook_seconds.time()

    def page(self, health: Health | None, *, inbox_waiting: int) -> bytes:
        """The whole page in Prometheus' text format; None: the database does not answer."""
        self._inbox_waiting.set(inbox_waiting)
        self._database_up.set(0 if health is None else 1)
        if health is None:
            return generate_latest(self.registry)
        self._show_work(health)
        self._show_runs(health)
        self._show_shops(health)
        return generate_latest(self.registry) + generate_latest(self._stored)

    def _show_work(self, health: Health) -> None:
        self._jobs.labels("waiting").set(health.jobs.waiting)
        self._jobs.labels("running").set(health.jobs.running)
        self._jobs.labels("failed").set(health.jobs.failed)
        self._work.set(health.work.waiting)
        self._oldest.set(health.work.oldest_s)
        self._failing.set(health.failing_keys)

    def _show_runs(self, health: Health) -> None:
        self._runs.clear()
        for run in health.runs:
            self._runs.labels(run.state).set(run.runs)
        self._requests.set(sum(run.requests for run in health.runs))

    def _show_shops(self, health: Health) -> None:
        for gauge in (self._pools, self._frozen, self._in_doubt, self._assumed):
            gauge.clear()
        for shop in health.shops:
            self._pools.labels(shop.domain).set(shop.pools)
            self._frozen.labels(shop.domain).set(shop.frozen)
            self._in_doubt.labels(shop.domain).set(shop.in_doubt)
            self._assumed.labels(shop.domain).set(shop.assumed)


def _gauge(registry: CollectorRegistry, name: str, meaning: str, *labels: str) -> Gauge:
    return Gauge(f"stockwright_{name}", meaning, labels, registry=registry)
