"""Receipts: what a call cost and why, checked without the server."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from deepspace.billing.receipts import ReceiptWrong, verify_receipt
from deepspace.cli.main import app
from tests.support.live import Live, Tenant
from tests.support.streams import listen


@pytest.fixture
def tenant(live: Live) -> Tenant:
    """An organisation with one unit of money."""
    return live.tenant(balance="1")


def receipt(live: Live, tenant: Tenant, ref: str) -> dict[str, Any]:
    """Fetch a receipt."""
    answer = live.call(f"/api/receipts/{ref}", tenant.token)
    assert answer.status_code == 200, answer.text
    return answer.json()


def written(document: Any, place: Path) -> str:
    """Write a receipt to a file and return its name."""
    file = place / "receipt.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(file)


def verify(document: Any, place: Path) -> Result:
    """Check a receipt with `deepspace audit verify-receipt FILE`, in this process."""
    return CliRunner().invoke(app, ["audit", "verify-receipt", written(document, place)])


def test_a_receipt_says_what_a_call_cost_and_why_and_is_verified_offline(
    live: Live, tenant: Tenant, tmp_path: Path
) -> None:
    answer = live.chat("fake-cached", "a b c d", tenant.api_key)
    found = receipt(live, tenant, answer.headers["x-billing-ref-id"])
    says = found["receipt"]
    assert says["cost"] == says["captured"] == answer.json()["usage"]["cost"] == "0.00000955"
    assert says["tokens"] == {"input": 3, "cached_input": 1, "output": 4}
    assert says["formula"] == "3 × 0.5/M + 1 × 0.05/M + 4 × 2/M = 0.00000955"
    assert (says["tokens_source"], says["absorbed"], says["refunded"]) == ("reported", "0", "0")
    assert says["organization_id"] == tenant.organization_id
    assert says["trace_id"] == answer.headers["x-trace-id"]
    assert says["held_at"] <= says["captured_at"]
    command = [sys.executable, "-m", "deepspace", "audit", "verify-receipt", written(found, tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert says["formula"] in done.stdout


def test_an_estimate_is_called_an_estimate(live: Live, tenant: Tenant) -> None:
    heard = listen(live, "fake-no-usage", "a b c d", tenant.api_key)
    assert receipt(live, tenant, heard.headers["x-billing-ref-id"])["receipt"]["tokens_source"] == "estimated"


def changes(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield every leaf of a document with another value."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield from changes(value, (*path, name))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from changes(value, (*path, index))
    elif isinstance(document, str):
        digits = [index for index, letter in enumerate(document) if letter.isdigit()]
        index = digits[-1] if digits else 0
        letter = str((int(document[index]) + 1) % 10) if digits else "X"
        yield path, document[:index] + letter + document[index + 1 :]
    else:
        yield path, document + 1


def test_any_digit_that_is_changed_is_caught(live: Live, tenant: Tenant) -> None:
    answer = live.chat("fake-cached", "a b c d", tenant.api_key)
    found = receipt(live, tenant, answer.headers["x-billing-ref-id"])
    verify_receipt(found)
    tried = 0
    for path, value in changes(found["receipt"]):
        forged = copy.deepcopy(found)
        spot = forged["receipt"]
        for part in path[:-1]:
            spot = spot[part]
        spot[path[-1]] = value
        with pytest.raises(ReceiptWrong):
            verify_receipt(forged)
        tried += 1
    assert tried > 15


def test_a_changed_receipt_or_no_receipt_at_all_fails_on_the_command_line(
    live: Live, tenant: Tenant, tmp_path: Path
) -> None:
    answer = live.chat("fake-echo", "a b", tenant.api_key)
    found = receipt(live, tenant, answer.headers["x-billing-ref-id"])
    found["receipt"]["cost"] = found["receipt"]["cost"].replace("5", "6")
    for document in (found, "{}", "not JSON"):
        done = verify(document, tmp_path)
        assert done.exit_code == 1, done
        assert isinstance(done.exception, SystemExit)  # a sentence, not a traceback


def test_a_receipt_is_shown_to_its_organisation_only_and_only_of_a_charged_call(
    live: Live, tenant: Tenant
) -> None:
    path = f"/api/receipts/{live.chat('fake-echo', 'a', tenant.api_key).headers['x-billing-ref-id']}"
    assert live.http.get(path).status_code == 401
    stranger = live.tenant(balance="0")
    assert live.call(path, stranger.token).status_code == 404
    assert live.call(path, tenant.token).status_code == 200
    assert live.call("/api/receipts/br_unknown", tenant.token).status_code == 404


def test_a_refund_shows_on_the_receipt(live: Live, tenant: Tenant, tmp_path: Path) -> None:
    ref = live.chat("fake-echo", "a b c d", tenant.api_key).headers["x-billing-ref-id"]
    path = f"/api/admin/transactions/{ref}/refund"
    live.call(path, live.operator_token(), "POST", json={"reason": "test", "amount": "0.000004"})
    found = receipt(live, tenant, ref)
    assert (found["receipt"]["captured"], found["receipt"]["refunded"]) == ("0.00001", "0.000004")
    assert verify(found, tmp_path).exit_code == 0
