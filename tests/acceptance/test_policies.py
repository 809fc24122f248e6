"""Access rules and limits through HTTP: who may set them, what they refuse, what a dry run tells."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateways import Another, another
from tests.support.live import Live, Tenant, as_
from tests.support.streams import eventually

NOBODY = "00000000-0000-7000-8000-000000000000"
"""An id that nothing has; it stands in names of tests, so it is the same for every worker."""

HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"
SEEN_S = 1.05
"""How long a change may take to be seen by another process."""


@pytest.fixture(scope="module")
def behind(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Another]:
    """A gateway that believes the loopback's X-Forwarded-For."""
    with another(live, tmp_path_factory.mktemp("behind"), TRUSTED_PROXIES="127.0.0.0/8") as gateway:
        yield gateway


@pytest.fixture
def tenant(live: Live) -> Tenant:
    """An organisation of a test's own."""
    return live.tenant()


def from_(address: str) -> dict[str, str]:
    """Return the header a proxy would send for a client."""
    return {"x-forwarded-for": f"10.9.9.9, {address}"}


def policies(tenant: Tenant) -> str:
    """Where a tenant's rules are."""
    return f"/api/organizations/{tenant.organization_id}/policies"


def make(live: Live, tenant: Tenant, **body: Any) -> dict[str, Any]:
    """Make a rule, and wait until every process has seen it."""
    answer = live.call(policies(tenant), tenant.token, "POST", json=body)
    assert answer.status_code == 201, answer.text
    time.sleep(SEEN_S)
    return answer.json()


def refusal(answer: Any) -> tuple[int, str]:
    """Return status and code."""
    body = answer.json()
    return answer.status_code, body["error"]["code"] if "error" in body else body["code"]


def test_a_rule_on_models_holds_within_a_second_on_every_process(
    live: Live, behind: Another, tenant: Tenant
) -> None:
    made = make(live, tenant, kind="model", effect="allow", models=["fake-ec*", "fake-err*", "fake-cached"])
    assert behind.chat(tenant.api_key, "fake-echo").status_code == 200
    assert behind.chat(tenant.api_key, "fake-cached").status_code == 200
    refused = behind.chat(tenant.api_key, "fake-no-usage")
    assert refusal(refused) == (403, "policy_refused")
    assert refused.json()["error"]["param"] == "model"
    listed = behind.http.get("/v1/models", headers=as_(tenant.api_key)).json()["data"]
    assert {model["id"] for model in listed} == {"fake-echo", "fake-error-event", "fake-cached"}
    make(live, tenant, kind="model", effect="deny", models=["fake-cached"])
    assert refusal(behind.chat(tenant.api_key, "fake-cached")) == (403, "policy_refused")
    assert behind.chat(live.api_key, "fake-no-usage").status_code == 200  # another organisation
    assert live.call(f"{policies(tenant)}/{made['id']}", tenant.token, "DELETE").status_code == 204
    eventually(lambda: behind.chat(tenant.api_key, "fake-no-usage").status_code == 200, within_s=2)
    wallet = live.wallet(tenant.organization_id, tenant.token)
    assert wallet["frozen"] == "0"


def test_a_rule_on_addresses_holds_for_calls_and_for_the_management_api(
    live: Live, behind: Another, tenant: Tenant
) -> None:
    make(live, tenant, kind="ip", effect="deny", cidrs=[f"{ELSEWHERE}/32", "::ffff:192.0.2.0/120"])
    path = policies(tenant)
    for address in (ELSEWHERE, "192.0.2.77", "::ffff:192.0.2.77"):
        assert refusal(behind.chat(tenant.api_key, headers=from_(address))) == (403, "policy_refused")
        answer = behind.http.get(path, headers={**as_(tenant.token), **from_(address)})
        assert refusal(answer) == (403, "policy_refused")
        project = f"/api/organizations/{tenant.organization_id}/projects/{tenant.project_id}/members"
        answer = behind.http.get(project, headers={**as_(tenant.token), **from_(address)})
        assert refusal(answer) == (403, "policy_refused")
        # Whoever is no member learns nothing of the rule.
        for credential, expected in ((None, 401), (live.operator_token(), 404)):
            headers = from_(address) | (as_(credential) if credential else {})
            assert behind.http.get(path, headers=headers).status_code == expected
    assert behind.chat(tenant.api_key, headers=from_(HOME)).status_code == 200
    assert behind.http.get(path, headers={**as_(tenant.token), **from_(HOME)}).status_code == 200


