"""Walls between tenants, and between tenants and operators: every route, every kind of caller."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from deepspace.gateway.api import openapi_document
from tests.architecture.test_permissions import PUBLIC
from tests.support.live import Live, Tenant, as_
from tests.support.people import Lab, contents

PATHS: dict[str, dict[str, Any]] = openapi_document()["paths"]


def routes(prefix: str) -> list[tuple[str, str]]:
    """Return (method, path) of every operation whose path begins with `prefix`."""
    return [
        (method.upper(), path)
        for path, operations in PATHS.items()
        for method in operations
        if path.startswith(prefix)
    ]


ORG_ROUTES = routes("/api/organizations/{org}")
ADMIN_ROUTES = routes("/api/admin/")
OWN_ROUTES = [
    route for route in routes("/api/") if route not in ORG_ROUTES + ADMIN_ROUTES and route[1] not in PUBLIC
]


LISTS = tuple(
    path.removeprefix("/api/organizations/{org}/")
    for method, path in ORG_ROUTES
    if method == "GET" and path.count("{") == 1 and not path.endswith("{org}") and "usage" not in path
)
"""What there is to see in an organisation."""

INNER_ROUTES = [route for route in ORG_ROUTES if route[1].count("{") > 1]


@pytest.fixture(scope="module")
def stranger(live: Live) -> Tenant:
    """An owner of another organisation."""
    return live.tenant(name="Strangers")


@pytest.fixture(scope="module")
def victim(live: Live) -> Tenant:
    """The organisation that strangers want into."""
    return live.tenant(name="Victims")


@pytest.fixture(scope="module")
def inside(live: Live, victim: Tenant) -> dict[str, str]:
    """The victim's ids, for the parameters of a path."""
    own = victim.organization_id
    return {"org": own, "organization": own, **contents(Lab(live, victim))}


@pytest.fixture(scope="module")
def operator(live: Live) -> str:
    """The operator's access token."""
    return live.operator_token()


@pytest.fixture(scope="module")
def untouched(live: Live, victim: Tenant, inside: dict[str, str]) -> Iterator[None]:
    """The victim's organisation looks the same before all of it and after."""

    def look() -> list[Any]:
        org = f"/api/organizations/{victim.organization_id}"
        found = [live.call(f"{org}/{name}", victim.token).json() for name in LISTS]
        for item in found[LISTS.index("api-keys")]["items"]:
            del item["last_used_at"]  # a key that is refused was used all the same
        return found

    before = look()
    yield
    assert look() == before


def fill(path: str, ids: dict[str, str]) -> str:
    """Return a path with its parameters filled in; an id nobody has for those not in `ids`."""
    while "{" in path:
        name = path[path.index("{") + 1 : path.index("}")]
        path = path.replace(f"{{{name}}}", ids.get(name, str(uuid.uuid4())))
    return path


def test_there_are_routes_to_try() -> None:
    """The lists come from the OpenAPI document: an empty one would make every test below pass."""
    assert len(ORG_ROUTES) >= 7
    assert len(ADMIN_ROUTES) >= 6
    assert {"/api/me", "/api/organizations", "/api/traces/{trace_id}"} <= {path for _, path in OWN_ROUTES}


@pytest.mark.parametrize(("method", "path"), [*ORG_ROUTES, *ADMIN_ROUTES, *OWN_ROUTES])
def test_nobody_gets_in_without_credentials(
    live: Live, inside: dict[str, str], untouched: None, method: str, path: str
) -> None:
    response = live.http.request(method, fill(path, inside), json={})
    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize(("method", "path"), ORG_ROUTES)
def test_a_stranger_is_told_that_the_organisation_does_not_exist(
    live: Live,
    stranger: Tenant,
    operator: str,
    inside: dict[str, str],
    untouched: None,
    method: str,
    path: str,
) -> None:
    nowhere = {**inside, "org": str(uuid.uuid4())}
    for credential in (stranger.token, stranger.api_key, operator, live.api_key):
        theirs = live.call(fill(path, inside), credential, method, json={})
        nobodys = live.call(fill(path, nowhere), credential, method, json={})
        assert (theirs.status_code, theirs.json()["code"]) == (404, "not_found")
        # Not a word tells an organisation that is there from one that is not.
        assert theirs.json()["detail"] == nobodys.json()["detail"]
        assert nobodys.status_code == 404


@pytest.mark.parametrize("org", ["nonsense", "0", "%00", "..", "*", "' OR 1=1 --"])
def test_an_organisation_that_is_no_id_is_not_found(live: Live, org: str) -> None:
    response = live.call(f"/api/organizations/{org}/wallet")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
