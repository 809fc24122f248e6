"""The error object of the OpenAI dialect, with our code and trace id."""

from __future__ import annotations

import msgspec

from deepspace.kit.errors import PlatformError

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    409: "conflict_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}


def error_body(error: PlatformError, trace_id: str) -> bytes:
    """Return `{"error": {...}}` as JSON."""
    return msgspec.json.encode({"error": error_fields(error, trace_id)})


def error_fields(error: PlatformError, trace_id: str) -> dict[str, str | None]:
    """Return what stands in an error object."""
    return {
        "message": error.message,
        "type": _TYPES.get(error.status, "api_error"),
        "code": error.code,
        "param": error.param,
        "trace_id": trace_id,
    }
