"""What a call costs: exact, rounded up once, and never above the bound that was held."""

from __future__ import annotations

import re
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from deepspace.billing.rates import INPUT_CLASSES, OUTPUT_CLASSES, TOKEN_CLASSES, Price, Tier, Usage
from deepspace.kit.money import decimal_from_nano

rates = st.dictionaries(st.sampled_from(TOKEN_CLASSES), st.integers(0, 10**9), max_size=10)
tiers = st.lists(st.builds(Tier, st.integers(1, 5_000), rates), max_size=3).map(tuple)
prices = st.builds(Price, st.just(1), st.just("m"), st.just("USD"), rates, st.integers(0, 10**12), tiers)
counts = st.integers(0, 3_000)
usages = st.builds(Usage, **dict.fromkeys(TOKEN_CLASSES, counts))


def reference(price: Price, usage: Usage) -> Fraction:
    """Compute the cost in nano-units the long way round, in fractions."""
    scale = dict(price.rates)
    best = 0
    for tier in price.tiers:  # the highest tier that is reached; of two alike the first
        if usage.input_total >= tier.from_input_tokens > best:
            best, scale = tier.from_input_tokens, {**price.rates, **tier.rates}
    total = Fraction(price.per_call_nano)
    for name in TOKEN_CLASSES:
        plain = "input" if name in INPUT_CLASSES else "output"
        rate = scale[name] if name in scale else scale.get(plain, 0)
        total += Fraction(getattr(usage, name) * rate, 1000)
    return total


@given(prices, usages)
def test_the_cost_is_the_exact_sum_rounded_up_once(price: Price, usage: Usage) -> None:
    exact = reference(price, usage)
    cost = price.cost_nano(usage)
    assert isinstance(cost, int)
    assert 0 <= cost - exact < 1


@given(prices, usages, st.integers(0, 2_000), st.integers(0, 2_000))
def test_no_usage_within_the_bounds_costs_more_than_the_bound(
    price: Price, usage: Usage, more_input: int, more_output: int
) -> None:
    bound = price.bound_nano(usage.input_total + more_input, usage.output_total + more_output)
    assert price.cost_nano(usage) <= bound


@given(prices, st.integers(0, 5_000), st.integers(0, 5_000))
def test_the_bound_is_reached_by_some_usage_when_there_are_no_tiers(
    price: Price, asked: int, told: int
) -> None:
    """A bound far above what can happen would refuse callers who can pay."""
    flat = Price(1, "m", "USD", price.rates, price.per_call_nano)
    costs = [
        flat.cost_nano(Usage(**{dear: asked}, **{out: told}))
        for dear in INPUT_CLASSES
        for out in OUTPUT_CLASSES
    ]
    assert flat.bound_nano(asked, told) == max(costs)


@given(prices, usages)
def test_more_tokens_of_any_class_never_cost_less_without_tiers(price: Price, usage: Usage) -> None:
    flat = Price(1, "m", "USD", price.rates, price.per_call_nano)
    for name in TOKEN_CLASSES:
        more = Usage(**{**{n: getattr(usage, n) for n in TOKEN_CLASSES}, name: getattr(usage, name) + 1})
        assert flat.cost_nano(more) >= flat.cost_nano(usage)


@given(prices, usages)
def test_the_formula_can_be_checked_by_hand(price: Price, usage: Usage) -> None:
    """Every term is a count times a price per million, or the price per call; the right side is the cost."""
    left, _, right = price.formula(usage).rpartition(" = ")
    assert right == decimal_from_nano(price.cost_nano(usage))
    total = Fraction(0)
    for term in left.split(" + "):
        match = re.fullmatch(r"(\d+) × ([\d.]+)/M", term)
        total += Fraction(int(match[1])) * Fraction(match[2]) / 10**6 if match else Fraction(term)
    assert 0 <= Fraction(right) - total < Fraction(1, 10**9)


def test_the_example_of_the_documentation_comes_out() -> None:
    price = Price(1, "m", "USD", {"input": 50_000, "output": 200_000})
    usage = Usage(input=27, output=12)
    assert price.formula(usage) == "27 × 0.05/M + 12 × 0.2/M = 0.00000375"


def test_a_tier_holds_for_the_whole_call_from_its_first_token_on() -> None:
    price = Price(1, "m", "USD", {"input": 1_000, "output": 2_000}, 0, (Tier(100, {"input": 3_000}),))
    assert price.cost_nano(Usage(input=99, output=1)) == 99 + 2
    assert price.cost_nano(Usage(input=100, output=1)) == 300 + 2  # what the tier does not name stays
    assert price.cost_nano(Usage(input=60, cached_input=40, output=1)) == 300 + 2  # cached tokens count too


def test_a_class_without_a_rate_costs_what_plain_input_or_output_costs_and_zero_means_free() -> None:
    price = Price(1, "m", "USD", {"input": 1_000, "output": 2_000, "cached_input": 0})
    assert price.cost_nano(Usage(cache_write=1)) == 1
    assert price.cost_nano(Usage(reasoning=1)) == 2
    assert price.cost_nano(Usage(cached_input=1)) == 0


def test_a_fraction_of_a_nano_is_charged_as_one_and_only_once() -> None:
    price = Price(1, "m", "USD", {"input": 1, "output": 1})
    assert price.cost_nano(Usage(input=1)) == 1
    assert price.cost_nano(Usage(input=500, output=500)) == 1
    assert price.cost_nano(Usage(input=501, output=500)) == 2
    assert price.cost_nano(Usage()) == 0
