"""The bound of what a request can bring in: media count by name, however the name is spelt in JSON."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from deepspace.pipeline.steps.budget_hold import MEDIA_TOKENS, TEMPLATE_TOKENS, TOOLS_TOKENS, input_bound


def escaped(word: str, which: list[bool]) -> str:
    """Write some letters of a word as JSON escapes."""
    return "".join(
        f"\\u{ord(letter):04x}" if is_escaped else letter
        for letter, is_escaped in zip(word, which, strict=False)
    )


@given(st.lists(st.booleans(), min_size=9, max_size=9), st.lists(st.booleans(), min_size=5, max_size=5))
def test_an_image_and_tools_count_in_every_spelling(image: list[bool], tools: list[bool]) -> None:
    body = f'{{"type":"{escaped("image_url", image)}","{escaped("tools", tools)}":[]}}'.encode()
    assert set(json.loads(body)) == {"type", "tools"}
    assert json.loads(body)["type"] == "image_url"
    assert input_bound(body) == len(body) + TEMPLATE_TOKENS + TOOLS_TOKENS + MEDIA_TOKENS


def test_other_escapes_are_text() -> None:
    body = b'{"content":"\\u4f60\\u597d \\u00e9"}'
    assert input_bound(body) == len(body) + TEMPLATE_TOKENS
