"""What commands print may be lost; they go on, and their results are kept."""

import io
import json
import os
import subprocess
import sys

import pytest

from bt_keras.cli import main, streams


def text_stream(raw, encoding="utf-8", errors="strict"):
    return io.TextIOWrapper(raw, encoding=encoding, errors=errors, write_through=True)


class Failing(io.RawIOBase):
    """Like a pipe whose reader has ended."""

    def writable(self):
        return True

    def write(self, data):
        raise BrokenPipeError(32, "Broken pipe")


def test_the_first_error_is_kept_and_later_text_discarded():
    stream = streams.TolerantStream(text_stream(Failing()))
    assert stream.error is None
    assert stream.write("text\n") == 5
    first = stream.error
    assert isinstance(first, BrokenPipeError)
    stream.writelines(["a", "b"])
    stream.flush()
    assert stream.error is first
    assert stream.encoding == "utf-8"


def test_a_full_device_is_replaced_by_the_null_device():
    """Python flushes again when the process ends, and TensorFlow prints, too."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        stream = streams.TolerantStream(full)
        stream.write("text\n")
        stream.flush()
        assert stream.error.strerror == "No space left on device"
        assert os.path.samestat(os.fstat(full.fileno()), os.stat(os.devnull))


@pytest.mark.parametrize("closed", [None, io.StringIO()])
def test_a_closed_stream_takes_everything(closed):
    if closed:
        closed.close()
    stream = streams.TolerantStream(closed)
    stream.write("text\n")
    stream.flush()
    assert stream.error is None


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("ascii", "== 71.4 +- 0.3 ?\n"), ("latin-1", "== 71.4 +- 0.3 \xe9\n")],
)
def test_characters_that_the_stream_lacks(encoding, expected):
    raw = io.BytesIO()
    stream = streams.TolerantStream(text_stream(raw, encoding))
    stream.write("━━ 71.4 ± 0.3 \xe9\n")
    assert raw.getvalue().decode(encoding) == expected
    assert stream.error is None


@pytest.fixture
def swapped(monkeypatch):
    """`swapped(name, file)`: replaces a standard stream, as a shell would."""

    def swap(name, file):
        monkeypatch.setattr(sys, name, file)

    return swap


def test_report_to_a_full_device_is_one_line(run, swapped, capsys):
    with open("/dev/full", "w", encoding="utf-8") as full:
        swapped("stdout", full)
        assert main(["report", f"--workdir={run}", "--nohtml"]) == 2
    error = capsys.readouterr().err
    assert error == (
        "bt-keras: error: standard output cannot be written (No space left on device); "
        "the output is lost.\n"
    )


def test_help_without_streams(swapped):
    swapped("stdout", None)
    swapped("stderr", None)
    assert main(["evaluate", "--help"]) == 0
    assert main(["evaluate"]) == 2
    assert sys.stdout is None


def test_training_goes_on_without_its_output(recipe, tmp_path, swapped, capsys):
    swapped("stdout", text_stream(Failing()))
    workdir = tmp_path / "run"
    assert main(["pretrain", f"--config={recipe}", f"--workdir={workdir}"]) == 0
    assert (workdir / "checkpoints" / "epoch-0002.keras").exists()
    error = capsys.readouterr().err
    assert error == (
        "bt-keras: warning: standard output cannot be written (Broken pipe); the run "
        "is finished.\n"
    )


def test_results_are_kept_if_they_cannot_be_printed(copied, swapped):
    swapped("stdout", text_stream(Failing()))
    assert main(["evaluate", f"--workdir={copied}"]) == 141
    assert len((copied / "results.csv").read_text().splitlines()) > 1


@pytest.mark.slow
def test_processes_without_streams_and_with_other_settings_of_keras(copied, tmp_path):
    """The shell closes the streams; another process checks the module."""
    (tmp_path / "keras.json").write_text('{"backend": "torch", "floatx": "float16"}')
    settings = {"KERAS_BACKEND": "jax", "KERAS_HOME": str(tmp_path)}
    commands = [
        f"evaluate --workdir={copied} >&- 2>&-",
        f"export --workdir={copied} --out={tmp_path}/module <&- >&- 2>&-",
        "pretrain --help > /dev/full",
    ]
    program = f"exec {sys.executable} -m bt_keras.cli"
    done = [
        subprocess.run(
            ["bash", "-c", f"{program} {command}"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **settings},
        )
        for command in commands
    ]
    assert [process.returncode for process in done] == [0, 0, 2]
    assert [len(process.stderr.splitlines()) for process in done] == [0, 0, 1]
    assert "knn" in (copied / "results.csv").read_text()
    report = json.loads((copied / "export.json").read_text())
    assert report["passed"] == report["checks"]
