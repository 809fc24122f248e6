"""Plug-ins by entry point: what is loaded, and what stops the start by name."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from deepspace.pipeline.plugins import GROUP, PluginRefused, load_plugins
from deepspace.pipeline.registry import PluginStep


class Good:
    """A step."""

    def __init__(self, name: str = "good") -> None:
        self.name = name

    async def __call__(self, x: Any) -> None:
        """Do nothing."""


class Blocking:
    """A step that is no coroutine."""

    name = "blocking"

    def __call__(self, x: Any) -> None:
        """Do nothing."""


ready = PluginStep(Good("ready"), after="auth", before="policy")


def made() -> PluginStep:
    return PluginStep(Good("made"), after="policy", before="budget_hold")


def twin() -> PluginStep:
    return PluginStep(Good("made"), after="policy", before="budget_hold")


def late() -> PluginStep:
    return PluginStep(Good("late"), after="usage_capture", before="audit")


def blocking() -> PluginStep:
    step: Any = Blocking()
    return PluginStep(step, after="policy", before="budget_hold")


def other() -> str:
    return "not a step"


def raising() -> PluginStep:
    raise RuntimeError("no licence file")


def named(*names: str) -> list[EntryPoint]:
    """Return entry points to what stands in this module."""
    return [EntryPoint(name, f"{__name__}:{name}", GROUP) for name in names]


def test_a_step_and_what_makes_one_are_loaded_by_name() -> None:
    assert [plugin.step.step.name for plugin in load_plugins(named("ready", "made"))] == ["made", "ready"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("absent", "cannot be loaded: AttributeError"),
        ("raising", "no licence file"),
        ("other", "is no PluginStep"),
        ("blocking", "async __call__"),
        ("late", "not after the call"),
    ],
)
def test_a_bad_plug_in_is_refused_by_name(name: str, why: str) -> None:
    with pytest.raises(PluginRefused, match=name) as refused:
        load_plugins(named("made", name))
    assert why in str(refused.value)


def test_a_module_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(PluginRefused, match=r"'gone'.*ModuleNotFoundError"):
        load_plugins([EntryPoint("gone", "no_such_module_here:plugin", GROUP)])


def test_two_plug_ins_of_one_name_are_refused() -> None:
    with pytest.raises(PluginRefused, match="'twin'"):
        load_plugins(named("made", "twin"))
