"""Strategies and workers that prevent a run from starting."""

import importlib
import socket
import subprocess
import sys

import pytest

from bt_keras.cli import start
from tests import processes
from tests.cli.commands import one_error_line


@pytest.mark.parametrize(
    ("tf_config", "flags", "parts"),
    [
        (None, ["--strategy=horovod"], ["horovod", "auto, one, mirrored"]),
        (None, ["--strategy=tpu"], ["no TPU", "TPU_NAME"]),
        (None, ["--strategy=multi_worker"], ["TF_CONFIG", "srun"]),
        (None, ["--on_nan=ignore"], ["ignore", "stop, rollback"]),
        ("{cluster", [], ["TF_CONFIG", "JSON"]),
        ('{"cluster": {"worker": ["here"]}}', [], ["here", "host"]),
        (
            '{"cluster": {"worker": ["127.0.0.1:PORT", "127.0.0.1:1"]},'
            ' "task": {"type": "worker", "index": 0}}',
            ["--join_timeout=0.2"],
            ["worker 1 (127.0.0.1:1)", "0.2 s"],
        ),
        (
            '{"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:PORT"]},'
            ' "task": {"type": "worker", "index": 1}}',
            ["--join_timeout=0.2"],
            ["the chief", "127.0.0.1:1"],
        ),
        (
            '{"cluster": {"worker": ["127.0.0.1:TAKEN", "127.0.0.1:1"]},'
            ' "task": {"type": "worker", "index": 0}}',
            [],
            ["port", "in use"],
        ),
    ],
    ids=str,
)
def test_invalid_strategies_and_clusters_are_errors(
    recipe, tmp_path, capsys, monkeypatch, tf_config, flags, parts
):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        if tf_config:
            (port,) = processes.free_ports(1)
            tf_config = tf_config.replace("PORT", str(port))
            tf_config = tf_config.replace("TAKEN", str(taken.getsockname()[1]))
            monkeypatch.setenv("TF_CONFIG", tf_config)
        arguments = ["pretrain", "--config", recipe, "--workdir", tmp_path / "run"]
        one_error_line(capsys, [*arguments, *flags], *parts)
    assert not (tmp_path / "run").exists()


# Prints the packages of a list that a command has imported before it does its work, and
# whether they can be imported afterwards.
IMPORTED = """
import sys
from bt_keras.cli import main, start
names = sys.argv[1:]
start.tensorflow()
import bt_keras.training.pretrain
print(*sorted(set(names) & set(sys.modules)))
import matplotlib.pyplot, sklearn
"""


@pytest.mark.slow
def test_the_start_of_pretrain_imports_only_what_it_uses():
    names = ["keras_cv", "kagglehub", "matplotlib", "sklearn", "tensorflow"]
    names += ["tensorflow_datasets", "tensorflow_hub", "tf_keras"]
    command = [sys.executable, "-c", IMPORTED, *names]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["tensorflow"]


def test_packages_are_hidden_only_inside():
    assert "json" in sys.modules
    with start.without(["json", "this", "sched"]):
        assert importlib.import_module("json").loads("1") == 1
        with pytest.raises(ImportError):
            importlib.import_module("this")
        with pytest.raises(ImportError):
            importlib.import_module("sched")
    assert "this" not in sys.modules
    assert importlib.import_module("sched")
