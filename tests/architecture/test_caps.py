"""Sizes: what rots is the tail, so the tail is cut off. The list of exceptions may only shrink."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.source import python_files, tracked, tree_of, where

FILE_LINES = 500
FUNCTION_LINES = 70
LINE_LENGTH = 110
POSITIONAL = 6

EXCEPTIONS: dict[str, int] = {
    "packages/api-client/src/schema.d.ts": 100_000,  # generated
}
"""File or file::function → what it may have at most. Lower a figure or strike it out; never add one."""

PYTHON = python_files("deepspace", "tests", "bench")
SCRIPT = [path for path in tracked("*.ts", "*.tsx", "*.css") if path.suffix in {".ts", ".tsx", ".css"}]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.Module) -> Iterator[Function]:
    """Yield every function of a module."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def positional(function: Function) -> int:
    """Count the parameters that may be given by position, without self."""
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def over(path: Path, name: str, size: int, cap: int) -> str | None:
    """Return a complaint if `size` is over the cap and over what the list allows."""
    key = where(path, 0).removesuffix(":0") + (f"::{name}" if name else "")
    return f"{key}: {size} > {cap}" if size > max(cap, EXCEPTIONS.get(key, 0)) else None


@pytest.mark.parametrize("path", [*PYTHON, *SCRIPT], ids=lambda path: path.name)
def test_a_file_fits_into_a_head(path: Path) -> None:
    assert over(path, "", len(path.read_text().splitlines()), FILE_LINES) is None


def test_functions_fit_on_a_screen_and_take_few_positional_parameters() -> None:
    found = [
        over(path, function.name, (function.end_lineno or 0) - function.lineno + 1, FUNCTION_LINES)
        or over(path, function.name, positional(function), POSITIONAL)
        for path in PYTHON
        if "tests" not in path.parts
        for function in functions(tree_of(path))
    ]
    assert [complaint for complaint in found if complaint] == []


def test_lines_fit_beside_each_other() -> None:
    found = [
        where(path, number)
        for path in PYTHON
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > LINE_LENGTH
    ]
    assert found == []


def test_the_list_of_exceptions_names_only_what_still_needs_one() -> None:
    for name, allowed in EXCEPTIONS.items():
        file, _, wanted = name.partition("::")
        [path] = tracked(file)
        sizes = [len(path.read_text().splitlines())]
        if wanted:
            found = [function for function in functions(tree_of(path)) if function.name == wanted]
            sizes = [(function.end_lineno or 0) - function.lineno + 1 for function in found]
            sizes = [size for size in sizes if size > FUNCTION_LINES] or [positional(one) for one in found]
        cap = POSITIONAL if wanted else FILE_LINES
        assert any(cap < size <= allowed for size in sizes), (
            f"{name} needs no exception any more: strike it out"
        )


MUTATORS = frozenset(
    (
        "append",
        "extend",
        "insert",
        "remove",
        "pop",
        "clear",
        "add",
        "discard",
        "update",
        "setdefault",
        "popitem",
        "appendleft",
        "sort",
    )
)


def mutated_globals(tree: ast.Module) -> list[tuple[int, str]]:
    """Return (line, name) where a function changes something of its module."""
    mutable = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and _is_container(node.value)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    found: list[tuple[int, str]] = []
    for function in functions(tree):
        for node in ast.walk(function):
            if isinstance(node, ast.Global):
                found.append((node.lineno, ", ".join(node.names)))
            target: ast.expr | None = None
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                target = node.func.value if node.func.attr in MUTATORS else None
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
                target = node.value
            if isinstance(target, ast.Name) and target.id in mutable:
                found.append((node.lineno, target.id))
    return found


def _is_container(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id in {"dict", "list", "set", "defaultdict", "deque", "Counter", "OrderedDict"}
    return isinstance(value, ast.Dict | ast.List | ast.Set | ast.DictComp | ast.ListComp | ast.SetComp)


def test_no_module_keeps_state_that_changes() -> None:
    found = [
        f"{where(path, line)} {name}"
        for path in PYTHON
        if "deepspace" in path.parts
        for line, name in mutated_globals(tree_of(path))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "x = 0\ndef f():\n    global x\n    x = 1\n",
        "cache = {}\ndef f():\n    cache['a'] = 1\n",
        "cache: dict[str, int] = dict()\ndef f():\n    del cache['a']\n",
        "seen = []\nasync def f():\n    seen.append(1)\n",
        "seen = {1}\nclass A:\n    def f(self):\n        seen.add(2)\n",
    ],
)
def test_the_rule_against_changing_state_finds_it(source: str) -> None:
    assert len(mutated_globals(ast.parse(source))) == 1


@pytest.mark.parametrize(
    "source",
    ["CODES = {1: 'a'}\ndef f():\n    return CODES[1]\n", "def f():\n    x = {}\n    x['a'] = 1\n"],
)
def test_the_rule_against_changing_state_leaves_constants_and_locals_alone(source: str) -> None:
    assert mutated_globals(ast.parse(source)) == []


def test_the_caps_find_what_is_too_large() -> None:
    long = ast.parse("def f(a, b, c, d, e, f, g):\n" + "    x = 1\n" * 70)
    [function] = functions(long)
    assert over(Path("x.py"), "f", (function.end_lineno or 0) - function.lineno + 1, FUNCTION_LINES)
    assert over(Path("x.py"), "f", positional(function), POSITIONAL)
    [method] = functions(ast.parse("class A:\n    def f(self, a, b, c, d, e, f, *, g): ..."))
    assert positional(method) == POSITIONAL
