"""The table of the addresses that are no chat: what reads a request there, and which keys are for it."""

from __future__ import annotations

from collections.abc import Mapping

from deepspace.accounts.scopes import Surface
from deepspace.gateway.asgi import App
from deepspace.gateway.chat import ChatEndpoint
from deepspace.gateway.openai.audio import parse_speech, parse_transcriptions, parse_translations
from deepspace.gateway.openai.embeddings import parse_embeddings
from deepspace.gateway.openai.images import parse_edits, parse_generations
from deepspace.gateway.openai.moderations import parse_moderations
from deepspace.gateway.openai.operations import OperationDialect, Parser
from deepspace.gateway.openai.passing import PassThrough, parse_any
from deepspace.gateway.openai.rerank import parse_rerank
from deepspace.wiring import Platform

_PARSERS: Mapping[str, tuple[Parser, Surface]] = {
    "/v1/embeddings": (parse_embeddings, "embeddings"),
    "/v1/rerank": (parse_rerank, "rerank"),
    "/v1/moderations": (parse_moderations, "moderations"),
    "/v1/images/generations": (parse_generations, "images"),
    "/v1/images/edits": (parse_edits, "images"),
    "/v1/audio/speech": (parse_speech, "audio"),
    "/v1/audio/transcriptions": (parse_transcriptions, "audio"),
    "/v1/audio/translations": (parse_translations, "audio"),
}


def other_addresses(platform: Platform, max_body_bytes: int) -> dict[str, dict[str, App]]:
    """Return the endpoints by address and method."""
    return {
        path: {"POST": operation_endpoint(platform, parse, surface, max_body_bytes)}
        for path, (parse, surface) in _PARSERS.items()
    }


def any_other_address(platform: Platform, max_body_bytes: int) -> PassThrough:
    """Return the endpoint of every other address."""
    return PassThrough(platform.catalogue, operation_endpoint(platform, parse_any, "other", max_body_bytes))


def operation_endpoint(
    platform: Platform, parse: Parser, surface: Surface, max_body_bytes: int
) -> ChatEndpoint:
    """Return the endpoint of one address."""
    dialect = OperationDialect(parse)
    return ChatEndpoint(
        dialect, platform.chat, platform.authenticator, platform.clock, max_body_bytes, surface
    )
