"""Keras must compute with TensorFlow: one line otherwise, when bt_keras is imported."""

import json
import os
import subprocess
import sys

import pytest

import bt_keras
from bt_keras import keras_backend, program


@pytest.fixture
def not_imported(monkeypatch, tmp_path):
    """As if Keras was not imported; its settings are in the returned folder."""
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


def test_the_backend_of_imported_keras():
    keras_backend.check()


def test_another_backend_of_imported_keras(monkeypatch):
    monkeypatch.setattr("keras.config.backend", lambda: "torch")
    with pytest.raises(bt_keras.UsageError, match="already imported with 'torch'"):
        keras_backend.check()


def test_the_environment_variable_comes_before_the_file(not_imported, monkeypatch):
    (not_imported / "keras.json").write_text(json.dumps({"backend": "torch"}))
    with pytest.raises(bt_keras.UsageError, match=r"keras\.json sets 'torch'"):
        keras_backend.check()
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(bt_keras.UsageError, match="KERAS_BACKEND is 'jax': set this"):
        keras_backend.check()
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    keras_backend.check()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "{", "\0", '{"backend": "tensorflow"}']
)
def test_files_that_set_no_other_backend(not_imported, text):
    (not_imported / "keras.json").write_text(text)
    keras_backend.check()


@pytest.mark.parametrize(
    ("command", "is_command"),
    [
        (["/usr/bin/bt-keras"], True),
        (["bt-keras.exe"], True),
        (["-m", "bt_keras.cli", "report"], True),
        (["-m", "train"], False),
        ([""], False),
        (["train.py"], False),
    ],
)
def test_which_programs_are_the_command(monkeypatch, command, is_command):
    monkeypatch.setattr(sys, "argv", command[:1])
    monkeypatch.setattr(sys, "orig_argv", ["python", *command])
    assert program.is_command() == is_command


def test_processes_with_another_backend():
    environment = {**os.environ, "KERAS_BACKEND": "jax"}

    def run(*arguments):
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )

    done = run("-c", "import bt_keras")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("bt_keras.errors.UsageError: bt_keras needs KERAS_BACKEND=")
    done = run("-m", "bt_keras.cli", "report")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "--workdir is missing" in done.stderr
