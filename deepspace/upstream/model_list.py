"""What models a provider serves, from its own list (GET /v1/models of the OpenAI dialect)."""

from __future__ import annotations

from typing import Any

import msgspec

from deepspace.upstream.errors import UpstreamError

MAX_MODELS = 5_000


def read_model_list(body: bytes) -> list[str]:
    """Return the names of a list of models, each once, sorted; UpstreamError if it is none."""
    try:
        listed: Any = msgspec.json.decode(body)
        names = {str(item["id"]) for item in listed["data"]}
    except (msgspec.DecodeError, KeyError, TypeError, RecursionError) as error:
        raise UpstreamError("The provider's answer is not a list of models.") from error
    if len(names) > MAX_MODELS:
        raise UpstreamError(f"The provider lists more than {MAX_MODELS} models.")
    return sorted(name for name in names if 0 < len(name) <= 200)
