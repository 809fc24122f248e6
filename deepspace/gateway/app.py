"""The gateway as one ASGI application: trace id first, then the surface by path, errors at the border."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Set
from contextlib import suppress

import msgspec

from deepspace.gateway.anthropic.count_tokens import CountTokens
from deepspace.gateway.anthropic.errors import error_body as messages_error
from deepspace.gateway.anthropic.messages import AnthropicDialect
from deepspace.gateway.api import management_api, openapi_document
from deepspace.gateway.asgi import (
    App,
    ClientDisconnected,
    Message,
    Receive,
    Scope,
    Send,
    bounded,
    header,
    header_list,
    peer,
    send_json,
    send_whole,
)
from deepspace.gateway.chat import ChatEndpoint
from deepspace.gateway.connections import Client, Patience, connections_allowed, drop_slow
from deepspace.gateway.dialect import Dialect
from deepspace.gateway.docs import docs_page
from deepspace.gateway.errors import problem
from deepspace.gateway.load import Level, Load, Thresholds, memory_limit_bytes
from deepspace.gateway.metrics import CONTENT_TYPE, Metrics
from deepspace.gateway.openai.addresses import any_other_address, other_addresses
from deepspace.gateway.openai.chat import OpenAIDialect
from deepspace.gateway.openai.completions import CompletionDialect
from deepspace.gateway.openai.errors import error_body
from deepspace.gateway.openai.models import Models
from deepspace.gateway.responses.create import ResponsesDialect
from deepspace.gateway.server import CONNECTION_LIMIT
from deepspace.gateway.static import StaticFiles
from deepspace.kit.client_address import TrustedProxies, networks_of
from deepspace.kit.collector import relax_collector
from deepspace.kit.errors import MethodNotAllowed, PlatformError
from deepspace.kit.ids import new_trace_id, trace_id_from
from deepspace.kit.log import get_logger, trace_id_var
from deepspace.kit.web import bearer
from deepspace.settings import Settings
from deepspace.wiring import Platform

log = get_logger(__name__)

LAST_USED_EVERY_S = 5.0
_MESSAGES = "/v1/messages"

_EVERYWHERE = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))


class Gateway:
    """Dispatches requests. The AI surface is called directly; FastAPI serves only /api."""

    def __init__(self, platform: Platform) -> None:
        """Put the surfaces together."""
        self._platform = platform
        self._api: App = management_api(platform.provided)  # pyright: ignore[reportAssignmentType]
        self._static = StaticFiles(platform.settings.web_dist)
        self._load = _load(platform.settings)
        self._metrics = Metrics(
            lambda: platform.chat.in_flight, platform.policy.admission.decisions, self._load
        )
        self.connections: Set[Client] = frozenset()
        policies = platform.policy.policies
        models = Models(platform.authenticator, platform.catalogue, platform.prices, policies, platform.clock)
        self._body_limit = platform.settings.max_body_mib * 1024 * 1024
        dialects: Mapping[str, Dialect] = {
            "/v1/chat/completions": OpenAIDialect(),
            "/v1/messages": AnthropicDialect(),
            "/v1/completions": CompletionDialect(),
            "/v1/responses": ResponsesDialect(),
        }
        self._v1: Mapping[str, Mapping[str, App]] = {
            **{
                path: {
                    "POST": ChatEndpoint(
                        dialect, platform.chat, platform.authenticator, platform.clock, self._body_limit
                    )
                }
                for path, dialect in dialects.items()
            },
            "/v1/messages/count_tokens": {
                "POST": CountTokens(
                    platform.chat, platform.authenticator, platform.client, platform.clock, self._body_limit
                )
            },
            "/v1/models": {"GET": models},
            **other_addresses(platform, self._body_limit),
        }
        self._models = models
        self._any_other = any_other_address(platform, self._body_limit)
        self._proxies = TrustedProxies(networks_of(platform.settings.trusted_proxies))
        self._openapi: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] == "lifespan":
            limit = self._load.max_connections
            scope.setdefault("state", {})[CONNECTION_LIMIT] = limit + max(8, limit // 4)
            return await self._lifespan(receive, send)
        if scope["type"] != "http":
            return None
        trace_id = trace_id_from(header(scope, b"traceparent")) or new_trace_id()
        state = scope.setdefault("state", {})
        state["trace_id"] = trace_id
        state["client_ip"] = self._proxies.client(peer(scope), header_list(scope, b"x-forwarded-for"))
        trace_id_var.set(trace_id)
        answer = _Answer(send, trace_id)
        surface = _surface(scope["path"])
        start = time.perf_counter()
        try:
            await self._serve(surface, scope, receive, answer)
        except ClientDisconnected:
            return None
        except PlatformError as error:
            await self._refuse(surface, scope["path"], error, answer, trace_id)
        except Exception:
            log.exception("request failed unexpectedly", path=scope["path"])
            if not answer.started:
                await self._refuse(surface, scope["path"], PlatformError(), answer, trace_id)
        finally:
            self._metrics.observe(surface, answer.status, time.perf_counter() - start)

    async def _serve(self, surface: str, scope: Scope, receive: Receive, send: Send) -> None:
        if surface != "operations":
            self._load.admit(len(self.connections))
        if surface == "v1":
            await self._ai(scope, receive, send)
        elif surface == "api":
            await self._platform.policy.gate.admit(scope["state"]["client_ip"])
            await self._know(scope)
            await self._api(scope, bounded(scope, receive, self._body_limit), send)
        elif scope["method"] not in {"GET", "HEAD"}:
            raise MethodNotAllowed
        elif surface == "operations":
            await self._operations(scope["path"], send)
        else:
            await self._static(scope, send)

    async def _know(self, scope: Scope) -> None:
        """Check credentials before a byte of a body is read; the framework would read and parse it first.

        What a caller may do is still for the address to say (accounts/guard.py).
        """
        if scope["method"] in _WITH_BODY and not scope["path"].startswith(_WITHOUT_CREDENTIALS):
            credential = bearer(header(scope, b"authorization"))
            state = scope["state"]
            authenticator = self._platform.authenticator
            state["principal"] = await authenticator.principal(credential, "management", state["client_ip"])

    async def _ai(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if scope["method"] == "POST":
            self._load.admit_call(self._platform.chat.in_flight)
        methods = self._v1.get(path)
        if methods is None and path.startswith("/v1/models/"):
            methods = {"GET": self._models}
        if methods is None:
            return await self._any_other(scope, receive, send)
        endpoint = methods.get(scope["method"])
        if endpoint is None:
            raise MethodNotAllowed(headers={"allow": ", ".join(methods)})
        return await endpoint(scope, receive, send)

    async def _operations(self, path: str, send: Send) -> None:
        if path == "/health":
            await send_json(send, 200, b'{"status":"ok"}')
        elif path == "/ready":
            components = await self._components()
            is_well = all(state == "ok" for state in components.values())
            status = 200 if is_well and self._load.level is not Level.OVERLOADED else 503
            body = {
                "status": "ok" if status == 200 else "unavailable",
                "components": components,
                "load": self._load.level.name.lower(),
            }
            await send_json(send, status, msgspec.json.encode(body))
        elif path == "/metrics":
            await send_whole(send, 200, self._metrics.text(), CONTENT_TYPE)
        else:
            self._openapi = self._openapi or msgspec.json.encode(openapi_document())
            if path == "/openapi.json":
                await send_json(send, 200, self._openapi)
            else:
                await send_whole(
                    send, 200, docs_page(msgspec.json.decode(self._openapi)), b"text/html; charset=utf-8"
                )

    async def _components(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, ping in (
            ("database", self._platform.database.ping),
            ("ledger", self._platform.ledger.ping),
        ):
            try:
                await ping()
                found[name] = "ok"
            except Exception as error:
                log.warning("not ready", component=name, error=str(error))
                found[name] = "unavailable"
        return found

    async def _refuse(self, surface: str, path: str, error: PlatformError, send: Send, trace_id: str) -> None:
        headers = [(name.encode(), value.encode()) for name, value in error.headers.items()]
        if surface == "v1":
            anthropic = path == _MESSAGES or path.startswith(f"{_MESSAGES}/")
            body = messages_error(error, trace_id) if anthropic else error_body(error, trace_id)
            await send_json(send, error.status, body, headers)
        else:
            told = msgspec.json.encode(problem(error, trace_id))
            await send_whole(send, error.status, told, b"application/problem+json", headers)

    async def _chores(self) -> None:
        while True:
            await asyncio.sleep(LAST_USED_EVERY_S)
            await self._write_last_used()

    async def _write_last_used(self) -> None:
        """Write when keys were last used. It is for people's eyes: a database that is away loses a few."""
        with suppress(PlatformError):
            await self._platform.authenticator.write_last_used()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        chores: list[asyncio.Task[None]] = []
        settings = self._platform.settings
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._platform.ledger.start()
                await self._platform.notices.start()
                patience = Patience(settings.request_timeout_s, settings.write_timeout_s)
                chores = [
                    asyncio.create_task(self._chores()),
                    asyncio.create_task(self._load.watch()),
                    asyncio.create_task(drop_slow(self.connections, patience)),
                ]
                relax_collector()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._platform.chat.drain(self._platform.settings.drain_s)
                for chore in chores:
                    chore.cancel()
                await self._write_last_used()
                await self._platform.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _load(settings: Settings) -> Load:
    thresholds = Thresholds(settings.lag_strained_ms / 1000, settings.lag_overloaded_ms / 1000)
    return Load(
        thresholds,
        memory_bytes=memory_limit_bytes(settings.memory_mib),
        max_calls=settings.max_calls,
        max_connections=connections_allowed(settings.max_connections),
    )


class _Answer:
    """The send callable with the headers that every response has; remembers the status."""

    __slots__ = ("_headers", "_send", "started", "status")

    def __init__(self, send: Send, trace_id: str) -> None:
        self._send = send
        self._headers = ((b"x-trace-id", trace_id.encode()), *_EVERYWHERE)
        self.started = False
        self.status = 499

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._headers]
        await self._send(message)


_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_WITHOUT_CREDENTIALS = ("/api/auth/", "/api/webhooks/")
"""Where a request with a body may come from somebody unknown."""

_OPERATIONS = frozenset({"/health", "/ready", "/metrics", "/openapi.json", "/docs"})


def _surface(path: str) -> str:
    if path.startswith("/v1/") or path == "/v1":
        return "v1"
    if path.startswith("/api/") or path == "/api":
        return "api"
    return "operations" if path in _OPERATIONS else "web"
