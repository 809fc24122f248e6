"""Errors that know their HTTP status and their stable code.

A subclass states `status` and `code`; its docstring is the message a person reads unless the raiser says
something more precise. The border (gateway/errors.py) turns any of them into the shape of the dialect.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class PlatformError(Exception):
    """Something went wrong on our side."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str | None = None,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Keep what the border needs.

        `param` names the field at fault, `headers` go on the response (Retry-After), `errors` lists
        single faults of a body with several.
        """
        self.message = message or inspect.cleandoc(type(self).__doc__ or "").split("\n\n")[0]
        self.param = param
        self.headers = dict(headers or {})
        self.errors = list(errors)
        super().__init__(self.message)


class InvalidJson(PlatformError):
    """The body is not valid JSON."""

    status = 400
    code = "invalid_json"


class ValidationFailed(PlatformError):
    """The request has a field that is missing, unknown or of the wrong kind."""

    status = 422
    code = "validation_failed"


class Unauthorized(PlatformError):
    """Valid credentials are needed: send `Authorization: Bearer <API key or access token>`."""

    status = 401
    code = "unauthorized"

    def __init__(self, message: str | None = None, **keywords: Any) -> None:
        keywords.setdefault("headers", {"www-authenticate": "Bearer"})
        super().__init__(message, **keywords)


class PermissionDenied(PlatformError):
    """You may not do this."""

    status = 403
    code = "permission_denied"


class NotFound(PlatformError):
    """There is no such thing here, or it is not yours to see."""

    status = 404
    code = "not_found"


class MethodNotAllowed(PlatformError):
    """This address does not take that method."""

    status = 405
    code = "method_not_allowed"


class Conflict(PlatformError):
    """The request does not fit the present state."""

    status = 409
    code = "conflict"


class BodyTooLarge(PlatformError):
    """The body is larger than this server accepts."""

    status = 413
    code = "body_too_large"


class DatabaseUnavailable(PlatformError):
    """The database does not answer at the moment. Try again shortly."""

    status = 503
    code = "database_unavailable"


class Overloaded(PlatformError):
    """The server is at its limit for the moment; try again shortly."""

    status = 503
    code = "overloaded"
