"""One OpenID provider: discovery, authorization address, code exchange, ID token.

Our own thin flow over aiohttp and joserfc: authlib's asynchronous clients bring httpx and Starlette's session
cookie along, and leave the check of the ID token to joserfc as well. Sources: OpenID Connect Core 1.0 and
Discovery 1.0, RFC 7636 (PKCE), RFC 9207 (issuer in the answer), RFC 8725 (JWT best practice).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from deepspace.accounts.errors import OidcRefused, OidcUnavailable
from deepspace.kit.clock import Clock
from deepspace.kit.log import get_logger

log = get_logger(__name__)

ALGORITHMS = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
"""Signatures of ID tokens we take, and the kind of key each needs. None is symmetric, so a provider's public
key can never pass for a shared secret."""

MAX_ANSWER_BYTES = 256 * 1024
TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)
LEEWAY_S = 60
_KNOWN_FOR = timedelta(hours=1)
_KEYS_AGAIN = timedelta(seconds=30)
"""Keys are fetched again for an unknown key id, but not more often than this."""

VerifyKey = RSAKey | ECKey | OKPKey


@dataclass(frozen=True, slots=True)
class OidcConfig:
    """What an operator says about a provider."""

    name: str
    issuer: str
    client_id: str
    client_secret: str | None
    label: str
    scopes: str
    link_by_email: bool
    """Whether a verified address at the provider opens the account with that verified address here."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the provider says somebody is."""

    provider: str
    issuer: str
    subject: str
    email: str | None
    email_verified: bool
    name: str | None


@dataclass(frozen=True, slots=True)
class _Metadata:
    authorization: str
    token: str
    jwks: str
    userinfo: str | None
    basic_auth: bool
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class _Keys:
    keys: tuple[tuple[str | None, VerifyKey], ...]
    fetched_at: datetime


