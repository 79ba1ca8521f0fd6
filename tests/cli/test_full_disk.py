"""Files that cannot be written: one line, and nothing half-written is left.

No file may grow beyond a limit, which every library notices as it does a full disk.
"""

import contextlib
import resource
import tempfile
from unittest import mock

import pytest

from bt_keras import UsageError
from bt_keras.cli import main
from bt_keras.evaluation import plots, results
from bt_keras.export import archive, export_run
from bt_keras.files.scratch import scratch_folder
from bt_keras.training.tensorboard import TensorBoard
from bt_keras.workdir import Workdir
from tests.cli.commands import one_error_line


@contextlib.contextmanager
def limited(module, name, size):
    """Keeps a function from writing larger files than `size` bytes."""
    function = getattr(module, name)

    def with_limit(*args, **kwargs):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            return function(*args, **kwargs)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    with mock.patch.object(module, name, with_limit):
        yield


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("module", "name", "size"),
    [
        (export_run, "export_backbone", 8_000),
        (export_run, "export_backbone", 30_000),
        (export_run, "export_backbone", 200_000),
        (archive, "pack", 1_000),
        (Workdir, "replace", 10),
    ],
)
def test_a_module_that_cannot_be_written(copied, capsys, module, name, size):
    before = names(copied)
    with limited(module, name, size):
        one_error_line(capsys, ["export", f"--workdir={copied}"], "cannot be written")
    assert names(copied) == before


@pytest.mark.parametrize(
    ("kind", "size"), [("keras", 100), ("keras", 8_000), ("tflite", 9)]
)
def test_a_file_that_cannot_be_written(copied, capsys, kind, size):
    before = names(copied)
    command = ["export", f"--workdir={copied}", f"--format={kind}"]
    with limited(export_run, "_write_checked", size):
        one_error_line(capsys, command, "cannot be written")
    assert names(copied) == before


def test_results_are_printed_before_they_are_written(copied, capsys):
    path = copied / "results.csv"
    command = ["evaluate", f"--workdir={copied}", "--untrained", "--remeasure"]
    for before in (0, 4):
        content = path.read_bytes() if before else b""
        with limited(results, "append", len(content) + 50):
            assert main(command) == 2
        printed = capsys.readouterr()
        assert "untrained" in printed.out
        assert "knn" in printed.out
        (line,) = printed.err.strip().splitlines()
        assert line.startswith(f"bt-keras: error: workdir {copied} cannot be written")
        assert path.exists() == bool(before)
        assert not before or path.read_bytes() == content
        assert main(command) == 0
        assert len(results.read(path)) == before + 4
        capsys.readouterr()


def test_a_plot_that_cannot_be_written(copied, capsys, tmp_path):
    plot = tmp_path / "plot.png"
    plot.write_bytes(b"older")
    command = ["evaluate", f"--workdir={copied}", "--protocol=finetune"]
    command += ["--seeds=1", f"--plot={plot}"]
    with limited(plots, "label_shares", 10_000):
        assert main(command) == 2
    printed = capsys.readouterr()
    assert "100%" in printed.out
    assert [str(plot) in line for line in printed.err.strip().splitlines()] == [True]
    assert plot.read_bytes() == b"older"
    assert not list(tmp_path.glob(".plot*"))


def test_no_space_for_temporary_files(copied, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    command = ["export", f"--workdir={copied}", "--format=tflite"]
    one_error_line(capsys, command, "epoch-0002.keras", "or set TMPDIR")
    with pytest.raises(UsageError, match=r"no temporary folder.*or set TMPDIR"):
        scratch_folder().__enter__()


def test_logs_that_cannot_be_written_end_the_run(copied, recipe, capsys):
    before = sorted((copied / "checkpoints").iterdir())
    command = ["pretrain", f"--config={recipe}", f"--workdir={copied}"]
    command += ["--config.epochs=3"]
    config = (copied / "config.json").read_text()
    (copied / "config.json").write_text(config.replace('"epochs": 2', '"epochs": 3', 1))
    with limited(TensorBoard, "on_epoch_end", 10):
        assert main(command) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert "cannot be written" in lines[0]
    assert sorted((copied / "checkpoints").iterdir()) == before
