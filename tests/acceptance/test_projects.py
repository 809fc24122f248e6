"""Teams and projects: open, closed, archived; who sees them and who changes them."""

from __future__ import annotations

import uuid

import pytest

from tests.support.live import Live
from tests.support.people import Lab, Person, people, verdict
from tests.support.streams import eventually


@pytest.fixture(scope="module")
def lab(live: Live) -> Lab:
    """An organisation with money."""
    return Lab(live, live.tenant())


@pytest.fixture(scope="module")
def stranger(live: Live) -> Person:
    """Somebody without any organisation."""
    return people(live, "stranger")[0]


def chat(lab: Lab, token: str, project: str) -> int:
    """Make a call in a project and return its status."""
    body = {"model": "fake-echo", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"x-deepspace-project": project}
    return lab.live.call("/v1/chat/completions", token, "POST", json=body, headers=headers).status_code


def seen(lab: Lab, token: str) -> dict[str, str | None]:
    """Return the caller's role by the id of the projects they see."""
    return {item["id"]: item["role"] for item in lab.call(token, "GET", "/projects").json()["items"]}


def give(lab: Lab, project: str, role: str, token: str | None = None, **subject: str) -> str:
    """Give somebody a role in a project and return the id of that."""
    body = {"role": role, **subject}
    response = lab.call(token or lab.owner, "POST", f"/projects/{project}/members", json=body)
    assert response.status_code == 201, response.text
    return response.json()["id"]


def test_a_project_is_made_and_changed_by_who_may(lab: Lab, stranger: Person) -> None:
    [member] = lab.staff("member")
    body = {"name": "Folding"}
    path = f"/api/organizations/{lab.tenant.organization_id}/projects"
    assert verdict(lab.live.http.post(path, json=body)) == (401, "unauthorized")
    assert verdict(lab.call(stranger.token, "POST", "/projects", json=body)) == (404, "not_found")
    assert verdict(lab.call(member.token, "POST", "/projects", json=body)) == (403, "permission_denied")
    made = lab.call(lab.owner, "POST", "/projects", json=body).json()
    assert (made["access"], made["is_default"], made["archived_at"]) == ("organization", False, None)
    one = f"/projects/{made['id']}"
    assert lab.call(member.token, "GET", one).json()["name"] == "Folding"
    assert verdict(lab.call(stranger.token, "GET", one)) == (404, "not_found")
    assert verdict(lab.call(member.token, "PATCH", one, json={"name": "X"})) == (403, "permission_denied")
    assert verdict(lab.call(lab.owner, "PATCH", one, json={"access": "all"})) == (422, "validation_failed")
    assert lab.call(lab.owner, "PATCH", one, json={"name": "Unfolding"}).json()["name"] == "Unfolding"
    other = lab.live.tenant("0")
    away = f"/api/organizations/{other.organization_id}/projects/{made['id']}"
    assert verdict(lab.live.call(away, other.token)) == (404, "not_found")


def test_a_closed_project_is_there_for_its_members_alone(lab: Lab) -> None:
    inside, outside, guest = lab.staff("member", "member", "guest")
    project = lab.project(access="members")
    one = f"/projects/{project}"
    assert verdict(lab.call(outside.token, "GET", one)) == (404, "not_found")
    assert project not in seen(lab, outside.token)
    assert chat(lab, outside.token, project) == 404
    part = give(lab, project, "viewer", user_id=inside.id)
    assert seen(lab, inside.token)[project] == "viewer"
    assert chat(lab, inside.token, project) == 403
    changed = lab.call(lab.owner, "PATCH", f"{one}/members/{part}", json={"role": "member"})
    assert changed.json()["role"] == "member"
    eventually(lambda: chat(lab, inside.token, project) == 200)
    # A guest reads what they are given, and spends only if that is given too.
    assert seen(lab, guest.token) == {}
    given = give(lab, project, "viewer", user_id=guest.id)
    assert seen(lab, guest.token) == {project: "viewer"}
    assert chat(lab, guest.token, project) == 403
    assert lab.call(lab.owner, "DELETE", f"{one}/members/{given}").status_code == 204
    assert verdict(lab.call(guest.token, "GET", one)) == (404, "not_found")
    assert verdict(lab.call(lab.owner, "DELETE", f"{one}/members/{given}")) == (404, "not_found")
    # Opened, it is there for everybody who reads projects.
    lab.call(lab.owner, "PATCH", one, json={"access": "organization"})
    assert chat(lab, outside.token, project) == 200
    assert chat(lab, guest.token, project) == 404


