"""What FastAPI cannot know for the OpenAPI document: credentials, the error shape, and the raw /v1
surface."""

from __future__ import annotations

from typing import Any

from deepspace.gateway.openapi_operations import operation_paths

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457 problem details. `code` is a stable word.",
    "required": ["type", "title", "status", "detail", "code", "trace_id", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "trace_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}

_OPENAI_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code", "param", "trace_id"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "code": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "trace_id": {"type": "string"},
            },
        }
    },
}

_ANTHROPIC_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message", "code", "param"],
            "properties": {
                "type": {"type": "string"},
                "message": {"type": "string"},
                "code": {"type": "string"},
                "param": {"type": ["string", "null"]},
            },
        },
        "request_id": {"type": "string", "description": "The trace id."},
    },
}

_CHAT_EXAMPLE = {
    "model": "smollm2-135m-instruct",
    "messages": [{"role": "user", "content": "Say hello."}],
    "stream": False,
}

_COMPLETION_EXAMPLE = {"model": "smollm2-135m-instruct", "prompt": "Say hello.", "max_tokens": 16}
_RESPONSE_EXAMPLE = {"model": "smollm2-135m-instruct", "input": "Say hello.", "stream": False}

_PUBLIC = {
    "/api/auth/login",
    "/api/auth/login/second-factor",
    "/api/auth/refresh",
    "/api/auth/logout",
    "/api/auth/registration",
    "/api/auth/register",
    "/api/auth/password/forgot",
    "/api/auth/password/reset",
    "/api/auth/email/confirm",
    "/api/auth/oidc",
    "/api/auth/oidc/{provider}",
    "/api/auth/oidc/{provider}/callback",
    "/api/invitations/{token}",
    "/api/webhooks/payments",
}


def _v1_error(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/OpenAIError"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _v1_paths() -> dict[str, Any]:
    errors = {
        "400": _v1_error(
            "The body is not a valid request (`invalid_json`, `invalid_request`, `upstream_rejected`)."
        ),
        "401": _v1_error("No valid credentials (`unauthorized`)."),
        "402": _v1_error("Not enough money (`insufficient_funds`, `wallet_frozen`)."),
        "403": _v1_error("Not allowed (`permission_denied`, `policy_refused`)."),
        "404": _v1_error("No such model or project (`model_not_found`, `not_found`)."),
        "409": _v1_error("The model has no price (`price_missing`)."),
        "413": _v1_error("The body is over the limit (`body_too_large`)."),
        "429": _v1_error("Too fast (`rate_limited`); `Retry-After` and `RateLimit` say more."),
        "502": _v1_error("The provider's answer is not an answer (`upstream_error`)."),
        "503": _v1_error(
            "No provider, or the books can not be written (`upstream_unavailable`, `ledger_unavailable`)."
        ),
        "504": _v1_error("The provider took too long (`upstream_timeout`)."),
    }
    anything = {"schema": {"type": "object", "additionalProperties": True}}
    return {
        "/v1/chat/completions": _answering(
            "create_chat_completion", "Chat completion (OpenAI dialect)", _CHAT_EXAMPLE, errors
        ),
        "/v1/completions": _answering(
            "create_completion", "Completion (OpenAI dialect, legacy)", _COMPLETION_EXAMPLE, errors
        ),
        "/v1/responses": _answering(
            "create_response",
            "Response (OpenAI's Responses API); keeps nothing",
            _RESPONSE_EXAMPLE,
            errors,
        ),
        "/v1/messages": {"post": _messages_operation(counts=False)},
        "/v1/messages/count_tokens": {"post": _messages_operation(counts=True)},
        **operation_paths(errors),
        "/v1/models": {
            "get": {
                "tags": ["AI surface"],
                "summary": "Models the caller may use, with prices",
                "operationId": "list_models",
                "responses": {
                    "200": {"description": "The list.", "content": {"application/json": anything}},
                    **{status: errors[status] for status in ("401", "404")},
                },
            }
        },
    }


def _answering(
    operation_id: str, summary: str, example: dict[str, Any], errors: dict[str, Any]
) -> dict[str, Any]:
    """Return an address that takes a call and answers whole or as a stream."""
    anything = {"schema": {"type": "object", "additionalProperties": True}}
    answer = {"application/json": anything, "text/event-stream": {"schema": {"type": "string"}}}
    return {
        "post": {
            "tags": ["AI surface"],
            "summary": f"{summary}, JSON or SSE",
            "description": "`usage.cost` is a decimal string in the platform's currency.",
            "operationId": operation_id,
            "requestBody": {
                "required": True,
                "content": {"application/json": {**anything, "example": example}},
            },
            "responses": {
                "200": {"description": "The answer, with `usage.cost`.", "content": answer},
                **errors,
            },
        }
    }


def _messages_operation(*, counts: bool) -> dict[str, Any]:
    """Return POST /v1/messages, or the operation that only counts its tokens."""
    anything = {"schema": {"type": "object", "additionalProperties": True}}
    answer: dict[str, Any] = {"application/json": anything}
    example: dict[str, Any] = {key: _CHAT_EXAMPLE[key] for key in ("model", "messages")}
    if not counts:
        answer["text/event-stream"] = {"schema": {"type": "string"}}
        example["max_tokens"] = 256
    schema = {"$ref": "#/components/schemas/AnthropicError"}
    error = {
        "description": "The status and code are those of the OpenAI dialect.",
        "content": {"application/json": {"schema": schema}},
    }
    return {
        "tags": ["AI surface"],
        "summary": "Input tokens of a message request"
        if counts
        else "Message (Anthropic dialect), JSON or SSE",
        "description": "The provider's count, or an estimate with `estimated`. Costs nothing."
        if counts
        else "`usage.cost` is a decimal string in the platform's currency.",
        "operationId": "count_message_tokens" if counts else "create_message",
        "security": [{"bearer": []}, {"api_key": []}],
        "requestBody": {"required": True, "content": {"application/json": {**anything, "example": example}}},
        "responses": {
            "200": {"description": "The count." if counts else "The answer.", "content": answer},
            **dict.fromkeys(("400", "401", "403", "404", "413", "429", "503"), error),
            **({} if counts else dict.fromkeys(("402", "409", "502", "504"), error)),
        },
    }


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with security, problems as the default answer, and /v1."""
    components = document.setdefault("components", {})
    components["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key (dsk_live_…) or an access token from /api/auth/login.",
        },
        "api_key": {
            "type": "apiKey",
            "in": "header",
            "name": "x-api-key",
            "description": "An API key, as Anthropic's clients send it.",
        },
    }
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas |= {"Problem": _PROBLEM, "OpenAIError": _OPENAI_ERROR, "AnthropicError": _ANTHROPIC_ERROR}
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"description": "A problem.", "content": content}
            if path in _PUBLIC:
                operation["security"] = []
    document["paths"] = {**_v1_paths(), **document["paths"]}
    document["security"] = [{"bearer": []}]
    return document
