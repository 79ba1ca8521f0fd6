"""Runs every `>>>` example in the docstrings of the package."""

import doctest
import importlib
import pkgutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras

_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def _modules():
    found = pkgutil.walk_packages(bt_keras.__path__, "bt_keras.")
    return [m.name for m in found if not m.name.endswith("__main__")]


def _examples(module):
    names = {"bt_keras": bt_keras, "keras": keras, "np": np, "tf": tf}
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [t for t in finder.find(module, globs=names) if t.examples]


@pytest.mark.parametrize("name", _modules())
def test_examples(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=_OPTIONS)
    for example in _examples(importlib.import_module(name)):
        runner.run(example)
    assert runner.summarize(verbose=False).failed == 0, capsys.readouterr().out
