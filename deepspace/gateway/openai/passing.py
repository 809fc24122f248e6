"""Addresses that nobody here knows: passed through to the channels that allow it, and paid by the call."""

from __future__ import annotations

import re

import msgspec

from deepspace.billing.rates import Usage
from deepspace.gateway.asgi import App, Receive, Scope, Send, header
from deepspace.gateway.dialect import InvalidRequest, ModelName, read_fields
from deepspace.gateway.openai.forms import flag, model_of, sent_as
from deepspace.gateway.openai.multipart import is_form, read_form
from deepspace.gateway.openai.operations import call_of
from deepspace.kit.errors import MethodNotAllowed, NotFound
from deepspace.pipeline.exchange import ChatCall
from deepspace.pipeline.operation import Operation
from deepspace.pipeline.steps.budget_hold import input_bound
from deepspace.upstream.catalogue import Catalogue

_ADDRESS = re.compile(r"/v1(/[A-Za-z0-9_~-][A-Za-z0-9_.~-]{0,99}){1,8}")
"""No segment begins with a dot, so none leads up; nothing is there to be decoded."""

_NEVER = ("/v1/organization", "/v1/admin")
"""Where providers are administered. No call is there, whatever a channel's credential may do."""


class PassThrough:
    """The endpoint of every address that is in no table."""

    def __init__(self, catalogue: Catalogue, endpoint: App) -> None:
        """Hand calls to `endpoint` while some channel allows it."""
        self._catalogue = catalogue
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; NotFound if no channel would take it, MethodNotAllowed if it is no POST."""
        path: str = scope["path"]
        if not is_passable(path) or not await self._is_open():
            raise NotFound(f"There is no {path} here.")
        if scope["method"] != "POST":
            raise MethodNotAllowed(headers={"allow": "POST"})
        await self._endpoint(scope, receive, send)

    async def _is_open(self) -> bool:
        offers = (await self._catalogue.models()).values()
        return any(route.pass_through for offer in offers for route in offer.routes)


def is_passable(path: str) -> bool:
    """Tell whether an address may be passed through at all."""
    barred = any(path == prefix or path.startswith(f"{prefix}/") for prefix in _NEVER)
    return _ADDRESS.fullmatch(path) is not None and not barred


class _AnyBody(msgspec.Struct):
    """The fields the platform itself reads; every other field passes through untouched."""

    model: ModelName
    stream: bool | None = None


_body_decoder = msgspec.json.Decoder(_AnyBody)


def parse_any(body: bytes, scope: Scope) -> ChatCall:
    """Read a JSON object or a form that names a model; InvalidJson or InvalidRequest with the field at
    fault."""
    kind, path = header(scope, b"content-type"), scope["path"].removeprefix("/v1")
    operation = Operation(
        path=path,
        input_bound=input_bound(body),
        output_bound=None,
        counted=Usage(),
        answer_types=("",),
        is_passed_through=True,
    )
    if is_form(kind):
        form = read_form(body, kind)
        sent = sent_as(operation, form)
        return call_of(model_of(form), body, sent, fields=form.texts(), stream=flag(form, "stream"))
    if kind is not None and "json" not in kind.lower():
        raise InvalidRequest("The body must be JSON, or a form with files.")
    asked, fields = read_fields(body, _body_decoder)
    return call_of(asked.model, body, operation, fields=fields, stream=bool(asked.stream))
