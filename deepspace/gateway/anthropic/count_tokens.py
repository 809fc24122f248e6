"""POST /v1/messages/count_tokens: how many input tokens a request has. Costs nothing."""

from __future__ import annotations

import msgspec

from deepspace.accounts.authenticator import Authenticator
from deepspace.gateway.anthropic.encode import AnthropicEncoder
from deepspace.gateway.anthropic.messages import credential_of, parse_messages
from deepspace.gateway.asgi import Receive, Scope, Send, header, read_body, send_json
from deepspace.kit.clock import Clock
from deepspace.kit.errors import PlatformError
from deepspace.pipeline.exchange import Exchange
from deepspace.pipeline.runner import Pipeline
from deepspace.upstream.anthropic.count import count_tokens
from deepspace.upstream.client import UpstreamClient
from deepspace.upstream.errors import UpstreamRejected
from deepspace.upstream.wire import estimate_tokens


class CountTokens:
    """The endpoint: the provider's own count if a channel can tell, else an estimate, and it says which."""

    def __init__(
        self,
        pipeline: Pipeline,
        authenticator: Authenticator,
        client: UpstreamClient,
        clock: Clock,
        max_body_bytes: int,
    ) -> None:
        """Admit callers by this pipeline; ask channels through `client`."""
        self._authenticator = authenticator
        self._pipeline = pipeline
        self._client = client
        self._clock = clock
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; refusals are raised."""
        credential, address = credential_of(scope), scope["state"]["client_ip"]
        await self._authenticator.principal(credential, "chat", address)  # before the body is read
        body = await read_body(scope, receive, self._max_body_bytes)
        x = Exchange(
            trace_id=scope["state"]["trace_id"],
            path=scope["path"],
            credential=credential,
            wanted_project=header(scope, b"x-deepspace-project"),
            call=parse_messages(body, scope, counts_only=True),
            clock=self._clock,
            started_at=self._clock.now(),
            started_ns=self._clock.monotonic_ns(),
            encoder=AnthropicEncoder(),
            client_ip=address,
        )
        await self._pipeline.admit(x)
        counted = await self._counted(x)
        told: dict[str, object] = {"input_tokens": counted}
        if counted is None:
            told = {"input_tokens": estimate_tokens(body.decode()), "estimated": True}
        await send_json(send, 200, msgspec.json.encode(told), _headers(x))

    async def _counted(self, x: Exchange) -> int | None:
        for route in x.routes:
            if route.dialect != x.call.dialect:
                continue
            try:
                return await count_tokens(self._client, route, x.call.fields, dict(x.call.headers))
            except UpstreamRejected:
                raise
            except PlatformError:
                continue
        return None


def _headers(x: Exchange) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in x.rate_headers.items()]
