"""Guards over text: checksums, what is found and what is not, and that it does not matter how a text is
cut."""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deepspace.policy.guardrails.checksums import is_iban, is_luhn, is_resident_id
from deepspace.policy.guardrails.pii import PII_KINDS, PiiGuard
from deepspace.policy.guardrails.port import Action, ActiveGuard, Found, Guard
from deepspace.policy.guardrails.watch import Watch, looked_through
from deepspace.policy.guardrails.words import WordGuard

BOTH: Any = frozenset({"input", "output"})
SECRETS = {
    "resident_id": ["11010519491231002X", "440308199901101512"],
    "iban": ["DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "FR14 2004 1010 0505 0001 3M02 606"],
    "credit_card": [
        "4111 1111 1111 1111",
        "378282246310005",
        "5555-5555-5555-4444",
        "４１１１１１１１１１１１１１１１",
    ],
    "email": ["ann.lee+lab@mail.example.co.uk", "a@b.cn"],
    "ip_address": ["192.168.10.254", "2001:db8::8a2e:370:7334", "fe80::1"],
    "phone": ["+86 138-0013-8000", "13800138000", "010-62781234", "+44 20 7946 0958", "(415) 555-2671"],
}
INNOCENT = [
    "4111 1111 1111 1112",
    "110105194912310021",
    "DE89370400440532013001",
    "the class of 2024, chapter 12:30:45, version 1.2.3",
    "std::vector<int>, user@localhost, a@b",
    "3.14159265358979 and 1234567890123456789012345",
    "订单号 20241121000001，共 3 件。",
]


def active(guard: Guard, action: Action = "mask") -> ActiveGuard:
    """Return a guard in force."""
    return ActiveGuard(uuid.uuid4(), guard, action, BOTH)


def verdict(guards: Sequence[ActiveGuard], pieces: Sequence[str]) -> tuple[str, list[tuple[str, int]]]:
    """Return what comes out of a text in pieces, and what was found by which guard."""
    found: list[tuple[str, int]] = []

    def report(guard: ActiveGuard, what: Found) -> None:
        found.append((what.kind, guards.index(guard)))

    watch = Watch(guards, report)
    out = "".join([watch.feed(piece) for piece in pieces]) + watch.finish()
    return out, sorted(found)


PIECES = st.sampled_from(
    [secret for secrets in SECRETS.values() for secret in secrets]
    + INNOCENT
    + [
        " ",
        ".",
        "@",
        "a",
        "1",
        "+",
        "-",
        ":",
        "秘密",
        "secret",
        "secrets",
        "Top Secret",
        "\n",
        "，",
        "x" * 70,
        "0" * 25,
    ]
)
TEXTS = st.one_of(
    st.lists(PIECES, max_size=6).map("".join),
    st.text(alphabet="0123456789 -.:@+()aAbcdefF秘密secrtSEC，\n", max_size=80),
)
WORDS = WordGuard(["secret", "secret plan", "秘密", "秘密计划", "İstanbul", "a-b", "@x"])


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.lists(st.integers(0, 400), max_size=30))
@example("4111 1111 1111 1111 2025", [3, 9, 19, 20, 22])
@example("write to ann@b.com.cn. Then", list(range(27)))
def test_any_split_of_a_text_gives_the_same_verdict(text: str, cuts: list[int]) -> None:
    guards = [active(PiiGuard()), active(WORDS), active(PiiGuard(["email"]), "log")]
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    pieces = [text[one:other] for one, other in itertools.pairwise(places)]
    assert verdict(guards, pieces) == verdict(guards, [text])
    assert verdict(guards, list(text)) == verdict(guards, [text])


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_what_comes_out_has_nothing_left_to_find_of_words_and_is_never_longer(text: str) -> None:
    out = looked_through(text, [active(WORDS)], lambda guard, found: None)
    assert len(out) == len(text)
    assert verdict([active(WORDS)], [out])[1] == []
    masked = looked_through(text, [active(PiiGuard())], lambda guard, found: None)
    assert len(masked) <= len(text)
    assert len(masked.encode()) <= len(text.encode())


