"""Strategies and workers that prevent a run from starting."""

import socket

import pytest

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
