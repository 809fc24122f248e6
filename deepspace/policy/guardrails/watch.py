"""Running guards over a text that comes in pieces.

Each guard looks through the whole text by itself, so that what one finds hides nothing from another. Text is
let go as far as every guard that may block or mask has decided, so just enough is held back: usually the
characters of one word. What comes out, and what was found, are the same however the text was cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deepspace.policy.guardrails.port import ActiveGuard, Found

Report = Callable[[ActiveGuard, Found], None]
"""Told of everything found; raises to block, and then nothing more comes out."""


class _Scan:
    """How far one guard has come; `text` is folded, positions count from where the Watch's text begins."""

    __slots__ = ("active", "done", "text")

    def __init__(self, active: ActiveGuard) -> None:
        self.active = active
        self.text = ""
        self.done = 0


class Watch:
    """Guards over one text."""

    __slots__ = ("_is_holding", "_masks", "_report", "_scans", "_sent", "_text")

    def __init__(self, guards: Sequence[ActiveGuard], report: Report) -> None:
        """Nothing has come yet."""
        self._scans = [_Scan(active) for active in guards]
        self._is_holding = any(active.action != "log" for active in guards)
        self._report = report
        self._text = ""
        self._sent = 0
        self._masks: list[tuple[int, int, str]] = []

    def feed(self, text: str) -> str:
        """Take more of the text; return what may go out now."""
        self._text += text
        for scan in self._scans:
            scan.text += scan.active.guard.fold(text)
        return self._advance(is_end=False)

    def finish(self) -> str:
        """The text has ended; return the rest of it."""
        return self._advance(is_end=True)

    def _advance(self, *, is_end: bool) -> str:
        for scan in self._scans:
            self._look(scan, is_end=is_end)
        decided = len(self._text)
        if self._is_holding:
            decided = min([scan.done for scan in self._scans if scan.active.action != "log"])
        out = self._let_go(decided)
        self._trim()
        return out

    def _look(self, scan: _Scan, *, is_end: bool) -> None:
        guard, text = scan.active.guard, scan.text
        cut = len(text) if is_end else guard.open_from(text, scan.done)
        while (found := guard.find(text, scan.done, cut)) is not None:
            self._report(scan.active, found)
            if scan.active.action == "mask":
                self._masks.append((found.start, found.end, guard.mask(found)))
            scan.done = found.end
        scan.done = max(scan.done, cut)

    def _let_go(self, decided: int) -> str:
        """Return the text up to where everything is decided, masks in place; ones that overlap become one."""
        merged: list[tuple[int, int, str]] = []
        for start, end, mask in sorted(self._masks):
            if merged and start < merged[-1][1]:
                first = merged[-1]
                merged[-1] = (first[0], max(first[1], end), first[2])
            else:
                merged.append((start, end, mask))
        parts: list[str] = []
        for start, end, mask in merged:
            if end > decided:
                decided = min(decided, start)
                break
            parts += [self._text[self._sent : start], mask]
            self._sent = end
        parts.append(self._text[self._sent : decided])
        self._sent = max(self._sent, decided)
        self._masks = [span for span in self._masks if span[1] > self._sent]
        return "".join(parts)

    def _trim(self) -> None:
        """Forget what is behind everybody, but for one character that a guard may look back at."""
        behind = min([self._sent, *(scan.done for scan in self._scans)]) - 1
        if behind < 256:
            return
        self._text, self._sent = self._text[behind:], self._sent - behind
        self._masks = [(start - behind, end - behind, mask) for start, end, mask in self._masks]
        for scan in self._scans:
            scan.text, scan.done = scan.text[behind:], scan.done - behind


def looked_through(text: str, guards: Sequence[ActiveGuard], report: Report) -> str:
    """Return a whole text with what is to be masked masked."""
    watch = Watch(guards, report)
    return watch.feed(text) + watch.finish()
