"""Personal data by pattern and checksum: e-mail, phone, credit card, Chinese resident ID, IBAN, IP address.

Patterns find what looks like it, checksums throw out what only looks like it. Full-width characters are read
as their ASCII ones. Every repetition is bounded, so a pattern takes linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from types import MappingProxyType
from typing import Literal, get_args

from deepspace.policy.guardrails.checksums import is_iban, is_luhn, is_resident_id
from deepspace.policy.guardrails.port import Found

PiiKind = Literal["resident_id", "iban", "credit_card", "email", "ip_address", "phone"]
PII_KINDS: tuple[PiiKind, ...] = get_args(PiiKind)
"""In the order of precedence, where several begin at one character."""

_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_MASKS: Mapping[str, str] = MappingProxyType(
    {
        "resident_id": "[resident id]",
        "iban": "[iban]",
        "credit_card": "[credit card]",
        "email": "[mail]",
        "ip_address": "[ip]",
        "phone": "[phone]",
    }
)


@dataclass(frozen=True, slots=True)
class _Detector:
    """A pattern, the pattern of everything it may begin as (anchored at the end of the text), the most
    characters that has, and what a match must pass. `may_end` says where a shorter match may end when the
    longest does not pass."""

    kind: PiiKind
    pattern: re.Pattern[str]
    opening: re.Pattern[str]
    reach: int
    accepts: Callable[[str], bool]
    may_end: re.Pattern[str] | None = None

    def at(self, text: str, match: re.Match[str]) -> Found | None:
        """Return what stands where the pattern matched, the longest that passes."""
        start, end = match.span()
        if self.accepts(match[0]):
            return Found(start, end, self.kind)
        if self.may_end is None:
            return None
        for shorter in range(end - 1, start, -1):
            if self.may_end.match(text, shorter) and self.pattern.fullmatch(text, start, shorter):
                if self.accepts(text[start:shorter]):
                    return Found(start, shorter, self.kind)
        return None

    def find(self, text: str, start: int, end: int) -> Found | None:
        """Return the first match that begins in [start, end) and passes."""
        while (match := self.pattern.search(text, start)) is not None and match.start() < end:
            found = self.at(text, match)
            if found is not None:
                return found
            start = match.start() + 1
        return None


def _any(_: str) -> bool:
    return True


def _digits(text: str) -> str:
    return "".join([character for character in text if character.isdigit()])


def _is_card(text: str) -> bool:
    digits = _digits(text)
    return is_luhn(digits) and len(set(digits)) > 1


def _is_account(text: str) -> bool:
    return is_iban(text.replace(" ", ""))


def _is_address(text: str) -> bool:
    if ":" not in text:
        return True
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return any(character.isdigit() for character in text) and text.strip(":") != ""


_LOCAL = r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"(?<![0-9A-Za-z.:]){_OCTET}(?:\.{_OCTET}){{3}}(?![0-9A-Za-z])(?!\.[0-9])"
_IPV6 = r"(?<![0-9A-Za-z.:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![0-9A-Za-z:])"
_PHONES = (
    r"(?<![0-9A-Za-z+])(?:(?:\+|00)86[ -]?)?1[3-9][0-9](?:[ -]?[0-9]{4}){2}(?![0-9])",
    r"(?<![0-9A-Za-z+])\+[1-9](?:[ .()-]{0,2}[0-9]){7,14}(?![0-9])",
    r"(?<![0-9A-Za-z+])0[1-9][0-9]{1,2}-[1-9][0-9]{6,7}(?![0-9])",
    r"(?<![0-9A-Za-z+])\(?[2-9][0-9]{2}\)?[ .-][2-9][0-9]{2}[ .-][0-9]{4}(?![0-9])",
)

_DETECTORS = (
    _Detector(
        "resident_id",
        re.compile(r"(?<![0-9A-Za-z])[1-9][0-9]{16}[0-9Xx](?![0-9A-Za-z])"),
        re.compile(r"(?<![0-9A-Za-z])[1-9][0-9]{0,16}[0-9Xx]?\Z"),
        20,
        is_resident_id,
    ),
    _Detector(
        "iban",
        re.compile(r"(?<![0-9A-Za-z])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}(?![0-9A-Za-z])"),
        re.compile(r"(?<![0-9A-Za-z])(?:[A-Z]|[A-Z]{2}[0-9]?|[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){0,30} ?)\Z"),
        66,
        _is_account,
        re.compile(r"(?![0-9A-Za-z])"),
    ),
    _Detector(
        "credit_card",
        re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){12,18}(?![0-9])"),
        re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){0,18}[ -]?\Z"),
        40,
        _is_card,
        re.compile(r"(?![0-9])"),
    ),
    _Detector(
        "email",
        re.compile(rf"{_LOCAL}@(?:[A-Za-z0-9-]{{1,63}}\.){{1,4}}[A-Za-z]{{2,24}}(?![A-Za-z0-9-])"),
        re.compile(rf"{_LOCAL}(?:@(?:[A-Za-z0-9-]{{1,63}}\.){{0,4}}[A-Za-z0-9-]{{0,63}})?\Z"),
        390,
        _any,
    ),
    _Detector(
        "ip_address",
        re.compile(f"{_IPV4}|{_IPV6}"),
        re.compile(r"(?<![0-9A-Za-z.:])(?:[0-9]{1,3}(?:\.[0-9]{1,3}){0,3}\.?|[0-9A-Fa-f:]{1,40})\Z"),
        42,
        _is_address,
    ),
    _Detector(
        "phone",
        re.compile("|".join(_PHONES)),
        re.compile(r"(?<![0-9A-Za-z+])[+(0-9][0-9 .()-]{0,46}\Z"),
        48,
        _any,
    ),
)


class PiiGuard:
    """Finds personal data of some kinds."""

    name = "pii"

    def __init__(self, kinds: Iterable[PiiKind] = PII_KINDS) -> None:
        """Look for these kinds."""
        wanted = frozenset(kinds)
        self._detectors = tuple(one for one in _DETECTORS if one.kind in wanted)

    def fold(self, text: str) -> str:
        """See Guard.fold: full-width forms become narrow."""
        return text if text.isascii() else text.translate(_WIDE)

    def find(self, text: str, start: int, end: int) -> Found | None:
        """See Guard.find."""
        first: Found | None = None
        for detector in self._detectors:
            found = detector.find(text, start, end)
            if found is not None:
                first, end = found, found.start  # only what begins before it comes first
        return first

    def open_from(self, text: str, start: int) -> int:
        """See Guard.open_from."""
        open_ = len(text)
        for detector in self._detectors:
            match = detector.opening.search(text, max(start, len(text) - detector.reach))
            if match is not None:
                open_ = min(open_, match.start())
        return open_

    def mask(self, found: Found) -> str:
        """See Guard.mask: the name of the kind, cut to what was there."""
        return _MASKS[found.kind][: found.end - found.start]
