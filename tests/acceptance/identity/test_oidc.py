"""Sign-in with an OpenID provider, and what an attacker or a bad provider could try."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import psycopg
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.acceptance.identity.test_second_factor import code, enrolled, finish
from tests.support.live import PASSWORD, Live, as_
from tests.support.mailbox import Mailbox, address, me, problem, register, sign_in
from tests.support.oidc import CLIENT_ID, CLIENT_SECRET, OidcServer

COOKIE, WAY = "deepspace_refresh", "deepspace_oidc"


@pytest.fixture(autouse=True)
def well_behaved(provider: OidcServer) -> Iterator[None]:
    """The provider is honest again after each test."""
    yield
    provider.reset()


def person(**claims: Any) -> dict[str, Any]:
    """Return somebody at the provider whom nobody knows here."""
    email = address()
    return {"sub": email.partition("@")[0], "email": email, "email_verified": True, "name": "Emmy", **claims}


def leave(browser: httpx2.Client, name: str = "campus", query: str = "") -> str:
    """Set out for a provider and return the address it sends the browser back to."""
    away = browser.get(f"/api/auth/oidc/{name}{query}")
    assert away.status_code == 303, away.text
    back = httpx2.get(away.headers["location"], trust_env=False)
    assert back.status_code == 302, back.text
    return back.headers["location"]


def arrive(browser: httpx2.Client, back: str) -> str:
    """Come back and return where the browser is sent then."""
    answer = browser.get(back)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def whole_way(browser: httpx2.Client, name: str = "campus", query: str = "") -> str:
    """Go there and back."""
    return arrive(browser, leave(browser, name, query))


def refused(browser: httpx2.Client, location: str, error: str = "oidc_refused") -> None:
    """Check that nobody was let in."""
    assert location == f"/login#error={error}"
    assert COOKIE not in browser.cookies


def who(browser: httpx2.Client) -> dict[str, Any]:
    """Return who a browser has signed in, by its cookie."""
    answer = browser.post("/api/auth/refresh")
    assert answer.status_code == 200, answer.text
    return me(browser, answer.json()["access_token"]).json() | {"token": answer.json()["access_token"]}


def test_the_providers_are_listed_without_their_secrets(live: Live, site: Live) -> None:
    answer = site.http.get("/api/auth/oidc")
    assert [item["name"] for item in answer.json()["items"]] == ["campus", "other"]
    assert CLIENT_SECRET not in answer.text
    assert live.http.get("/api/auth/oidc").json() == {"items": []}
    assert live.http.get("/api/auth/oidc/campus").headers["location"] == "/login#error=not_found"


def test_the_way_to_the_provider_carries_state_nonce_and_pkce(
    site: Live, browser: httpx2.Client, provider: OidcServer
) -> None:
    away = browser.get("/api/auth/oidc/campus")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(away.headers["location"]).query).items()}
    assert asked["redirect_uri"] == f"{site.url}/api/auth/oidc/campus/callback"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) >= 43
    assert len(asked["nonce"]) >= 43
    cookie = away.headers["set-cookie"].lower()
    for part in ("httponly", "samesite=lax", "path=/api/auth", "max-age=600"):
        assert part in cookie
    for secret in (asked["state"], asked["nonce"], CLIENT_SECRET):
        assert secret not in away.headers["set-cookie"]  # sealed
    assert away.headers["cache-control"] == "no-store"


def test_somebody_new_gets_an_account_and_comes_back_to_the_same_one(
    browser: httpx2.Client, provider: OidcServer
) -> None:
    provider.person = person()
    assert whole_way(browser) == "/"
    assert WAY not in browser.cookies
    found = who(browser)
    assert (found["email"], found["name"]) == (provider.person["email"], "Emmy")
    assert (found["email_verified"], found["has_password"]) == (True, False)
    # The subject is who they are: the address and the name may change at the provider.
    provider.person |= {"email": address(), "name": "Emmy N."}
    assert whole_way(browser) == "/"
    assert who(browser)["id"] == found["id"]
    # Without a password there is none to sign in with.
    problem(sign_in(browser, found["email"], ""), 401, "invalid_credentials")


def test_the_userinfo_endpoint_tells_what_the_token_does_not_but_of_nobody_else(
    browser: httpx2.Client, provider: OidcServer
) -> None:
    somebody = person()
    provider.person = {"sub": somebody["sub"]}
    provider.userinfo = {**somebody, "sub": "somebody else"}
    refused(browser, whole_way(browser))
    provider.userinfo = somebody
    assert whole_way(browser) == "/"
    assert who(browser)["email"] == somebody["email"]


def test_where_registration_needs_an_invitation_a_provider_is_none(
    live: Live, browser: httpx2.Client, provider: OidcServer
) -> None:
    provider.person = person()
    location = whole_way(browser, query="?invitation_token=nonsense")
    refused(browser, location, "registration_closed")
    provider.person = {"sub": "nameless"}
    refused(browser, whole_way(browser))


@pytest.mark.parametrize(
    ("name", "verified_there", "verified_here", "opens"),
    [
        ("campus", True, True, True),
        ("campus", False, True, False),
        ("campus", "true", True, False),
        ("campus", True, False, False),  # somebody may have registered with an address not theirs
        ("other", True, True, False),  # not trusted with addresses
    ],
)
def test_an_address_opens_an_account_only_if_everybody_vouches_for_it(
    browser: httpx2.Client,
    elsewhere: httpx2.Client,
    provider: OidcServer,
    mailbox: Mailbox,
    name: str,
    verified_there: object,
    verified_here: bool,
    opens: bool,
) -> None:
    someone = register(elsewhere)
    if verified_here:
        elsewhere.post("/api/auth/email/confirm", json={"token": mailbox.token(someone.email)})
    provider.person = person(email=someone.email.upper(), email_verified=verified_there)
    location = whole_way(browser, name)
    if opens:
        assert location == "/"
        assert who(browser)["id"] == someone.id
    else:
        refused(browser, location)


def test_an_account_is_connected_by_its_owner_and_disconnected_again(
    browser: httpx2.Client, elsewhere: httpx2.Client, provider: OidcServer
) -> None:
    someone = register(browser)
    path, headers = "/api/me/identities", as_(someone.token)
    wrong = browser.post(f"{path}/other", json={"password": "no"}, headers=headers)
    problem(wrong, 401, "invalid_credentials")
    problem(browser.post(f"{path}/no", json={"password": PASSWORD}, headers=headers), 404, "not_found")
    provider.person = person()
    start = browser.post(f"{path}/other", json={"password": PASSWORD}, headers=headers).json()
    back = httpx2.get(start["authorization_url"], trust_env=False).headers["location"]
    assert arrive(browser, back) == "/settings#connected=other"
    assert whole_way(elsewhere, "other") == "/"
    assert who(elsewhere)["id"] == someone.id
    [identity] = browser.get(path, headers=headers).json()["items"]
    assert (identity["provider"], identity["email"]) == ("other", provider.person["email"])
    # The same identity does not open a second account.
    thief = register(elsewhere)
    start = elsewhere.post(f"{path}/other", json={"password": PASSWORD}, headers=as_(thief.token)).json()
    back = httpx2.get(start["authorization_url"], trust_env=False).headers["location"]
    assert arrive(elsewhere, back) == "/login#error=oidc_refused"
    problem(elsewhere.delete(f"{path}/{identity['id']}", headers=as_(thief.token)), 404, "not_found")
    assert browser.delete(f"{path}/{identity['id']}", headers=headers).status_code == 204
    assert browser.get(path, headers=headers).json() == {"items": []}


@pytest.mark.parametrize("end", ["the password is changed", "the account is deleted"])
def test_a_connection_begun_before_the_session_ended_is_not_finished_after_it(
    browser: httpx2.Client, elsewhere: httpx2.Client, provider: OidcServer, end: str
) -> None:
    """Who knew the old password must not leave a door of their own behind."""
    owner = register(browser)
    stolen = sign_in(elsewhere, owner.email).json()["access_token"]
    provider.person = person()
    body = {"password": PASSWORD}
    start = elsewhere.post("/api/me/identities/other", json=body, headers=as_(stolen)).json()
    back = httpx2.get(start["authorization_url"], trust_env=False).headers["location"]
    if end == "the password is changed":
        new = {"current_password": PASSWORD, "new_password": "an entirely new password"}
        done = browser.post("/api/auth/password/change", json=new, headers=as_(owner.token))
    else:
        done = browser.request("DELETE", "/api/me", json=body, headers=as_(owner.token))
    assert done.status_code == 204, done.text
    assert arrive(elsewhere, back) == "/login#error=oidc_refused"
    whole_way(elsewhere, "other")
    assert who(elsewhere)["id"] != owner.id


def test_the_only_way_into_an_account_is_not_taken_away(
    site: Live, browser: httpx2.Client, provider: OidcServer
) -> None:
    provider.person = person()
    whole_way(browser)
    headers = as_(who(browser)["token"])
    [identity] = browser.get("/api/me/identities", headers=headers).json()["items"]
    problem(browser.delete(f"/api/me/identities/{identity['id']}", headers=headers), 409, "conflict")
    # A fresh sign-in stands in for the password they do not have; an old one does not.
    body = {"new_password": "an entirely new password"}
    with psycopg.connect(site.database_url, autocommit=True) as database:
        database.execute("UPDATE sessions SET created_at = created_at - interval '11 min'")
    change = "/api/auth/password/change"
    problem(browser.post(change, json=body, headers=headers), 403, "recent_sign_in_needed")
    whole_way(browser)
    headers = as_(who(browser)["token"])
    assert browser.post(change, json=body, headers=headers).status_code == 204
    assert browser.delete(f"/api/me/identities/{identity['id']}", headers=headers).status_code == 204


def test_the_second_factor_is_asked_for_after_a_provider_too(
    browser: httpx2.Client, provider: OidcServer, mailbox: Mailbox
) -> None:
    someone, secret, _ = enrolled(browser)
    browser.post("/api/auth/email/confirm", json={"token": mailbox.token(someone.email)})
    browser.cookies.clear()
    provider.person = person(email=someone.email)
    location = whole_way(browser)
    assert location.startswith("/login#challenge=")
    assert COOKIE not in browser.cookies
    done = finish(browser, location.partition("=")[2], code(secret))
    assert done.status_code == 200, done.text


def test_a_disabled_account_is_not_opened(site: Live, browser: httpx2.Client, provider: OidcServer) -> None:
    provider.person = person()
    whole_way(browser)
    found = who(browser)
    browser.cookies.clear()
    with psycopg.connect(site.database_url, autocommit=True) as database:
        database.execute("UPDATE users SET status = 'disabled' WHERE id = %s", [found["id"]])
    refused(browser, whole_way(browser))


def test_a_way_back_without_the_cookie_or_with_another_state_is_refused(
    browser: httpx2.Client, elsewhere: httpx2.Client, provider: OidcServer
) -> None:
    """Login CSRF: the attacker's code in the victim's browser would sign the victim in as the attacker."""
    provider.person = person()
    back = leave(elsewhere)
    asked = provider.tokens_asked
    refused(browser, arrive(browser, back))  # no cookie
    mine = leave(browser)
    refused(browser, arrive(browser, back))  # a cookie of another way, which is gone then
    refused(browser, arrive(browser, mine))
    leave(browser)
    refused(browser, arrive(browser, "/api/auth/oidc/campus/callback?code=x"))
    back = leave(browser)
    refused(browser, arrive(browser, back.replace("/campus/", "/other/")))  # mix-up of providers
    back = leave(browser)
    refused(browser, arrive(browser, f"{back}&iss=http://127.0.0.1/evil"))
    back = leave(browser)
    refused(
        browser, arrive(browser, back.partition("?")[0] + "?error=access_denied&" + back.partition("&")[2])
    )
    assert provider.tokens_asked == asked  # no code of any of these reached the provider


def test_a_code_is_good_once_even_with_its_cookie(
    site: Live, browser: httpx2.Client, elsewhere: httpx2.Client, provider: OidcServer
) -> None:
    provider.person = person()
    back = leave(browser)
    cookie = browser.cookies[WAY]
    assert arrive(browser, back) == "/"
    elsewhere.cookies.set(WAY, cookie, domain="127.0.0.1", path="/api/auth")
    refused(elsewhere, arrive(elsewhere, back))


OTHER_KEY = RSAKey.generate_key(2048, {"kid": "k1"})
Forge = Callable[[OidcServer, dict[str, Any], dict[str, Any]], str]


def changed(**claims: Any) -> Forge:
    """Sign honestly, but say something else; None leaves a claim out."""

    def forge(server: OidcServer, header: dict[str, Any], honest: dict[str, Any]) -> str:
        said = {name: value for name, value in {**honest, **claims}.items() if value is not None}
        return server.honest(header, said)

    return forge


def by_hand(header: dict[str, Any], claims: dict[str, Any], key: bytes | None) -> str:
    """Return a token as no library would make it: unsigned, or with an HMAC."""

    def encoded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    signed = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"
    return f"{signed}.{encoded(hmac.digest(key, signed.encode(), 'sha256') if key is not None else b'')}"


def unsigned(_: OidcServer, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Return a token without a signature."""
    return by_hand({**header, "alg": "none"}, claims, None)


