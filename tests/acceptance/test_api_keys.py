"""API keys over HTTP: narrowing, rotation with overlap, revocation on every process."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from tests.support.gateways import another
from tests.support.live import Live, Tenant, as_


@pytest.fixture(scope="module")
def tenant(live: Live) -> Tenant:
    """An organisation of the module's own."""
    return live.tenant()


@pytest.fixture(scope="module")
def second_gateway(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """A client of another gateway process on the same database."""
    with another(live, tmp_path_factory.mktemp("second")) as gateway:
        yield gateway.http


def path(tenant: Tenant, key_id: str = "", verb: str = "") -> str:
    """Return the address of the keys, of a key, or of one of its verbs."""
    return "/".join(
        part for part in (f"/api/organizations/{tenant.organization_id}/api-keys", key_id, verb) if part
    )


def refused(response: httpx2.Response) -> tuple[int, str]:
    """Return status and code of an answer of either surface."""
    body = response.json()
    return response.status_code, body["code"] if "code" in body else body["error"]["code"]


def listed(live: Live, tenant: Tenant, key_id: str) -> dict[str, Any]:
    """Return a key as its owner sees it."""
    response = live.call(path(tenant, key_id), tenant.token)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize(
    ("method", "verb", "body"), [("PUT", "", {"name": "n"}), ("POST", "rotate", {}), ("DELETE", "", None)]
)
def test_a_key_is_changed_by_nobody_but_those_who_may(
    live: Live, tenant: Tenant, method: str, verb: str, body: Any
) -> None:
    key_id, secret = live.key(tenant)
    address = path(tenant, key_id, verb)
    assert live.http.request(method, address, json=body).status_code == 401
    stranger = live.tenant(name="Strangers")
    assert refused(live.call(address, stranger.token, method, json=body)) == (404, "not_found")
    elsewhere = path(stranger, key_id, verb)
    assert refused(live.call(elsewhere, stranger.token, method, json=body)) == (404, "not_found")
    assert refused(live.call(address, secret, method, json=body)) == (403, "permission_denied")
    assert live.chat("fake-echo", "still good", secret).status_code == 200
    assert live.call(address, tenant.token, method, json=body).status_code in {200, 204}
    if verb == "" and method == "DELETE":
        for what, fields in (("rotate", {}), ("", {"name": "n"})):
            again = live.call(
                path(tenant, key_id, what), tenant.token, "POST" if what else "PUT", json=fields
            )
            assert refused(again) == (409, "conflict")


def test_a_key_for_some_surfaces_is_refused_on_the_others(live: Live, tenant: Tenant) -> None:
    _, for_chat = live.key(tenant, routes=["chat"])
    assert live.chat("fake-echo", "hello", for_chat).status_code == 200
    assert refused(live.call("/v1/models", for_chat)) == (403, "permission_denied")
    assert refused(live.call(f"{path(tenant)[:-9]}/wallet", for_chat)) == (403, "permission_denied")
    _, for_reports = live.key(tenant, routes=["management"])
    assert refused(live.chat("fake-echo", "hello", for_reports)) == (403, "permission_denied")
    assert live.call(f"{path(tenant)[:-9]}/wallet", for_reports).status_code == 200
    response = live.call(
        path(tenant),
        tenant.token,
        "POST",
        json={"name": "k", "project_id": tenant.project_id, "routes": ["everything"]},
    )
    assert refused(response) == (422, "validation_failed")


def test_a_key_is_good_only_from_the_addresses_on_its_list(live: Live, tenant: Tenant) -> None:
    _, inside = live.key(tenant, allowed_ips=["10.0.0.0/8", "127.0.0.0/8"])
    assert live.chat("fake-echo", "hello", inside).status_code == 200
    key_id, outside = live.key(tenant, allowed_ips=["10.0.0.0/8", "2001:db8::/32"])
    before = live.balance(tenant.organization_id, tenant.token)
    assert refused(live.chat("fake-echo", "hello", outside)) == (403, "permission_denied")
    # A header is no address: nobody said that a proxy stands in front.
    forged = live.call("/v1/models", outside, headers={"x-forwarded-for": "10.1.2.3"})
    assert refused(forged) == (403, "permission_denied")
    assert live.balance(tenant.organization_id, tenant.token) == before
    assert listed(live, tenant, key_id)["allowed_ips"] == ["10.0.0.0/8", "2001:db8::/32"]
    for wrong in ("10.0.0.1/8", "everywhere", "::ffff:10.0.0.1/104", ""):
        body = {"name": "k", "project_id": tenant.project_id, "allowed_ips": [wrong]}
        assert refused(live.call(path(tenant), tenant.token, "POST", json=body)) == (422, "validation_failed")


def test_a_key_works_in_its_own_project_and_those_it_was_given(live: Live, tenant: Tenant) -> None:
    projects = f"/api/organizations/{tenant.organization_id}/projects"
    other, third = (
        live.call(projects, tenant.token, "POST", json={"name": name}).json()["id"] for name in ("B", "C")
    )
    _, secret = live.key(tenant, project_ids=[other])
    for project, status in ((None, 200), (tenant.project_id, 200), (other, 200), (third, 404), ("x", 404)):
        headers = {"x-deepspace-project": project} if project else {}
        response = live.call("/v1/models", secret, headers=headers)
        assert response.status_code == status, (project, response.text)


def test_a_rotated_key_keeps_its_id_and_the_text_before_it_works_until_the_overlap_ends(
    live: Live, tenant: Tenant
) -> None:
    key_id, first = live.key(tenant, models=["fake-echo"])
    rotated = live.call(path(tenant, key_id, "rotate"), tenant.token, "POST", json={"overlap_s": 3}).json()
    second = rotated["secret"]
    assert rotated["id"] == key_id
    assert rotated["models"] == ["fake-echo"]
    assert second != first
    for secret in (first, second):
        response = live.chat("fake-echo", "hello", secret)
        assert response.status_code == 200
        trace = live.trace(response.headers["x-trace-id"], tenant.token)
        assert trace["identity"]["api_key_id"] == key_id
    deadline = time.monotonic() + 10
    while live.call("/v1/models", first).status_code == 200:
        assert time.monotonic() < deadline, "the text before the rotation still works"
        time.sleep(0.2)
    assert refused(live.call("/v1/models", first)) == (401, "unauthorized")
    assert live.call("/v1/models", second).status_code == 200
    live.call(path(tenant, key_id), tenant.token, "DELETE")
    assert refused(live.call("/v1/models", second)) == (401, "unauthorized")


def test_a_second_rotation_ends_the_text_before_the_first(live: Live, tenant: Tenant) -> None:
    key_id, first = live.key(tenant)
    texts = [first]
    for _ in range(2):
        answer = live.call(path(tenant, key_id, "rotate"), tenant.token, "POST", json={"overlap_s": 600})
        texts.append(answer.json()["secret"])
    time.sleep(0.3)  # the notice
    assert [live.call("/v1/models", text).status_code for text in texts] == [401, 200, 200]


def test_last_use_is_written_and_a_key_cannot_end_in_the_past(live: Live, tenant: Tenant) -> None:
    key_id, secret = live.key(tenant)
    assert listed(live, tenant, key_id)["last_used_at"] is None
    assert live.call("/v1/models", secret).status_code == 200
    deadline = time.monotonic() + 15
    while listed(live, tenant, key_id)["last_used_at"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    body = {"name": "k", "project_id": tenant.project_id, "expires_at": past}
    assert refused(live.call(path(tenant), tenant.token, "POST", json=body)) == (422, "validation_failed")


def until_refused(client: httpx2.Client, secret: str) -> float:
    """Return the seconds until a client is refused."""
    start = time.monotonic()
    while client.get("/v1/models", headers=as_(secret)).status_code == 200:
        assert time.monotonic() - start < 8, "the key still works"
        time.sleep(0.02)
    return time.monotonic() - start


def test_a_revoked_key_is_refused_within_a_second_on_every_gateway_process(
    live: Live, tenant: Tenant, second_gateway: httpx2.Client
) -> None:
    for _ in range(3):
        key_id, secret = live.key(tenant)
        for client in (live.http, second_gateway):
            assert client.get("/v1/models", headers=as_(secret)).status_code == 200
        live.call(path(tenant, key_id), tenant.token, "DELETE")
        assert live.http.get("/v1/models", headers=as_(secret)).status_code == 401
        assert until_refused(second_gateway, secret) < 1


def test_a_change_made_by_hand_in_the_database_is_heard_too(
    live: Live, tenant: Tenant, second_gateway: httpx2.Client
) -> None:
    key_id, secret = live.key(tenant)
    assert second_gateway.get("/v1/models", headers=as_(secret)).status_code == 200
    with psycopg.connect(live.database_url) as connection:
        connection.execute("UPDATE api_keys SET revoked_at = now() WHERE id = %s", [key_id])
    assert until_refused(second_gateway, secret) < 1


def test_with_the_listener_down_a_revoked_key_is_refused_within_five_seconds(
    live: Live, tenant: Tenant, tmp_path: Path
) -> None:
    # The role may connect and work, but what it listens on is cut as often as it comes back.
    with (
        another(live, tmp_path / "gateway") as gateway,
        psycopg.connect(live.database_url, autocommit=True) as operator,
    ):
        client = gateway.http
        key_id, secret = live.key(tenant)
        assert client.get("/v1/models", headers=as_(secret)).status_code == 200
        start = time.monotonic()
        live.call(path(tenant, key_id), tenant.token, "DELETE")
        while client.get("/v1/models", headers=as_(secret)).status_code == 200:
            operator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'deepspace-notices' AND datname = current_database()"
            )
            assert time.monotonic() - start < 5.5
            time.sleep(0.05)


def test_a_person_who_is_disabled_takes_their_keys_with_them(live: Live) -> None:
    tenant = live.tenant()
    assert live.call("/v1/models", tenant.api_key).status_code == 200
    with psycopg.connect(live.database_url) as connection:
        connection.execute("UPDATE users SET status = 'disabled' WHERE email = %s", [tenant.email])
    assert until_refused(live.http, tenant.api_key) < 1
    assert live.call("/api/me", tenant.token).status_code == 401


def test_a_key_nobody_has_is_not_found(live: Live, tenant: Tenant) -> None:
    nobody = str(uuid.uuid4())
    for method, verb, body in (("GET", "", None), ("PUT", "", {"name": "n"}), ("POST", "rotate", {})):
        response = live.call(path(tenant, nobody, verb), tenant.token, method, json=body)
        assert refused(response) == (404, "not_found")
