"""The cost of a call, put into a provider's own bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_USAGE_KEY = re.compile(rb'"usage"\s*:\s*')


def with_cost(body: bytes, cost: Mapping[str, Any], counted: Mapping[str, Any]) -> bytes:
    """Return a JSON object with `cost` at the end of its `usage` and every other byte as it was; with
    `counted` for its usage if it states none."""
    fields = _fields_decoder.decode(body)
    usage = bytes(fields["usage"]) if "usage" in fields else b""
    if not usage.startswith(b"{") or not cost:
        fields["usage"] = msgspec.Raw(msgspec.json.encode({**counted, **cost}))
        return msgspec.json.encode(fields)
    inside = usage[1:-1].strip()
    put = usage[:-1] + (b"," if inside else b"") + msgspec.json.encode(cost)[1:]
    for key in reversed(list(_USAGE_KEY.finditer(body))):
        if body.startswith(usage, key.end()):
            return body[: key.end()] + put + body[key.end() + len(usage) :]
    fields["usage"] = msgspec.Raw(put)
    return msgspec.json.encode(fields)
