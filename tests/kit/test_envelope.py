"""Envelopes: what opens, with which key, and where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepspace.kit.crypto import KeyRing, SealBroken, Sealer
from deepspace.kit.envelope import EnvelopeSealer, key_id

OLD, NEW, OTHER = (KeyRing(letter * 32).key("k") for letter in (b"o", b"n", b"x"))
PLACE = "channels|sealed_key|1"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200))
def test_what_is_sealed_opens_in_its_place_with_every_key_that_is_there(secret: str) -> None:
    blob = EnvelopeSealer([OLD]).seal(secret, PLACE)
    for keys in ([OLD], [NEW, OLD], [OTHER, NEW, OLD]):
        assert EnvelopeSealer(keys).open(blob, PLACE) == secret
    for keys in ([NEW], [NEW, OTHER]):
        with pytest.raises(SealBroken, match=key_id(OLD).hex()):
            EnvelopeSealer(keys).open(blob, PLACE)


def test_the_first_key_seals_and_a_value_says_whose_it_is() -> None:
    blob = EnvelopeSealer([NEW, OLD]).seal("s", PLACE)
    assert EnvelopeSealer([NEW]).is_current(blob)
    assert not EnvelopeSealer([OLD, NEW]).is_current(blob)
    assert blob[1:9] == key_id(NEW)
    assert NEW not in blob


def test_a_value_opens_in_no_other_place_and_a_seal_is_never_the_same_twice() -> None:
    sealer = EnvelopeSealer([NEW])
    blob = sealer.seal("sk-secret", PLACE)
    assert b"sk-secret" not in blob
    assert sealer.seal("sk-secret", PLACE) != blob
    with pytest.raises(SealBroken):
        sealer.open(blob, "channels|sealed_key|2")


def test_every_flipped_bit_and_every_cut_is_noticed() -> None:
    sealer = EnvelopeSealer([NEW])
    blob = sealer.seal("s", PLACE)
    for position in range(len(blob)):
        changed = bytearray(blob)
        changed[position] ^= 1
        with pytest.raises(SealBroken):
            sealer.open(bytes(changed), PLACE)
        with pytest.raises(SealBroken):
            sealer.open(blob[:position], PLACE)


def test_values_of_before_there_were_key_ids_still_open() -> None:
    plain = Sealer(OLD)
    blob = plain.seal("old secret", PLACE)
    sealer = EnvelopeSealer([NEW], [Sealer(OTHER), plain])
    assert sealer.open(blob, PLACE) == "old secret"
    assert not sealer.is_current(blob)
    with pytest.raises(SealBroken):
        EnvelopeSealer([NEW], [Sealer(OTHER)]).open(blob, PLACE)
