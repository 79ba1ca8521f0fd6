import pytest
import tensorflow as tf

from bt_keras.errors import UsageError
from bt_keras.files import event_files


def test_a_log_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    folder = tmp_path / "file" / "log"
    with (
        pytest.raises(UsageError, match="free space, or choose another") as error,
        event_files.reporting(folder, "choose another folder."),
    ):
        tf.summary.create_file_writer(str(folder)).flush()
    assert str(error.value).startswith(f"{folder} cannot be written (")
    assert "\n" not in str(error.value)