class OidcProvider:
    """Speaks to one provider."""

    def __init__(self, config: OidcConfig, redirect_uri: str, clock: Clock) -> None:
        """ValueError if the issuer is no https address (http is for the loopback). Nothing connects yet."""
        if not _is_safe(config.issuer):
            raise ValueError("the issuer must be an https address")
        self.config = config
        self._redirect_uri = redirect_uri
        self._clock = clock
        self._metadata: _Metadata | None = None
        self._keys: _Keys | None = None
        self._session: aiohttp.ClientSession | None = None

    async def authorization_url(self, *, state: str, nonce: str, verifier: str) -> str:
        """Return where to send the browser."""
        metadata = await self._discover()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self.config.client_id,
                "redirect_uri": self._redirect_uri,
                "scope": self.config.scopes,
                "state": state,
                "nonce": nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        return f"{metadata.authorization}{'&' if '?' in metadata.authorization else '?'}{query}"

    async def identity(self, *, code: str, verifier: str, nonce: str) -> Identity:
        """Exchange a code and return who signed in; OidcRefused if anything about it is wrong."""
        metadata = await self._discover()
        tokens = await self._exchange(metadata, code, verifier)
        id_token = tokens.get("id_token")
        if not isinstance(id_token, str):
            raise self._refused("no ID token")
        claims = await self._verify(metadata, id_token, nonce)
        subject = claims["sub"]
        if claims.get("email") is None and metadata.userinfo and isinstance(tokens.get("access_token"), str):
            more = await self._fetch(
                "GET", metadata.userinfo, headers={"authorization": f"Bearer {tokens['access_token']}"}
            )
            if more.get("sub") != subject:  # Core 5.3.4: or the claims would be somebody else's
                raise self._refused("userinfo of another subject")
            claims = {**more, **claims}
        email, name = claims.get("email"), claims.get("name")
        return Identity(
            provider=self.config.name,
            issuer=self.config.issuer,
            subject=subject,
            email=email if isinstance(email, str) else None,
            email_verified=claims.get("email_verified") is True,
            name=name if isinstance(name, str) and name.strip() else None,
        )

    def check_answer_issuer(self, issuer: str | None) -> None:
        """Refuse an answer that names another issuer (RFC 9207: the mix-up attack)."""
        if issuer is not None and issuer != self.config.issuer:
            raise self._refused("answer of another issuer")

    async def close(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()

    async def _discover(self) -> _Metadata:
        now = self._clock.now()
        if self._metadata is not None and now - self._metadata.fetched_at < _KNOWN_FOR:
            return self._metadata
        url = f"{self.config.issuer.rstrip('/')}/.well-known/openid-configuration"
        found = await self._fetch("GET", url)
        if found.get("issuer") != self.config.issuer:
            raise self._unavailable("the discovery document names another issuer")
        addresses = {
            name: found.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
        }
        userinfo = found.get("userinfo_endpoint")
        for name, address in addresses.items():
            if not isinstance(address, str) or not _is_safe(address):
                raise self._unavailable(f"{name} is no https address")
        methods = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        self._metadata = _Metadata(
            authorization=str(addresses["authorization_endpoint"]),
            token=str(addresses["token_endpoint"]),
            jwks=str(addresses["jwks_uri"]),
            userinfo=userinfo if isinstance(userinfo, str) and _is_safe(userinfo) else None,
            basic_auth="client_secret_basic" in methods,
            fetched_at=now,
        )
        return self._metadata

    async def _exchange(self, metadata: _Metadata, code: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        headers: dict[str, str] = {}
        secret = self.config.client_secret
        if secret is not None and metadata.basic_auth:
            # RFC 6749, section 2.3.1: both halves are form-encoded before they are joined.
            pair = f"{quote(self.config.client_id, safe='')}:{quote(secret, safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = self.config.client_id
            if secret is not None:
                form["client_secret"] = secret
        return await self._fetch("POST", metadata.token, data=form, headers=headers, refusal=True)

    async def _verify(self, metadata: _Metadata, id_token: str, nonce: str) -> dict[str, Any]:
        """Return the claims of an ID token after every check of Core 3.1.3.7."""
        header = _header_of(id_token)
        key = await self._key_for(metadata, header)
        try:
            claims = jwt.decode(id_token, key, algorithms=list(ALGORITHMS)).claims
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise self._refused(f"signature: {type(error).__name__}") from None
        fault = self._fault_of(claims, nonce)
        if fault is not None:
            raise self._refused(fault)
        return claims

    def _fault_of(self, claims: Mapping[str, Any], nonce: str) -> str | None:
        audience = claims.get("aud")
        audiences = cast("list[Any]", audience) if isinstance(audience, list) else [audience]
        now = self._clock.now().timestamp()
        expires, issued, subject = claims.get("exp"), claims.get("iat"), claims.get("sub")
        if claims.get("iss") != self.config.issuer:
            return "wrong iss"
        if self.config.client_id not in audiences:
            return "wrong aud"
        if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != self.config.client_id:
            return "wrong azp"
        if not isinstance(expires, int | float) or not now < expires + LEEWAY_S:
            return "expired"
        if not isinstance(issued, int | float) or not issued <= now + LEEWAY_S:
            return "issued in the future"
        if claims.get("nonce") != nonce:
            return "wrong nonce"
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            return "no sub"
        return None

    async def _key_for(self, metadata: _Metadata, header: Mapping[str, Any]) -> VerifyKey:
        """Return the provider's key for a token's header. What the header itself brings along (jwk, jku,
        x5u) counts for nothing."""
        kind = ALGORITHMS.get(str(header.get("alg")))
        if kind is None or "crit" in header:
            raise self._refused("algorithm or extension not allowed")
        for again in (False, True):
            keys = await self._provider_keys(metadata, again=again)
            fitting = [
                key
                for kid, key in keys
                if key.key_type == kind and ("kid" not in header or kid == header["kid"])
            ]
            if len(fitting) == 1:
                return fitting[0]
        raise self._refused("no key for the token")

    async def _provider_keys(
        self, metadata: _Metadata, *, again: bool
    ) -> tuple[tuple[str | None, VerifyKey], ...]:
        now = self._clock.now()
        age = now - self._keys.fetched_at if self._keys is not None else None
        if self._keys is not None and age is not None and age < (_KEYS_AGAIN if again else _KNOWN_FOR):
            return self._keys.keys
        found = await self._fetch("GET", metadata.jwks)
        keys: list[tuple[str | None, VerifyKey]] = []
        try:
            listed = msgspec.convert(found.get("keys"), list[dict[str, Any]])
        except msgspec.ValidationError:
            raise self._unavailable("the answer has no keys") from None
        for entry in listed:
            try:
                key = JWKRegistry.import_key(entry)
            except (JoseError, ValueError, TypeError, KeyError):
                continue  # a kind of key we do not know
            if isinstance(key, VerifyKey) and entry.get("use", "sig") == "sig":
                keys.append((entry.get("kid"), key))
        self._keys = _Keys(tuple(keys), now)
        return self._keys.keys

    async def _fetch(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        refusal: bool = False,
    ) -> dict[str, Any]:
        """Return the JSON object at an address. With `refusal` a 4xx means that the provider refuses the
        code; everything else that is no answer is OidcUnavailable."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            )
        try:
            async with self._session.request(
                method,
                url,
                headers={"accept": "application/json", **(headers or {})},
                data=data,
                allow_redirects=False,
            ) as response:
                status = response.status
                body = bytearray()
                async for chunk in response.content.iter_chunked(16_384):
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise self._unavailable("the answer is too large")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unavailable(type(error).__name__) from None
        if refusal and 400 <= status < 500:
            raise self._refused("the provider refused the code")
        try:
            found = msgspec.json.decode(body, type=dict[str, Any])
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            raise self._unavailable(f"status {status}, no JSON object") from None
        if status != 200:
            raise self._unavailable(f"status {status}")
        return found

    def _refused(self, why: str) -> OidcRefused:
        """Return the error; why stands in the log, for whoever sets the provider up."""
        log.warning("sign-in with a provider refused", provider=self.config.name, why=why)
        return OidcRefused()

    def _unavailable(self, why: str) -> OidcUnavailable:
        log.warning("sign-in provider fails", provider=self.config.name, why=why)
        return OidcUnavailable()


def _header_of(token: str) -> dict[str, Any]:
    """Return the header of a token that nobody has verified yet; empty if there is none."""
    part = token.split(".", 1)[0]
    try:
        return msgspec.json.decode(
            base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), type=dict[str, Any]
        )
    except (ValueError, RecursionError):
        return {}


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    try:
        loopback = parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        loopback = False
    return parts.scheme == "http" and loopback
