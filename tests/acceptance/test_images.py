"""POST /v1/images/generations and /v1/images/edits."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx2
import openai
import pytest

from tests.support.live import Live
from tests.support.operations import priced, refusal, refused_in_turn

TEXT_IN, IMAGE_IN, IMAGE_OUT = Decimal("5e-6"), Decimal("10e-6"), Decimal("40e-6")
RATES = {"input": "5", "image_input": "10", "image_output": "40"}
PATH, EDITS = "/v1/images/generations", "/v1/images/edits"
PICTURE = b"\x89PNG\r\n\x1a\n--not-the-boundary\r\n\x00\xff"


@pytest.fixture(scope="module", autouse=True)
def channel(live: Live) -> None:
    """The fake provider's painters: one priced by tokens, one by the call."""
    live.channel({"model": "fake-image-unpriced"}, price=False)
    priced(live, "fake-image", "fake-image", per_million=RATES)
    for how in ("error", "trouble"):
        priced(live, f"fake-image-{how}", f"fake-image-{how}", per_million=RATES)
    priced(live, "image-alias", "fake-image", per_million=RATES)
    priced(live, "fake-image-no-usage", "fake-image-no-usage", per_million=RATES)
    priced(live, "image-by-call", "fake-image-no-usage", per_million={}, per_call="0.04")


@pytest.fixture(scope="module")
def sdk(live: Live) -> Iterator[openai.OpenAI]:
    """The official client."""
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key=live.api_key, max_retries=0) as client:
        yield client


def paint(live: Live, **fields: Any) -> httpx2.Response:
    """Ask for an image."""
    return live.call(PATH, None, "POST", json={"model": "fake-image", "prompt": "a red fox", **fields})


def test_who_may_not_paint_is_refused_before_anything_is_sent(live: Live) -> None:
    body = {"prompt": "a red fox"}
    refused_in_turn(live, PATH, "images", ("fake-image-unpriced", "fake-image"), json=body)


def test_who_may_not_edit_is_refused_before_anything_is_sent(live: Live) -> None:
    form = {"data": {"prompt": "a red fox"}, "files": {"image": ("a.png", PICTURE, "image/png")}}
    refused_in_turn(live, EDITS, "images", ("fake-image-unpriced", "fake-image"), **form)


def test_images_cost_what_their_tokens_cost(live: Live, sdk: openai.OpenAI) -> None:
    before = live.balance()
    answer = sdk.images.generate(model="fake-image", prompt="a red fox", n=2, size="1024x1024")
    assert answer.data is not None
    assert [image.b64_json for image in answer.data] == ["aW1hZ2U="] * 2
    assert answer.usage is not None
    assert Decimal(answer.usage.cost) == before - live.balance() == 3 * TEXT_IN + 200 * IMAGE_OUT
    assert live.upstream.operations.asked[-1].body["size"] == "1024x1024"


def test_the_providers_bytes_come_through_and_the_hold_was_enough(live: Live) -> None:
    response = paint(live, n=3)
    theirs = json.loads(live.upstream.operations.asked[-1].sent)
    ours = response.json()
    cost, currency = ours["usage"].pop("cost"), ours["usage"].pop("currency")
    assert (ours, currency) == (theirs, "USD")
    story = live.trace(response.headers["x-trace-id"])
    assert story["cost"] == cost
    assert Decimal(story["hold"]["amount"]) >= 3 * 6240 * IMAGE_OUT


def test_a_price_by_the_call_pays_for_one_image(live: Live) -> None:
    before = live.balance()
    assert paint(live, model="image-by-call").status_code == 200
    assert before - live.balance() == Decimal("0.04")
    several = paint(live, model="image-by-call", n=2)
    assert refusal(several)[0] == 422
    assert several.json()["error"]["param"] == "n"
    assert before - live.balance() == Decimal("0.04")


def test_without_usage_each_image_is_counted_as_one_of_medium_quality(live: Live) -> None:
    response = paint(live, model="fake-image-no-usage", n=2)
    usage = response.json()["usage"]
    assert usage["estimated"] is True
    assert Decimal(usage["cost"]) == 3 * TEXT_IN + 2 * 1056 * IMAGE_OUT


def test_a_stream_of_parts_ends_after_the_books_are_closed(live: Live, sdk: openai.OpenAI) -> None:
    before = live.balance()
    with live.http.stream(
        "POST",
        PATH,
        json={"model": "fake-image", "prompt": "a red fox", "stream": True, "partial_images": 1},
        headers={"authorization": f"Bearer {live.api_key}"},
    ) as response:
        heard = b"".join(response.iter_bytes())
        assert response.headers["content-type"] == "text/event-stream"
    assert heard == live.upstream.operations.asked[-1].sent
    assert Decimal(live.wallet()["balance"]) == before - 3 * TEXT_IN - 100 * IMAGE_OUT
    events = list(sdk.images.generate(model="fake-image", prompt="a red fox", stream=True))
    assert [event.type for event in events] == ["it.partial", "it.completed"]


def test_a_painter_in_trouble_is_not_paid_though_it_was_asked_for_a_stream(live: Live) -> None:
    before = live.balance()
    assert refusal(paint(live, model="fake-image-error", stream=True))[:2] == (502, "upstream_error")
    events = paint(live, model="fake-image-trouble", stream=True)
    assert refusal(events)[:2] == (502, "upstream_error")
    assert live.balance() == before


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": 101}, {"n": "2"}, {"prompt": None}, {"model": ""}])
def test_what_is_nothing_to_paint_is_refused(live: Live, wrong: dict[str, Any]) -> None:
    response = paint(live, **wrong)
    assert refusal(response)[:2] == (400, "invalid_request")
    assert response.json()["error"]["param"] == next(iter(wrong))


