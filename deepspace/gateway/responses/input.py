"""The input of a Responses request as messages of the inner language.

There a turn of the assistant is several items, reasoning, texts and calls of tools; here it is one message.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from deepspace.gateway.dialect import InvalidRequest, UnsupportedFeature
from deepspace.gateway.responses.errors import StateNotKept
from deepspace.upstream.anthropic.words import JSON, kind_of, object_of, objects_of, parts_of, plain

_ROLES = {"user": "user", "system": "system", "developer": "system"}

_SEALED = "thinking:"
"""Begins the `encrypted_content` that this gateway writes; that of others says nothing here."""


def seal(blocks: list[JSON]) -> str:
    """Return signed thinking as `encrypted_content`, so that a client can hand it back. It is packed, not
    secret: the client was told the same text."""
    return _SEALED + base64.b64encode(msgspec.json.encode(blocks)).decode()


def unseal(text: Any) -> list[JSON]:
    """Return the thinking in an `encrypted_content` of ours; nothing if it is somebody else's."""
    if not isinstance(text, str) or not text.startswith(_SEALED):
        return []
    try:
        return objects_of(msgspec.json.decode(base64.b64decode(text[len(_SEALED) :], validate=True)))
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        return []


class Conversation:
    """Collects messages. Images among the results of tools follow behind the last result: a message of a tool
    takes texts only."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._messages: list[JSON] = []
        self._turn: JSON | None = None
        self._shown: list[JSON] = []

    def say(self, role: str, content: Any) -> None:
        """Add a message that is not the assistant's."""
        self._show()
        self._turn = None
        self._messages.append({"role": role, "content": content})

    def take(self, given: Any) -> None:
        """Add an `input`, a text or a list of items; InvalidRequest if it is neither."""
        if isinstance(given, str):
            return self.say("user", given)
        if not isinstance(given, list) or not given:
            raise InvalidRequest("'input' must be a text or a list of items.", param="input")
        for item in objects_of(given):  # pyright: ignore[reportUnknownArgumentType]
            self._item(item)
        return None

    def messages(self) -> list[JSON]:
        """Return all that was said; InvalidRequest if nothing was."""
        self._show()
        if not self._messages:
            raise InvalidRequest("'input' says nothing.", param="input")
        return self._messages

    def _item(self, item: JSON) -> None:
        kind = kind_of(item) or "message"
        if kind == "message" and item.get("role") == "assistant":
            self._said(item)
        elif kind == "message":
            role = _ROLES.get(str(item.get("role")))
            if role is None:
                raise InvalidRequest(f"There is no role '{item.get('role')}'.", param="input")
            parts = [_part(part) for part in parts_of(item.get("content"), "input")]
            self.say(role, plain(parts) if parts else "")
        elif kind == "reasoning":
            self._thought(item)
        elif kind == "function_call":
            function = {"name": item.get("name"), "arguments": item.get("arguments") or ""}
            call = {"id": item.get("call_id"), "type": "function", "function": function}
            self._assistant().setdefault("tool_calls", []).append(call)
        elif kind == "function_call_output":
            self._result(item)
        elif kind == "item_reference":
            raise StateNotKept(
                "An 'item_reference' names what a server would have to remember; send the item itself.",
                param="input",
            )
        else:
            raise UnsupportedFeature(f"An item of type '{kind}' is not taken here.", param="input")

    def _assistant(self) -> JSON:
        """Return the assistant's message that is under way, a new one if none is."""
        self._show()
        if self._turn is None:
            self._turn = {"role": "assistant"}
            self._messages.append(self._turn)
        return self._turn

    def _said(self, item: JSON) -> None:
        texts = [
            str(part.get("text") or part.get("refusal") or "")
            for part in parts_of(item.get("content"), "input")
        ]
        turn = self._assistant()
        turn["content"] = str(turn.get("content") or "") + "".join(texts)

    def _thought(self, item: JSON) -> None:
        """Hand reasoning back as far as it is told; what only its provider could read is left out."""
        blocks = unseal(item.get("encrypted_content"))
        told = objects_of(item.get("content")) or objects_of(item.get("summary"))
        text = "".join(str(part.get("text") or "") for part in told)
        if self._turn is not None and "tool_calls" in self._turn:
            self._turn = None  # what is thought behind a call begins a turn
        if text:
            turn = self._assistant()
            turn["reasoning_content"] = str(turn.get("reasoning_content") or "") + text
        if blocks:
            self._assistant().setdefault("thinking_blocks", []).extend(blocks)

    def _result(self, item: JSON) -> None:
        self._turn = None
        parts = [_part(part) for part in parts_of(item.get("output"), "input")]
        texts = [part for part in parts if part["type"] == "text"]
        self._shown += [part for part in parts if part["type"] != "text"]
        message = {"role": "tool", "tool_call_id": item.get("call_id"), "content": plain(texts) or ""}
        self._messages.append(message)

    def _show(self) -> None:
        if self._shown:
            self._messages.append({"role": "user", "content": self._shown})
            self._shown = []


def _part(part: JSON) -> JSON:
    kind = kind_of(part)
    if kind in {"input_text", "output_text", "text"}:
        return {"type": "text", "text": str(part.get("text") or "")}
    if kind == "refusal":
        return {"type": "text", "text": str(part.get("refusal") or "")}
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        image = {"url": part["image_url"]}
        detail = part.get("detail")
        return {"type": "image_url", "image_url": {**image, "detail": detail} if detail else image}
    if kind == "input_file" and isinstance(part.get("file_data"), str):
        name = part.get("filename") or "document"
        return {"type": "file", "file": {"filename": name, "file_data": part["file_data"]}}
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": object_of(part.get("input_audio"))}
    if kind in {"input_image", "input_file"}:
        raise UnsupportedFeature(
            f"An '{kind}' must bring its data with it, an image its 'image_url': no files are kept here.",
            param="input",
        )
    raise UnsupportedFeature(f"Content of type '{kind}' is not taken here.", param="input")
