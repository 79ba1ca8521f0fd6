import pytest

from bt_keras.files import log_file
from bt_keras.workdir import Workdir

HEADER = b"epoch,loss,val_loss\r\n"
LINES = [b"0,3.5,NA\r\n", b"1,2.5,NA\r\n", b"2,1.5,NA\r\n"]
WHOLE = HEADER + b"".join(LINES)


def workdir_with(tmp_path, content):
    workdir = Workdir(tmp_path)
    workdir.log_file.write_bytes(content)
    return workdir


def test_the_lines_after_the_checkpoint_are_removed(tmp_path, caplog):
    workdir = workdir_with(tmp_path, WHOLE)
    assert workdir.last_log() == {"epoch": 2.0, "loss": 1.5}
    workdir.cut_log(2)
    assert workdir.log_file.read_bytes() == HEADER + b"".join(LINES[:2])
    assert not caplog.messages


@pytest.mark.parametrize(
    "damage",
    [
        b"2,1.",
        b"2,1.5,NA",
        b"2,1.52,1.5,NA\r\n",
        b"2,\xff,NA\r\n",
        b"x,1.5,NA\r\n",
        b"9" * 400 + b",1.5,NA\r\n",
        b"9" * 5000 + b",1.5,NA\r\n",
        b"\x00\x00\x00\x00",
    ],
    ids=[
        "half",
        "no line end",
        "one and a half",
        "bytes",
        "no epoch",
        "inf",
        "digits",
        "zeros",
    ],
)
def test_a_damaged_line_is_removed_and_reported(tmp_path, caplog, damage):
    workdir = workdir_with(tmp_path, HEADER + b"".join(LINES[:2]) + damage)
    assert workdir.last_log() == {"epoch": 1.0, "loss": 2.5}
    workdir.cut_log(3)
    assert workdir.log_file.read_bytes() == HEADER + b"".join(LINES[:2])
    assert caplog.messages == [
        f"{workdir.log_file}: damaged lines are removed (line 4)."
    ]


@pytest.mark.parametrize("content", [b"", b"epoch,lo"], ids=["empty", "half a header"])
def test_without_a_header_the_log_starts_again(tmp_path, content):
    workdir = workdir_with(tmp_path, content)
    assert workdir.last_log() == {}
    workdir.cut_log(3)
    assert workdir.log_file.read_bytes() == b""


@pytest.mark.parametrize("content", [b"\xff\xfe\n1,2\n", None], ids=["text", "folder"])
def test_another_file_is_set_aside(tmp_path, caplog, content):
    workdir = Workdir(tmp_path)
    if content is None:
        workdir.log_file.mkdir()
    else:
        workdir.log_file.write_bytes(content)
    assert log_file.read(workdir.log_file) is None
    assert workdir.last_log() == {}
    workdir.cut_log(3)
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv.damaged"]
    assert "renamed to log.csv.damaged" in caplog.text
