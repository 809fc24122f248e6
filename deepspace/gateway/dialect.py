"""What a client's dialect is to the gateway: who calls, what is asked, how answers and errors are written."""

from __future__ import annotations

from typing import Annotated, Protocol, TypeVar

import msgspec

from deepspace.gateway.asgi import Scope
from deepspace.kit.errors import InvalidJson, PlatformError
from deepspace.pipeline.exchange import ChatCall, Encoder

Body = TypeVar("Body")

ModelName = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class InvalidRequest(PlatformError):
    """The request is not one that this endpoint takes."""

    status = 400
    code = "invalid_request"


class UnsupportedFeature(PlatformError):
    """The endpoint does not offer what the request asks for."""

    status = 400
    code = "unsupported_feature"


class Dialect(Protocol):
    """The client's side of a chat call."""

    heartbeat: bytes
    """What is sent in a stream after a while of silence."""

    def credential(self, scope: Scope) -> str | None:
        """Return the caller's credential from the request's headers."""
        ...

    def parse(self, body: bytes, scope: Scope) -> ChatCall:
        """Read a request; InvalidJson or InvalidRequest with the field at fault."""
        ...

    def encoder(self) -> Encoder:
        """Return what writes the answer of one call."""
        ...


_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_fields(body: bytes, decoder: msgspec.json.Decoder[Body]) -> tuple[Body, dict[str, msgspec.Raw]]:
    """Return what the platform itself reads of a body, and all its fields as the bytes that came."""
    try:
        body.decode()  # what passes through untouched is never decoded otherwise
        return decoder.decode(body), _fields_decoder.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{error}.", param=_param(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJson(f"The body is not valid JSON: {error}.") from None


def _param(message: str) -> str | None:
    """Return the field that a msgspec message names: "… at `$.messages[0]`" or "missing required field
    `model`"."""
    if " - at `$." in message:
        return message.split(" - at `$.")[1].rstrip("`").split("[")[0].split(".")[0]
    return message.split("`")[1] if "required field `" in message else None
