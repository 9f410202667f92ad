"""No file that can run code when it is read: nothing in the product pickles, and nothing reads a pickle."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("trading", "riskops", "gridconsole", "benchmarks")
MODULES = frozenset({"pickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "pandas.io.pickle"})
CALLS = frozenset({
    "torch.load", "torch.save", "torch.jit.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load",
    "pd.read_pickle", "pandas.read_pickle",
})  # fmt: skip
ARGUMENTS = frozenset({"weights_only=False", "allow_pickle=True"})


def violations(source: str) -> Iterator[str]:
    """Yield what of `source` reads or writes a pickle."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if _is_pickler(name.name))
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{name.name}" for name in node.names}
            yield from sorted(names & CALLS)
            if _is_pickler(node.module or ""):
                yield str(node.module)
        elif isinstance(node, ast.Attribute | ast.keyword) and ast.unparse(node) in CALLS | ARGUMENTS:
            yield ast.unparse(node)


def _is_pickler(module: str) -> bool:
    return module in MODULES or module.split(".")[0] in MODULES


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_pickles(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    found = {str(path.relative_to(ROOT)): list(violations(path.read_text())) for path in files}

    assert files
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.externals",
        "import torch\ntorch.load('a')",
        "from torch import save",
        "import yaml\nyaml.load('a', Loader=yaml.Loader)",
        "read = yaml.unsafe_load",
        "anything('a', weights_only=False)",
        "np.load('a', allow_pickle=True)",
        "def f():\n    import dill",
    ],
)
def test_each_way_to_pickle_is_seen(source: str) -> None:
    assert list(violations(source))


@pytest.mark.parametrize("source", ["yaml.safe_load('a')", "torch.tensor(1)", "load('a', weights_only=True)"])
def test_what_does_not_pickle_is_let_through(source: str) -> None:
    assert not list(violations(source))
