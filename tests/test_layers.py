"""CONTRIBUTING.md: which modules may import which, and which tests belong to them."""

import ast
import re

import pytest

from tests.markdown import ROOT

_TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
_ROWS = [
    row.split(", ")
    for row in re.findall(
        r'\["<b>([^<]*)</b>', _TEXT.split("## Layers")[1].split("```")[1]
    )
]
_FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
        ".__init__"
    ): path
    for path in sorted((ROOT / "bt_keras").rglob("*.py"))
}
_ABOVE_ALL = "bt_keras"  # It imports public names lazily, from every row.


def _row(module):
    """Returns the number of a module's row; modules outside of folders are the base."""
    room = module.split(".")[1]
    return next((i for i, row in enumerate(_ROWS) if room in row), len(_ROWS) - 1)


def _imports(module):
    """Yields the modules that a module imports, also inside functions."""
    for node in ast.walk(ast.parse(_FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            name = name if name in _FILES else name.rpartition(".")[0]
            if name in _FILES and name not in (module, _ABOVE_ALL):
                yield name


_GRAPH = {name: set(_imports(name)) for name in _FILES if name != _ABOVE_ALL}


def test_every_folder_has_a_row():
    rooms = {path.parent.name for path in (ROOT / "bt_keras").glob("*/__init__.py")}
    assert rooms <= {room for row in _ROWS for room in row}
    assert sum(map(len, _GRAPH.values())) > 300


@pytest.mark.parametrize("module", _GRAPH)
def test_imports_come_from_the_same_row_or_below(module):
    assert not [name for name in _GRAPH[module] if _row(name) < _row(module)]


def test_there_is_no_circle():
    left = dict(_GRAPH)
    while free := [name for name in left if not left[name] & left.keys()]:
        for name in free:
            del left[name]
    assert not left


def test_every_module_has_tests_or_is_listed():
    listed = set()
    table = _TEXT.split("## Modules tested through others")[1]
    for folder, names in re.findall(r"^\| `([\w/]+)/` \| ([^|]*) \|", table, re.M):
        listed |= {f"{folder}/{name}.py" for name in re.findall(r"`(\w+)`", names)}
    untested = set()
    for path in _FILES.values():
        name = path.relative_to(ROOT)
        test = ROOT.joinpath("tests", *name.parts[1:-1], f"test_{name.name}")
        if not (name.stem.startswith("__") or "shipped" in name.parts or test.exists()):
            untested.add(name.as_posix())
    assert listed == untested
