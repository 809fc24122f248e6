"""What the tests of the addresses that are no chat have in common."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.support.live import Live


def refusal(response: httpx2.Response) -> tuple[int, str, str]:
    """Return status, code and type of an error in the OpenAI form."""
    error = response.json()["error"]
    assert error["trace_id"] == response.headers["x-trace-id"]
    return response.status_code, error["code"], error["type"]


def price(live: Live, model: str, **fields: Any) -> None:
    """Publish a price."""
    body = {"model": model, "per_million": {}, **fields}
    made = live.call("/api/admin/prices", live.operator_token(), "POST", json=body)
    assert made.status_code in {201, 409}, made.text  # 409: priced when these tests were begun before


def priced(
    live: Live, name: str, upstream_model: str, *, channel: dict[str, Any] | None = None, **fields: Any
) -> None:
    """Serve a model of the fake provider at a price."""
    live.channel(
        {"model": name, "upstream_model": upstream_model, "max_output_tokens": 1000},
        price=False,
        **channel or {},
    )
    price(live, name, **fields)


def refused_in_turn(live: Live, path: str, surface: str, models: tuple[str, str], **request: Any) -> None:
    """Check who may not: nobody unknown, no key for another surface or model; and what cannot be paid.

    `models` are one with a channel and no price, and one with both; `request` has a JSON body or a form."""
    unpriced, good = models

    def ask(key: str | None, model: str) -> httpx2.Response:
        sent = dict(request)
        part = "json" if "json" in sent else "data"
        sent[part] = {**sent[part], "model": model}
        return live.http.post(path, **sent) if key is None else live.call(path, key, "POST", **sent)

    assert refusal(ask(None, good)) == (401, "unauthorized", "authentication_error")
    _, elsewhere = live.key(
        routes=[name for name in ("chat", "embeddings", "images", "audio") if name != surface]
    )
    assert refusal(ask(elsewhere, good)) == (403, "permission_denied", "permission_error")
    _, another = live.key(models=["fake-echo"])
    assert refusal(ask(another, good)) == (403, "permission_denied", "permission_error")
    asked = len(live.upstream.operations.asked)
    assert refusal(ask(live.api_key, "there-is-none"))[:2] == (404, "model_not_found")
    assert refusal(ask(live.api_key, unpriced)) == (409, "price_missing", "conflict_error")
    poor = live.tenant("0")
    assert refusal(ask(poor.api_key, good)) == (402, "insufficient_funds", "insufficient_quota")
    assert len(live.upstream.operations.asked) == asked
    _, fitting = live.key(routes=[surface], models=[good])
    assert ask(fitting, good).status_code == 200
