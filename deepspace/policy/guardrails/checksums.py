"""Checksums that tell a number of some kind from any other number."""

from __future__ import annotations

from datetime import date

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"


def is_luhn(digits: str) -> bool:
    """Tell whether digits end in their Luhn check digit (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def is_resident_id(text: str) -> bool:
    """Tell whether 18 characters are a Chinese resident identity number (GB 11643-1999): a date of birth that
    exists, and the check character of ISO 7064 MOD 11-2."""
    try:
        born = date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_ID_WEIGHTS, text[:17], strict=True))
    return born.year >= 1900 and _ID_CHECKS[total % 11] == text[17].upper()


def is_iban(text: str) -> bool:
    """Tell whether an account number's check digits are right (ISO 13616, ISO 7064 MOD 97-10)."""
    turned = text[4:] + text[:4]
    return int("".join([str(int(character, 36)) for character in turned])) % 97 == 1