def test_a_forwarded_address_is_believed_of_a_trusted_proxy_alone(
    live: Live, behind: Another, tenant: Tenant
) -> None:
    make(live, tenant, kind="ip", effect="deny", cidrs=[ELSEWHERE])
    body = {"model": "fake-echo", "messages": [{"role": "user", "content": "a"}], "max_tokens": 5}
    headers = from_(ELSEWHERE)
    plain = live.call("/v1/chat/completions", tenant.api_key, "POST", json=body, headers=headers)
    assert plain.status_code == 200
    faked = {"x-forwarded-for": f"{HOME}, {ELSEWHERE}"}
    assert refusal(behind.chat(tenant.api_key, headers=faked)) == (403, "policy_refused")
    spoken = behind.chat(tenant.api_key, headers={"x-forwarded-for": f"{ELSEWHERE}, {HOME}"})
    assert spoken.status_code == 200


def test_nobody_locks_themselves_out(live: Live, behind: Another, tenant: Tenant) -> None:
    headers = {**as_(tenant.token), **from_(HOME)}
    path = policies(tenant)

    def post(**body: Any) -> Any:
        return behind.http.post(path, headers=headers, json={"kind": "ip", **body})

    assert refusal(post(effect="deny", cidrs=["198.51.100.0/24"])) == (409, "policy_locks_out")
    assert refusal(post(effect="allow", cidrs=[ELSEWHERE])) == (409, "policy_locks_out")
    watched = post(effect="allow", cidrs=[ELSEWHERE], mode="dry_run")
    assert watched.status_code == 201
    enforcing = behind.http.patch(f"{path}/{watched.json()['id']}", headers=headers, json={"mode": "enforce"})
    assert refusal(enforcing) == (409, "policy_locks_out")
    mine = post(effect="allow", cidrs=[HOME])
    assert mine.status_code == 201
    other = post(effect="allow", cidrs=["192.0.2.0/24"])
    assert other.status_code == 201
    leaving = behind.http.delete(f"{path}/{mine.json()['id']}", headers=headers)
    assert refusal(leaving) == (409, "policy_locks_out")
    kept = behind.http.get(path, headers=headers).json()["items"]
    assert [one["mode"] for one in kept] == ["dry_run", "enforce", "enforce"]
    # An operator, who is not held to it, gets an organisation out.
    query = f"?organization_id={tenant.organization_id}"
    operator = live.operator_token()
    for one in kept:
        gone = live.call(f"/api/admin/policies/{one['id']}{query}", operator, "DELETE")
        assert gone.status_code == 204


def test_operators_rules_on_addresses_guard_the_whole_api_except_from_the_loopback(
    live: Live, behind: Another, tenant: Tenant
) -> None:
    operator = live.operator_token()
    body = {"effect": "deny", "cidrs": [ELSEWHERE]}
    made = live.call("/api/admin/ip-rules", operator, "POST", json=body)
    assert made.status_code == 201, made.text
    rule = made.json()
    try:
        time.sleep(SEEN_S)
        assert rule["organization_id"] is None
        for path in ("/api/me", "/api/admin/policies", "/api/organizations"):
            answer = behind.http.get(path, headers={**as_(operator), **from_(ELSEWHERE)})
            assert refusal(answer) == (403, "policy_refused")
        login = {"email": tenant.email, "password": "x"}
        answer = behind.http.post("/api/auth/login", headers=from_(ELSEWHERE), json=login)
        assert refusal(answer) == (403, "policy_refused")
        assert refusal(behind.chat(tenant.api_key, headers=from_(ELSEWHERE))) == (403, "policy_refused")
        assert behind.http.get("/health", headers=from_(ELSEWHERE)).status_code == 200
        listed = live.call("/api/admin/ip-rules", operator).json()["items"]
        assert rule["id"] in {one["id"] for one in listed}
        # The way out: from the machine itself even a rule against everybody is taken back.
        everybody = {"kind": "ip", "effect": "deny", "cidrs": ["0.0.0.0/0", "::/0"]}
        answer = behind.http.post(
            "/api/admin/policies", headers={**as_(operator), **from_(HOME)}, json=everybody
        )
        assert refusal(answer) == (409, "policy_locks_out")
    finally:
        assert live.call(f"/api/admin/ip-rules/{rule['id']}", operator, "DELETE").status_code == 204


