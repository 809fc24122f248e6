"""Session tokens: what a forger could try (RFC 8725)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from deepspace.accounts.errors import SessionExpired
from deepspace.accounts.tokens import ACCESS_TTL, TokenService
from deepspace.kit.crypto import KeyRing
from deepspace.kit.errors import Unauthorized
from deepspace.kit.ids import uuid7
from deepspace.testing.clock import FrozenClock

RING = KeyRing(b"r" * 32)
KEY = RING.key("access-token.1")
CLOCK = FrozenClock()
TOKENS = TokenService(RING, CLOCK)
USER, SESSION = uuid7(), uuid7()
HEADER = {"alg": "HS256", "typ": "at+jwt", "kid": "1"}
NOW = int(CLOCK.now().timestamp())
CLAIMS = {
    "iss": "deepspace",
    "aud": "deepspace-api",
    "sub": str(USER),
    "sid": str(SESSION),
    "iat": NOW,
    "exp": NOW + 600,
}


def b64(data: bytes) -> str:
    """Encode as JOSE does."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def forge(header: dict[str, Any], claims: Any, key: bytes = KEY, digest: str = "sha256") -> str:
    """Sign anything by hand: a library would refuse to make most of these."""
    signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{signed}.{b64(hmac.digest(key, signed.encode(), digest))}"


def without(claims: dict[str, Any], name: str) -> dict[str, Any]:
    """Return claims with one missing."""
    return {key: value for key, value in claims.items() if key != name}


def test_a_token_of_ours_is_read_and_so_is_one_made_by_hand_with_our_key() -> None:
    """The second half proves that the forger below knows the form: his tokens fail for their one fault."""
    for text in (TOKENS.access_token(USER, SESSION), forge(HEADER, CLAIMS)):
        claims = TOKENS.read_access_token(text)
        assert (claims.user_id, claims.session_id) == (USER, SESSION)


PUBLIC_PEM = (
    rsa.generate_private_key(65537, 2048)
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
)
UNSIGNED = f"{b64(json.dumps({**HEADER, 'alg': 'none'}).encode())}.{b64(json.dumps(CLAIMS).encode())}."

FORGED = {
    "alg none, no signature": UNSIGNED,
    "alg None in capitals": UNSIGNED.replace(b64(b'{"alg": "none"')[:10], b64(b'{"alg": "NONE"')[:10]),
    "alg none with a true signature": forge({**HEADER, "alg": "none"}, CLAIMS),
    "HS512 with our key": forge({**HEADER, "alg": "HS512"}, CLAIMS, digest="sha512"),
    "HS384 with our key": forge({**HEADER, "alg": "HS384"}, CLAIMS, digest="sha384"),
    "RS256 claimed, signed with a public key as secret": forge(
        {**HEADER, "alg": "RS256"}, CLAIMS, PUBLIC_PEM
    ),
    "HS256 signed with a public key": forge(HEADER, CLAIMS, PUBLIC_PEM),
    "empty key": forge(HEADER, CLAIMS, b""),
    "another purpose's key": forge(HEADER, CLAIMS, RING.key("refresh-token.1")),
    "another installation's key": forge(HEADER, CLAIMS, KeyRing(b"s" * 32).key("access-token.1")),
    "no typ": forge(without(HEADER, "typ"), CLAIMS),
    "typ of an ID token": forge({**HEADER, "typ": "JWT"}, CLAIMS),
    "no kid": forge(without(HEADER, "kid"), CLAIMS),
    "another kid": forge({**HEADER, "kid": "2"}, CLAIMS),
    "kid as a path": forge({**HEADER, "kid": "../../dev/null"}, CLAIMS, b""),
    "kid as SQL": forge({**HEADER, "kid": "' UNION SELECT 'x"}, CLAIMS),
    "kid as a number": forge({**HEADER, "kid": 1}, CLAIMS),
    "crit": forge({**HEADER, "crit": ["exp"]}, CLAIMS),
    "crit of an unknown extension": forge({**HEADER, "crit": ["x"], "x": 1}, CLAIMS),
    "empty crit": forge({**HEADER, "crit": []}, CLAIMS),
    "a key in the header": forge({**HEADER, "jwk": {"kty": "oct", "k": b64(b"k" * 32)}}, CLAIMS, b"k" * 32),
    "a key's address in the header": forge({**HEADER, "jku": "http://evil.example/keys"}, CLAIMS),
    "unencoded payload": forge({**HEADER, "b64": False, "crit": ["b64"]}, CLAIMS),
    "zip": forge({**HEADER, "zip": "DEF"}, CLAIMS),
    "expired": forge(HEADER, {**CLAIMS, "exp": NOW}),
    "expired long ago": forge(HEADER, {**CLAIMS, "iat": 0, "exp": 600}),
    "from the future": forge(HEADER, {**CLAIMS, "iat": NOW + 60, "exp": NOW + 660}),
    "exp as text": forge(HEADER, {**CLAIMS, "exp": "never"}),
    "exp as infinity": forge(HEADER, {**CLAIMS, "exp": float("inf")}),
    "exp as nothing": forge(HEADER, {**CLAIMS, "exp": None}),
    "another issuer": forge(HEADER, {**CLAIMS, "iss": "somebody"}),
    "another audience": forge(HEADER, {**CLAIMS, "aud": "other-api"}),
    "several audiences": forge(HEADER, {**CLAIMS, "aud": ["deepspace-api", "other"]}),
    "a user who is no id": forge(HEADER, {**CLAIMS, "sub": "admin"}),
    "a user who is a number": forge(HEADER, {**CLAIMS, "sub": 1}),
    "claims that are a list": forge(HEADER, [1, 2]),
    "claims that are text": forge(HEADER, "admin"),
    "nothing": "",
    "dots": "..",
    "two parts": "a.b",
    "five parts": "a.b.c.d.e",
    "letters outside the alphabet": "é.é.é",
    "a header of null": f"{b64(b'null')}.{b64(json.dumps(CLAIMS).encode())}.{b64(b'x' * 32)}",
    "a header nested too deep": f"{b64(b'[' * 20_000)}.{b64(b'{}')}.{b64(b'x' * 32)}",
    **{f"no {name}": forge(HEADER, without(CLAIMS, name)) for name in CLAIMS},
}


