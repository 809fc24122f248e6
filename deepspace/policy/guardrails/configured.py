"""Guardrails as they are stored in a policy rule."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from deepspace.policy.guardrails.pii import PII_KINDS, PiiGuard, PiiKind
from deepspace.policy.guardrails.port import Guard, Guardrail
from deepspace.policy.guardrails.words import WordGuard


def guardrail_of(values: Mapping[str, Any]) -> Guardrail:
    """Return the guardrail that was stored; KeyError or ValueError if it is none."""
    guard: Guard
    match values["guard"]:
        case "pii":
            guard = _pii(tuple(values.get("detect") or PII_KINDS))
        case "words":
            guard = _words(tuple(values["words"]))
        case other:
            raise ValueError(f"there is no guard '{other}'")
    return Guardrail(guard, values["action"], frozenset(values["on"]))


@lru_cache(maxsize=64)
def _pii(kinds: tuple[PiiKind, ...]) -> PiiGuard:
    return PiiGuard(kinds)


@lru_cache(maxsize=256)
def _words(words: tuple[str, ...]) -> WordGuard:
    """Rules are read again every second; the list of one changes rarely."""
    return WordGuard(words)
