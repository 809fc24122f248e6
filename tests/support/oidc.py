"""A real OpenID provider on the loopback: discovery, keys, authorize, token, userinfo."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID = "deepspace-client"
CLIENT_SECRET = "a secret/of the client"
Sign = Callable[[dict[str, Any], dict[str, Any]], str]


@dataclass
class Grant:
    """What a code stands for until it is used."""

    redirect_uri: str
    challenge: str
    nonce: str
    claims: dict[str, Any]


@dataclass
class OidcServer:
    """Two issuers, /campus and /other. `person` signs in next; `sign` makes the next ID tokens."""

    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"}))
    person: dict[str, Any] = field(default_factory=dict)
    sign: Sign | None = None
    userinfo: dict[str, Any] | None = None
    discovery: dict[str, Any] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    base: str = ""
    tokens_asked: int = 0

    def reset(self) -> None:
        """Behave again."""
        self.sign = None
        self.userinfo = None
        self.discovery = {}

    def honest(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        """Sign as a provider should."""
        return jwt.encode(header, claims, self.key, algorithms=["RS256"])

    async def _configuration(self, request: web.Request) -> web.Response:
        issuer = f"{self.base}/{request.match_info['tenant']}"
        known = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/jwks",
            "userinfo_endpoint": f"{issuer}/userinfo",
        }
        return web.json_response(known | self.discovery)

    async def _jwks(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": [self.key.as_dict(private=False)]})

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = request.query
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(16)
        self.grants[code] = Grant(
            asked["redirect_uri"], asked["code_challenge"], asked["nonce"], dict(self.person)
        )
        query = urlencode({"code": code, "state": asked["state"]})
        raise web.HTTPFound(f"{asked['redirect_uri']}?{query}")

    async def _token(self, request: web.Request) -> web.Response:
        self.tokens_asked += 1
        form = await request.post()
        pair = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        grant = self.grants.pop(str(form["code"]), None)  # a code is good once
        challenge = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        if (
            grant is None
            or pair != f"{CLIENT_ID}:a%20secret%2Fof%20the%20client"
            or base64.urlsafe_b64encode(challenge).decode().rstrip("=") != grant.challenge
            or form["redirect_uri"] != grant.redirect_uri
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(time.time())
        claims = {
            "iss": f"{self.base}/{request.match_info['tenant']}",
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": grant.nonce,
            **grant.claims,
        }
        header = {"alg": "RS256", "kid": self.key.kid, "typ": "JWT"}
        token = (self.sign or self.honest)(header, claims)
        return web.json_response({"id_token": token, "access_token": "opaque", "token_type": "Bearer"})

    async def _userinfo(self, request: web.Request) -> web.Response:
        assert request.headers["authorization"] == "Bearer opaque"
        return web.json_response(self.userinfo or {})

    def __enter__(self) -> OidcServer:
        started = threading.Event()
        self._loop = asyncio.new_event_loop()

        async def serve() -> None:
            app = web.Application()
            app.router.add_get("/{tenant}/.well-known/openid-configuration", self._configuration)
            app.router.add_get("/{tenant}/jwks", self._jwks)
            app.router.add_get("/{tenant}/authorize", self._authorize)
            app.router.add_post("/{tenant}/token", self._token)
            app.router.add_get("/{tenant}/userinfo", self._userinfo)
            self._runner = web.AppRunner(app)
            await self._runner.setup()
            site = web.TCPSite(self._runner, "127.0.0.1", 0)
            await site.start()
            self.base = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
            started.set()

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            self._loop.run_until_complete(serve())
            self._loop.run_forever()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