def test_a_rule_on_watch_is_noted_in_the_trace_and_refuses_nobody(
    live: Live, behind: Another, tenant: Tenant
) -> None:
    rule = make(live, tenant, kind="model", effect="deny", models=["fake-echo"], mode="dry_run", note="trial")
    answer = behind.chat(tenant.api_key)
    assert answer.status_code == 200
    story = live.trace(answer.headers["x-trace-id"], tenant.token)
    [event] = [one for one in story["timeline"] if one["event"] == "policy.would_refuse"]
    assert event["detail"] == {"policy_id": rule["id"], "kind": "model", "note": "trial"}
    enforce = live.call(f"{policies(tenant)}/{rule['id']}", tenant.token, "PATCH", json={"mode": "enforce"})
    assert enforce.json()["mode"] == "enforce"
    eventually(lambda: behind.chat(tenant.api_key).status_code == 403, within_s=2)


def test_a_dry_run_tells_who_would_have_been_refused_in_the_last_day(
    live: Live, behind: Another, tenant: Tenant
) -> None:
    _, second = live.key(tenant)
    for key, model, address in (
        (tenant.api_key, "fake-echo", HOME),
        (tenant.api_key, "fake-echo", ELSEWHERE),
        (second, "fake-cached", ELSEWHERE),
        (second, "fake-unpriced", ELSEWHERE),  # refused then: not counted
    ):
        behind.chat(key, model, headers=from_(address))
    path = f"{policies(tenant)}/dry-run"

    def run(**body: Any) -> dict[str, Any]:
        answer = live.call(path, tenant.token, "POST", json={"effect": "deny", **body})
        assert answer.status_code == 200, answer.text
        return answer.json()

    eventually(lambda: run(kind="model", models=["*"])["calls"] == 3)
    found = run(kind="ip", cidrs=[ELSEWHERE])
    assert (found["calls"], found["refused"], found["not_judged"]) == (3, 2, 0)
    assert {(one["value"], one["calls"]) for one in found["by_model"]} == {
        ("fake-echo", 1),
        ("fake-cached", 1),
    }
    assert len(found["by_api_key"]) == 2
    assert found["by_client_ip"] == [{"value": ELSEWHERE, "calls": 2}]
    assert len(found["examples"]) == 2
    story = live.call(f"/api/traces/{found['examples'][0]['trace_id']}", tenant.token)
    assert story.status_code == 200
    assert run(kind="model", models=["fake-cached"])["refused"] == 1
    always = {"weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "time_zone": "UTC"}
    assert run(kind="time", start="00:00", end="00:00", **always)["refused"] == 3
    assert live.call(policies(tenant), tenant.token).json()["items"] == []  # nothing was made
    body = {"kind": "ip", "effect": "deny", "cidrs": [ELSEWHERE]}
    all_orgs = live.call("/api/admin/policies/dry-run", live.operator_token(), "POST", json=body).json()
    assert all_orgs["refused"] >= 2
    assert tenant.organization_id in {one["organization_id"] for one in all_orgs["examples"]}


RULE = {"kind": "model", "effect": "deny", "models": ["nothing"]}
LIMIT = {"subject": "api_key", "rpm": 10}
ORG_ROUTES = [
    ("GET", "rate-limits", None),
    ("PUT", "rate-limits", LIMIT),
    ("DELETE", f"rate-limits/{NOBODY}", None),
    ("GET", "policies", None),
    ("POST", "policies", RULE),
    ("POST", "policies/dry-run", RULE),
    ("PATCH", f"policies/{NOBODY}", {"mode": "enforce"}),
    ("DELETE", f"policies/{NOBODY}", None),
]
ADMIN_ROUTES = [
    *ORG_ROUTES,
    ("GET", "ip-rules", None),
    ("POST", "ip-rules", {"effect": "deny", "cidrs": [ELSEWHERE]}),
    ("DELETE", f"ip-rules/{NOBODY}", None),
]


def expected(method: str, path: str) -> int:
    """Return the status for who may: ids nobody has are not found."""
    if method in {"PATCH", "DELETE"}:
        return 404
    return 201 if method == "POST" and not path.endswith("dry-run") else 200


@pytest.mark.parametrize(("method", "path", "body"), ORG_ROUTES)
def test_limits_and_rules_are_for_admins_of_the_organisation(
    live: Live, method: str, path: str, body: Any
) -> None:
    tenant = live.tenant()
    there = f"/api/organizations/{tenant.organization_id}/{path}"
    assert live.http.request(method, there, json=body).status_code == 401
    assert refusal(live.call(there, live.operator_token(), method, json=body)) == (404, "not_found")
    assert refusal(live.call(there, tenant.api_key, method, json=body)) == (403, "permission_denied")
    allowed = live.call(there, tenant.token, method, json=body)
    assert allowed.status_code == expected(method, path)


@pytest.mark.parametrize(("method", "path", "body"), ADMIN_ROUTES)
def test_the_platforms_limits_and_rules_are_for_operators(
    live: Live, method: str, path: str, body: Any
) -> None:
    there = f"/api/admin/{path}"
    assert live.http.request(method, there, json=body).status_code == 401
    owner = live.tenant(balance="0")
    for credential in (owner.token, owner.api_key, live.api_key):
        assert refusal(live.call(there, credential, method, json=body)) == (403, "permission_denied")
    answer = live.call(there, live.operator_token(), method, json=body)
    assert answer.status_code == expected(method, path)
    if method in {"PUT", "POST"} and "dry-run" not in path:
        made = live.call(f"{there}/{answer.json()['id']}", live.operator_token(), "DELETE")
        assert made.status_code == 204


@pytest.mark.parametrize(
    "body",
    [
        {"subject": "api_key"},
        {"subject": "api_key", "rpm": 0},
        {"subject": "api_key", "rpm": 10**10},
        {"subject": "nobody", "rpm": 1},
        {"subject": "api_key", "model": "fake-echo", "rpm": 1},
        {"subject": "model", "subject_id": NOBODY, "rpm": 1},
        {"subject": "organization", "subject_id": NOBODY, "rpm": 1},
        {"subject": "user", "rpm": 1, "burst": 5},
    ],
)
def test_a_limit_that_means_nothing_is_refused(live: Live, tenant: Tenant, body: Any) -> None:
    path = f"/api/organizations/{tenant.organization_id}/rate-limits"
    assert refusal(live.call(path, tenant.token, "PUT", json=body)) == (422, "validation_failed")


def test_a_limit_is_set_once_for_a_subject_and_replaced_as_a_whole(live: Live, tenant: Tenant) -> None:
    path = f"/api/organizations/{tenant.organization_id}/rate-limits"
    first = live.call(path, tenant.token, "PUT", json={"subject": "user", "rpm": 5, "tpm": 9}).json()
    second = live.call(path, tenant.token, "PUT", json={"subject": "user", "parallel": 2}).json()
    assert second == {**first, "rpm": None, "tpm": None, "parallel": 2}
    mine = {"subject": "organization", "subject_id": tenant.organization_id, "rpm": 7}
    own = live.call(path, tenant.token, "PUT", json=mine).json()
    assert own["subject_id"] is None
    assert live.call(path, tenant.token).json()["items"] == [second, own]
    assert live.call(f"{path}/{own['id']}", tenant.token, "DELETE").status_code == 204
    assert refusal(live.call(f"{path}/{own['id']}", tenant.token, "DELETE")) == (404, "not_found")
    nobody = f"/api/admin/rate-limits?organization_id={uuid.uuid4()}"
    assert refusal(live.call(nobody, live.operator_token(), "PUT", json=LIMIT)) == (404, "not_found")


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "model", "effect": "deny"},
        {"kind": "model", "effect": "deny", "models": []},
        {"kind": "model", "effect": "forbid", "models": ["a"]},
        {"kind": "ip", "effect": "deny", "cidrs": ["10.0.0.1/8"]},
        {"kind": "ip", "effect": "deny", "cidrs": ["nowhere"]},
        {"kind": "ip", "effect": "deny", "cidrs": ["10.0.0.0/8"], "models": ["a"]},
        {
            "kind": "time",
            "effect": "deny",
            "weekdays": ["mon"],
            "start": "8:00",
            "end": "9:00",
            "time_zone": "UTC",
        },
        {
            "kind": "time",
            "effect": "deny",
            "weekdays": ["mon"],
            "start": "08:00",
            "end": "09:00",
            "time_zone": "Moon/Base",
        },
        {"kind": "moon", "effect": "deny"},
    ],
)
def test_a_rule_that_means_nothing_is_refused(live: Live, tenant: Tenant, body: Any) -> None:
    assert refusal(live.call(policies(tenant), tenant.token, "POST", json=body)) == (422, "validation_failed")
