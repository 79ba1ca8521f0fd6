import os

import pytest

import bt_keras
from bt_keras.files import reading


def test_a_fifo_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ValueError, match="not a file"):
        reading.read_bytes(tmp_path / "fifo")


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "huge"
    path.touch()
    os.truncate(path, 10 * reading.LARGEST)
    with pytest.raises(ValueError, match="671,088,640 bytes"):
        reading.read_bytes(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff{}", "byte 0 is not UTF-8"),
        (b"", "Expecting value"),
        (b"[1]", "not a JSON object"),
        (b"[" * 100_000, "nested too deeply"),
    ],
    ids=["bytes", "empty", "list", "deep"],
)
def test_other_contents_than_a_json_object(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        reading.read_json_object(path)
    with (
        pytest.raises(
            bt_keras.UsageError, match=rf"file is damaged \(.*{message}.*: x"
        ),
        reading.reporting_damage(path, "x"),
    ):
        reading.read_json_object(path)


def test_a_damaged_file_gets_another_name_and_folders_are_kept(tmp_path):
    for content in ("first", "second"):
        (tmp_path / "log").write_text(content)
        assert reading.set_aside(tmp_path / "log") == "log.damaged"
    assert (tmp_path / "log.damaged").read_text() == "second"
    for name in ("log.damaged-2", "log.damaged-3"):
        (tmp_path / "log" / "mine").mkdir(parents=True)
        assert reading.set_aside(tmp_path / "log") == name
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("log.damaged", "log.damaged-2", "log.damaged-3")
    ]
