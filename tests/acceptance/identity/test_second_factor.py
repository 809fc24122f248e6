"""Authenticator apps and recovery codes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import psycopg
from pyotp.totp import TOTP

from tests.support.live import PASSWORD, Live, as_
from tests.support.mailbox import Someone, me, problem, register, sign_in

FACTOR = "/api/me/second-factor"


def code(secret: str, steps: int = 0) -> str:
    """Return the app's code of a time step from now."""
    return TOTP(secret).at(int(time.time()) + 30 * steps)


def post(client: httpx2.Client, someone: Someone, path: str, body: dict[str, Any]) -> httpx2.Response:
    """Make a request as somebody."""
    return client.post(f"{FACTOR}{path}", json=body, headers=as_(someone.token))


def enrolled(client: httpx2.Client) -> tuple[Someone, str, list[str]]:
    """Register somebody with a second factor; return them, its secret and the recovery codes. The code of
    the step before this one is used up."""
    someone = register(client)
    secret = post(client, someone, "", {"password": PASSWORD}).json()["secret"]
    confirmed = post(client, someone, "/confirm", {"code": code(secret, -1)})
    assert confirmed.status_code == 200, confirmed.text
    return someone, secret, confirmed.json()["recovery_codes"]


def challenged(client: httpx2.Client, email: str) -> str:
    """Give the password and return the challenge."""
    answer = sign_in(client, email)
    problem(answer, 401, "second_factor_required")
    assert "deepspace_refresh" not in answer.headers.get("set-cookie", "")
    [found] = answer.json()["errors"]
    assert found["expires_in"] == 300
    return found["challenge"]


def finish(client: httpx2.Client, challenge: str, given: str) -> httpx2.Response:
    """Give the code."""
    body = {"challenge": challenge, "code": given}
    return client.post("/api/auth/login/second-factor", json=body)


def test_setting_up_needs_the_password_and_a_first_code(site: Live, browser: httpx2.Client) -> None:
    problem(browser.post(FACTOR, json={"password": PASSWORD}), 401, "unauthorized")
    someone = register(browser)
    problem(post(browser, someone, "", {"password": "not this one"}), 401, "invalid_credentials")
    problem(post(browser, someone, "/confirm", {"code": "123456"}), 409, "second_factor_state")
    first = post(browser, someone, "", {"password": PASSWORD}).json()
    made = post(browser, someone, "", {"password": PASSWORD}).json()
    assert made["otpauth_uri"].startswith("otpauth://totp/DeepSpace:")
    assert f"secret={made['secret']}" in made["otpauth_uri"]
    problem(post(browser, someone, "/confirm", {"code": code(first["secret"])}), 401, "second_factor_invalid")
    assert sign_in(browser, someone.email).status_code == 200  # nothing is on yet
    confirmed = post(browser, someone, "/confirm", {"code": code(made["secret"])})
    assert len(set(confirmed.json()["recovery_codes"])) == 10
    state = browser.get(FACTOR, headers=as_(someone.token)).json()
    assert state == {"enabled": True, "recovery_codes_left": 10}
    problem(post(browser, someone, "", {"password": PASSWORD}), 409, "second_factor_state")
    with psycopg.connect(site.database_url) as database:
        [sealed] = database.execute(
            "SELECT sealed_secret FROM totp_secrets WHERE user_id = %s", [someone.id]
        ).fetchone() or [b""]
    assert made["secret"].encode() not in sealed


def test_a_sign_in_takes_both_factors_and_each_code_once(site: Live, browser: httpx2.Client) -> None:
    someone, secret, _ = enrolled(browser)
    browser.cookies.clear()
    challenge = challenged(browser, someone.email)
    # A challenge is no access token and opens nothing by itself.
    problem(me(browser, challenge), 401, "unauthorized")
    problem(finish(browser, challenge, "000000"), 401, "second_factor_invalid")
    problem(finish(browser, challenge, code(secret, -1)), 401, "second_factor_invalid")  # used to confirm
    now = code(secret)
    done = finish(browser, challenge, now)
    assert done.status_code == 200, done.text
    assert me(browser, done.json()["access_token"]).json()["email"] == someone.email
    assert browser.cookies["deepspace_refresh"]
    problem(finish(browser, challenge, code(secret, 1)), 401, "session_expired")  # the challenge is used up
    again = challenged(browser, someone.email)
    problem(finish(browser, again, now), 401, "second_factor_invalid")  # the code is, too
    assert finish(browser, again, code(secret, 1)).status_code == 200


