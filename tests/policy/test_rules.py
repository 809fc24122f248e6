"""Access rules: what a deny takes away, nothing gives back; times on the clocks of a zone."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepspace.policy.dry_run import Outcome, judge
from deepspace.policy.errors import PolicyRefused
from deepspace.policy.policies import RuleSet
from deepspace.policy.rules import Effect, Facts, Kind, Rule, condition_of, refusing, watched
from deepspace.testing.clock import FrozenClock

MODELS = ("alpha", "alpha-mini", "beta")
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
ADDRESSES = ("10.0.0.1", "10.1.2.3", "192.0.2.9", "2001:db8::7")


def rule(
    kind: Kind, effect: Effect, mode: Any = "enforce", *, by_platform: bool = False, **values: Any
) -> Rule:
    """Return a rule."""
    return Rule(uuid.uuid4(), by_platform, kind, effect, mode, "", condition_of(kind, values))


WORK = {"weekdays": ["mon", "tue", "wed", "thu", "fri"], "start": "08:00", "end": "18:00"}
NIGHT = {"weekdays": ["fri"], "start": "22:00", "end": "06:00"}

conditions = st.one_of(
    st.tuples(
        st.just("model"),
        st.fixed_dictionaries({"models": st.lists(st.sampled_from([*MODELS, "alpha*", "*"]))}),
    ),
    st.tuples(
        st.just("ip"),
        st.fixed_dictionaries(
            {
                "cidrs": st.lists(
                    st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "192.0.2.9", "2001:db8::/32", "::/0"])
                )
            }
        ),
    ),
    st.tuples(
        st.just("time"),
        st.sampled_from([WORK, NIGHT]).flatmap(
            lambda base: st.sampled_from(["UTC", "Asia/Shanghai", "America/New_York"]).map(
                lambda zone: {**base, "time_zone": zone}
            )
        ),
    ),
)


@st.composite
def any_rule(draw: Any, effects: tuple[Effect, ...] = ("allow", "deny")) -> Rule:
    """Draw a rule."""
    kind, values = draw(conditions)
    return rule(kind, draw(st.sampled_from(effects)), by_platform=draw(st.booleans()), **values)


facts = st.builds(
    Facts,
    st.sampled_from([*MODELS, None]),
    st.sampled_from([*map(ip_address, ADDRESSES), None]),
    st.integers(0, 2 * 365 * 24 * 60).map(lambda minutes: BEGIN + timedelta(minutes=minutes)),
)
rule_lists = st.lists(any_rule(), max_size=8)


@given(rule_lists, any_rule(("deny",)), facts, st.integers(0, 8))
def test_a_deny_rule_more_never_admits_more(rules: list[Rule], more: Rule, asked: Facts, place: int) -> None:
    if refusing(rules, asked) is not None:
        assert refusing([*rules[:place], more, *rules[place:]], asked) is not None


@given(facts)
def test_without_rules_everything_passes(asked: Facts) -> None:
    assert refusing([], asked) is None


@given(rule_lists, facts, st.randoms())
def test_the_order_of_rules_means_nothing(rules: list[Rule], asked: Facts, chance: Any) -> None:
    mixed = [*rules]
    chance.shuffle(mixed)
    assert (refusing(rules, asked) is None) == (refusing(mixed, asked) is None)


@given(rule_lists, facts)
def test_an_organisation_can_only_narrow_what_operators_allow(rules: list[Rule], asked: Facts) -> None:
    platform = [one for one in rules if one.by_platform]
    own = [one for one in rules if not one.by_platform]
    both = refusing(platform, asked) is None and refusing(own, asked) is None
    assert (refusing(rules, asked) is None) == both


@given(rule_lists, any_rule(), facts)
def test_a_dry_run_tells_exactly_what_enforcing_would_newly_refuse(
    rules: list[Rule], more: Rule, asked: Facts
) -> None:
    before, after = refusing(rules, asked), refusing([*rules, more], asked)
    if before is None:
        assert bool(watched(rules, [more], asked)) == (after is not None)
    group = SimpleNamespace(
        org_id=uuid.uuid4(),
        model=asked.model,
        client_ip=str(asked.address) if asked.address is not None else "",
        user_id=None,
        api_key_id=None,
        minute=asked.at,
        calls=3,
        trace_id=None,
    )
    outcome = Outcome(asked.at)
    judge([group], rules, more, outcome)
    assert (outcome.calls, outcome.refused) == (3, 3 if before is None and after is not None else 0)
    assert len(outcome.examples) == (outcome.refused > 0)


def at(text: str) -> Facts:
    """Return facts of a moment."""
    return Facts("alpha", None, datetime.fromisoformat(text))


@pytest.mark.parametrize(
    ("window", "zone", "moment", "within"),
    [
        (WORK, "Asia/Shanghai", "2026-03-02T00:00:00Z", True),  # Monday 08:00
        (WORK, "Asia/Shanghai", "2026-03-01T23:59:59Z", False),  # 07:59:59
        (WORK, "Asia/Shanghai", "2026-03-02T09:59:59Z", True),
        (WORK, "Asia/Shanghai", "2026-03-02T10:00:00Z", False),
        (WORK, "Asia/Shanghai", "2026-03-07T03:00:00Z", False),  # Saturday
        (WORK, "America/New_York", "2026-03-06T13:00:00Z", True),  # Friday 08:00 in winter
        (WORK, "America/New_York", "2026-03-09T12:00:00Z", True),  # Monday 08:00 in summer
        (WORK, "America/New_York", "2026-03-06T12:30:00Z", False),
        (NIGHT, "UTC", "2026-03-06T22:00:00Z", True),
        (NIGHT, "UTC", "2026-03-07T05:59:00Z", True),
        (NIGHT, "UTC", "2026-03-07T06:00:00Z", False),
        (NIGHT, "UTC", "2026-03-07T22:00:00Z", False),
        (NIGHT, "UTC", "2026-03-06T05:00:00Z", False),
        ({**NIGHT, "start": "00:00", "end": "00:00"}, "UTC", "2026-03-06T00:00:00Z", True),
        ({**NIGHT, "start": "00:00", "end": "00:00"}, "UTC", "2026-03-06T23:59:59Z", True),
        ({**NIGHT, "start": "00:00", "end": "00:00"}, "UTC", "2026-03-07T00:00:00Z", False),
    ],
)
def test_a_window_is_read_on_the_clocks_of_its_zone(
    window: dict[str, Any], zone: str, moment: str, within: bool
) -> None:
    refused = refusing([rule("time", "deny", **window, time_zone=zone)], at(moment))
    assert (refused is not None) == within


def test_a_call_is_refused_outside_working_hours_and_let_in_when_they_begin() -> None:
    clock = FrozenClock(datetime(2026, 3, 1, 23, 59, tzinfo=UTC))
    rules = RuleSet([rule("time", "allow", **WORK, time_zone="Asia/Shanghai")])
    with pytest.raises(PolicyRefused, match="calls at this time"):
        rules.hold("alpha", "10.0.0.1", clock.now())
    clock.advance(timedelta(minutes=1))
    assert rules.hold("alpha", "10.0.0.1", clock.now()) == ()


def test_rules_on_watch_refuse_nobody_and_are_told() -> None:
    strict = rule("model", "allow", "dry_run", models=["beta"])
    rules = RuleSet([strict, rule("ip", "deny", cidrs=["192.0.2.0/24"])])
    assert rules.hold("alpha", "10.0.0.1", datetime(2026, 1, 1, tzinfo=UTC)) == [strict]
    with pytest.raises(PolicyRefused, match=r"192\.0\.2\.9"):
        rules.hold("beta", "::ffff:192.0.2.9", datetime(2026, 1, 1, tzinfo=UTC))


def test_an_unknown_address_is_in_no_network() -> None:
    nobody = Facts("alpha", None, datetime(2026, 1, 1, tzinfo=UTC))
    assert refusing([rule("ip", "deny", cidrs=["0.0.0.0/0"])], nobody) is None
    assert refusing([rule("ip", "allow", cidrs=["0.0.0.0/0"])], nobody) is not None
