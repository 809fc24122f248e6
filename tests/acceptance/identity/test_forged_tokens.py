"""Forged and spent access tokens, over HTTP, on the management API and on the AI surface (RFC 8725)."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import httpx2
import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from deepspace.kit.crypto import KeyRing
from tests.support.live import Live, as_
from tests.support.mailbox import Someone, me, register, sign_in

Claims = dict[str, Any]
HEADER = {"alg": "HS256", "typ": "at+jwt", "kid": "1"}
PUBLIC_PEM = (
    rsa.generate_private_key(65537, 2048)
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
)
OWN_KEY = b"k" * 32


@pytest.fixture(scope="module")
def someone(site: Live) -> Someone:
    """Somebody with a session under way, which every forger knows the ids of."""
    with httpx2.Client(base_url=site.url, trust_env=False) as client:
        return register(client)


def b64(data: bytes) -> str:
    """Encode as JOSE does."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def sign(header: Claims, claims: Claims, key: bytes, digest: str = "sha256") -> str:
    """Sign by hand: a library would refuse to make most of these."""
    signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{signed}.{b64(hmac.digest(key, signed.encode(), digest))}"


def refused(site: Live, token: str) -> None:
    """Check that neither surface lets a token in, and that both say so properly."""
    for path in ("/api/me", "/v1/models"):
        answer = site.http.get(path, headers=as_(token))
        assert answer.status_code == 401, (path, answer.text)
        body = answer.json()
        code = body["code"] if path.startswith("/api") else body["error"]["code"]
        assert code in {"unauthorized", "session_expired"}


def unsigned(algorithm: str, claims: Claims) -> str:
    """Return a token without a signature."""
    return sign({**HEADER, "alg": algorithm}, claims, b"").rpartition(".")[0] + "."


Forge = Callable[[bytes, Claims], str]


def with_header(key: bytes | None = None, **changes: Any) -> Forge:
    """Change the header; None leaves a parameter out. Sign with our true key unless another is given."""

    def forge(true_key: bytes, claims: Claims) -> str:
        header = {name: value for name, value in {**HEADER, **changes}.items() if value is not None}
        return sign(header, claims, true_key if key is None else key)

    return forge


def with_claims(**changes: Any) -> Forge:
    """Change claims and sign with our true key: only the claim can give it away."""
    return lambda key, claims: sign(HEADER, {**claims, **changes}, key)


NOW = int(time.time())
FORGED: dict[str, Forge] = {
    "alg none": lambda _, claims: unsigned("none", claims),
    "alg none in capitals": lambda _, claims: unsigned("NONE", claims),
    "alg none over a true signature": with_header(alg="none"),
    "alg HS512": lambda key, claims: sign({**HEADER, "alg": "HS512"}, claims, key, "sha512"),
    "alg RS256, signed with the public key as a secret": with_header(PUBLIC_PEM, alg="RS256"),
    "signed with a public key": with_header(PUBLIC_PEM),
    "signed with an empty key": with_header(b""),
    "signed with the forger's key": with_header(OWN_KEY),
    "key embedded (jwk)": with_header(OWN_KEY, jwk={"kty": "oct", "k": b64(OWN_KEY)}),
    "key by address (jku)": with_header(OWN_KEY, jku="http://127.0.0.1:1/keys"),
    "key by address (x5u)": with_header(OWN_KEY, x5u="http://127.0.0.1:1/cert"),
    "crit": with_header(crit=["exp"]),
    "crit with an extension": with_header(crit=["x"], x=1),
    "unencoded payload (b64)": with_header(b64=False, crit=["b64"]),
    "kid of another key": with_header(kid="2"),
    "kid as a path": with_header(b"", kid="../../../dev/null"),
    "kid as SQL": with_header(OWN_KEY, kid="' UNION SELECT 'k' --"),
    "kid as a command": with_header(OWN_KEY, kid="x|sleep 5"),
    "no kid": with_header(kid=None),
    "typ of an ID token": with_header(typ="JWT"),
    "no typ": with_header(typ=None),
    "expired": with_claims(exp=NOW - 1),
    "not valid yet": with_claims(iat=NOW + 3600, exp=NOW + 4200),
    "wrong iss": with_claims(iss="https://evil.example"),
    "wrong aud": with_claims(aud="another-api"),
    "somebody else's sub": with_claims(sub="0198c3f0-0000-7000-8000-000000000000"),
    "a session that is none": with_claims(sid="0198c3f0-0000-7000-8000-000000000000"),
    "sub as SQL": with_claims(sub="' OR 1=1 --"),
}


def claims_of(token: str) -> Claims:
    """Read the claims of a token."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_the_forger_knows_how_tokens_are_made(site: Live, someone: Someone) -> None:
    """With our key he makes a good one: so the forgeries below fail for their one fault."""
    key = KeyRing(site.secret_key.encode()).key("access-token.1")
    assert me(site.http, sign(HEADER, claims_of(someone.token), key)).status_code == 200


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_refused(site: Live, someone: Someone, forge: Forge) -> None:
    key = KeyRing(site.secret_key.encode()).key("access-token.1")
    refused(site, forge(key, claims_of(someone.token)))
    assert me(site.http, someone.token).status_code == 200


def test_a_damaged_token_is_refused(site: Live, someone: Someone) -> None:
    head, body, mac = someone.token.split(".")
    other = b64(json.dumps({**claims_of(someone.token), "is_operator": True}).encode())
    flipped = mac[:-2] + ("A" if mac[-2] != "A" else "B") + mac[-1]
    for text in (
        someone.token[:-10],
        f"{head}.{body}",
        f"{head}.{body}.",
        f".{body}.{mac}",
        f"{head}.{other}.{mac}",
        f"{head}.{body}.{flipped}",
        f"{head}.{body}.{mac}.{mac}",
        someone.token * 2,
        ".",
        "null",
        "Bearer",
        "x" * 8_000,
    ):
        refused(site, text)


def test_a_refresh_token_and_a_session_of_another_kind_are_no_access_tokens(
    site: Live, browser: httpx2.Client
) -> None:
    register(browser)
    refused(site, browser.cookies["deepspace_refresh"])
    refused(site, browser.cookies["deepspace_device"])


def test_a_token_is_worthless_after_its_sign_out(site: Live, browser: httpx2.Client) -> None:
    signed_in = register(browser)
    assert me(site.http, signed_in.token).status_code == 200
    assert browser.post("/api/auth/logout").status_code == 204
    refused(site, signed_in.token)


@pytest.mark.parametrize(
    "act",
    [
        "UPDATE users SET status = 'disabled' WHERE id = %s",
        "DELETE FROM users WHERE id = %s",
        "UPDATE sessions SET revoked_at = now() WHERE user_id = %s",
    ],
)
def test_a_token_of_a_user_who_was_disabled_or_deleted_is_refused_within_a_second(
    site: Live, browser: httpx2.Client, act: str
) -> None:
    signed_in = register(browser)
    assert me(site.http, signed_in.token).status_code == 200
    with psycopg.connect(site.database_url, autocommit=True) as database:
        database.execute(act, [signed_in.id])
    deadline = time.monotonic() + 1.3
    while me(site.http, signed_in.token).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    refused(site, signed_in.token)
    assert browser.post("/api/auth/refresh").status_code == 401
    if "sessions" not in act:
        assert sign_in(browser, signed_in.email).status_code == 401
