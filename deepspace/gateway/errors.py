"""The border: errors become the problem JSON of /api (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from deepspace.kit.errors import (
    InvalidJson,
    MethodNotAllowed,
    NotFound,
    PlatformError,
    ValidationFailed,
)

_TITLES = {
    400: "Bad request",
    401: "Not signed in",
    402: "Payment required",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Body too large",
    422: "Not valid",
    429: "Too many requests",
}


def problem(error: PlatformError, trace_id: str) -> dict[str, Any]:
    """Return the problem object of an error."""
    return {
        "type": f"urn:deepspace:problem:{error.code}",
        "title": _TITLES.get(error.status, "Server error"),
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "trace_id": trace_id,
        "errors": error.errors,
    }


def problem_response(request: Request, error: PlatformError) -> Response:
    """Return the response for an error."""
    return JSONResponse(
        problem(error, request.scope["state"]["trace_id"]),
        error.status,
        headers=error.headers,
        media_type="application/problem+json",
    )


def _invalid(faults: Sequence[Mapping[str, Any]]) -> PlatformError:
    if any(fault["type"] == "json_invalid" for fault in faults):
        return InvalidJson()
    details = [
        {
            "loc": [str(part) for part in fault["loc"]],
            "message": str(fault["msg"]),
            "type": str(fault["type"]),
        }
        for fault in faults
    ]
    first = details[0]
    return ValidationFailed(f"{'.'.join(first['loc'][1:]) or 'body'}: {first['message']}.", errors=details)


async def _translate(request: Request, error: Exception) -> Response:
    if isinstance(error, PlatformError):
        return problem_response(request, error)
    if isinstance(error, RequestValidationError):
        return problem_response(request, _invalid(error.errors()))
    if isinstance(error, HTTPException):
        if isinstance(error.__cause__, PlatformError):  # raised while FastAPI was reading the body
            return problem_response(request, error.__cause__)
        known: dict[int, PlatformError] = {
            400: InvalidJson(),
            404: NotFound("There is no such address."),
            405: MethodNotAllowed(),
        }
        return problem_response(request, known.get(error.status_code, PlatformError(str(error.detail))))
    return problem_response(request, PlatformError())


def install(app: FastAPI) -> None:
    """Make the application answer every error in our shape."""
    for kind in (PlatformError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _translate)
