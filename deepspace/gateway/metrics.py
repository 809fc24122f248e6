"""Prometheus metrics of one gateway process. Labels are bounded: surface and status, never a user or a model
name."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """What this process counted since it started."""

    def __init__(self, calls_in_flight: Callable[[], float]) -> None:
        """`calls_in_flight` is read at each scrape."""
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
        in_flight = Gauge("deepspace_calls_in_flight", "Model calls under way.", registry=self._registry)
        in_flight.set_function(calls_in_flight)

    def observe(self, surface: str, status: int, seconds: float) -> None:
        """Count one response."""
        self._responses.labels(surface, str(status)).inc()
        self._seconds.labels(surface).observe(seconds)

    def text(self) -> bytes:
        """Return the exposition format."""
        return generate_latest(self._registry)
