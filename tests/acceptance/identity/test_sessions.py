"""The list of one's sessions, and ending them."""

from __future__ import annotations

import time

import httpx2

from tests.support.live import Live, as_
from tests.support.mailbox import me, problem, register, sign_in


def another(site: Live, email: str, agent: str) -> str:
    """Sign in from another browser and return the access token."""
    with httpx2.Client(base_url=site.url, trust_env=False, headers={"user-agent": agent}) as client:
        return sign_in(client, email).json()["access_token"]


def test_one_sees_ones_sessions_and_nobody_elses(site: Live, browser: httpx2.Client) -> None:
    problem(browser.get("/api/me/sessions"), 401, "unauthorized")
    problem(browser.get("/api/me/sessions", headers=as_(site.api_key)), 403, "permission_denied")
    someone = register(browser)
    another(site, someone.email, "Firefox on a tablet")
    items = browser.get("/api/me/sessions", headers=as_(someone.token)).json()["items"]
    assert [item["current"] for item in items] == [False, True]
    assert items[0]["user_agent"] == "Firefox on a tablet"
    assert items[0]["ip"] == "127.0.0.1"
    assert items[0]["last_used_at"] >= items[0]["created_at"]


def test_ending_a_session_refuses_its_tokens_on_every_gateway(
    live: Live, site: Live, browser: httpx2.Client, elsewhere: httpx2.Client
) -> None:
    someone = register(browser)
    other = another(site, someone.email, "a thief's browser")
    assert me(live.http, other).status_code == 200  # it is in both gateways' caches now
    assert me(site.http, other).status_code == 200
    [stolen] = [
        item["id"]
        for item in browser.get("/api/me/sessions", headers=as_(someone.token)).json()["items"]
        if not item["current"]
    ]
    path = f"/api/me/sessions/{stolen}"
    stranger = register(elsewhere)
    problem(browser.delete(path, headers=as_(stranger.token)), 404, "not_found")
    assert browser.delete(path, headers=as_(someone.token)).status_code == 204
    problem(me(site.http, other), 401, "session_expired")
    deadline = time.monotonic() + 1.2
    while me(live.http, other).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    problem(browser.delete(path, headers=as_(someone.token)), 404, "not_found")  # it has ended
    assert me(browser, someone.token).status_code == 200


def test_all_other_sessions_end_at_once(site: Live, browser: httpx2.Client) -> None:
    someone = register(browser)
    others = [another(site, someone.email, f"browser {number}") for number in range(3)]
    answer = browser.delete("/api/me/sessions", headers=as_(someone.token))
    assert answer.json() == {"ended": 3}
    for token in others:
        problem(me(site.http, token), 401, "session_expired")
    assert me(browser, someone.token).status_code == 200
    assert browser.post("/api/auth/refresh").status_code == 200


def test_a_stolen_refresh_token_used_twice_ends_the_whole_family(site: Live, browser: httpx2.Client) -> None:
    """The thief refreshes twice, and the victim comes with the token from before: one of them is a thief."""
    someone = register(browser)
    stolen = browser.cookies["deepspace_refresh"]
    with httpx2.Client(base_url=site.url, trust_env=False) as thief:
        taken: list[str] = []
        for _ in range(2):
            refreshed = thief.post("/api/auth/refresh", headers={"cookie": f"deepspace_refresh={stolen}"})
            taken.append(refreshed.json()["access_token"])
            stolen = refreshed.cookies["deepspace_refresh"]
            thief.cookies.clear()
        thief.cookies.set("deepspace_refresh", stolen)
        problem(browser.post("/api/auth/refresh"), 401, "session_expired")
        problem(thief.post("/api/auth/refresh"), 401, "session_expired")
    time.sleep(1.1)
    for token in (someone.token, *taken):
        problem(me(site.http, token), 401, "session_expired")
