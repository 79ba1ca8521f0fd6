"""A signal ends every command with one line; a second one does not interrupt it."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from bt_keras import system
from bt_keras.cli import main, signals
from bt_keras.cli.main import COMMANDS
from bt_keras.cli.signals import SignaledError, raising
from bt_keras.distribution import stop_request


@pytest.fixture(autouse=True)
def not_ignored():
    """`nohup`, or a shell in the background, may have started the tests."""
    numbers = (signal.SIGINT, *system.STOP_SIGNALS)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def in_report(monkeypatch):
    """`in_report(function)`: calls it in the middle of `bt-keras report`."""

    def replace(function):
        monkeypatch.setattr("bt_keras.cli.report.run", lambda _: function())

    return replace


@pytest.mark.parametrize("number", system.STOP_SIGNALS)
def test_a_signal_ends_a_command_with_one_line(number, in_report, capsys):
    in_report(lambda: signal.raise_signal(number))
    before = signal.getsignal(number)
    assert main(["report"]) == 128 + number
    name = signal.Signals(number).name
    assert capsys.readouterr().err == f"bt-keras: stopped by {name}\n"
    assert signal.getsignal(number) is before


def test_pretrain_can_be_repeated(monkeypatch, capsys):
    def stopped(_):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("bt_keras.cli.pretrain.run", stopped)
    assert main(["pretrain"]) == 75
    assert "the same command resumes" in capsys.readouterr().err


def test_two_interrupts_let_the_cleanup_finish(in_report, capsys):
    cleaned = []

    def interrupted():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            cleaned.append(True)

    in_report(interrupted)
    assert main(["report"]) == 130
    assert cleaned == [True]
    assert capsys.readouterr().err == "bt-keras: interrupted\n"


def test_the_signal_is_the_cause_of_what_interrupted_code_raises(in_report, capsys):
    def importing():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise ImportError("numpy failed to import") from error

    in_report(importing)
    assert main(["report"]) == 130
    assert capsys.readouterr().err == "bt-keras: interrupted\n"


def test_a_later_signal_counts_again(monkeypatch):
    monkeypatch.setattr(signals, "_REPEATED_SECONDS", 0.0)
    with raising():
        for _ in range(2):
            with pytest.raises(SignaledError, match="SIGTERM"):
                signal.raise_signal(signal.SIGTERM)


def test_ignored_signals_stay_ignored():
    """`nohup` ignores SIGHUP before it starts a command."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with raising(), stop_request.handled_by(lambda number, frame: None):
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_commands_run_in_other_threads(capsys):
    """Only the main thread can handle signals."""
    statuses = []
    thread = threading.Thread(target=lambda: statuses.append(main(["--help"])))
    thread.start()
    thread.join()
    assert statuses == [0]
    assert COMMANDS[0] in capsys.readouterr().out


@pytest.fixture
def exporting(copied, tmp_path):
    """A process that exports a run and has begun to write the module."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "bt_keras.cli", "export", f"--workdir={copied}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    while not list(copied.glob(".module-*")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    yield process
    process.kill()
    process.wait()


@pytest.mark.slow
def test_export_leaves_nothing_behind(exporting, copied, tmp_path):
    before = {"checkpoints", "config.json", "lock", "log.csv", "tensorboard"}
    exporting.send_signal(signal.SIGTERM)
    _, error = exporting.communicate()
    assert exporting.returncode == 143
    assert error == "bt-keras: stopped by SIGTERM\n"
    left = {path.name for path in copied.iterdir()} - before - {"views.png"}
    assert not {name for name in left if "module" in name}
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.slow
def test_the_process_that_checks_a_module_ends(copied, tmp_path, monkeypatch, capsys):
    module, pid = tmp_path / "module", tmp_path / "pid"
    assert main(["export", f"--workdir={copied}", f"--out={module}"]) == 0
    script = tmp_path / "script.py"
    script.write_text(
        "import os, pathlib, signal, time\n"
        f"pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\n"
        "os.kill(os.getppid(), signal.SIGHUP)\n"
        "while True:\n    time.sleep(1)\n"
    )
    monkeypatch.setattr("bt_keras.export.verify._SCRIPT", script)
    capsys.readouterr()
    assert main(["export", f"--verify={module}"]) == 129
    assert capsys.readouterr().err == "bt-keras: stopped by SIGHUP\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
