"""Which channel answers: by priority, then by who is free and well; and when to leave one alone.

State is of one process and in memory: each process sees enough calls to know, and a new one knows nothing.

- Among the routes of the highest priority that are open for calls, two are drawn by weight and the less busy
  one taken (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001); a route that failed
  lately counts as busier.
- A circuit breaker for each channel and model (Nygard, "Release It!") opens after failures in a row, and lets
  one probe through once its time is over; each time it fails again it stays open twice as long.
- A provider that says when to come back (Retry-After with 429 or 529) is left alone until then, also if there
  is no other.
- Tries beyond a call's first draw on a budget that calls and time fill: a provider in trouble is not asked
  much more often than a fifth above the calls there are.
- If the breaker of every route is open they are used all the same: refusing everybody on a guess is worse
  than trying.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from deepspace.upstream.catalogue import Route

FAILURES_TO_OPEN = 5
OPEN_S, LONGEST_OPEN_S = 5.0, 60.0
LONGEST_RETRY_AFTER_S = 60.0
RETRY_SHARE = 0.2
RETRIES_PER_S, MOST_SAVED_RETRIES = 2.0, 50.0
ERROR_MEMORY = 0.9
"""How much of the error rate each further answer keeps: the last twenty or so answers count."""


@dataclass(slots=True)
class RouteState:
    """What this process knows of one channel and model. Times are seconds of the monotonic clock."""

    in_flight: int = 0
    error_rate: float = 0.0
    failures: int = 0
    shut_until: float = 0.0
    opened: int = 0
    probing: bool = False
    asked_to_wait_until: float = 0.0

    def is_shut(self, now: float) -> bool:
        """Tell whether the breaker sends calls elsewhere."""
        return now < self.shut_until or (self.opened > 0 and self.probing)

    def state(self, now: float) -> str:
        """Return `closed` (calls pass), `open` (none do) or `half_open` (one probe at a time)."""
        if now < self.asked_to_wait_until or now < self.shut_until:
            return "open"
        return "half_open" if self.opened else "closed"


class Ticket:
    """One try at a route. It ends once: what is said after the first word changes nothing."""

    __slots__ = ("_ended", "_is_probe", "_now", "_state")

    def __init__(self, state: RouteState, now: Callable[[], float]) -> None:
        """Count the try as under way."""
        self._state = state
        self._now = now
        self._ended = False
        self._is_probe = state.opened > 0 and not state.probing
        state.in_flight += 1
        state.probing = state.probing or self._is_probe

    def answered(self) -> None:
        """The provider answered, well or with a refusal of the request itself."""
        if not self._end():
            return
        state = self._state
        state.error_rate *= ERROR_MEMORY
        state.failures = state.opened = 0
        state.shut_until = 0.0

    def failed(self, retry_after_s: float | None = None) -> None:
        """The provider did not answer, or said that it cannot."""
        if not self._end():
            return
        state = self._state
        state.error_rate = state.error_rate * ERROR_MEMORY + (1 - ERROR_MEMORY)
        state.failures += 1
        now = self._now()
        if retry_after_s is not None:
            state.asked_to_wait_until = now + min(retry_after_s, LONGEST_RETRY_AFTER_S)
        if self._is_probe or (not state.opened and state.failures >= FAILURES_TO_OPEN):
            state.shut_until = now + min(OPEN_S * 2**state.opened, LONGEST_OPEN_S)
            state.opened += 1

    def given_up(self) -> None:
        """Nobody waits for the answer any more: it says nothing about the provider."""
        self._end()

    def _end(self) -> bool:
        if self._ended:
            return False
        self._ended = True
        self._state.in_flight -= 1
        if self._is_probe:
            self._state.probing = False
        return True


class Router:
    """Chooses routes and remembers how they did."""

    def __init__(self, now: Callable[[], float], chance: random.Random | None = None) -> None:
        """`now` is a monotonic clock in seconds; `chance` makes tests repeatable."""
        self._now = now
        self._chance = chance or random.Random()  # noqa: S311 - which channel, no secret
        self._states: dict[tuple[UUID, str], RouteState] = {}
        self._retries = MOST_SAVED_RETRIES
        self._filled_at = now()

    def choose(self, routes: Sequence[Route], tried: Sequence[Route] = ()) -> Route | None:
        """Return the route for a call's next try, or None if there is none that may be asked now.

        A further try goes to a route that was not tried yet if there is one, and only while the retry budget
        lasts.
        """
        now = self._now()
        self._fill(now)
        if tried and self._retries < 1:
            return None
        free = [
            route
            for route in routes
            if now >= self.state(route).asked_to_wait_until and not self._is_full(route)
        ]
        if len(free) < 2:
            return free[0] if free else None
        fresh = [route for route in free if route not in tried] or free
        fit = [route for route in fresh if not self.state(route).is_shut(now)] or fresh
        best = max(route.priority for route in fit)
        return self._of_two([route for route in fit if route.priority == best])

    def is_open(self, routes: Sequence[Route]) -> bool:
        """Tell whether one of the routes may be asked now and its breaker lets calls pass."""
        now = self._now()
        return any(
            now >= state.asked_to_wait_until and not state.is_shut(now) and not self._is_full(route)
            for route in routes
            for state in (self.state(route),)
        )

    def wait_s(self, routes: Sequence[Route]) -> int:
        """Return in how many seconds one of the routes may be asked again; at least 1."""
        now = self._now()
        waits = [self.state(route).asked_to_wait_until - now for route in routes]
        return max(1, math.ceil(min(waits, default=1)))

    def begin(self, route: Route, *, retry: bool) -> Ticket:
        """Count a try; a retry draws on the budget, a first try fills it."""
        self._retries = self._retries - 1 if retry else self._retries + RETRY_SHARE
        return Ticket(self.state(route), self._now)

    def state(self, route: Route) -> RouteState:
        """Return what is known of a route."""
        key = (route.channel_id, route.model)
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = RouteState()
        return state

    def health(self, channel_id: UUID) -> dict[str, dict[str, object]]:
        """Return state, tries under way and error rate by model of a channel, as this process knows them."""
        now = self._now()
        return {
            model: {
                "state": state.state(now),
                "in_flight": state.in_flight,
                "error_rate": round(state.error_rate, 3),
            }
            for (channel, model), state in sorted(self._states.items(), key=lambda item: item[0][1])
            if channel == channel_id
        }

    def _fill(self, now: float) -> None:
        more = RETRIES_PER_S * (now - self._filled_at)
        self._retries = min(self._retries + more, MOST_SAVED_RETRIES)
        self._filled_at = now

    def _is_full(self, route: Route) -> bool:
        if route.max_parallel is None:
            return False
        busy = sum(
            state.in_flight for (channel, _), state in self._states.items() if channel == route.channel_id
        )
        return busy >= route.max_parallel

    def _of_two(self, routes: list[Route]) -> Route:
        if len(routes) == 1:
            return routes[0]
        weights = [route.weight for route in routes]
        one, other = self._chance.choices(routes, weights, k=2)
        return min((one, other), key=self._load)

    def _load(self, route: Route) -> float:
        state = self.state(route)
        return (state.in_flight + 1) / route.weight * (1 + 4 * state.error_rate)
