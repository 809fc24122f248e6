"""Prices and what a call costs under them. Pure integers; no database, no clock.

A rate is pico-units per token (= micro-units per million tokens). A price may have tiers: from a number of
input tokens up, other rates hold for the whole call (the long-context rule of several providers).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter

import msgspec

from deepspace.kit.money import (
    PICO_PER_NANO,
    decimal_from_nano,
    decimal_from_price,
    nano_from_pico,
)

INPUT_CLASSES = ("input", "cached_input", "cache_write", "cache_write_1h", "image_input", "audio_input")
OUTPUT_CLASSES = ("output", "reasoning", "image_output", "audio_output")
TOKEN_CLASSES = INPUT_CLASSES + OUTPUT_CLASSES

_FALLBACK: dict[str, str] = {
    **dict.fromkeys(INPUT_CLASSES, "input"),
    **dict.fromkeys(OUTPUT_CLASSES, "output"),
}


_counts = attrgetter(*TOKEN_CLASSES)
_input_counts = attrgetter(*INPUT_CLASSES)
_output_counts = attrgetter(*OUTPUT_CLASSES)


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one call by class. Classes are disjoint: `input` is what was not cached, `output` not
    reasoning."""

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    image_input: int = 0
    audio_input: int = 0
    output: int = 0
    reasoning: int = 0
    image_output: int = 0
    audio_output: int = 0

    def counts(self) -> dict[str, int]:
        """Return the classes that occur."""
        return {name: count for name, count in zip(TOKEN_CLASSES, _counts(self), strict=True) if count}

    @property
    def input_total(self) -> int:
        """All tokens that went in."""
        return sum(_input_counts(self))

    @property
    def output_total(self) -> int:
        """All tokens that came out."""
        return sum(_output_counts(self))


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates for calls with at least `from_input_tokens` input tokens."""

    from_input_tokens: int
    rates: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Price:
    """One version of a model's price."""

    id: int
    model: str
    currency: str
    rates: Mapping[str, int]
    per_call_nano: int = 0
    tiers: tuple[Tier, ...] = field(default=())
    _dearest: tuple[tuple[int, int], ...] = field(init=False, repr=False, compare=False)
    """The highest rate of any input class and of any output class, for each scale of rates."""

    def __post_init__(self) -> None:
        """Look the highest rates up once: every call's bound asks for them."""
        scales = [self.rates, *({**self.rates, **tier.rates} for tier in self.tiers)]
        dearest = tuple(
            (
                max(_rate(rates, name) for name in INPUT_CLASSES),
                max(_rate(rates, name) for name in OUTPUT_CLASSES),
            )
            for rates in scales
        )
        object.__setattr__(self, "_dearest", dearest)

    def rates_for(self, input_tokens: int) -> Mapping[str, int]:
        """Return the rates of the highest tier that `input_tokens` reaches."""
        if not self.tiers:
            return self.rates
        reached = [tier for tier in self.tiers if input_tokens >= tier.from_input_tokens]
        if not reached:
            return self.rates
        return {**self.rates, **max(reached, key=lambda tier: tier.from_input_tokens).rates}

    def cost_nano(self, usage: Usage) -> int:
        """Return the exact cost, rounded up to a nano-unit once."""
        rates = self.rates_for(usage.input_total)
        pico = sum(count * _rate(rates, name) for name, count in usage.counts().items())
        return nano_from_pico(pico + self.per_call_nano * PICO_PER_NANO)

    def bound_nano(self, max_input_tokens: int, max_output_tokens: int) -> int:
        """Return an upper bound of `cost_nano` for any usage within the two bounds, whatever its classes."""
        pico = max([asked * max_input_tokens + told * max_output_tokens for asked, told in self._dearest])
        return nano_from_pico(pico + self.per_call_nano * PICO_PER_NANO)

    def charges(self, name: str) -> bool:
        """Tell whether a token of the class costs anything, in any tier."""
        scales = [self.rates, *({**self.rates, **tier.rates} for tier in self.tiers)]
        return any(_rate(rates, name) for rates in scales)

    def output_within(self, amount_nano: int, max_input_tokens: int) -> int:
        """Return how many output tokens `amount_nano` pays for at most, after the input: bound_nano turned
        round."""
        if self.bound_nano(max_input_tokens, 0) > amount_nano:
            return 0
        low, high = 0, 1
        while self.bound_nano(max_input_tokens, high) <= amount_nano and high < 2**40:
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            if self.bound_nano(max_input_tokens, middle) <= amount_nano:
                low = middle
            else:
                high = middle
        return low

    def per_million(self) -> dict[str, str]:
        """Return the stated rates as decimal prices per million tokens."""
        return {name: decimal_from_price(rate) for name, rate in self.rates.items()}

    def formula(self, usage: Usage, cost_nano: int | None = None) -> str:
        """Return the sum a person can check by hand: `27 × 0.05/M + 12 × 0.2/M = 0.00000375`. `cost_nano` is
        what `cost_nano(usage)` returned, if that is known."""
        rates = self.rates_for(usage.input_total)
        terms = [f"{n} × {decimal_from_price(_rate(rates, name))}/M" for name, n in usage.counts().items()]
        if self.per_call_nano or not terms:
            terms.append(decimal_from_nano(self.per_call_nano))
        cost_nano = self.cost_nano(usage) if cost_nano is None else cost_nano
        return f"{' + '.join(terms)} = {decimal_from_nano(cost_nano)}"


def _rate(rates: Mapping[str, int], name: str) -> int:
    """Return the rate of a class; a class without one costs what plain input or output costs."""
    rate = rates.get(name)
    return rate if rate is not None else rates.get(_FALLBACK[name], 0)
