"""Organisations and their members, through HTTP."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.live import Live
from tests.support.people import Lab, Person, people, verdict


@pytest.fixture(scope="module")
def lab(live: Live) -> Lab:
    """An organisation for tests that leave it as it was."""
    return Lab(live, live.tenant("0", name="Lab"))


@pytest.fixture(scope="module")
def stranger(live: Live) -> Person:
    """Somebody without any organisation."""
    return people(live, "stranger")[0]


def roles_of(lab: Lab) -> dict[str, str]:
    """Return role by user id."""
    items = lab.call(lab.owner, "GET", "/members").json()["items"]
    return {item["user_id"]: item["role"] for item in items}


def test_a_person_makes_an_organisation_and_finds_it_ready(live: Live, stranger: Person) -> None:
    assert verdict(live.http.post("/api/organizations", json={"name": "X"})) == (401, "unauthorized")
    assert verdict(live.call("/api/organizations", None, "POST", json={"name": "X"})) == (
        403,
        "permission_denied",
    )
    response = live.call("/api/organizations", stranger.token, "POST", json={"name": " Crystals "})
    made = response.json()
    assert response.status_code == 201, made
    assert (made["name"], made["role"], made["projects"][0]["is_default"]) == ("Crystals", "owner", True)
    assert "organization:delete" in made["permissions"]
    assert live.wallet(made["id"], stranger.token)["balance"] == "0"
    listed = live.call("/api/organizations", stranger.token).json()["items"]
    assert [org["id"] for org in listed] == [made["id"]]
    assert live.call("/api/me", stranger.token).json()["organizations"] == listed
    bad = live.call("/api/organizations", stranger.token, "POST", json={"name": "", "owner": "me"})
    assert verdict(bad) == (422, "validation_failed")


def test_an_organisation_is_read_by_members_and_renamed_by_who_may(lab: Lab, stranger: Person) -> None:
    [member] = lab.staff("member")
    assert verdict(lab.live.http.get(f"/api/organizations/{lab.tenant.organization_id}"))[0] == 401
    assert verdict(lab.call(stranger.token, "GET")) == (404, "not_found")
    assert verdict(lab.call(stranger.token, "PATCH", json={"name": "Mine"})) == (404, "not_found")
    assert verdict(lab.call(member.token, "PATCH", json={"name": "Mine"})) == (403, "permission_denied")
    assert lab.call(lab.owner, "PATCH", json={"name": "Renamed"}).json()["name"] == "Renamed"
    seen = lab.call(member.token, "GET").json()
    assert (seen["name"], seen["role"]) == ("Renamed", "member")
    assert seen["permissions"] == sorted(seen["permissions"])
    [project] = seen["projects"]
    assert (project["access"], project["role"]) == ("organization", None)
    assert {"projects:read", "chat:use"} <= set(project["permissions"])


def test_members_are_listed_with_names_roles_and_teams(lab: Lab, stranger: Person) -> None:
    [guest] = lab.staff("guest")
    team = lab.team(f"Team {uuid.uuid4().hex[:6]}")
    assert (
        lab.call(lab.owner, "POST", f"/teams/{team}/members", json={"user_id": guest.id}).status_code == 204
    )
    assert verdict(lab.call(stranger.token, "GET", "/members")) == (404, "not_found")
    seen: list[str] = []
    cursor = None
    while True:
        params = {"limit": "1", **({"cursor": cursor} if cursor else {})}
        page = lab.call(guest.token, "GET", "/members", params=params).json()
        seen += [item["user_id"] for item in page["items"]]
        if page["items"][0]["user_id"] == guest.id:
            assert page["items"][0]["email"] == guest.email
            assert [entry["id"] for entry in page["items"][0]["teams"]] == [team]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen[-1] == lab.user_id()
    assert len(seen) == len(set(seen)) == len(roles_of(lab))


def test_who_may_change_roles_changes_those_of_people_who_hold_no_more(lab: Lab, stranger: Person) -> None:
    admin, other, member = lab.staff("admin", "admin", "member")
    owner = lab.user_id()

    def change(token: str, user: str, **body: str) -> tuple[int, str]:
        response = lab.call(token, "PATCH", f"/members/{user}", json=body)
        return response.status_code, response.json().get("code", response.json().get("role"))

    assert change(stranger.token, member.id, role="guest") == (404, "not_found")
    assert change(member.token, other.id, role="guest") == (403, "permission_denied")
    assert change(admin.token, member.id, role="admin") == (200, "admin")
    assert change(admin.token, member.id, role="owner") == (403, "permission_denied")
    assert change(admin.token, owner, role="member") == (403, "permission_denied")
    assert change(admin.token, admin.id, role="owner") == (403, "permission_denied")
    assert change(admin.token, str(uuid.uuid4()), role="guest") == (404, "not_found")
    assert change(admin.token, stranger.id, role="guest") == (404, "not_found")
    assert change(admin.token, member.id) == (422, "validation_failed")
    assert change(admin.token, member.id, role="guest", role_id=str(uuid.uuid4()))[0] == 422
    assert change(admin.token, member.id, role_id=str(uuid.uuid4())) == (422, "validation_failed")
    assert change(lab.owner, member.id, role="owner") == (200, "owner")
    assert change(lab.owner, member.id, role="guest") == (200, "guest")
    # A change is felt at the next request.
    assert verdict(lab.call(member.token, "PATCH", json={"name": "Mine"})) == (403, "permission_denied")


def test_the_last_owner_neither_leaves_nor_steps_down_nor_is_removed(live: Live) -> None:
    lab = Lab(live, live.tenant("0"))
    owner = lab.user_id()
    assert verdict(lab.call(lab.owner, "POST", "/leave")) == (409, "last_owner")
    assert verdict(lab.call(lab.owner, "DELETE", f"/members/{owner}")) == (409, "last_owner")
    response = lab.call(lab.owner, "PATCH", f"/members/{owner}", json={"role": "admin"})
    assert verdict(response) == (409, "last_owner")
    assert roles_of(lab) == {owner: "owner"}


def test_removing_a_member_ends_their_keys_teams_and_projects(live: Live, stranger: Person) -> None:
    lab = Lab(live, live.tenant())
    admin, other = lab.staff("admin", "member")
    team, project = lab.team(), lab.project(access="members")
    lab.call(lab.owner, "POST", f"/teams/{team}/members", json={"user_id": admin.id})
    body = {"user_id": admin.id, "role": "member"}
    lab.call(lab.owner, "POST", f"/projects/{project}/members", json=body)
    path = f"/api/organizations/{lab.tenant.organization_id}/api-keys"
    body = {"name": "theirs", "project_id": lab.tenant.project_id}
    secret = live.call(path, admin.token, "POST", json=body).json()["secret"]
    assert live.chat("fake-echo", "hello", secret).status_code == 200

    assert verdict(lab.call(stranger.token, "DELETE", f"/members/{admin.id}")) == (404, "not_found")
    assert verdict(lab.call(other.token, "DELETE", f"/members/{admin.id}")) == (403, "permission_denied")
    response = lab.call(lab.owner, "DELETE", f"/members/{admin.id}")
    assert (response.status_code, response.json()) == (200, {"revoked_api_keys": 1})
    assert live.chat("fake-echo", "hello", secret).status_code == 401
    assert live.chat("fake-echo", "hello", lab.tenant.api_key).status_code == 200
    assert verdict(lab.call(admin.token, "GET")) == (404, "not_found")
    assert lab.call(lab.owner, "GET", f"/teams/{team}/members").json()["items"] == []
    members = lab.call(lab.owner, "GET", f"/projects/{project}/members").json()["items"]
    assert [item["user_id"] for item in members] == [lab.user_id()]
    assert verdict(lab.call(lab.owner, "DELETE", f"/members/{admin.id}")) == (404, "not_found")


def test_a_member_leaves_and_an_api_key_does_not(live: Live, stranger: Person) -> None:
    lab = Lab(live, live.tenant("0"))
    [guest] = lab.staff("guest")
    assert verdict(lab.call(stranger.token, "POST", "/leave")) == (404, "not_found")
    assert verdict(lab.call(lab.tenant.api_key, "POST", "/leave")) == (403, "permission_denied")
    assert lab.call(guest.token, "POST", "/leave").json() == {"revoked_api_keys": 0}
    assert verdict(lab.call(guest.token, "GET")) == (404, "not_found")
    assert live.call("/api/me", guest.token).json()["organizations"] == []


def test_ownership_is_handed_to_another_member(live: Live, stranger: Person) -> None:
    lab = Lab(live, live.tenant("0"))
    admin, heir = lab.staff("admin", "member")
    path = "/transfer-ownership"
    assert verdict(lab.call(stranger.token, "POST", path, json={"user_id": heir.id})) == (404, "not_found")
    refused = lab.call(admin.token, "POST", path, json={"user_id": admin.id})
    assert verdict(refused) == (403, "permission_denied")
    for nobody in (stranger.id, lab.user_id()):
        response = lab.call(lab.owner, "POST", path, json={"user_id": nobody})
        assert verdict(response) == (422, "validation_failed")
    before = lab.user_id()
    assert lab.call(lab.owner, "POST", path, json={"user_id": heir.id}).status_code == 204
    roles = roles_of(lab)
    assert (roles[heir.id], roles[before]) == ("owner", "admin")


def test_of_owners_who_leave_or_step_down_at_the_same_time_one_stays(live: Live) -> None:
    lab = Lab(live, live.tenant("0"))
    others = lab.staff("admin", "admin", "admin")
    for person in others:
        lab.call(lab.owner, "PATCH", f"/members/{person.id}", json={"role": "owner"})
    first = lab.user_id()

    def go(number: int) -> int:
        if number == 0:
            return lab.call(lab.owner, "PATCH", f"/members/{first}", json={"role": "admin"}).status_code
        return lab.call(others[number - 1].token, "POST", "/leave").status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(go, range(4)))
    assert statuses == [200, 200, 200, 409]


def test_an_organisation_of_its_own_roles_reaches_no_further_than_its_maker(live: Live) -> None:
    lab = Lab(live, live.tenant("0"))
    clerk, helper = people(live, "clerk", "helper")
    staffing = lab.role("Staffing", "members:write", "roles:write", "billing:read")
    lab.join(clerk, role_id=staffing)
    lab.join(helper, role="guest")
    make = lambda *words: lab.call(  # noqa: E731
        clerk.token, "POST", "/roles", json={"name": uuid.uuid4().hex, "permissions": list(words)}
    )
    assert verdict(make("billing:write")) == (403, "permission_denied")
    assert verdict(make("billing:burn")) == (422, "validation_failed")
    viewer = make("billing:read").json()
    assert viewer["permissions"] == ["billing:read", "organization:read"]
    change = lambda user, **body: verdict_or_role(lab, clerk.token, user, **body)  # noqa: E731
    assert change(helper.id, role_id=viewer["id"]) == (200, "custom")
    assert change(helper.id, role="member") == (403, "permission_denied")
    assert change(clerk.id, role="admin") == (403, "permission_denied")
    strong = lab.role("Strong", "billing:write")
    for body in ({"permissions": []}, {"name": "Weak"}):
        response = lab.call(clerk.token, "PATCH", f"/roles/{strong}", json=body)
        assert verdict(response) == (403, "permission_denied")
    assert verdict(lab.call(clerk.token, "DELETE", f"/roles/{strong}")) == (403, "permission_denied")
    assert verdict(lab.call(lab.owner, "DELETE", f"/roles/{viewer['id']}")) == (409, "role_in_use")
    # What a role gives changes for everybody who has it.
    assert (
        live.call(f"/api/organizations/{lab.tenant.organization_id}/wallet", helper.token).status_code == 200
    )
    emptied = lab.call(clerk.token, "PATCH", f"/roles/{viewer['id']}", json={"permissions": []})
    assert emptied.json()["permissions"] == ["organization:read"]
    wallet = live.call(f"/api/organizations/{lab.tenant.organization_id}/wallet", helper.token)
    assert verdict(wallet) == (403, "permission_denied")


def verdict_or_role(lab: Lab, token: str, user: str, **body: str) -> tuple[int, str]:
    """Change a member's role and return the status with the code or the role."""
    response = lab.call(token, "PATCH", f"/members/{user}", json=body)
    return response.status_code, response.json().get("code", response.json().get("role"))


