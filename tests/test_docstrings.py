"""Runs every `>>>` example in the docstrings of the package.

Each module runs in a fresh temporary folder with the seeds that `conftest.py` sets. The
names `bt_keras`, `keras`, `np` and `tf` are defined.
"""

import doctest
import importlib
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras

_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_ROOT = Path(bt_keras.__file__).parent


def _modules_with_examples():
    for path in sorted(_ROOT.rglob("*.py")):
        if ">>> " in path.read_text():
            name = path.relative_to(_ROOT.parent).with_suffix("")
            yield ".".join(name.parts).removesuffix(".__init__")


def _examples(module):
    names = {"bt_keras": bt_keras, "keras": keras, "np": np, "tf": tf}
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [t for t in finder.find(module, globs=names) if t.examples]


@pytest.mark.parametrize("name", list(_modules_with_examples()))
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(verbose=False, optionflags=_OPTIONS)
    failures = []
    for example in _examples(importlib.import_module(name)):
        runner.run(example, out=failures.append)
    assert not failures, "".join(failures)
