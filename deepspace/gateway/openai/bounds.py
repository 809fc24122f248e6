"""How many tokens a text can have at most, for models that normalise it first."""

from __future__ import annotations

import unicodedata

from deepspace.pipeline.steps.budget_hold import MEDIA_TOKENS

__all__ = ["MEDIA_TOKENS", "most_tokens"]


def most_tokens(text: str) -> int:
    """Return an upper bound of the tokens of a text.

    A tokenizer with bytes to fall back on makes at most one token of a UTF-8 byte. Those of many embedding
    and rerank models normalise first (SentencePiece, NFKC), and one character may become eighteen then.
    """
    size = len(text.encode())
    return size if size == len(text) else max(size, len(unicodedata.normalize("NFKC", text).encode()))
