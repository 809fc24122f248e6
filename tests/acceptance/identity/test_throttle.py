"""Guessing passwords gets slower and slower, and its victim is not locked out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx2
import psycopg
import pytest

from tests.support.live import PASSWORD, Live
from tests.support.mailbox import Mailbox, address, problem, register, sign_in, somewhere

WRONG = "not the password"


@pytest.fixture
def victim(site: Live) -> str:
    """The address of somebody with an account."""
    with httpx2.Client(base_url=site.url, trust_env=False) as elsewhere:
        return register(elsewhere).email


def guess(site: Live, email: str, times: int) -> list[int]:
    """Try a wrong password so often, all at once, from a browser that is not known."""
    with ThreadPoolExecutor(8) as pool:
        return sorted(pool.map(lambda _: sign_in(site.http, email, WRONG).status_code, range(times)))


def prolong(site: Live) -> None:
    """Make every wait that has begun last an hour: the test is over before."""
    with psycopg.connect(site.database_url, autocommit=True) as database:
        database.execute("UPDATE knocks SET wait_until = now() + interval '1 h' WHERE wait_until > last_at")


def test_the_eleventh_guess_waits_also_if_all_are_sent_at_once_to_two_gateways(
    live: Live, site: Live, victim: str
) -> None:
    with ThreadPoolExecutor(8) as pool:
        gateways = [live, site] * 12
        answers = list(pool.map(lambda gateway: sign_in(gateway.http, victim, WRONG), gateways))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(401) in {10, 11}  # 11 on a machine so slow that the first wait is over by then
    assert statuses.count(429) == 24 - statuses.count(401)
    refused = next(answer for answer in answers if answer.status_code == 429)
    problem(refused, 429, "too_many_attempts")
    assert 1 <= int(refused.headers["retry-after"]) <= 4
    prolong(site)
    # The right password must wait as well, or the answer would tell which one it is.
    problem(sign_in(site.http, victim), 429, "too_many_attempts")


def test_an_unknown_address_waits_just_the_same(site: Live) -> None:
    assert guess(site, address(), 16)[:11] in ([401] * 10 + [429], [401] * 11)


def test_waits_double_up_to_a_cap_and_a_success_forgets_them(site: Live, victim: str) -> None:
    guess(site, victim, 10)
    waits: list[int] = []
    with psycopg.connect(site.database_url, autocommit=True) as database:
        for _ in range(11):
            [waited] = database.execute(
                "SELECT max(extract(epoch FROM wait_until - last_at))::int"
                " FROM (SELECT * FROM knocks ORDER BY last_at DESC LIMIT 2) AS newest"
            ).fetchone() or [0]
            waits.append(waited)
            database.execute("UPDATE knocks SET wait_until = now() - interval '1 s'")
            assert sign_in(site.http, victim, WRONG).status_code == 401
        assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
        database.execute("UPDATE knocks SET wait_until = now() - interval '1 s'")
        assert sign_in(site.http, victim).status_code == 200
        site.http.cookies.clear()
        assert guess(site, victim, 10) == [401] * 10


def test_a_browser_that_signed_in_before_is_not_delayed_by_what_strangers_try(
    site: Live, browser: httpx2.Client, victim: str
) -> None:
    assert sign_in(browser, victim).status_code == 200
    browser.cookies.delete("deepspace_refresh")
    guess(site, victim, 12)
    prolong(site)
    problem(sign_in(site.http, victim), 429, "too_many_attempts")
    assert sign_in(browser, victim).status_code == 200
    # The device is counted too, on its own.
    statuses = [sign_in(browser, victim, WRONG).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]


def test_a_device_cookie_is_good_for_its_own_account_only(
    site: Live, browser: httpx2.Client, victim: str
) -> None:
    register(browser)  # somebody else, with a device cookie of their own
    guess(site, victim, 12)
    prolong(site)
    problem(sign_in(browser, victim), 429, "too_many_attempts")


def test_guesses_from_many_addresses_are_counted_together_and_wait_a_minute_at_most(
    site: Live, victim: str
) -> None:
    body = {"email": victim, "password": WRONG}

    def guess_from_somewhere(_: int) -> httpx2.Response:
        return site.http.post("/api/auth/login", json=body, headers=somewhere())

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(guess_from_somewhere, range(53)))
    assert [answer.status_code for answer in answers].count(401) == 50
    with psycopg.connect(site.database_url, autocommit=True) as database:
        for _ in range(8):
            database.execute("UPDATE knocks SET wait_until = now() - interval '1 s'")
            assert guess_from_somewhere(0).status_code == 401
    refused = guess_from_somewhere(0)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")


def test_registrations_from_one_address_slow_down(site: Live) -> None:
    home = somewhere()
    body = {"email": "x", "password": PASSWORD, "name": "Ada"}
    assert site.http.post("/api/auth/register", json=body, headers=home).status_code == 422  # not counted
    body = {"email": site.admin_email, "password": PASSWORD, "name": "Ada"}
    statuses = [site.http.post("/api/auth/register", json=body, headers=home).status_code for _ in range(31)]
    assert statuses == [409] * 30 + [429]


def test_a_reset_by_mail_opens_the_account_again(site: Live, mailbox: Mailbox, victim: str) -> None:
    with psycopg.connect(site.database_url, autocommit=True) as database:
        for _ in range(3):
            guess(site, victim, 10)
            database.execute("UPDATE knocks SET count = 60 WHERE count > 5")
    prolong(site)
    body = {"email": victim, "password": PASSWORD}
    blocked = site.http.post("/api/auth/login", json=body, headers=somewhere())
    problem(blocked, 429, "too_many_attempts")
    site.http.post("/api/auth/password/forgot", json={"email": victim})
    token = mailbox.token(victim, 2)
    body = {"token": token, "password": "an entirely new password"}
    assert site.http.post("/api/auth/password/reset", json=body).status_code == 204
    with httpx2.Client(base_url=site.url, trust_env=False) as anywhere:
        body = {"email": victim, "password": "an entirely new password"}
        assert anywhere.post("/api/auth/login", json=body, headers=somewhere()).status_code == 200


def test_no_address_stands_in_the_counters(site: Live, victim: str) -> None:
    guess(site, victim, 2)
    with psycopg.connect(site.database_url) as database:
        rows = database.execute("SELECT * FROM knocks").fetchall()
    assert rows
    assert victim not in str(rows)
    assert PASSWORD not in str(rows)