def test_roles_are_made_changed_and_deleted_by_who_may(lab: Lab, stranger: Person) -> None:
    [member] = lab.staff("member")
    body = {"name": f"Auditor {uuid.uuid4().hex[:6]}", "permissions": ["traces:read"]}
    assert verdict(lab.call(stranger.token, "POST", "/roles", json=body)) == (404, "not_found")
    assert verdict(lab.call(member.token, "POST", "/roles", json=body)) == (403, "permission_denied")
    made = lab.call(lab.owner, "POST", "/roles", json=body).json()
    assert verdict(lab.call(lab.owner, "POST", "/roles", json=body)) == (409, "name_taken")
    assert made in lab.call(member.token, "GET", "/roles").json()["items"]
    assert lab.call(member.token, "GET", f"/roles/{made['id']}").json() == made
    renamed = lab.call(lab.owner, "PATCH", f"/roles/{made['id']}", json={"name": body["name"] + "s"}).json()
    assert renamed == {**made, "name": body["name"] + "s"}
    waiting = lab.invite(role_id=made["id"])
    assert verdict(lab.call(lab.owner, "DELETE", f"/roles/{made['id']}")) == (409, "role_in_use")
    lab.call(lab.owner, "DELETE", f"/invitations/{waiting['id']}")
    assert lab.call(lab.owner, "DELETE", f"/roles/{made['id']}").status_code == 204
    assert verdict(lab.call(lab.owner, "GET", f"/roles/{made['id']}")) == (404, "not_found")


def test_the_vocabulary_is_told_to_who_is_signed_in(live: Live, stranger: Person) -> None:
    assert live.http.get("/api/permissions").status_code == 401
    told = live.call("/api/permissions", stranger.token).json()
    words = {entry["name"] for entry in told["permissions"]}
    assert set(told["roles"]["owner"]) == words
    assert set(told["project_roles"]["manager"]) <= words
