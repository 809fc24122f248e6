"""Usage in the forms of each address: classes are disjoint and add up to what the provider says."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepspace.billing.rates import TOKEN_CLASSES, Usage
from deepspace.upstream.usage_forms import Produced, usage_classes


def read(answer: Any, produced: Produced = "output") -> Usage | None:
    """Return the usage of an answer."""
    fields = msgspec.json.decode(json.dumps(answer).encode(), type=dict[str, msgspec.Raw])
    classes = usage_classes(fields, produced)
    return Usage(**classes) if classes is not None else None


IMAGE = {
    "total_tokens": 100,
    "input_tokens": 50,
    "output_tokens": 50,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
}
SPEECH = {
    "type": "tokens",
    "input_tokens": 14,
    "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
    "output_tokens": 45,
    "total_tokens": 59,
}


@pytest.mark.parametrize(
    ("answer", "produced", "expected"),
    [
        ({"usage": {"prompt_tokens": 8, "total_tokens": 8}}, "output", Usage(input=8)),
        ({"usage": {"total_tokens": 815}}, "output", Usage(input=815)),
        ({"usage": IMAGE}, "image_output", Usage(input=10, image_input=40, image_output=50)),
        (
            {"usage": {**IMAGE, "output_tokens_details": {"image_tokens": 45, "text_tokens": 5}}},
            "image_output",
            Usage(input=10, image_input=40, image_output=45, output=5),
        ),
        ({"usage": SPEECH}, "output", Usage(audio_input=14, output=45)),
        ({"usage": {"input_tokens": 9, "output_tokens": 7}}, "audio_output", Usage(input=9, audio_output=7)),
        ({"usage": {"type": "duration", "seconds": 8.2}}, "output", Usage(audio_input=9)),
        ({"meta": {"tokens": {"input_tokens": 3, "output_tokens": 0}}}, "output", Usage(input=3)),
        ({"meta": {"billed_units": {"input_tokens": 3}}}, "output", Usage(input=3)),
        ({"meta": {"billed_units": {"search_units": 1}}}, "output", None),
        ({"usage": None}, "output", None),
        ({"usage": {}}, "output", None),
        ({"usage": {"prompt_tokens": -1}}, "output", None),
        ({"usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}}}, "output", None),
        ({"usage": {"type": "duration", "seconds": -1}}, "output", None),
        ({"usage": {"prompt_tokens": 2**70}}, "output", None),
        ({"usage": "many"}, "output", None),
        ({"data": []}, "output", None),
    ],
)
def test_each_form_is_read(answer: Any, produced: Produced, expected: Usage | None) -> None:
    assert read(answer, produced) == expected


_count = st.none() | st.integers(-3, 50)
_details = st.none() | st.dictionaries(
    st.sampled_from(["text_tokens", "image_tokens", "audio_tokens", "cached_tokens", "reasoning_tokens"]),
    _count,
)
_names = ["prompt_tokens", "input_tokens", "completion_tokens", "output_tokens", "total_tokens", "seconds"]
_usage = st.builds(
    lambda counts, details: {**counts, **details},
    st.dictionaries(st.sampled_from(_names), _count),
    st.dictionaries(st.sampled_from(["input_tokens_details", "output_tokens_details"]), _details),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_usage, st.sampled_from(["output", "image_output", "audio_output"]))
def test_what_is_read_adds_up_to_what_is_stated_and_is_never_negative(
    stated: Any, produced: Produced
) -> None:
    usage = read({"usage": stated}, produced)
    if usage is None:
        return
    assert min(getattr(usage, name) for name in TOKEN_CLASSES) >= 0
    told = stated.get("completion_tokens")
    told = told if told is not None else stated.get("output_tokens")
    assert usage.output_total == (told or 0)