def test_a_manager_rules_the_project_and_nothing_else(lab: Lab) -> None:
    manager, other = lab.staff("guest", "member")
    project = lab.project(access="members")
    give(lab, project, "manager", user_id=manager.id)
    one = f"/projects/{project}"
    assert lab.call(manager.token, "PATCH", one, json={"name": "Ours"}).json()["name"] == "Ours"
    part = give(lab, project, "manager", manager.token, user_id=other.id)
    assert lab.call(manager.token, "DELETE", f"{one}/members/{part}").status_code == 204
    for path in (f"/projects/{lab.tenant.project_id}", f"/projects/{uuid.uuid4()}"):
        assert verdict(lab.call(manager.token, "PATCH", path, json={"name": "X"})) == (404, "not_found")
    body = {"name": "Another"}
    assert verdict(lab.call(manager.token, "POST", "/projects", json=body)) == (403, "permission_denied")
    refused = lab.call(manager.token, "POST", f"{one}/make-default")
    assert verdict(refused) == (403, "permission_denied")


def test_who_joins_a_project_is_somebody_of_the_organisation(lab: Lab, stranger: Person) -> None:
    [member] = lab.staff("member")
    project = lab.project()
    path = f"/projects/{project}/members"
    for body in (
        {"user_id": stranger.id, "role": "viewer"},
        {"team_id": str(uuid.uuid4()), "role": "viewer"},
        {"role": "viewer"},
        {"user_id": member.id, "team_id": str(uuid.uuid4()), "role": "viewer"},
        {"user_id": member.id, "role": "owner"},
    ):
        assert verdict(lab.call(lab.owner, "POST", path, json=body)) == (422, "validation_failed")
    give(lab, project, "viewer", user_id=member.id)
    again = lab.call(lab.owner, "POST", path, json={"user_id": member.id, "role": "manager"})
    assert verdict(again) == (409, "already_member")


def test_a_team_works_in_a_project_as_long_as_it_is_there(lab: Lab, stranger: Person) -> None:
    member, guest = lab.staff("member", "guest")
    body = {"name": f"Wet lab {uuid.uuid4().hex[:6]}"}
    assert verdict(lab.call(stranger.token, "POST", "/teams", json=body)) == (404, "not_found")
    assert verdict(lab.call(member.token, "POST", "/teams", json=body)) == (403, "permission_denied")
    made = lab.call(lab.owner, "POST", "/teams", json=body).json()
    assert verdict(lab.call(lab.owner, "POST", "/teams", json=body)) == (409, "name_taken")
    team = f"/teams/{made['id']}"
    joining = {"user_id": guest.id}
    assert verdict(lab.call(member.token, "POST", f"{team}/members", json=joining))[0] == 403
    outsider = lab.call(lab.owner, "POST", f"{team}/members", json={"user_id": stranger.id})
    assert verdict(outsider) == (422, "validation_failed")
    project = lab.project(access="members")
    give(lab, project, "member", team_id=made["id"])
    for _ in range(2):  # who is in stays in
        assert lab.call(lab.owner, "POST", f"{team}/members", json=joining).status_code == 204
    assert chat(lab, guest.token, project) == 200
    listed = lab.call(guest.token, "GET", f"{team}/members").json()["items"]
    assert [item["user_id"] for item in listed] == [guest.id]
    assert lab.call(guest.token, "GET", team).json()["members"] == 1
    renamed = lab.call(lab.owner, "PATCH", team, json={"name": body["name"] + "!"})
    assert renamed.json()["name"] == body["name"] + "!"
    assert lab.call(lab.owner, "DELETE", f"{team}/members/{guest.id}").status_code == 204
    assert verdict(lab.call(lab.owner, "DELETE", f"{team}/members/{guest.id}")) == (404, "not_found")
    assert chat(lab, guest.token, project) == 404
    lab.call(lab.owner, "POST", f"{team}/members", json=joining)
    assert chat(lab, guest.token, project) == 200
    assert verdict(lab.call(member.token, "DELETE", team)) == (403, "permission_denied")
    assert lab.call(lab.owner, "DELETE", team).status_code == 204
    assert chat(lab, guest.token, project) == 404
    assert verdict(lab.call(lab.owner, "GET", team)) == (404, "not_found")