def test_an_edit_reaches_the_provider_as_the_clients_bytes_with_the_models_name_changed(
    live: Live, sdk: openai.OpenAI
) -> None:
    before = live.balance()
    answer = sdk.images.edit(
        model="image-alias", prompt="a red fox", image=[("a.png", PICTURE), ("b.png", b"two")]
    )
    assert answer.usage is not None
    assert (
        Decimal(answer.usage.cost) == 3 * TEXT_IN + 80 * IMAGE_IN + 100 * IMAGE_OUT == before - live.balance()
    )
    asked = live.upstream.operations.asked[-1]
    assert asked.body["model"] == "fake-image"
    assert [content for _, _, content in asked.body["files"]] == [PICTURE, b"two"]


def edit(live: Live, content: bytes, boundary: str = "xyz", **headers: str) -> httpx2.Response:
    """Send a form as it is."""
    kind = {"content-type": f"multipart/form-data; boundary={boundary}", **headers}
    return live.call(EDITS, None, "POST", content=content, headers=kind)


def form(boundary: str = "xyz", model: str = "image-alias") -> bytes:
    """Return a form as some client writes it."""
    mark = f"--{boundary}\r\n".encode()
    return b"".join(
        [
            mark, b'content-disposition: form-data; name="model"\r\n\r\n', model.encode(), b"\r\n",
            mark, b'Content-Disposition:form-data;name="prompt"\r\nX-Other: 1\r\n\r\na red fox\r\n',
            mark, b'Content-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n', PICTURE, b"\r\n",
            f"--{boundary}--\r\n".encode(),
        ]
    )  # fmt: skip


def test_every_byte_of_a_form_but_the_models_name_is_the_clients(live: Live) -> None:
    assert edit(live, form()).status_code == 200
    asked = live.upstream.operations.asked[-1]
    assert asked.raw == form().replace(b"image-alias", b"fake-image")
    assert asked.headers["content-type"] == 'multipart/form-data; boundary="xyz"'


def test_a_retry_of_a_form_is_known_under_another_boundary_and_charged_once(live: Live) -> None:
    before = live.balance()
    reference = {"idempotency-key": f"edit-{uuid.uuid4()}"}
    first = edit(live, form(), **reference)
    again = edit(live, form("another"), "another", **reference)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert before - live.balance() == 3 * TEXT_IN + 40 * IMAGE_IN + 100 * IMAGE_OUT
    other = edit(live, form(model="fake-image"), **reference)
    assert refusal(other)[:2] == (422, "reference_reused")


def _with(old: bytes, new: bytes) -> bytes:
    assert old in form()
    return form().replace(old, new, 1)


@pytest.mark.parametrize(
    ("content", "boundary"),
    [
        (b"", "xyz"),
        (b'{"model": "image-alias"}', "xyz"),
        (form(), "other"),
        (form(), "x y"),
        (form()[:-8], "xyz"),
        (form() + b"--xyz\r\nmore", "xyz"),
        (b"preamble\r\n" + form(), "xyz"),
        (_with(b'name="model"', b'name="prompt"'), "xyz"),  # the prompt twice, no model
        (_with(b'name="prompt"', b'name="model"'), "xyz"),
        (_with(b'name="model"', b'name="model"; filename="m"'), "xyz"),
        (_with(b"X-Other: 1", b"Content-Transfer-Encoding: base64"), "xyz"),
        (_with(b"X-Other: 1", b'Content-Disposition: form-data; name="model"'), "xyz"),
        (_with(b'name="image"; filename="a.png"', b'name="image"'), "xyz"),
        (_with(b"a red fox", b"a red \xff"), "xyz"),
        (_with(b"image-alias", b""), "xyz"),
        (_with(b"image-alias", b"a\x00b"), "xyz"),
    ],
)
def test_a_form_that_could_be_read_in_two_ways_or_in_none_is_refused(
    live: Live, content: bytes, boundary: str
) -> None:
    asked = len(live.upstream.operations.asked)
    assert refusal(edit(live, content, boundary))[:2] == (400, "invalid_request")
    assert len(live.upstream.operations.asked) == asked


def test_a_form_that_is_too_large_is_refused(live: Live) -> None:
    assert refusal(edit(live, _with(PICTURE, b"x" * 1024 * 1024)))[:2] == (413, "body_too_large")


def test_guardrails_look_through_the_texts_of_a_form_too(live: Live) -> None:
    tenant = live.tenant()
    path = f"/api/organizations/{tenant.organization_id}/policies"
    body = {"kind": "guardrail", "guard": "pii", "action": "mask"}
    assert live.call(path, tenant.token, "POST", json=body).status_code == 201
    time.sleep(1.05)  # until every process has seen it
    kind = {"content-type": "multipart/form-data; boundary=xyz"}
    content = _with(b"a red fox", b"a fox of ann.lee@lab.example.org")
    assert live.call(EDITS, tenant.api_key, "POST", content=content, headers=kind).status_code == 200
    asked = live.upstream.operations.asked[-1]
    assert b"ann.lee" not in asked.raw
    assert asked.body["prompt"].startswith("a fox of ")
    assert [content for _, _, content in asked.body["files"]] == [PICTURE]
    written = {"model": "fake-image", "prompt": "a fox of ann.lee@lab.example.org"}
    assert live.call(PATH, tenant.api_key, "POST", json=written).status_code == 200
    assert b"ann.lee" not in live.upstream.operations.asked[-1].raw
