"""Damaged files of a run: each command ends in one line, or goes on with a warning."""

import os
import shutil

import pytest

from bt_keras.cli import main
from bt_keras.evaluation.results import COLUMNS
from tests.cli.commands import one_error_line

COMMANDS = ("pretrain", "evaluate", "export", "report")
ROW = 'pretrained,4,knn,shipped,"{""k"": 200}",top1,0.5,128\r\n'


def make_run(folder, config="{}"):
    """Makes a run without checkpoints."""
    folder.mkdir()
    (folder / "config.json").write_text(config)
    return folder


def damaged_configs():
    whole = make_json()
    yield "empty", b""
    yield "list", b"[]"
    yield "number", b"3"
    yield "bytes", b"\xff\xfe{}"
    yield "half", whole[: len(whole) // 2]
    yield "data is 3", b'{"data": 3}'
    yield "backbone is null", b'{"backbone": null}'
    yield (
        "batch_size is 'x'",
        whole.replace(b'"batch_size": 2048', b'"batch_size": "x"'),
    )
    yield (
        "batch_size is True",
        whole.replace(b'"batch_size": 2048', b'"batch_size": true'),
    )
    yield "lambd is []", whole.replace(b'"lambd": 0.005', b'"lambd": []')
    yield "projector is [1.5]", whole.replace(b"8192,\n", b"1.5,\n")
    yield "names", b'{"data": {"a.b": 1}}'


def make_json():
    from bt_keras import config

    return config.to_json(config.default()).encode()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_damaged_config_is_one_line(tmp_path, capsys, command):
    run = make_run(tmp_path / "run")
    for name, content in damaged_configs():
        (run / "config.json").write_bytes(content)
        parts = ["config.json is damaged (", "take another --workdir"]
        if " is " in name:
            parts.append(name.split(" is ")[0])
        one_error_line(capsys, [command, f"--workdir={run}"], *parts)
    os.remove(run / "config.json")
    (run / "config.json").mkdir()
    one_error_line(capsys, [command, f"--workdir={run}"], "it is a folder")
    os.rmdir(run / "config.json")
    (run / "config.json").symlink_to("nowhere")
    one_error_line(capsys, [command, f"--workdir={run}"], "No such file")
    assert os.listdir(run) == ["config.json"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("export.json", b""),
        ("export.json", b"[]"),
        ("export.json", b'{"module": "m"}'),
        ("export.json", b'{"module": "m", "checks": "x", "passed": 1}'),
        ("export.json", b"\xff"),
        ("export.json", None),
    ],
)
def test_the_report_leaves_a_damaged_file_out(tmp_path, capsys, caplog, name, content):
    run = make_run(tmp_path / "run")
    if content is None:
        (run / name).mkdir()
    else:
        (run / name).write_bytes(content)
    (run / "results.csv").write_text(f"{','.join(COLUMNS)}\r\n{ROW}")
    assert main(["report", f"--workdir={run}"]) == 0
    out = capsys.readouterr().out
    assert "knn (k=200)" in out
    assert "SavedModel" not in out
    assert [name in message for message in caplog.messages] == [True]


def test_the_report_of_a_log_with_a_damaged_line(tmp_path, capsys):
    run = make_run(tmp_path / "run")
    lines = "epoch,loss\r\n0,3.5\r\n1,2.", "epoch,invariance\r\n", "nothing\r\n"
    for content, shown in zip(lines, (True, False, False), strict=True):
        (run / "log.csv").write_text(content)
        assert main(["report", f"--workdir={run}"]) == 0
        printed = capsys.readouterr()
        assert ("loss, epoch 1:  3.5" in printed.out) == shown
        assert "Traceback" not in printed.err


FINE_TUNED = 'pretrained,4,finetune,shipped,"labels=10%, 3 steps",top1,0.5,128\r\n'


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (f"{','.join(COLUMNS)}\r\n{FINE_TUNED}".encode(), "line 2: not a result"),
        (f"{','.join(COLUMNS)}\r\n{FINE_TUNED}".encode(), "'images'"),
        (f"{','.join(COLUMNS[:-1])}\r\n".encode(), "no column 'test_images'"),
        (ROW.encode(), "line 1"),
        (b"\xff\r\n", "byte 0xff in position 0"),
        (f"{','.join(COLUMNS)}\r\n{ROW}".encode().replace(b"200}", b"[2]}"), "'k'"),
        (f"{','.join(COLUMNS)}\r\n\0\r\n".encode(), "line 2"),
        (f'{",".join(COLUMNS)}\r\n"{"x" * 200_000}"\r\n'.encode(), "field larger"),
        (None, "results.csv is damaged (it is a folder)"),
    ],
)
def test_damaged_results_are_one_line(tmp_path, capsys, content, part):
    run = make_run(tmp_path / "run")
    if content is None:
        (run / "results.csv").mkdir()
    else:
        (run / "results.csv").write_bytes(content)
    one_error_line(capsys, ["report", f"--workdir={run}"], "results.csv", part)


def test_other_metrics_of_fine_tuning_have_a_line_in_the_other_table(tmp_path, capsys):
    run = make_run(tmp_path / "run")
    row = 'pretrained,4,finetune,shipped,"labels=10%, images=9, 3 steps",{},0.5,128\r\n'
    for metrics in (["f1"], ["top5"], ["f1", "top1"]):
        rows = "".join(map(row.format, metrics))
        (run / "results.csv").write_text(f"{','.join(COLUMNS)}\r\n{rows}")
        assert main(["report", f"--workdir={run}"]) == 0
        out = capsys.readouterr().out
        assert "50.00" in out or "0.5" in out


def test_a_file_in_place_of_a_folder_and_a_folder_in_place_of_a_file(
    copied, recipe, capsys
):
    command = ["pretrain", f"--config={recipe}", f"--workdir={copied}"]
    shutil.rmtree(copied / "tensorboard")
    (copied / "tensorboard").write_text("mine")
    one_error_line(capsys, command, "cannot be written: File exists", "tensorboard")
    os.remove(copied / "lock")
    (copied / "lock").mkdir()
    one_error_line(capsys, command, "cannot be written: Is a directory", "lock")


def test_a_damaged_log_does_not_stop_a_run(copied, recipe, capsys, caplog):
    whole = (copied / "log.csv").read_bytes()
    (copied / "log.csv").write_bytes(whole + b"\xff")
    command = ["pretrain", f"--config={recipe}", f"--workdir={copied}"]
    assert main(command) == 0
    assert "damaged lines are removed (line 4)" in caplog.text
    assert (copied / "log.csv").read_bytes() == whole


def test_paths_of_flags_may_start_with_the_home_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # Windows's.
    make_run(tmp_path / "run")
    assert main(["report", "--workdir=~/run"]) == 0
    one_error_line(capsys, ["report", "--workdir=~/other"], str(tmp_path / "other"))