def test_nobody_gets_into_a_project_by_way_of_a_team_they_may_fill(lab: Lab) -> None:
    [clerk] = people(lab.live, "clerk")
    lab.join(clerk, role_id=lab.role(f"Clerk {uuid.uuid4().hex}", "teams:write", "members:write"))
    team, project = lab.team(f"Managers {uuid.uuid4().hex}"), lab.project(access="members")
    path = f"/teams/{team}/members"
    give(lab, project, "manager", team_id=team)
    assert verdict(lab.call(clerk.token, "POST", path, json={"user_id": clerk.id})) == (
        403,
        "permission_denied",
    )
    invited = lab.call(clerk.token, "POST", "/invitations", json={"role_id": None, "team_id": team})
    assert verdict(invited)[0] == 422
    body = {"role": "guest", "team_id": team}
    assert verdict(lab.call(clerk.token, "POST", "/invitations", json=body)) == (403, "permission_denied")
    free = lab.team(f"Free {uuid.uuid4().hex}")
    joined = lab.call(clerk.token, "POST", f"/teams/{free}/members", json={"user_id": clerk.id})
    assert joined.status_code == 204


def test_who_makes_a_closed_project_gets_no_right_they_had_not(lab: Lab) -> None:
    [planner] = people(lab.live, "planner")
    lab.join(planner, role_id=lab.role(f"Planner {uuid.uuid4().hex}", "projects:write", "projects:read"))
    body = {"name": "Secret", "access": "members"}
    assert verdict(lab.call(planner.token, "POST", "/projects", json=body)) == (403, "permission_denied")
    made = lab.call(planner.token, "POST", "/projects", json={"name": "Open"}).json()
    assert made["permissions"] == ["organization:read", "projects:read", "projects:write"]
    path = f"/projects/{made['id']}/members"
    body = {"user_id": planner.id, "role": "manager"}
    assert verdict(lab.call(planner.token, "POST", path, json=body)) == (403, "permission_denied")


def test_an_archived_project_rests_and_its_keys_with_it(lab: Lab) -> None:
    [member] = lab.staff("member")
    project = lab.project()
    path = f"/api/organizations/{lab.tenant.organization_id}/api-keys"
    body = {"name": "key", "project_id": project}
    secret = lab.live.call(path, lab.owner, "POST", json=body).json()["secret"]
    assert lab.live.chat("fake-echo", "hello", secret).status_code == 200
    one = f"/projects/{project}"
    assert verdict(lab.call(member.token, "POST", f"{one}/archive")) == (403, "permission_denied")
    archived = lab.call(lab.owner, "POST", f"{one}/archive").json()
    assert lab.call(lab.owner, "POST", f"{one}/archive").json() == archived
    assert lab.live.chat("fake-echo", "hello", secret).status_code == 404
    assert project not in seen(lab, member.token)
    everything = lab.call(member.token, "GET", "/projects", params={"archived": "true"}).json()["items"]
    assert project in {item["id"] for item in everything}
    assert verdict(lab.call(lab.owner, "POST", f"{one}/make-default")) == (409, "default_project")
    assert lab.call(lab.owner, "POST", f"{one}/unarchive").json()["archived_at"] is None
    assert lab.live.chat("fake-echo", "hello", secret).status_code == 200


def test_there_is_one_default_project_and_it_is_not_archived(live: Live) -> None:
    lab = Lab(live, live.tenant("0"))
    first, second = lab.tenant.project_id, lab.project()
    refused = lab.call(lab.owner, "POST", f"/projects/{first}/archive")
    assert verdict(refused) == (409, "default_project")
    assert lab.call(lab.owner, "POST", f"/projects/{second}/make-default").json()["is_default"]
    items = lab.call(lab.owner, "GET", "/projects").json()["items"]
    assert [(item["id"], item["is_default"]) for item in items] == [(second, True), (first, False)]
    assert lab.call(lab.owner, "POST", f"/projects/{first}/archive").status_code == 200


def test_a_call_in_a_closed_project_is_traced_by_those_with_a_part_in_it_alone(lab: Lab) -> None:
    insider, outsider, admin = lab.staff("guest", "member", "admin")
    closed = lab.project("Secret", "members")
    give(lab, closed, "member", user_id=insider.id)
    body = {"model": "fake-echo", "messages": [{"role": "user", "content": "hello"}]}
    traces: dict[str, str] = {}
    for project in (closed, lab.tenant.project_id):
        headers = {"x-deepspace-project": project}
        made = lab.live.call("/v1/chat/completions", lab.owner, "POST", json=body, headers=headers)
        assert made.status_code == 200
        traces[project] = f"/api/traces/{made.headers['x-trace-id']}"
        lab.live.trace(made.headers["x-trace-id"], lab.owner)
    for token, expected in ((insider.token, 200), (admin.token, 200), (outsider.token, 404)):
        assert lab.live.call(traces[closed], token).status_code == expected
    assert lab.live.call(traces[closed], lab.tenant.api_key).status_code == 404  # a key of another project
    assert lab.live.call(traces[lab.tenant.project_id], outsider.token).status_code == 200
    assert lab.live.call(traces[lab.tenant.project_id], insider.token).status_code == 404
