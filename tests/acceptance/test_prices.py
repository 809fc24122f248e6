"""Price versions: in the future, never overlapping, from lists; classes and tiers charged exactly."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.support.live import Live


@pytest.fixture
def operator(live: Live) -> str:
    """An operator's access token."""
    return live.operator_token()


@pytest.fixture
def model(live: Live) -> str:
    """A model of its own, priced 0.5 in and 2 out."""
    name = f"priced-{uuid.uuid4().hex[:8]}"
    live.channel({"model": name, "upstream_model": "fake-echo", "max_output_tokens": 100})
    return name


def publish(live: Live, token: str, model: str, **fields: Any) -> Any:
    """Publish a price."""
    body = {"model": model, "per_million": {"input": "1", "output": "1"}, **fields}
    return live.call("/api/admin/prices", token, "POST", json=body)


def versions(live: Live, token: str, model: str) -> list[dict[str, Any]]:
    """Return a model's price versions, newest first."""
    return live.call("/api/admin/prices", token, params={"model": model}).json()["items"]


def cost(live: Live, model: str, text: str = "a b c d") -> str:
    """Return what a call costs."""
    return live.chat(model, text).json()["usage"]["cost"]


def test_only_operators_publish_and_see_prices(live: Live, model: str) -> None:
    tenant = live.tenant(balance="0")
    for method, path, body in (
        ("GET", "/api/admin/prices", None),
        ("POST", "/api/admin/prices", {"model": model, "per_million": {}}),
        ("POST", "/api/admin/prices/import", {"items": []}),
    ):
        assert live.http.request(method, path, json=body).status_code == 401
        assert live.call(path, tenant.token, method, json=body).status_code == 403


def test_a_price_of_the_future_takes_effect_at_its_moment(live: Live, operator: str, model: str) -> None:
    at = datetime.now(UTC) + timedelta(seconds=2)
    later = publish(
        live, operator, model, per_million={"input": "5", "output": "20"}, effective_at=at.isoformat()
    )
    assert later.status_code == 201
    assert cost(live, model) == "0.00001"
    newest, oldest = versions(live, operator, model)
    assert newest["effective_at"] == oldest["ends_at"]
    assert newest["ends_at"] is None
    time.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds()) + 1.2)
    assert cost(live, model) == "0.0001"


def test_a_price_that_begins_before_the_latest_one_is_refused(live: Live, operator: str, model: str) -> None:
    now = datetime.now(UTC)
    assert (
        publish(live, operator, model, effective_at=(now + timedelta(days=2)).isoformat()).status_code == 201
    )
    for moment in (now - timedelta(days=1), now + timedelta(days=1), now + timedelta(days=2), None):
        fields = {"effective_at": moment.isoformat()} if moment else {}
        refused = publish(live, operator, model, **fields)
        assert (refused.status_code, refused.json()["code"]) == (409, "price_overlaps"), moment
    assert len(versions(live, operator, model)) == 2


def test_the_database_itself_refuses_prices_that_overlap(live: Live, model: str) -> None:
    with psycopg.connect(live.database_url) as connection, pytest.raises(psycopg.errors.ExclusionViolation):
        connection.execute(
            "INSERT INTO prices (model, currency, valid, rates) VALUES (%s, 'USD', '[2000-01-01,)', '{}')",
            (model,),
        )


def test_a_model_whose_only_price_is_in_the_future_cannot_be_called(live: Live, operator: str) -> None:
    name = f"future-{uuid.uuid4().hex[:8]}"
    live.channel({"model": name, "upstream_model": "fake-echo"}, price=False)
    at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert publish(live, operator, name, effective_at=at).status_code == 201
    refused = live.chat(name, "hi")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "price_missing")


@pytest.mark.parametrize(
    "wrong",
    [
        {"per_million": {"input": "-1"}},
        {"per_million": {"input": "0.0000001"}},
        {"per_million": {"inptu": "1"}},
        {"per_million": {"input": 1.5}},
        {"per_call": "0.0000000001"},
        {"currency": "XXX"},
        {"effective_at": "2030-01-01T00:00:00"},
        {"tiers": [{"from_input_tokens": 0, "per_million": {}}]},
    ],
)
def test_a_wrong_price_is_not_published(live: Live, operator: str, model: str, wrong: dict[str, Any]) -> None:
    answer = publish(live, operator, model, **wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), answer.text
    assert len(versions(live, operator, model)) == 1


def test_tiers_classes_and_the_charge_per_call_are_exact(live: Live, operator: str) -> None:
    name = f"tiered-{uuid.uuid4().hex[:8]}"
    live.channel({"model": name, "upstream_model": "fake-cached", "max_output_tokens": 100}, price=False)
    made = publish(
        live,
        operator,
        name,
        per_million={"input": "1.000001", "cached_input": "0.1", "output": "3"},
        per_call="0.000000007",
        tiers=[
            {"from_input_tokens": 5, "per_million": {"input": "2", "output": "6"}},
            {"from_input_tokens": 10, "per_million": {"input": "4"}},
        ],
    )
    assert made.status_code == 201, made.text
    # Four words: 3 × 1.000001 + 1 × 0.1 + 4 × 3 = 15.100003 per million, rounded up to the nano, and 7 nano.
    assert cost(live, name, "a b c d") == "0.000015108"
    # Five reach the first tier: 4 × 2 + 1 × 0.1 + 5 × 6; the class it does not name keeps its rate.
    assert cost(live, name, "a b c d e") == "0.000038107"
    # Ten reach the second, and only the second counts: 9 × 4 + 1 × 0.1 + 10 × 3.
    assert cost(live, name, "a b c d e f g h i j") == "0.000066107"


