"""No float touches an amount: in money code there are none, but for seconds."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.source import PACKAGE, python_files, tree_of, where

STRICT = {"money.py", "rates.py", "schemas.py", "service.py", "story.py", "models.py", "repository.py"}
"""Where amounts are computed: not even seconds are floats here, but for the age of a cache."""

FILES = (PACKAGE / "kit" / "money.py", *python_files("deepspace/billing"))


def _name(node: ast.AST | None) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_time(name: str) -> bool:
    return name.lower().endswith(("_s", "_at", "since", "timeout"))


def floats(tree: ast.Module) -> list[tuple[int, str]]:
    """Return (line, what) of every float, float() and true division that is not about seconds or a path."""
    times: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if all(_is_time(_name(target)) for target in targets) and node.value is not None:
                times.update(ast.walk(node.value))
        elif isinstance(node, ast.keyword) and _is_time(node.arg or ""):
            times.update(ast.walk(node.value))
        elif isinstance(node, ast.Call) and _name(node.func) in {"sleep", "timeout", "timedelta"}:
            times.update(part for argument in node.args for part in ast.walk(argument))
        elif isinstance(node, ast.arguments):
            pairs = zip(node.kwonlyargs, node.kw_defaults, strict=True)
            times.update(default for arg, default in pairs if default is not None and _is_time(arg.arg))
        elif isinstance(node, ast.Compare) and _is_time(_name(_left(node.comparators[0]))):
            times.update(ast.walk(node))
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if node in times:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            found.append((node.lineno, f"the float {node.value}"))
        elif isinstance(node, ast.Call) and _name(node.func) == "float":
            found.append((node.lineno, "a call of float()"))
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            right = node.right if isinstance(node, ast.BinOp) else node.value
            text = isinstance(right, ast.JoinedStr) or (
                isinstance(right, ast.Constant) and isinstance(right.value, str)
            )
            if not text:  # a path
                found.append((node.lineno, "a true division"))
    return found


def _left(node: ast.expr) -> ast.expr:
    return node.left if isinstance(node, ast.BinOp) else node


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_money_code_has_no_floats(path: Path) -> None:
    found = [f"{where(path, line)}: {what}" for line, what in floats(tree_of(path))]
    assert found == []


@pytest.mark.parametrize("name", sorted(STRICT))
def test_the_files_where_amounts_are_computed_are_among_those_that_are_read(name: str) -> None:
    assert name in {path.name for path in FILES}


@pytest.mark.parametrize(
    "source",
    [
        "cost = 0.1",
        "cost = amount * 1.5",
        "cost = float(text)",
        "cost = amount / 2",
        "amount /= 2",
        "def f(rate=0.5): ...",
        "pay(amount=1e3)",
        "share_nano = amount_nano / parts",
    ],
)
def test_the_rule_finds_floats(source: str) -> None:
    assert len(floats(ast.parse(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "cost = amount // 2",
        "TIMEOUT_S = 0.5",
        "def f(*, max_age_s: float = 1.0): ...",
        "await_ = sleep(0.1)",
        "place = directory / f'{name}.spool'",
    ],
)
def test_the_rule_leaves_seconds_and_paths_alone(source: str) -> None:
    assert floats(ast.parse(source)) == []
