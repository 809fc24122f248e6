"""The order of steps: what start-up refuses."""

from __future__ import annotations

from itertools import permutations

import pytest

from deepspace.pipeline.exchange import Exchange
from deepspace.pipeline.registry import ORDER, REQUIRED, PluginStep, WrongOrder, check_order, place


class Named:
    """A step that does nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, x: Exchange) -> None:
        """Do nothing."""


STEPS = [Named("auth"), Named("policy"), Named("budget_hold")]


def names(plugins: list[PluginStep]) -> list[str]:
    """Return the names after placing plug-ins among STEPS."""
    return [step.name for step in place(STEPS, plugins)]


def test_the_whole_list_and_the_indispensable_part_of_it_are_in_order() -> None:
    check_order(ORDER)
    check_order(REQUIRED)


@pytest.mark.parametrize("missing", REQUIRED)
def test_a_list_without_an_indispensable_step_is_refused(missing: str) -> None:
    with pytest.raises(WrongOrder, match=missing):
        check_order([name for name in ORDER if name != missing])


def test_every_other_order_of_the_indispensable_steps_is_refused() -> None:
    for order in permutations(REQUIRED):
        if order != REQUIRED:
            with pytest.raises(WrongOrder):
                check_order(order)


def test_a_step_twice_and_a_step_nobody_knows_are_refused() -> None:
    with pytest.raises(WrongOrder):
        check_order(["auth", *ORDER])
    with pytest.raises(WrongOrder, match="unknown step 'cache'"):
        check_order(["auth", "cache", *ORDER[1:]])


def test_a_plug_in_stands_where_it_says() -> None:
    assert names([PluginStep(Named("p"), after="auth", before="policy")]) == [
        "auth",
        "p",
        "policy",
        "budget_hold",
    ]
    assert names([PluginStep(Named("p"), after="budget_hold", before="upstream_call")])[-1] == "p"


def test_a_plug_in_may_name_a_step_that_is_not_in_the_list_yet() -> None:
    placed = names([PluginStep(Named("p"), after="context_rag", before="tool_skill")])
    assert placed == ["auth", "policy", "p", "budget_hold"]


def test_plug_ins_of_one_place_keep_their_order() -> None:
    plugins = [PluginStep(Named(name), after="auth", before="policy") for name in ("a", "b", "c")]
    assert names(plugins) == ["auth", "a", "b", "c", "policy", "budget_hold"]


@pytest.mark.parametrize(
    ("after", "before"),
    [
        ("policy", "auth"),
        ("auth", "auth"),
        ("budget_hold", "policy"),
        ("upstream_call", "usage_capture"),
        ("usage_capture", "audit"),
        ("audit", "audit"),
        ("auth", "usage_capture"),
        ("auth", "audit"),
        ("nothing", "policy"),
        ("auth", "nothing"),
    ],
)
def test_a_plug_in_that_stands_before_auth_or_behind_the_call_or_nowhere_is_refused(
    after: str, before: str
) -> None:
    with pytest.raises(WrongOrder):
        place(STEPS, [PluginStep(Named("p"), after=after, before=before)])


def test_a_plug_in_may_not_take_the_name_of_a_step_or_of_another_plug_in() -> None:
    with pytest.raises(WrongOrder):
        place(STEPS, [PluginStep(Named("audit"), after="auth", before="policy")])
    twice = [PluginStep(Named("p"), after="auth", before="policy")] * 2
    with pytest.raises(WrongOrder):
        place(STEPS, twice)
