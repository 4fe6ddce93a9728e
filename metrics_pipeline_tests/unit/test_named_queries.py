from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from metrics_pipeline import sql
from metrics_pipeline.sql import driver_query, queries

PACKAGE = Path(sql.__file__).parents[1]


@pytest.fixture(scope="module")
def used() -> dict[str, str]:
    """Names of queries that the package's source uses, each with one file that does.

    A name is used where it is given to `query`, `driver_query` or `queries()[...]`, or to a function
    that passes its argument on to one of these.
    """
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
    takers, known = {"query": 0, "driver_query": 0}, 0
    while len(takers) > known:  # until nothing more passes its argument on
        known = len(takers)
        for tree in trees.values():
            takers |= dict(_passing_on(tree, takers))
    return {name: str(path.relative_to(PACKAGE)) for path, tree in trees.items() for name in _names_used(tree, takers)}


def _names_used(tree: ast.Module, takers: dict[str, int]) -> set[str]:
    """In a module that takes names from a table of its own, those among its strings that are queries."""
    given = list(_names_given(tree, takers))
    literal = set(_strings(given))
    from_a_table = any(isinstance(name, ast.Name) for name in given)
    return literal | (set(_strings(ast.walk(tree))) & set(queries()) if from_a_table else set())


def _strings(nodes: Iterable[ast.AST]) -> Iterator[str]:
    return (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _passing_on(tree: ast.Module, takers: dict[str, int]) -> Iterator[tuple[str, int]]:
    """Functions that look a query up by one of their parameters, and which one."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            parameters = [argument.arg for argument in function.args.args]
            offset = 1 if parameters[:1] == ["self"] else 0
            for name in _names_given(function, takers):
                if isinstance(name, ast.Name) and name.id in parameters:
                    yield function.name, parameters.index(name.id) - offset


def _names_given(tree: ast.AST, takers: dict[str, int]) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "queries()":
            yield node.slice
        if isinstance(node, ast.Call):
            place = takers.get(ast.unparse(node.func).split(".")[-1])
            if place is not None and place < len(node.args):
                yield node.args[place]


def test_every_query_that_is_used_is_defined(used: dict[str, str]) -> None:
    assert {name: file for name, file in used.items() if name not in queries()} == {}


def test_every_query_that_is_defined_is_used(used: dict[str, str]) -> None:
    assert sorted(set(queries()) - set(used)) == []


def test_every_query_says_its_purpose() -> None:
    assert [name for name, body in queries().items() if not body.startswith("-- ")] == []


def test_a_name_defined_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.sql").write_text("-- name: same\nSELECT 1;\n")
    (tmp_path / "b.sql").write_text("-- name: same\nSELECT 2;\n")
    monkeypatch.setattr(sql, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(ValueError, match=r"query same is defined twice, the second time in b\.sql"):
        queries.__wrapped__()


def test_queries_for_the_driver_have_its_parameters_and_keep_casts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "queries", lambda: {"some": "SELECT a::text FROM t WHERE a % 2 = :rest AND b = :b"})
    assert driver_query("some") == "SELECT a::text FROM t WHERE a %% 2 = %(rest)s AND b = %(b)s"
    assert driver_query("some", binary=True) == "SELECT a::text FROM t WHERE a %% 2 = %(rest)b AND b = %(b)b"
