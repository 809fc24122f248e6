"""What a caller is told of its limits.

`RateLimit-Policy` and `RateLimit` as in draft-ietf-httpapi-ratelimit-headers-10 (structured fields, RFC
9651), and the `x-ratelimit-*` fields of the OpenAI dialect. Of each measure only the limit that is nearest to
its end is told: the others do not bind.
"""

from __future__ import annotations

from collections.abc import Sequence

from deepspace.policy.limiter import Measure, Reading
from deepspace.policy.rate_limits import Applied

_UNITS: dict[Measure, str] = {
    "requests": ";w=60",
    "tokens": ';qu="tokens";w=60',
    "parallel": ';qu="concurrent-requests"',
}
_NOUNS: dict[Measure, str] = {
    "requests": "requests a minute",
    "tokens": "tokens a minute",
    "parallel": "calls at the same time",
}


def rate_headers(limits: Sequence[tuple[Applied, Reading]]) -> dict[str, str]:
    """Return the header fields for the limits that applied and how they stand now."""
    policies: list[str] = []
    states: list[str] = []
    headers: dict[str, str] = {}
    for measure, unit in _UNITS.items():
        of_measure = [found for found in limits if found[0].bucket.measure == measure]
        if not of_measure:
            continue
        limit, reading = min(of_measure, key=_slack)
        name = _name(limit)
        policies.append(f"{name};q={limit.bucket.limit}{unit}")
        timing = f";t={-(-reading.reset_ms // 1000)}" if measure != "parallel" else ""
        states.append(f"{name};r={reading.remaining}{timing}")
        if measure != "parallel":
            headers[f"x-ratelimit-limit-{measure}"] = str(limit.bucket.limit)
            headers[f"x-ratelimit-remaining-{measure}"] = str(reading.remaining)
            headers[f"x-ratelimit-reset-{measure}"] = duration(reading.reset_ms)
    return {"ratelimit-policy": ", ".join(policies), "ratelimit": ", ".join(states), **headers}


def refusal_of(limits: Sequence[tuple[Applied, Reading]]) -> tuple[str, int]:
    """Return the sentence that names the limit which is reached longest, and the seconds to wait."""
    limit, reading = max(limits, key=lambda found: found[1].wait_ms)
    whose = {
        "api_key": "this API key",
        "user": "this user",
        "project": "this project",
        "organization": "this organisation",
        "model": f"the model '{limit.value}' in this organisation",
    }[limit.subject]
    by = ", set by the platform's operators," if limit.by_platform else ""
    wait_s = max(1, -(-reading.wait_ms // 1000))
    amount = f"{limit.bucket.limit} {_NOUNS[limit.bucket.measure]}"
    return f"The limit of {amount} for {whose}{by} is reached. Try again in {wait_s} s.", wait_s


def duration(milliseconds: int) -> str:
    """Return a duration as the OpenAI dialect writes it: `20ms`, `1s`, `6m0s`."""
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, seconds = divmod(-(-milliseconds // 1000), 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def _slack(found: tuple[Applied, Reading]) -> tuple[int, float]:
    """Order limits by how soon they bind: those that refuse first, then by the share that is left."""
    limit, reading = found
    return -reading.wait_ms, reading.remaining / limit.bucket.limit


def _name(limit: Applied) -> str:
    owner = "platform-" if limit.by_platform else ""
    return f'"{owner}{limit.subject}-{limit.bucket.measure}"'
