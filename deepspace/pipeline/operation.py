"""What a call asks for when it is no chat: embeddings, ranks, images, speech. All that such a call has of its
own is here, as data; its steps are those of every call, and wording_of_operations.py says it to a channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from deepspace.billing.errors import PriceMissing
from deepspace.billing.rates import Price, Usage
from deepspace.kit.errors import NotFound, ValidationFailed
from deepspace.upstream.catalogue import Route
from deepspace.upstream.errors import ModelNotFound

JSON = "application/json"
EVENTS = "text/event-stream"


class Form(Protocol):
    """A form with files, as the client sent it."""

    def with_texts(self, texts: Mapping[str, str]) -> bytes:
        """Return its bytes with these texts in the place of the client's."""
        ...


@dataclass(frozen=True, slots=True)
class Operation:
    """What is asked, as the endpoint of its address read it."""

    path: str
    """Where a channel takes it, under the base URL."""
    input_bound: int
    """Most input tokens that a provider can count."""
    counted: Usage
    """What is charged if the provider states no usage; output text is added to it."""
    output_bound: int | None = 0
    """Most output tokens; None for what the channel allows for the model."""
    is_input_within_context: bool = False
    """The input is no more than the model's context, if every channel says how long that is."""
    things: int = 1
    """How many things are asked for. A price by the call alone pays for one."""
    produces: Literal["output", "image_output", "audio_output"] = "output"
    """The usage class of what comes out."""
    answers_with: tuple[str, ...] = ()
    """Fields of a JSON answer, one of which is there; none of a call that is passed through."""
    answer_types: tuple[str, ...] = (JSON,)
    """How the media type of an answer begins."""
    content_type: str = JSON
    """Of the request."""
    form: Form | None = None
    """The client's form; None of a JSON body. The call's fields are its texts."""
    fingerprint: bytes | None = None
    """What a retry of the call has in common with it; None for the body itself."""
    is_passed_through: bool = False
    """The address is unknown here: only channels that allow it take the call, and it is paid by the call."""

    def bounds(self, routes: Sequence[Route]) -> tuple[int, int]:
        """Return the most input and output tokens of the call."""
        asked, told = self.input_bound, self.output_bound
        contexts = [route.context_length for route in routes]
        if self.is_input_within_context and contexts and None not in contexts:
            asked = min(asked, max(context or 0 for context in contexts))
        return asked, max(route.max_output_tokens for route in routes) if told is None else told

    def served_by(self, routes: Sequence[Route], path: str) -> tuple[Route, ...]:
        """Return the routes that can take the call; NotFound or ModelNotFound if none can."""
        found = [route for route in routes if route.dialect == "openai"]
        if self.is_passed_through:
            found = [route for route in found if route.pass_through]
            if not found:
                raise NotFound(f"There is no {path} here.")
        if not found:
            raise ModelNotFound("The channels of this model do not know this address.", param="model")
        return tuple(found)

    def demand(self, price: Price) -> None:
        """Refuse a call that its price would leave unpaid."""
        if self.is_passed_through and not price.per_call_nano:
            raise PriceMissing(
                f"The model '{price.model}' has no price per call, which this address needs.", param="model"
            )
        if self.things > 1 and price.per_call_nano and not price.charges(self.produces):
            raise ValidationFailed(
                f"The model '{price.model}' is paid by the call: ask for one at a time.", param="n"
            )
