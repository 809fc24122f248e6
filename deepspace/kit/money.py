"""Money as integers.

Books are kept in nano-units of the platform's currency (10^-9 USD). Prices are integer pico-units per token,
which is the same number as micro-units per million tokens, so every published price with at most six
decimals is exact. No float ever touches an amount.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from functools import lru_cache

NANO_PER_UNIT = 10**9
PICO_PER_NANO = 1000
MICRO_PER_UNIT = 10**6
MAX_NANO = 2**63 - 1


class NotAnAmount(ValueError):
    """The text is not a decimal amount with the allowed number of digits."""


def _scaled(text: str, digits: int) -> int:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise NotAnAmount(f"'{text}' is not a decimal number") from None
    if not value.is_finite() or abs(value) > Decimal(MAX_NANO):
        raise NotAnAmount(f"'{text}' is out of range")
    scaled = value.scaleb(digits)
    if scaled != scaled.to_integral_value():
        raise NotAnAmount(f"'{text}' has more than {digits} decimals")
    result = int(scaled)
    if abs(result) > MAX_NANO:
        raise NotAnAmount(f"'{text}' is out of range")
    return result


def nano(text: str) -> int:
    """Read a decimal string as nano-units: `nano("1.5") == 1_500_000_000`. At most 9 decimals."""
    return _scaled(text, 9)


def micro_per_million(text: str) -> int:
    """Read a price per million tokens as pico-units per token. At most 6 decimals."""
    return _scaled(text, 6)


def _plain(value: int, digits: int) -> str:
    sign = "-" if value < 0 else ""
    whole, part = divmod(abs(value), 10**digits)
    fraction = f"{part:0{digits}d}".rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


@lru_cache(maxsize=4096)
def decimal_from_nano(amount_nano: int) -> str:
    """Write nano-units as a decimal string without superfluous zeros: `0.00000375`."""
    return _plain(amount_nano, 9)


@lru_cache(maxsize=4096)
def decimal_from_price(pico_per_token: int) -> str:
    """Write pico-units per token as a decimal price per million tokens."""
    return _plain(pico_per_token, 6)


def nano_from_pico(amount_pico: int) -> int:
    """Round pico-units up to nano-units, once per call (docs/billing.md publishes this rule)."""
    return -(-amount_pico // PICO_PER_NANO)
