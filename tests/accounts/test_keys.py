"""The text of an API key."""

from __future__ import annotations

import random
import re
import string

from hypothesis import given
from hypothesis import strategies as st

from deepspace.accounts.errors import KeyMalformed
from deepspace.accounts.keys import key_hmac, key_id_of, looks_like_key, make_key

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def accepted(text: str) -> bool:
    """Whether a text passes for a key."""
    try:
        key_id_of(text)
    except KeyMalformed:
        return False
    return True


def test_a_new_key_has_the_published_form_and_its_id_can_be_read() -> None:
    keys = [make_key() for _ in range(200)]
    for key in keys:
        assert re.fullmatch(r"dsk_live_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}", key.text)
        assert key_id_of(key.text) == key.key_id
        assert looks_like_key(key.text)
        assert key.hint.startswith(f"dsk_live_{key.key_id}_…")
        assert key.text.split("_")[3][:-4] not in key.hint
    assert len({key.text for key in keys}) == len({key.key_id for key in keys}) == 200


def test_of_a_million_random_strings_not_one_is_accepted() -> None:
    """All are of a key's form: only the checksum can tell. 62^6 is 13 times 2^32, so even a checksum field
    chosen at random is one no CRC-32 gives in 12 of 13 cases, and right in one of 4·10^9."""
    source = random.Random(20261121)
    pool = "".join(source.choices(BASE62, k=1_000_050))
    wrong = sum(accepted(f"dsk_live_{pool[n : n + 12]}_{pool[n + 12 : n + 50]}") for n in range(1_000_000))
    assert wrong == 0


@given(st.text(max_size=80))
def test_no_other_text_is_accepted(text: str) -> None:
    assert not accepted(text)
    assert not accepted(f"dsk_live_{text}")


@given(st.integers(0, 58), st.sampled_from(BASE62))
def test_a_key_with_one_changed_character_is_not_accepted(position: int, character: str) -> None:
    key = make_key().text
    changed = key[:position] + character + key[position + 1 :]
    assert accepted(changed) == (changed == key)


@given(st.integers(9, 57))
def test_a_key_with_two_neighbours_swapped_is_not_accepted(position: int) -> None:
    key = make_key().text
    swapped = key[:position] + key[position + 1] + key[position] + key[position + 2 :]
    assert accepted(swapped) == (swapped == key)


def test_a_key_is_taken_whole_or_not_at_all() -> None:
    key = make_key().text
    for changed in (f"{key}\n", f" {key}", key[:-1], f"{key}0", key.replace("live", "test"), key.upper()):
        assert not accepted(changed)


def test_what_is_stored_of_a_key_depends_on_every_character_and_on_the_pepper() -> None:
    key = make_key().text
    stored = key_hmac(b"pepper" * 6, key)
    assert len(stored) == 32
    assert key_hmac(b"pepper" * 6, key[:-1] + ("A" if key[-1] != "A" else "B")) != stored
    assert key_hmac(b"salt" * 8, key) != stored