def test_an_import_is_shown_before_it_is_done_and_done_whole(live: Live, operator: str, model: str) -> None:
    new = f"new-{uuid.uuid4().hex[:8]}"
    items = [
        {"model": model, "per_million": {"input": "0.5", "cached_input": "0.05", "output": "2"}},
        {"model": new, "per_million": {"input": "7", "output": "8"}, "per_call": "0.001"},
    ]
    path = "/api/admin/prices/import"
    dry = live.call(path, operator, "POST", json={"items": items}).json()
    assert dry["dry_run"] is True
    assert [(change["model"], change["action"]) for change in dry["changes"]] == [
        (model, "same"),
        (new, "new"),
    ]
    assert versions(live, operator, new) == []
    done = live.call(path, operator, "POST", json={"items": items, "dry_run": False}).json()
    assert done == {**dry, "dry_run": False}
    [published] = versions(live, operator, new)
    assert (published["per_million"], published["per_call"]) == ({"input": "7", "output": "8"}, "0.001")
    assert len(versions(live, operator, model)) == 1
    again = live.call(path, operator, "POST", json={"items": items, "dry_run": False}).json()
    assert {change["action"] for change in again["changes"]} == {"same"}


def test_a_csv_is_imported_like_a_list(live: Live, operator: str, model: str) -> None:
    new = f"csv-{uuid.uuid4().hex[:8]}"
    csv = f"\ufeffmodel,per_call,input,output,reasoning\n{model},,1,4,\n{new},0.002,0.25,2,3\n"
    path = "/api/admin/prices/import"
    done = live.call(path, operator, "POST", json={"csv": csv, "dry_run": False}).json()
    assert [(change["model"], change["action"]) for change in done["changes"]] == [
        (model, "change"),
        (new, "new"),
    ]
    assert done["changes"][0]["before"]["output"] == "2"
    assert done["changes"][0]["after"]["output"] == "4"
    assert versions(live, operator, new)[0]["per_million"] == {
        "input": "0.25",
        "output": "2",
        "reasoning": "3",
    }
    assert cost(live, model) == "0.00002"


@pytest.mark.parametrize(
    "csv",
    [
        "model,inptu\nx,1\n",
        "input,output\n1,2\n",
        "model,input\nx,-1\n",
        "model,input\nx,1\nx,2\n",
        "model,input\n,1\n",
    ],
)
def test_a_list_with_one_wrong_line_changes_nothing(live: Live, operator: str, csv: str, model: str) -> None:
    first = f"first-{uuid.uuid4().hex[:8]}"
    body = {"items": [{"model": first, "per_million": {"input": "1"}}], "csv": csv, "dry_run": False}
    answer = live.call("/api/admin/prices/import", operator, "POST", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), answer.text
    assert versions(live, operator, first) == []


def test_every_call_ends_captured_released_or_expired_and_in_exactly_one_of_them(live: Live) -> None:
    """Σ of the ledger is zero, and each call's hold, movements and usage tell one story."""
    for name in ("fake-echo", "fake-no-done", "fake-500", "fake-no-usage"):
        live.chat(name, "one two", stream=True)
        live.chat(name, "one two")
    live.balance()
    with psycopg.connect(live.database_url) as connection:
        odd = connection.execute(
            """
            SELECT h.id, h.state, count(DISTINCT t.id), count(DISTINCT u.hold_id), count(DISTINCT a.id)
            FROM holds h LEFT JOIN transactions t ON t.hold_id = h.id AND t.type = 'capture'
            LEFT JOIN usage_records u ON u.hold_id = h.id
            LEFT JOIN audit_logs a ON a.trace_id = h.trace_id AND a.detail->>'hold_id' = h.id::text
            WHERE h.org_id = %s GROUP BY h.id HAVING NOT (
              (h.state = 'captured' AND count(DISTINCT u.hold_id) = 1 AND count(DISTINCT a.id) = 1
                AND count(DISTINCT t.id) = (h.captured_nano > 0)::int)
              OR (h.state IN ('released', 'expired') AND count(DISTINCT u.hold_id) = 0
                AND count(DISTINCT a.id) = 1 AND count(DISTINCT t.id) = 0))
            """,
            (live.organization_id,),
        ).fetchall()
        total = connection.execute(
            "SELECT sum(amount) FROM (SELECT amount_nano AS amount FROM transactions"
            " UNION ALL SELECT -amount_nano FROM transactions) AS entries"
        ).fetchone()
    assert odd == []
    assert total == (0,)