@pytest.mark.parametrize("text", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_refused(text: str) -> None:
    with pytest.raises((Unauthorized, SessionExpired)) as caught:
        TOKENS.read_access_token(text)
    assert caught.value.status == 401


@given(st.integers(0, 400), st.integers(0, 5))
def test_a_token_with_one_changed_character_is_refused(position: int, shift: int) -> None:
    text = TOKENS.access_token(USER, SESSION)
    position %= len(text)
    other = "AQgwx_"[shift]
    changed = text[:position] + other + text[position + 1 :]
    if changed == text:
        return
    # The last character of a part carries bits that base64 throws away; a changed one may decode to the same
    # signature, which then is the same token. Anything else must fail.
    try:
        claims = TOKENS.read_access_token(changed)
    except (Unauthorized, SessionExpired):
        return
    assert position == len(text) - 1
    assert (claims.user_id, claims.session_id) == (USER, SESSION)


def test_a_token_ends_after_ten_minutes_and_not_before() -> None:
    clock = FrozenClock()
    tokens = TokenService(RING, clock)
    text = tokens.access_token(USER, SESSION)
    clock.advance(ACCESS_TTL - timedelta(seconds=1))
    assert tokens.read_access_token(text).user_id == USER
    clock.advance(timedelta(seconds=1))
    with pytest.raises(SessionExpired):
        tokens.read_access_token(text)


def test_a_clock_that_is_a_little_behind_does_not_refuse_a_fresh_token() -> None:
    clock = FrozenClock()
    text = TokenService(RING, clock).access_token(USER, SESSION)
    clock.advance(timedelta(seconds=-5))
    assert TokenService(RING, clock).read_access_token(text).user_id == USER
    clock.advance(timedelta(seconds=-1))
    with pytest.raises(SessionExpired):
        TokenService(RING, clock).read_access_token(text)


@given(st.uuids(), st.integers(0, 2**32 - 1))
def test_a_refresh_token_says_its_session_and_generation(session: Any, generation: int) -> None:
    assert TOKENS.read_refresh_token(TOKENS.refresh_token(session, generation)) == (session, generation)


@given(st.integers(0, 69), st.sampled_from("AQgwx_-09"))
def test_a_refresh_token_with_one_changed_character_is_refused(position: int, other: str) -> None:
    text = TOKENS.refresh_token(SESSION, 3)
    changed = text[:position] + other + text[position + 1 :]
    if changed == text:
        return
    try:
        found = TOKENS.read_refresh_token(changed)
    except SessionExpired:
        return
    assert (position, found) == (len(text) - 1, (SESSION, 3))  # bits that base64 throws away


def test_a_refresh_token_of_another_generation_cannot_be_made_from_an_old_one() -> None:
    raw = bytearray(base64.urlsafe_b64decode(TOKENS.refresh_token(SESSION, 3) + "=="))
    raw[19] = 4
    with pytest.raises(SessionExpired):
        TOKENS.read_refresh_token(b64(bytes(raw)))
    keyless = bytes(raw[:20]) + hashlib.sha256(bytes(raw[:20])).digest()
    with pytest.raises(SessionExpired):
        TOKENS.read_refresh_token(b64(keyless))


@given(st.text(max_size=120))
def test_no_other_text_is_a_refresh_token(text: str) -> None:
    with pytest.raises(SessionExpired):
        TOKENS.read_refresh_token(text)
