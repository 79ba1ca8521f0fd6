"""Files that cannot be written: one line, and nothing half-written is left.

No file may grow beyond a limit, which every library notices as it does a full disk.
"""

import contextlib
import resource
import tempfile

import pytest

from bt_keras.cli import main
from bt_keras.evaluation import results
from tests.cli.commands import one_error_line


@contextlib.contextmanager
def largest_file(size):
    """Limits the size of the files that this process writes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("size", [100, 4_000, 20_000, 100_000])
def test_a_module_that_cannot_be_written(copied, capsys, size):
    before = names(copied)
    with largest_file(size):
        one_error_line(capsys, ["export", f"--workdir={copied}"], "cannot be written")
    assert names(copied) == before


@pytest.mark.parametrize("size", [100, 3_000, 8_000])
@pytest.mark.parametrize("kind", ["keras", "tflite"])
def test_a_file_that_cannot_be_written(copied, capsys, kind, size):
    before = names(copied)
    command = ["export", f"--workdir={copied}", f"--format={kind}"]
    with largest_file(size):
        one_error_line(capsys, command, "cannot be written")
    assert names(copied) == before


def test_results_are_printed_before_they_are_written(copied, capsys):
    path = copied / "results.csv"
    for command in (["evaluate", f"--workdir={copied}", "--untrained"],) * 2:
        before = path.read_bytes() if path.exists() else b""
        with largest_file(len(before) + 50):
            assert main(command) == 2
        printed = capsys.readouterr()
        assert "untrained" in printed.out
        assert "knn" in printed.out
        (line,) = printed.err.strip().splitlines()
        assert line.startswith(f"bt-keras: error: workdir {copied} cannot be written")
        assert path.read_bytes() == before
        assert main(command) == 0
        assert len(results.read(path)) == (4 if not before else 8)
        capsys.readouterr()


def test_a_plot_that_cannot_be_written(copied, capsys, tmp_path):
    plot = tmp_path / "plot.png"
    plot.write_bytes(b"older")
    command = ["evaluate", f"--workdir={copied}", "--protocol=finetune"]
    command += ["--labels=100%", "--seeds=1", f"--plot={plot}"]
    with largest_file(10_000):
        assert main(command) == 2
    printed = capsys.readouterr()
    assert "100%" in printed.out
    assert [str(plot) in line for line in printed.err.strip().splitlines()] == [True]
    assert plot.read_bytes() == b"older"
    assert not list(tmp_path.glob(".plot*"))


def test_no_space_for_temporary_files(copied, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    command = ["export", f"--workdir={copied}", "--format=tflite"]
    one_error_line(capsys, command, "no temporary folder", "set TMPDIR")


def test_logs_that_cannot_be_written_end_the_run(copied, recipe, capsys):
    before = sorted((copied / "checkpoints").iterdir())
    command = ["pretrain", f"--config={recipe}", f"--workdir={copied}"]
    command += ["--config.epochs=3"]
    config = (copied / "config.json").read_text()
    (copied / "config.json").write_text(config.replace('"epochs": 2', '"epochs": 3', 1))
    with largest_file(2_000):
        assert main(command) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert "cannot be written" in lines[0]
    assert sorted((copied / "checkpoints").iterdir()) == before
