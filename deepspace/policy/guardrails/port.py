"""The port of guardrails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

Side = Literal["input", "output"]
Action = Literal["block", "mask", "log"]


@dataclass(frozen=True, slots=True)
class Found:
    """Something a guard looks for, from character `start` up to `end`. The text itself is not kept."""

    start: int
    end: int
    kind: str


class Guard(Protocol):
    """Looks for something in a text, from left to right, without overlaps.

    What is found at a position may depend on the character before it and on what follows, and on nothing
    else. So a text can be looked through while it comes: up to the position that `open_from` names, what is
    found is found whatever follows.
    """

    name: str

    def fold(self, text: str) -> str:
        """Return the text in the form that is searched, character for character: of the same length, and the
        same whether a text is folded whole or in pieces."""
        ...

    def find(self, text: str, start: int, end: int) -> Found | None:
        """Return the first thing that begins at `start` or later and before `end`, in a folded text."""
        ...

    def open_from(self, text: str, start: int) -> int:
        """Return the first position from `start` on at which more text could change what is found; the
        length of the text if there is none."""
        ...

    def mask(self, found: Found) -> str:
        """Return what stands in the place of something found; never longer than it."""
        ...


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A guard, what happens when it finds something, and where it looks: the condition of a policy rule of
    the kind `guardrail`."""

    guard: Guard
    action: Action
    sides: frozenset[Side]

    def matches(self, facts: object) -> bool:
        """A guardrail never refuses a call by its model, address or time."""
        return False


@dataclass(frozen=True, slots=True)
class ActiveGuard:
    """A guardrail in force, and the rule that says so."""

    rule_id: UUID
    guard: Guard
    action: Action
    sides: frozenset[Side]