@pytest.mark.parametrize(("kind", "secret"), [(kind, one) for kind, some in SECRETS.items() for one in some])
@pytest.mark.parametrize("around", ["{}", "it is {}, they say", "号码是{}。", "({})", "a {}"])
def test_each_kind_is_found_in_chinese_and_english_text_and_masked_whole(
    kind: str, secret: str, around: str
) -> None:
    text = around.format(secret)
    out, found = verdict([active(PiiGuard())], [text])
    assert [name for name, _ in found] == [kind]
    assert secret not in out
    assert out.startswith(text[: text.index(secret)])
    assert out.endswith(text[text.index(secret) + len(secret) :])


@pytest.mark.parametrize("text", INNOCENT)
def test_what_only_looks_like_it_passes(text: str) -> None:
    assert verdict([active(PiiGuard())], [text]) == (text, [])


def test_only_the_kinds_asked_for_are_looked_for() -> None:
    text = " ".join(some[0] for some in SECRETS.values())
    for kind in PII_KINDS:
        assert {name for name, _ in verdict([active(PiiGuard([kind]))], [text])[1]} <= {kind}


@given(st.text(alphabet="0123456789", min_size=12, max_size=18))
def test_one_digit_makes_a_luhn_number_and_any_change_of_a_digit_breaks_it(body: str) -> None:
    [check] = [digit for digit in "0123456789" if is_luhn(body + digit)]
    number = body + check
    place = random.Random(body).randrange(len(number))
    for other in "0123456789":
        assert is_luhn(number[:place] + other + number[place + 1 :]) == (other == number[place])


@given(
    st.integers(100000, 999999),
    st.dates(min_value=date(1900, 1, 1), max_value=date(2025, 1, 1)),
    st.integers(0, 999),
)
def test_one_character_makes_a_resident_id(region: int, born: Any, order: int) -> None:
    body = f"{region}{born:%Y%m%d}{order:03d}"
    [check] = [one for one in "0123456789X" if is_resident_id(body + one)]
    assert not is_resident_id(f"{region}{born:%Y}13{born:%d}{order:03d}{check}")


@given(st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=11, max_size=30))
def test_the_check_digits_of_an_account_are_the_only_ones_of_their_kind(account: str) -> None:
    right = [check for check in range(2, 99) if is_iban(f"DE{check:02d}{account}")]
    assert len(right) == 1


def test_words_are_found_whole_in_any_case_and_width_the_longest_first() -> None:
    for text, out in {
        "A SECRET.": "A ******.",
        "ｓｅｃｒｅｔ plan": "***********",
        "secrets and asecret": "secrets and asecret",
        "这是秘密计划吗": "这是****吗",
        "this is a-b, not a-bc": "this is ***, not a-bc",
        "İstanbul": "********",
    }.items():
        assert verdict([active(WORDS)], [text])[0] == out


def test_what_one_guard_only_logs_does_not_hide_it_from_one_that_blocks() -> None:
    seen: list[str] = []

    def report(guard: ActiveGuard, found: Found) -> None:
        seen.append(guard.action)

    guards = [active(PiiGuard(["email"]), "log"), active(WordGuard(["lab"]), "block")]
    looked_through("ann@lab.example.org", guards, report)
    assert sorted(seen) == ["block", "log"]


def test_text_that_cannot_begin_anything_goes_out_at_once_and_what_can_waits() -> None:
    watch = Watch([active(PiiGuard()), active(WORDS)], lambda guard, found: None)
    assert watch.feed("Hello, ") == "Hello, "
    assert watch.feed("wörld! 你好。") == "wörld! 你好。"
    assert watch.feed("call 138") == "call "
    assert watch.feed("0013") == ""
    assert watch.feed("8000 now") == "[phone] "
    assert watch.feed(",") == "now,"


def test_a_long_text_is_looked_through_in_linear_time_and_memory() -> None:
    watch = Watch([active(PiiGuard()), active(WORDS)], lambda guard, found: None)
    size = 0
    for piece in ["1" * 50, "a@" * 40, "x" * 1000, "秘" * 50, "1 " * 50] * 20:
        size += len(watch.feed(piece))
    size += len(watch.finish())
    assert size > 0
