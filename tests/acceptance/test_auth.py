"""Sign in, refresh, sign out: what a browser does, and what a thief could try."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.support.live import PASSWORD, Live, Tenant, as_

COOKIE = "deepspace_refresh"


@pytest.fixture(scope="module")
def person(live: Live) -> Tenant:
    """Somebody with an account."""
    return live.tenant()


@pytest.fixture
def browser(live: Live) -> Iterator[httpx2.Client]:
    """A client with a cookie jar of its own."""
    with httpx2.Client(base_url=live.url, timeout=10, trust_env=False) as client:
        yield client


def sign_in(browser: httpx2.Client, person: Tenant) -> str:
    """Sign in and return the access token."""
    response = browser.post("/api/auth/login", json={"email": person.email, "password": PASSWORD})
    assert response.status_code == 200, response.text
    return response.json()["access_token"]


def problem(response: httpx2.Response, status: int, code: str) -> None:
    """Check a problem."""
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.json()["trace_id"] == response.headers["x-trace-id"]


def test_a_sign_in_gives_a_short_token_and_a_cookie_that_scripts_cannot_read(
    browser: httpx2.Client, person: Tenant
) -> None:
    response = browser.post("/api/auth/login", json={"email": person.email, "password": PASSWORD})
    body = response.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 600)
    assert body["user"]["email"] == person.email
    assert body["user"]["is_operator"] is False
    cookie = response.headers["set-cookie"].lower()
    assert cookie.startswith(f"{COOKIE}=")
    for part in ("httponly", "samesite=strict", "path=/api/auth"):
        assert part in cookie
    assert browser.cookies[COOKIE] not in response.text
    me = browser.get("/api/me", headers=as_(body["access_token"])).json()
    assert (me["email"], me["organizations"][0]["role"]) == (person.email, "owner")


@pytest.mark.parametrize("email", ["nobody@example.org", "", "x" * 250, "' OR 1=1 --"])
def test_an_unknown_address_and_a_wrong_password_get_the_same_answer(
    browser: httpx2.Client, person: Tenant, email: str
) -> None:
    wrong = browser.post("/api/auth/login", json={"email": person.email, "password": "not this one"})
    unknown = browser.post("/api/auth/login", json={"email": email, "password": PASSWORD})
    problem(wrong, 401, "invalid_credentials")
    problem(unknown, 401, "invalid_credentials")
    assert wrong.json()["detail"] == unknown.json()["detail"]
    assert COOKIE not in browser.cookies


def test_an_address_is_the_same_in_capitals(browser: httpx2.Client, person: Tenant) -> None:
    response = browser.post("/api/auth/login", json={"email": person.email.upper(), "password": PASSWORD})
    assert response.status_code == 200


def test_a_refresh_rotates_the_cookie_and_gives_a_new_token(browser: httpx2.Client, person: Tenant) -> None:
    sign_in(browser, person)
    first = browser.cookies[COOKIE]
    response = browser.post("/api/auth/refresh")
    assert response.status_code == 200, response.text
    assert browser.cookies[COOKIE] != first
    assert browser.get("/api/me", headers=as_(response.json()["access_token"])).status_code == 200
    assert browser.post("/api/auth/refresh").status_code == 200  # and again with the new one


def test_a_refresh_token_used_twice_ends_the_session_for_thief_and_victim(
    live: Live, browser: httpx2.Client, person: Tenant
) -> None:
    access = sign_in(browser, person)
    stolen = browser.cookies[COOKIE]
    for _ in range(2):  # the token right before the newest has ten seconds of grace; an older one has none
        assert browser.post("/api/auth/refresh").status_code == 200
    with httpx2.Client(base_url=live.url, trust_env=False, cookies={COOKIE: stolen}) as thief:
        problem(thief.post("/api/auth/refresh"), 401, "session_expired")
    problem(browser.post("/api/auth/refresh"), 401, "session_expired")  # the victim's good one is gone too
    refused_within(live, access, 1.5)


def test_a_page_that_was_left_during_a_refresh_can_refresh_again(
    live: Live, browser: httpx2.Client, person: Tenant
) -> None:
    """The browser never saw the answer, so it comes back with the token before: it gets the same new one."""
    sign_in(browser, person)
    before = browser.cookies[COOKIE]
    assert browser.post("/api/auth/refresh").status_code == 200
    newest = browser.cookies[COOKIE]
    with httpx2.Client(base_url=live.url, trust_env=False, cookies={COOKIE: before}) as again:
        response = again.post("/api/auth/refresh")
        assert response.status_code == 200, response.text
        assert f"{COOKIE}={newest};" in response.headers["set-cookie"]
    assert browser.post("/api/auth/refresh").status_code == 200  # and the newest is still good


def test_a_sign_out_ends_the_access_token_too(live: Live, browser: httpx2.Client, person: Tenant) -> None:
    access = sign_in(browser, person)
    kept = browser.cookies[COOKIE]
    assert browser.get("/api/me", headers=as_(access)).status_code == 200  # it is in the cache now
    assert browser.post("/api/auth/logout").status_code == 204
    assert COOKIE not in browser.cookies
    refused_within(live, access, 1.5)
    problem(
        live.http.post("/api/auth/refresh", headers={"cookie": f"{COOKIE}={kept}"}), 401, "session_expired"
    )
    # The AI surface takes sessions too, and refuses this one as well.
    response = live.chat("fake-echo", "hi", access)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "session_expired")


def test_signing_out_ends_one_session_and_not_the_others(
    live: Live, browser: httpx2.Client, person: Tenant
) -> None:
    other = live.login(person.email, PASSWORD)
    sign_in(browser, person)
    browser.post("/api/auth/logout")
    time.sleep(1.1)  # past the cache
    assert live.call("/api/me", other).status_code == 200


def test_a_sign_out_without_a_session_is_no_error(browser: httpx2.Client) -> None:
    assert browser.post("/api/auth/logout").status_code == 204
    assert browser.post("/api/auth/logout", headers={"cookie": f"{COOKIE}=nonsense"}).status_code == 204


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/api/auth/refresh", "/api/auth/logout"])
def test_another_sites_page_cannot_use_the_cookie(
    browser: httpx2.Client, person: Tenant, site: str, path: str
) -> None:
    sign_in(browser, person)
    before = browser.cookies[COOKIE]
    problem(browser.post(path, headers={"sec-fetch-site": site}), 403, "permission_denied")
    assert browser.cookies[COOKIE] == before
    assert browser.post("/api/auth/refresh", headers={"sec-fetch-site": "same-origin"}).status_code == 200


@pytest.mark.parametrize("token", ["", "x", "é", "A" * 70, "A" * 10_000, "%00"])
def test_a_cookie_that_is_none_of_ours_opens_nothing(live: Live, token: str) -> None:
    headers = {"cookie": f"{COOKIE}={token}".encode()}
    problem(live.http.post("/api/auth/refresh", headers=headers), 401, "session_expired")


def test_without_a_cookie_there_is_nothing_to_refresh(browser: httpx2.Client) -> None:
    problem(browser.post("/api/auth/refresh"), 401, "session_expired")


def test_an_access_token_is_no_refresh_token_and_the_other_way_round(
    live: Live, browser: httpx2.Client, person: Tenant
) -> None:
    access = sign_in(browser, person)
    problem(
        live.http.post("/api/auth/refresh", headers={"cookie": f"{COOKIE}={access}"}), 401, "session_expired"
    )
    problem(live.call("/api/me", browser.cookies[COOKIE]), 401, "unauthorized")


def test_over_https_the_cookie_has_the_secure_name(live: Live) -> None:
    """Behind a proxy the scheme is http to us: the secure name must then come from the scheme alone."""
    response = live.http.post(
        "/api/auth/login",
        json={"email": live.admin_email, "password": live.admin_password},
        headers={"x-forwarded-proto": "https"},
    )
    live.http.cookies.clear()
    # No proxy is trusted by default, so a client cannot choose.
    assert response.headers["set-cookie"].startswith(f"{COOKIE}=")


def refused_within(live: Live, access: str, seconds: float) -> None:
    """Wait for an access token to be refused."""
    deadline = time.monotonic() + seconds
    while live.call("/api/me", access).status_code == 200:
        assert time.monotonic() < deadline, f"the token is still good after {seconds} s"
        time.sleep(0.05)
    problem(live.call("/api/me", access), 401, "session_expired")
