"""Money is integers: what goes in comes out, to the last digit."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepspace.kit.money import (
    MAX_NANO,
    NotAnAmount,
    decimal_from_nano,
    decimal_from_price,
    micro_per_million,
    nano,
    nano_from_pico,
)

amounts = st.integers(min_value=-MAX_NANO, max_value=MAX_NANO)


@given(amounts)
def test_an_amount_written_and_read_again_is_the_same(amount: int) -> None:
    assert nano(decimal_from_nano(amount)) == amount
    assert micro_per_million(decimal_from_price(amount)) == amount


@given(amounts)
def test_the_decimal_string_is_exactly_the_amount_and_as_short_as_can_be(amount: int) -> None:
    text = decimal_from_nano(amount)
    assert Fraction(text) == Fraction(amount, 10**9)
    assert "e" not in text.lower()
    assert text == "0" or not text.endswith(".")
    assert "." not in text or not text.endswith("0")
    assert text != "-0"


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**9), max_value=10**9))
def test_every_decimal_of_nine_places_is_read_exactly(value: Decimal) -> None:
    assert Fraction(nano(str(value)), 10**9) == Fraction(value)


@given(st.integers(min_value=0, max_value=10**30))
def test_pico_are_rounded_up_once_and_by_less_than_a_nano(pico: int) -> None:
    rounded = nano_from_pico(pico)
    assert 0 <= rounded - Fraction(pico, 1000) < 1


@pytest.mark.parametrize("text", ["0.0000000001", "1.1234567891", "1e-10"])
def test_more_than_nine_decimals_are_refused_and_not_rounded(text: str) -> None:
    with pytest.raises(NotAnAmount, match="more than 9 decimals"):
        nano(text)


@pytest.mark.parametrize("text", ["0.0000001", "1e-7"])
def test_a_price_finer_than_a_micro_per_million_is_refused(text: str) -> None:
    with pytest.raises(NotAnAmount, match="more than 6 decimals"):
        micro_per_million(text)


@pytest.mark.parametrize("text", ["", " ", "x", "1,5", "0x10", "1.2.3", "--1", "1 2", "$1"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(NotAnAmount):
        nano(text)


@pytest.mark.parametrize(
    "text", ["NaN", "sNaN", "Infinity", "-Infinity", "1e30", "1e999999", "9223372036.854775808"]
)
def test_what_the_books_cannot_count_is_out_of_range(text: str) -> None:
    with pytest.raises(NotAnAmount):
        nano(text)


def test_the_largest_amount_fits_and_the_next_one_does_not() -> None:
    assert nano("9223372036.854775807") == MAX_NANO
    assert nano("-9223372036.854775807") == -MAX_NANO
