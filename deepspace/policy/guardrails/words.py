"""A list of words and phrases, in any script, whatever their case.

A word that begins or ends in an ASCII letter or digit is found only where no other stands beside it: `ass` is
not in `class`. Chinese is found anywhere, as it has no spaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from deepspace.policy.guardrails.port import Found

MOST_WORDS, LONGEST_WORD = 1000, 64
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_BESIDE = "[a-z0-9_]"


def folded(text: str) -> str:
    """Return a text in lower case and narrow, character for character."""
    if text.isascii():
        return text.lower()
    narrow = text.translate(_WIDE)
    lower = narrow.lower()
    if len(lower) == len(narrow):
        return lower
    return "".join([one if len(one.lower()) != 1 else one.lower() for one in narrow])


class WordGuard:
    """Finds words of a list, the longest that begins at a place."""

    name = "words"

    def __init__(self, words: Iterable[str]) -> None:
        """Look for these."""
        listed = {word for word in map(folded, words) if word}
        self._pattern = re.compile(_tree_pattern(listed)) if listed else None
        self._openings = frozenset(word[:size] for word in listed for size in range(1, len(word) + 1))
        self._longest = max(map(len, listed), default=0)

    def fold(self, text: str) -> str:
        """See Guard.fold."""
        return folded(text)

    def find(self, text: str, start: int, end: int) -> Found | None:
        """See Guard.find."""
        match = self._pattern.search(text, start) if self._pattern is not None else None
        return Found(*match.span(), "word") if match is not None and match.start() < end else None

    def open_from(self, text: str, start: int) -> int:
        """See Guard.open_from."""
        for position in range(max(start, len(text) - self._longest), len(text)):
            if text[position:] in self._openings:
                return position
        return len(text)

    def mask(self, found: Found) -> str:
        """See Guard.mask."""
        return "*" * (found.end - found.start)


def _tree_pattern(words: Iterable[str]) -> str:
    """Return one pattern for many words that shares what they begin with: searching takes as long as for
    few."""
    tree: dict[str, Any] = {}
    for word in words:
        node = tree
        for character in word:
            node = node.setdefault(character, {})
        node[""] = f"(?!{_BESIDE})" if re.fullmatch(_BESIDE, word[-1]) else ""
    alphanumeric = {first: rest for first, rest in tree.items() if re.fullmatch(_BESIDE, first)}
    other = {first: rest for first, rest in tree.items() if first not in alphanumeric}
    parts = [f"(?<!{_BESIDE}){_branches(alphanumeric)}"] if alphanumeric else []
    return "|".join([*parts, *([_branches(other)] if other else [])])


def _branches(node: dict[str, Any]) -> str:
    """Return the pattern of what follows at a node, the longest first."""
    found = [re.escape(character) + _branches(rest) for character, rest in sorted(node.items()) if character]
    if "" in node:
        found.append(node[""])
    return found[0] if len(found) == 1 else f"(?:{'|'.join(found)})"
