"""Values reach SQL as parameters, never as text."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.source import python_files, tree_of, where

RUNNERS = frozenset(
    (
        "execute",
        "executemany",
        "fetch",
        "fetchrow",
        "fetchval",
        "fetchmany",
        "text",
        "exec_driver_sql",
        "cursor",
    )
)
STATEMENT = re.compile(
    r"\s*(SELECT\s|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|WITH\s+\w+\s+AS"
    r"|CREATE\s|DROP\s|ALTER\s|LOCK\s)"
)


def put_together(tree: ast.Module) -> list[int]:
    """Return the lines where text that varies becomes part of a statement.

    A module's own constants may be joined; anything known only when the code runs may not.
    """
    constants = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id.isupper()
    }

    def constant(node: ast.expr) -> bool:
        if isinstance(node, ast.JoinedStr):
            return all(constant(part) for part in node.values)
        if isinstance(node, ast.FormattedValue):
            return constant(node.value)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return constant(node.left) and constant(node.right)
        return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id in constants)

    def varies(node: ast.expr) -> bool:
        if isinstance(node, ast.JoinedStr):
            return not constant(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add):
            return not constant(node)
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"format", "format_map", "join", "replace"}
            and isinstance(node.func.value, ast.Constant)
        )

    found: list[int] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in RUNNERS and varies(node.args[0]):
                found.append(node.lineno)
                continue
        if isinstance(node, ast.expr) and varies(node):
            first = next((part for part in ast.walk(node) if isinstance(part, ast.Constant)), None)
            if first is not None and isinstance(first.value, str) and STATEMENT.match(first.value):
                found.append(node.lineno)
    return sorted(set(found))


COMPOSERS = {"bulk.py": "BulkInsert"}
"""Files of kit that put statements together from what they are given, and the class that does it: whoever
uses that class must give it constants."""


MIGRATIONS_ONLY = {"tenancy.py"}
"""Statements about tables, put together from the names in migration files; no request ever comes near."""


def composed_from_values(tree: ast.Module) -> list[int]:
    """Return the lines where a composer is given something that is not a constant."""

    def literal(node: ast.expr) -> bool:
        try:
            ast.literal_eval(node)
        except ValueError:
            return False
        return True

    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in COMPOSERS.values()
        and not all(literal(argument) for argument in (*node.args, *(word.value for word in node.keywords)))
    ]


@pytest.mark.parametrize(
    "path", python_files("deepspace"), ids=lambda path: str(path.relative_to(path.parents[2]))
)
def test_composers_are_given_constants(path: Path) -> None:
    assert [where(path, line) for line in composed_from_values(tree_of(path))] == []


def test_a_composer_given_a_value_is_found() -> None:
    good = 'A = BulkInsert("holds", {"id": "uuid"})'
    assert composed_from_values(ast.parse(good)) == []
    assert composed_from_values(ast.parse('A = BulkInsert(table, {"id": "uuid"})')) == [1]
    assert composed_from_values(ast.parse('A = BulkInsert("holds", {name: "uuid"})')) == [1]


@pytest.mark.parametrize(
    "path",
    [path for path in python_files("deepspace") if path.name not in {*COMPOSERS, *MIGRATIONS_ONLY}],
    ids=lambda path: str(path.relative_to(path.parents[2])),
)
def test_no_statement_is_put_together_from_values(path: Path) -> None:
    assert [where(path, line) for line in put_together(tree_of(path))] == []


@pytest.mark.parametrize(
    "source",
    [
        "connection.execute(f'SELECT {name}')",
        "connection.fetchval('SELECT %s' % name)",
        "text('SELECT ' + name)",
        "text('SELECT {}'.format(name))",
        "query = f'DELETE FROM holds WHERE id = {hold}'",
        "query = 'UPDATE holds SET state = ' + state",
        "query = 'INSERT INTO holds VALUES (%s)' % hold",
        "connection.fetch(f'{SELECT} WHERE id = {hold}')",
    ],
)
def test_the_rule_finds_statements_put_together_from_values(source: str) -> None:
    assert put_together(ast.parse(f"SELECT = 'SELECT 1'\n{source}")) == [2]


@pytest.mark.parametrize(
    "source",
    [
        "connection.execute('SELECT $1', name)",
        "connection.fetch(f'{LOCK} SELECT 1')",
        "QUERY = LOCK + 'SELECT 1'",
        "message = f'Select {name} from the list'",
        "print(f'UPDATE: {name}')",
    ],
)
def test_the_rule_leaves_parameters_constants_and_prose_alone(source: str) -> None:
    assert put_together(ast.parse(f"LOCK = 'WITH l AS (SELECT 2)'\n{source}")) == []
