"""Prometheus metrics of one gateway process. Labels are bounded: surface and status, never a user or a model
name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from deepspace.gateway.load import Load

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """What this process counted since it started."""

    def __init__(
        self,
        calls_in_flight: Callable[[], float],
        limit_decisions: Mapping[tuple[str, str], int],
        load: Load,
    ) -> None:
        """`calls_in_flight`, `limit_decisions` by (who counted, outcome) and `load` are read at each
        scrape."""
        self._registry = CollectorRegistry()
        self._responses = Counter(
            "deepspace_http_responses", "HTTP responses sent.", ("surface", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "deepspace_http_request_seconds",
            "Time from request to the end of the response.",
            ("surface",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._counted: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        in_flight = Gauge("deepspace_calls_in_flight", "Model calls under way.", registry=self._registry)
        in_flight.set_function(calls_in_flight)
        self._registry.register(_LimitDecisions(limit_decisions))
        for name, told, read in (
            ("deepspace_event_loop_lag_seconds", "How late the event loop was last.", lambda: load.lag_s),
            ("deepspace_memory_bytes", "Resident memory.", lambda: float(load.memory_bytes)),
            ("deepspace_load_level", "0 calm, 1 strained, 2 overloaded.", lambda: float(load.level)),
        ):
            Gauge(name, told, registry=self._registry).set_function(read)
        self._registry.register(_Shed(load))

    def observe(self, surface: str, status: int, seconds: float) -> None:
        """Count one response."""
        counted = self._counted.get((surface, status))
        if counted is None:
            children = self._responses.labels(surface, str(status)), self._seconds.labels(surface)
            counted = self._counted[surface, status] = children
        counted[0].inc()
        counted[1].observe(seconds)

    def text(self) -> bytes:
        """Return the exposition format."""
        return generate_latest(self._registry)


class _Shed(Collector):
    """Requests that were refused because there was too much to do."""

    def __init__(self, load: Load) -> None:
        self._load = load

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Return the counts of now."""
        family = CounterMetricFamily(
            "deepspace_shed", "Requests refused by load, by reason.", labels=("why",)
        )
        for why, count in list(self._load.shed.items()):
            family.add_metric((why,), count)
        yield family


class _LimitDecisions(Collector):
    """Rate-limit decisions as the admission counts them. `fallback`: Redis was away, this process counted."""

    def __init__(self, decisions: Mapping[tuple[str, str], int]) -> None:
        self._decisions = decisions

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Return the counts of now."""
        family = CounterMetricFamily(
            "deepspace_rate_limit_decisions",
            "Decisions of rate limits, by who counted.",
            labels=("counted_by", "outcome"),
        )
        for (counted_by, outcome), count in list(self._decisions.items()):
            family.add_metric((counted_by, outcome), count)
        yield family
