"""Counters in Redis (7 or newer) or Valkey: shared by every gateway process.

Permits of parallel calls are members of a sorted set, scored by when their lease ends. This process renews
the leases of its calls; when it dies, they run out. A server that restarts empty forgets what was used: at
worst one more burst is admitted.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any, cast
from uuid import UUID

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from deepspace.kit.log import get_logger
from deepspace.policy import redis_scripts
from deepspace.policy.limiter import PARALLEL_WAIT_MS, Bucket, LimiterUnavailable, Reading

log = get_logger(__name__)

CONNECTIONS = 32
GRACE_S = 0.01
"""A second, short look after the time is up: the answer may be here and only our own loop late."""

_AWAY = (RedisError, OSError, TimeoutError)


class RedisLimiter:
    """Obeys Limiter."""

    name = "redis"

    def __init__(self, url: str, *, timeout_s: float, lease_s: float) -> None:
        """Prepare the pool; nothing connects yet. `timeout_s` bounds each decision, `lease_s` says how long
        permits outlive this process."""
        self._timeout_s = timeout_s
        self._lease_s = lease_s
        pool = cast("Any", redis.BlockingConnectionPool).from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            socket_timeout=None,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._client: Any = cast("Any", redis.Redis)(connection_pool=pool)
        self._take = self._client.register_script(redis_scripts.TAKE)
        self._give_back = self._client.register_script(redis_scripts.GIVE_BACK)
        self._renew = self._client.register_script(redis_scripts.RENEW)
        self._held: dict[tuple[UUID, str], list[str]] = {}
        self._renewing: asyncio.Task[None] | None = None

    async def take(
        self, org_id: UUID, permit_id: str, buckets: Sequence[Bucket], *, now_ms: int = 0
    ) -> Sequence[Reading]:
        """Take from every bucket or from none. `now_ms` is for tests; 0 is the server's own time."""
        arguments: list[str | int] = [now_ms, permit_id, int(self._lease_s * 1000), PARALLEL_WAIT_MS]
        for bucket in buckets:
            arguments += [bucket.measure, bucket.limit, bucket.cost]
        keys = [_key(org_id, bucket) for bucket in buckets]
        answer = await self._in_time(self._take(keys=keys, args=arguments))
        readings = [Reading(*reading) for reading in answer]
        if not any(reading.wait_ms for reading in readings):
            self._keep_alive(org_id, permit_id, keys, buckets)
        return readings

    async def give_back(
        self,
        org_id: UUID,
        permit_id: str,
        buckets: Sequence[Bucket],
        tokens: int,
        *,
        now_ms: int = 0,
    ) -> None:
        """Free the permits and charge the tokens that were used."""
        self._held.pop((org_id, permit_id), None)
        ending = [bucket for bucket in buckets if bucket.measure != "requests"]
        if not ending:
            return
        arguments: list[str | int] = [now_ms, permit_id]
        for bucket in ending:
            arguments += [bucket.measure, bucket.limit, bucket.cost, tokens]
        keys = [_key(org_id, bucket) for bucket in ending]
        await self._in_time(self._give_back(keys=keys, args=arguments))

    async def close(self) -> None:
        """Close the connections. Permits of calls that were not given back run out."""
        if self._renewing is not None:
            self._renewing.cancel()
            with suppress(asyncio.CancelledError):
                await self._renewing
        with suppress(*_AWAY):
            await self._client.aclose(close_connection_pool=True)

    async def _in_time(self, work: Awaitable[Any]) -> Any:
        """Await an answer for at most the time-out; LimiterUnavailable if none comes, or a wrong one."""
        task = asyncio.ensure_future(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=self._timeout_s)
            if not done:
                done, _ = await asyncio.wait({task}, timeout=GRACE_S)
            if not done:
                raise LimiterUnavailable(f"no answer within {self._timeout_s} s")
            return task.result()
        except _AWAY as error:
            raise LimiterUnavailable(str(error) or type(error).__name__) from error
        finally:
            if not task.done():
                task.cancel()
                task.add_done_callback(_seen)

    def _keep_alive(
        self, org_id: UUID, permit_id: str, keys: Sequence[str], buckets: Sequence[Bucket]
    ) -> None:
        parallel = [key for key, bucket in zip(keys, buckets, strict=True) if bucket.measure == "parallel"]
        if parallel:
            self._held[org_id, permit_id] = parallel
            if self._renewing is None or self._renewing.done():
                self._renewing = asyncio.create_task(self._renew_leases(), name="renew leases of permits")

    async def _renew_leases(self) -> None:
        """Renew the leases of the calls under way, three times in the life of a lease, until there are
        none."""
        while self._held:
            await asyncio.sleep(self._lease_s / 3)
            of_org: defaultdict[UUID, list[tuple[str, str]]] = defaultdict(list)
            for (org_id, permit_id), keys in self._held.items():
                of_org[org_id] += [(key, permit_id) for key in keys]
            for held in of_org.values():  # one script an organisation: its keys share a slot
                arguments: list[str | int] = [0, int(self._lease_s * 1000), *(permit for _, permit in held)]
                try:
                    await self._in_time(self._renew(keys=[key for key, _ in held], args=arguments))
                except LimiterUnavailable as error:
                    log.warning("leases of permits not renewed", reason=str(error))
                    break


def _key(org_id: UUID, bucket: Bucket) -> str:
    """Return the key of a bucket. The braces put all keys of an organisation into one slot of a cluster."""
    return f"deepspace:limit:{{{org_id}}}:{bucket.name}"


def _seen(task: asyncio.Future[Any]) -> None:
    """Look at the outcome of a decision nobody waits for any more."""
    if not task.cancelled():
        task.exception()
