"""Channels of operators: changed, deleted, watched, filled from the provider's list; credentials stay
secret."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest

from tests.support.live import Live, Tenant

CHANNELS = "/api/admin/channels"


@pytest.fixture(scope="module")
def tenant(live: Live) -> Tenant:
    """An organisation of the module's own."""
    return live.tenant()


def fresh(live: Live, **fields: Any) -> tuple[dict[str, Any], str]:
    """Create a channel with a model of its own that echoes; return both."""
    name = f"own-{uuid.uuid4().hex[:8]}"
    made = live.channel({"model": name, "upstream_model": "fake-echo", "max_output_tokens": 200}, **fields)
    return made, name


def change(live: Live, made: dict[str, Any], **fields: Any) -> Any:
    """Change a channel as the operator."""
    return live.call(f"{CHANNELS}/{made['id']}", live.operator_token(), "PATCH", json=fields)


@pytest.mark.parametrize(
    ("method", "verb"), [("PATCH", ""), ("DELETE", ""), ("GET", "/health"), ("POST", "/import-models")]
)
def test_channels_are_for_operators(live: Live, tenant: Tenant, method: str, verb: str) -> None:
    made, model = fresh(live)
    path = f"{CHANNELS}/{made['id']}{verb}"
    assert live.http.request(method, path, json={}).status_code == 401
    for credential in (tenant.token, tenant.api_key, live.api_key):
        assert live.call(path, credential, method, json={}).status_code == 403
    nobody = f"{CHANNELS}/{uuid.uuid4()}{verb}"
    assert live.call(nobody, live.operator_token(), method, json={}).status_code == 404
    assert live.chat(model, "still there", tenant.api_key).status_code == 200


def test_what_is_given_changes_and_the_rest_stays(live: Live, tenant: Tenant) -> None:
    made, model = fresh(live, usage_key="sk-reports", priority=3)
    renamed = f"renamed-{uuid.uuid4().hex[:6]}"
    fields = {"name": renamed, "weight": 7, "headers": {"X-Team": "blue"}, "max_parallel": 5}
    changed = change(live, made, **fields)
    assert changed.status_code == 200, changed.text
    expected = {**made, **fields, "headers": {"x-team": "blue"}}
    assert changed.json() == expected
    prompt = f"with a header {uuid.uuid4().hex}"
    assert live.chat(model, prompt, tenant.api_key).status_code == 200
    [sent] = live.upstream.of_prompt(prompt)
    assert {name.lower(): value for name, value in sent.headers.items()}["x-team"] == "blue"
    assert change(live, made, usage_key=None, max_parallel=None).json() == {
        **expected,
        "has_usage_key": False,
        "max_parallel": None,
    }
    other = f"other-{uuid.uuid4().hex[:8]}"
    replaced = change(live, made, models=[{"model": other, "upstream_model": "fake-echo"}]).json()
    assert [item["model"] for item in replaced["models"]] == [other]
    assert live.chat(model, "gone", tenant.api_key).status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"headers": {"authorization": "Bearer mine"}},
        {"headers": {"x-evil": "a\r\nx-more: b"}},
        {"headers": {"x evil": "a"}},
        {"max_parallel": 0},
        {"models": []},
        {"models": [{"model": "twice"}, {"model": "twice"}]},
        {"base_url": "file:///etc/passwd"},
        {"name": None},
        {"kind": "local"},
    ],
)
def test_a_change_that_makes_no_sense_changes_nothing(live: Live, fields: dict[str, Any]) -> None:
    made, _ = fresh(live)
    answer = change(live, made, **fields)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    listed = live.call(CHANNELS, live.operator_token()).json()["items"]
    assert [item for item in listed if item["id"] == made["id"]] == [made]


def test_a_name_is_taken_once_and_a_new_credential_is_used_and_never_shown(
    live: Live, tenant: Tenant
) -> None:
    made, model = fresh(live)
    other, _ = fresh(live)
    assert change(live, made, name=other["name"]).json()["code"] == "channel_name_taken"
    assert change(live, made, api_key="sk-wrong-canary").status_code == 200
    refused = live.chat(model, "hello", tenant.api_key)
    assert refused.status_code == 503
    assert "sk-wrong-canary" not in refused.text + live.call(CHANNELS, live.operator_token()).text
    with psycopg.connect(live.database_url) as connection:
        row = connection.execute("SELECT sealed_key FROM channels WHERE id = %s", [made["id"]]).fetchone()
    assert row is not None
    assert b"canary" not in bytes(row[0])
    assert change(live, made, api_key=live.upstream.api_key).status_code == 200
    assert live.chat(model, "hello", tenant.api_key).status_code == 200


def test_a_deleted_channel_answers_no_more_and_its_calls_stay_in_the_books(
    live: Live, tenant: Tenant
) -> None:
    made, model = fresh(live)
    trace_id = live.chat(model, "hello", tenant.api_key).headers["x-trace-id"]
    live.trace(trace_id, tenant.token)
    assert live.call(f"{CHANNELS}/{made['id']}", live.operator_token(), "DELETE").status_code == 204
    assert live.chat(model, "hello", tenant.api_key).status_code == 404
    assert live.trace(trace_id, tenant.token)["state"] == "captured"
    assert live.call(f"{CHANNELS}/{made['id']}", live.operator_token(), "DELETE").status_code == 404


def test_health_tells_how_a_channel_does(live: Live, tenant: Tenant) -> None:
    made, model = fresh(live)
    path = f"{CHANNELS}/{made['id']}/health"
    assert live.call(path, live.operator_token()).json() == {"models": {}}
    live.chat(model, "hello", tenant.api_key)
    well = {model: {"state": "closed", "in_flight": 0, "error_rate": 0.0}}
    assert live.call(path, live.operator_token()).json() == {"models": well}
    change(live, made, models=[{"model": model, "upstream_model": "fake-500", "max_output_tokens": 9}])
    for _ in range(2):
        live.chat(model, "hello", tenant.api_key)
    ill = live.call(path, live.operator_token()).json()["models"][model]
    assert ill["state"] == "open"
    assert ill["error_rate"] > 0.4


def test_the_providers_models_are_imported_once_each(live: Live) -> None:
    made, _ = fresh(live)
    path = f"{CHANNELS}/{made['id']}/import-models"
    only = ["fake-echo", "fake-slow", "no-such-model"]
    before = live.call(CHANNELS, live.operator_token()).json()["items"]
    dry = live.call(path, live.operator_token(), "POST", json={"dry_run": True}).json()
    assert "fake-slow" in dry["added"]
    assert live.call(CHANNELS, live.operator_token()).json()["items"] == before
    done = live.call(path, live.operator_token(), "POST", json={"only": only}).json()
    assert done["added"] == ["fake-slow"]  # fake-echo is served already, under a name of ours
    assert live.call(path, live.operator_token(), "POST", json={"only": only}).json()["added"] == []
    change(live, made, base_url="http://127.0.0.1:9/v1")
    away = live.call(path, live.operator_token(), "POST", json={})
    assert (away.status_code, away.json()["code"]) == (502, "upstream_error")
    # It would answer for fake-slow in other tests too.
    assert live.call(f"{CHANNELS}/{made['id']}", live.operator_token(), "DELETE").status_code == 204
