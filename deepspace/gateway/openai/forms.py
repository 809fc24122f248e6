"""Fields of a form with files, read as what they must be."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from deepspace.gateway.dialect import InvalidRequest, ModelName
from deepspace.gateway.openai.multipart import Form
from deepspace.pipeline.operation import Operation


def model_of(form: Form) -> str:
    """Return the model that a form asks for."""
    try:
        return msgspec.convert(demanded(form, "model"), ModelName)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{error}.", param="model") from None


def demanded(form: Form, name: str) -> str:
    """Return a field that must be there; InvalidRequest if it is not."""
    text = form.text(name)
    if not text:
        raise InvalidRequest(f"The form lacks the field '{name}'.", param=name)
    return text


def number(form: Form, name: str, default: int, most: int) -> int:
    """Return a field as a number from 1 to `most`; InvalidRequest if it is none."""
    text = form.text(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise InvalidRequest(f"'{name}' must be between 1 and {most}.", param=name)
    return int(text)


def flag(form: Form, name: str) -> bool:
    """Return a field as true or false; InvalidRequest if it is neither."""
    text = (form.text(name) or "false").lower()
    if text not in {"true", "false", "1", "0"}:
        raise InvalidRequest(f"'{name}' must be true or false.", param=name)
    return text in {"true", "1"}


def sent_as(operation: Operation, form: Form) -> Operation:
    """Return an operation whose request is this form, with only the model's name changed."""
    return replace(
        operation,
        content_type=form.content_type,
        form=form,
        fingerprint=form.fingerprint,
    )
