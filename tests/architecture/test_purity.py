"""The core knows no clock, no I/O and no framework."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = sorted(path for app in ("riskops", "trading") for path in (ROOT / app / "domain").rglob("*.py"))

PURE_LIBRARIES = {
    "__future__", "bisect", "collections", "dataclasses", "datetime", "decimal", "enum", "functools", "hashlib",
    "heapq", "hmac", "itertools", "json", "math", "numba", "numpy", "operator", "re", "statistics", "tomllib",
    "types", "typing",
    "riskops", "trading", "unicodedata",
}  # fmt: skip
SEEDED = {"contextlib", "random"}  # the worlds draw from `Random(seed)`, never from the module's own generator
CLOCKS_AND_DOORS = {"now", "utcnow", "today", "time", "open", "print", "input"}


def calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("path", CORE, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_core_is_pure(path: Path) -> None:
    tree = ast.parse(path.read_text())

    is_world = "simulation" in path.parts
    assert set(imports(tree)) <= PURE_LIBRARIES | (SEEDED if is_world else set())
    assert not is_world or "import random" not in path.read_text()
    assert not CLOCKS_AND_DOORS & set(calls(tree))
