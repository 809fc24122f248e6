"""A chat call through the gateway: what the client gets, what the books say."""

from __future__ import annotations

from decimal import Decimal

from tests.support.live import Live


def test_the_answer_costs_exactly_what_leaves_the_wallet(live: Live) -> None:
    before = live.balance()
    response = live.chat("fake-echo", "one two three")
    assert response.status_code == 200, response.text
    usage = response.json()["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (3, 3)
    assert Decimal(usage["cost"]) == Decimal("0.0000075")
    assert response.headers["x-cost"] == usage["cost"]
    assert before - live.balance() == Decimal(usage["cost"])