def by_public_key(server: OidcServer, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Take the provider's public key for a shared secret."""
    return by_hand({**header, "alg": "HS256"}, claims, server.key.as_pem(private=False))


def by_client_secret(_: OidcServer, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Sign with what the client knows too."""
    return by_hand({**header, "alg": "HS256"}, claims, CLIENT_SECRET.encode())


def by_other_key(server: OidcServer, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Sign with a key of one's own that has the provider's key id, and bring it along."""
    header = {**header, "jwk": OTHER_KEY.as_dict(private=False)}
    return jwt.encode(header, claims, OTHER_KEY, algorithms=["RS256"])


FORGED: dict[str, Forge] = {
    "wrong nonce": changed(nonce="x" * 43),
    "no nonce": changed(nonce=None),
    "wrong aud": changed(aud="another-client"),
    "no aud": changed(aud=None),
    "several aud, azp of another": changed(aud=[CLIENT_ID, "another-client"], azp="another-client"),
    "several aud, no azp": changed(aud=[CLIENT_ID, "another-client"]),
    "wrong iss": changed(iss="https://evil.example"),
    "iss of the other tenant": lambda s, h, c: s.honest(h, {**c, "iss": f"{s.base}/other"}),
    "expired": changed(exp=int(time.time()) - 120),
    "no exp": changed(exp=None),
    "exp as text": changed(exp="9999999999"),
    "issued in the future": changed(iat=int(time.time()) + 3600),
    "no sub": changed(sub=None),
    "sub as a number": changed(sub=7),
    "empty sub": changed(sub=""),
    "alg none": unsigned,
    "HS256 with the public key": by_public_key,
    "HS256 with the client's secret": by_client_secret,
    "another key under the same id": by_other_key,
    "unknown key id": lambda s, h, c: s.honest({**h, "kid": "k2"}, c),
    "cut signature": lambda s, h, c: s.honest(h, c)[:-10],
    "no token": lambda _s, _h, _c: "nonsense",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_a_forged_id_token_lets_nobody_in(browser: httpx2.Client, provider: OidcServer, forge: Forge) -> None:
    provider.person = person()
    provider.sign = lambda header, claims: forge(provider, header, claims)
    refused(browser, whole_way(browser))
    provider.reset()
    assert whole_way(browser) == "/"  # it was the token, and nothing else