def test_of_racers_with_one_code_one_gets_in(site: Live, browser: httpx2.Client) -> None:
    someone, secret, _ = enrolled(browser)
    challenges = [challenged(site.http, someone.email) for _ in range(4)]
    given = code(secret)
    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(lambda one: finish(site.http, one, given).status_code, challenges))
    site.http.cookies.clear()
    assert statuses == [200, 401, 401, 401]


def test_a_recovery_code_stands_in_once(site: Live, browser: httpx2.Client) -> None:
    someone, secret, codes = enrolled(browser)
    typed = codes[0].upper().replace("-", " ")
    assert finish(browser, challenged(browser, someone.email), typed).status_code == 200
    again = challenged(browser, someone.email)
    problem(finish(browser, again, codes[0]), 401, "second_factor_invalid")
    state = browser.get(FACTOR, headers=as_(someone.token)).json()
    assert state["recovery_codes_left"] == 9
    body = {"password": PASSWORD, "code": code(secret)}
    fresh = post(browser, someone, "/recovery-codes", body).json()["recovery_codes"]
    problem(finish(browser, again, codes[1]), 401, "second_factor_invalid")  # the old ones ended
    assert finish(browser, again, fresh[0]).status_code == 200
    with psycopg.connect(site.database_url) as database:
        kept = database.execute("SELECT code_hmac FROM recovery_codes WHERE user_id = %s", [someone.id])
        assert fresh[1].replace("-", "").encode() not in b"".join(row[0] for row in kept.fetchall())


def test_codes_are_not_guessed(site: Live, browser: httpx2.Client) -> None:
    someone, secret, _ = enrolled(browser)
    browser.cookies.clear()
    challenge = challenged(browser, someone.email)
    statuses = [finish(browser, challenge, f"{number:06}").status_code for number in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    problem(finish(browser, challenge, code(secret)), 429, "too_many_attempts")
    # A new challenge brings no new attempts.
    problem(finish(browser, challenged(browser, someone.email), code(secret)), 429, "too_many_attempts")


def test_a_challenge_ends_with_its_time_and_with_the_password(site: Live, browser: httpx2.Client) -> None:
    someone, secret, _ = enrolled(browser)
    challenge = challenged(browser, someone.email)
    with psycopg.connect(site.database_url, autocommit=True) as database:
        database.execute("UPDATE one_time_tokens SET expires_at = now() WHERE user_id = %s", [someone.id])
    problem(finish(browser, challenge, code(secret)), 401, "session_expired")
    challenge = challenged(browser, someone.email)
    body = {"current_password": PASSWORD, "new_password": "an entirely new password"}
    browser.post("/api/auth/password/change", json=body, headers=as_(someone.token))
    problem(finish(browser, challenge, code(secret)), 401, "session_expired")
    problem(finish(browser, "nonsense", code(secret)), 401, "session_expired")


def test_turning_it_off_takes_password_and_code(site: Live, browser: httpx2.Client) -> None:
    someone, secret, codes = enrolled(browser)
    wrong = {"password": "not this one", "code": code(secret)}
    problem(post(browser, someone, "/disable", wrong), 401, "invalid_credentials")
    problem(
        post(browser, someone, "/disable", {"password": PASSWORD, "code": "000000"}),
        401,
        "second_factor_invalid",
    )
    body = {"password": PASSWORD, "code": codes[3]}
    assert post(browser, someone, "/disable", body).status_code == 204
    problem(post(browser, someone, "/disable", body), 409, "second_factor_state")
    assert sign_in(browser, someone.email).status_code == 200
