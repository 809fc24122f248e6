"""The error object of the Anthropic dialect, with our code. Source: platform.claude.com/docs/en/api/errors"""

from __future__ import annotations

import msgspec

from deepspace.kit.errors import PlatformError

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    409: "invalid_request_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def error_body(error: PlatformError, trace_id: str) -> bytes:
    """Return `{"type": "error", "error": {...}, "request_id": …}` as JSON, with the trace id."""
    told = {
        "type": _TYPES.get(error.status, "api_error"),
        "message": error.message,
        "code": error.code,
        "param": error.param,
    }
    return msgspec.json.encode({"type": "error", "error": told, "request_id": trace_id})