def test_owners_and_api_keys_are_no_operators(
    live: Live, stranger: Tenant, inside: dict[str, str], untouched: None, method: str, path: str
) -> None:
    # The operator's own API key is refused too: keys leak, and operate nothing.
    for credential in (stranger.token, stranger.api_key, live.api_key):
        response = live.call(fill(path, inside), credential, method, json={})
        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")


def test_what_is_inside_another_tenant_is_not_found_under_ones_own_organisation(
    live: Live, stranger: Tenant, inside: dict[str, str], untouched: None
) -> None:
    assert len(INNER_ROUTES) > 25
    me = live.call("/api/me", stranger.token).json()["id"]
    bodies: dict[str, dict[str, Any]] = {
        "PATCH members/{user}": {"role": "guest"},
        "PATCH projects/{project}/members/{member}": {"role": "viewer"},
        "POST projects/{project}/members": {"user_id": me, "role": "viewer"},
        "POST teams/{team}/members": {"user_id": me},
        "PATCH policies/{policy}": {"mode": "dry_run"},
    }
    for method, path in INNER_ROUTES:
        tail = path.removeprefix("/api/organizations/{org}/")
        body = bodies.get(f"{method} {tail}", {"name": "mine"} if method in {"PATCH", "PUT"} else {})
        own = {**inside, "org": stranger.organization_id}
        theirs = live.call(fill(path, own), stranger.token, method, json=body)
        assert (theirs.status_code, theirs.json()["code"]) == (404, "not_found"), (method, path, theirs.text)
        nobodys = live.call(fill(path, {"org": own["org"], "budget": "0"}), stranger.token, method, json=body)
        assert nobodys.json()["detail"] == theirs.json()["detail"]


def test_a_key_cannot_be_made_for_the_project_of_another_tenant(
    live: Live, stranger: Tenant, victim: Tenant, untouched: None
) -> None:
    path = f"/api/organizations/{stranger.organization_id}/api-keys"
    body = {"name": "thief", "project_id": victim.project_id}
    response = live.call(path, stranger.token, "POST", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "validation_failed")


@pytest.mark.parametrize(
    ("method", "name", "body"),
    [
        ("GET", "api-keys", None),
        ("POST", "api-keys", {"name": "k", "project_id": str(uuid.uuid4())}),
        ("POST", "projects", {"name": "p"}),
    ],
)
def test_an_api_key_sees_and_makes_no_keys_and_no_projects(
    live: Live, victim: Tenant, untouched: None, method: str, name: str, body: Any
) -> None:
    path = f"/api/organizations/{victim.organization_id}/{name}"
    response = live.call(path, victim.api_key, method, json=body)
    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")


def test_nobody_can_make_themselves_an_operator_or_somebody_elses_member(live: Live, victim: Tenant) -> None:
    for path, body in (
        ("/api/organizations/{org}/projects", {"name": "p", "org_id": live.organization_id}),
        ("/api/organizations/{org}/api-keys", {"name": "k", "project_id": victim.project_id, "org_id": "x"}),
    ):
        response = live.call(fill(path, {"org": victim.organization_id}), victim.token, "POST", json=body)
        assert (response.status_code, response.json()["code"]) == (422, "validation_failed")
    me = live.call("/api/me", victim.token).json()
    assert me["is_operator"] is False
    assert [org["id"] for org in me["organizations"]] == [victim.organization_id]


def test_the_lists_of_an_organisation_page_through_everything_once_newest_first(live: Live) -> None:
    tenant = live.tenant()
    made = [live.key(tenant)[0] for _ in range(4)]
    path = f"/api/organizations/{tenant.organization_id}/api-keys"
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = live.call(path, tenant.token, params=params).json()
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen[:4] == made[::-1]
    assert len(seen) == len(set(seen)) == 5  # and the tenant's first key
    listed = live.call(path, tenant.token).text
    assert tenant.api_key not in listed
    assert tenant.api_key[-12:] not in listed


def test_a_secret_is_shown_once_and_works(live: Live) -> None:
    tenant = live.tenant()
    key_id, secret = live.key(tenant, name="shown once")
    assert live.http.get("/v1/models", headers=as_(secret)).status_code == 200
    listed = live.call(f"/api/organizations/{tenant.organization_id}/api-keys", tenant.token).json()["items"]
    [item] = [item for item in listed if item["id"] == key_id]
    assert "secret" not in item
    assert item["hint"].endswith(secret[-4:])
