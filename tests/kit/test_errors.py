"""Every error of the package: a sentence, a stable code, an honest status."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import pytest

import deepspace
from deepspace.kit.errors import PlatformError


def every_error() -> list[type[PlatformError]]:
    """Import the whole package and return each kind of error in it."""
    for module in pkgutil.walk_packages(deepspace.__path__, "deepspace."):
        if ".migrations." not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: list[type[PlatformError]] = []
    waiting: list[type[PlatformError]] = [PlatformError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return [kind for kind in found if kind.__module__.startswith("deepspace.")]


ERRORS = every_error()


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__qualname__)
def test_an_error_says_what_happened_in_a_sentence(kind: type[PlatformError]) -> None:
    assert kind.__doc__, f"{kind.__qualname__} has no docstring of its own"
    message = kind().message
    assert re.fullmatch(r"[A-Z0-9`].*[.?:`]\S*|[A-Z`].*`\.", message, re.DOTALL), message
    assert "\n\n" not in message
    assert kind("Something more precise.").message == "Something more precise."


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__qualname__)
def test_an_error_has_a_stable_code_and_a_status_of_an_error(kind: type[PlatformError]) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", kind.code)
    assert 400 <= kind.status <= 599
    assert kind().headers == {} or all(isinstance(value, str) for value in kind().headers.values())


def test_a_code_always_comes_with_the_same_status() -> None:
    """A client that knows a code knows what it means; only the sentence may differ."""
    statuses: dict[str, set[int]] = {}
    for kind in ERRORS:
        statuses.setdefault(kind.code, set()).add(kind.status)
    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}


def test_a_code_shared_by_two_kinds_is_shared_on_purpose() -> None:
    """Two kinds with one code are refinements of one another, or are listed here."""
    # An answer that is none, and an event too large to relay; a body that is wrong, and one that the dialect
    # of its channel cannot say.
    on_purpose = {"upstream_error", "invalid_request"}
    by_code: dict[str, list[type[PlatformError]]] = {}
    for kind in ERRORS:
        by_code.setdefault(kind.code, []).append(kind)
    for code, kinds in by_code.items():
        first = min(kinds, key=lambda kind: len(inspect.getmro(kind)))
        strangers = [kind for kind in kinds if not issubclass(kind, first)]
        assert strangers == [] or code in on_purpose, (code, kinds)
