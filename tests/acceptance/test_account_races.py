"""Accounts that are deleted while their organisations change: nobody waits for nobody."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx2
import psycopg

from tests.support.live import PASSWORD, Live, as_
from tests.support.people import Lab, people
from tests.support.streams import eventually


def test_who_deletes_an_account_waits_for_the_organisation_before_any_member(live: Live) -> None:
    """An act on the organisation holds its row and then takes a member's. Had the deletion taken that row
    before it waits for the organisation, the two would wait for each other."""
    lab = Lab(live, live.tenant("0", name="Racing"))
    leaving, staying = lab.staff("member", "member")
    body = {"password": PASSWORD}
    with psycopg.connect(live.database_url) as act, ThreadPoolExecutor(1) as pool:
        act.execute("SELECT FROM orgs WHERE id = %s FOR NO KEY UPDATE", [lab.tenant.organization_id])
        gone = pool.submit(live.call, "/api/me", leaving.token, "DELETE", json=body)
        eventually(lambda: waiting(live))
        act.execute("SET LOCAL lock_timeout = '2s'")
        act.execute("UPDATE org_members SET role = 'guest' WHERE user_id = %s", [staying.id])
        act.execute("UPDATE org_members SET role = 'guest' WHERE user_id = %s", [leaving.id])
        act.commit()
        answer = gone.result(10)
    assert answer.status_code == 204, answer.text


def waiting(live: Live) -> bool:
    """Whether some transaction waits for a lock."""
    with psycopg.connect(live.database_url, autocommit=True) as look:
        query = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        row = look.execute(query).fetchone()
    return row is not None and row[0] > 0


def test_accounts_of_one_organisation_deleted_all_at_once_leave_it_to_its_owner(live: Live) -> None:
    lab = Lab(live, live.tenant("0", name="Leaving"))
    staff = lab.staff(*["admin"] * 6)
    start = Barrier(len(staff) + 1)
    codes: list[int] = []

    def leave(token: str) -> int:
        with httpx2.Client(base_url=live.url, timeout=30, trust_env=False) as client:
            start.wait()
            done = client.request("DELETE", "/api/me", json={"password": PASSWORD}, headers=as_(token))
            return done.status_code

    def change() -> list[int]:
        start.wait()
        return [
            lab.call(lab.owner, "PATCH", f"/members/{one.id}", json={"role": "member"}).status_code
            for one in staff
        ]

    with ThreadPoolExecutor(len(staff) + 1) as pool:
        changed = pool.submit(change)
        codes = list(pool.map(leave, [one.token for one in staff]))
        assert set(changed.result(30)) <= {200, 404}
    assert codes == [204] * len(staff)
    [left] = lab.call(lab.owner, "GET", "/members").json()["items"]
    assert left["role"] == "owner"


def test_who_founds_an_organisation_while_their_account_goes_leaves_none_without_members(live: Live) -> None:
    founders = people(live, *["founder"] * 6)

    def found(token: str) -> int:
        return live.call("/api/organizations", token, "POST", json={"name": "Orphan"}).status_code

    def leave(token: str) -> int:
        return live.call("/api/me", token, "DELETE", json={"password": PASSWORD}).status_code

    with ThreadPoolExecutor(12) as pool:
        made = [pool.submit(found, one.token) for one in founders for _ in range(3)]
        gone = [pool.submit(leave, one.token) for one in founders]
        assert {one.result(30) for one in made} <= {201, 401, 404, 409}
        assert {one.result(30) for one in gone} <= {204, 409}
    with psycopg.connect(live.database_url, autocommit=True) as look:
        query = (
            "SELECT count(*) FROM orgs o WHERE name = 'Orphan' AND deleted_at IS NULL AND NOT EXISTS"
            " (SELECT FROM org_members m WHERE m.org_id = o.id)"
        )
        assert look.execute(query).fetchone() == (0,)
