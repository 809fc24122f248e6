"""Third parties' steps, found by entry point: installed packages that name something in the group GROUP.

What is named is a PluginStep, or something that makes one when called without arguments. A plug-in that
cannot be loaded, or stands where it may not, stops the start: a check that somebody installed and that
silently does not run would be worse than none.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from deepspace.pipeline.registry import PluginStep, Step, WrongOrder, place

GROUP = "deepspace.pipeline_steps"


class PluginRefused(Exception):
    """A plug-in cannot be used; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A third party's step, and the package and version that brought it."""

    name: str
    package: str
    step: PluginStep

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        return f"behind {self.step.after}, in front of {self.step.before}"


def installed() -> Sequence[EntryPoint]:
    """Return the entry points of the packages that are installed."""
    return tuple(entry_points(group=GROUP))


def load_plugins(found: Iterable[EntryPoint] | None = None) -> tuple[Plugin, ...]:
    """Load what is installed (or `found`), by name; PluginRefused if one of them cannot be used."""
    entries = sorted(installed() if found is None else found, key=lambda entry: (entry.name, entry.value))
    plugins = tuple(_load(entry) for entry in entries)
    _check(plugins)
    return plugins


def _load(entry: EntryPoint) -> Plugin:
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an unnamed package"
    who = f"the plug-in '{entry.name}' of {package} ({entry.value})"
    try:
        made = entry.load()
        if not isinstance(made, PluginStep):
            made = made()
    except Exception as error:  # whatever a stranger's code raises
        raise PluginRefused(f"{who} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(made, PluginStep):
        raise PluginRefused(f"{who} is no PluginStep and makes none")
    step: Any = made.step
    if not isinstance(step, Step) or not inspect.iscoroutinefunction(step.__call__):
        raise PluginRefused(f"{who} has no step with a name and an async __call__(x)")
    return Plugin(entry.name, package, made)


def _check(plugins: Sequence[Plugin]) -> None:
    """Refuse the first that may not stand where it wants to, or whose name is taken."""
    for number, plugin in enumerate(plugins, 1):
        try:
            place((), [other.step for other in plugins[:number]])
        except WrongOrder as error:
            raise PluginRefused(f"the plug-in '{plugin.name}' of {plugin.package}: {error}") from error
