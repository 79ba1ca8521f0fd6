import pytest

import bt_keras
from bt_keras.checkpoint.progress import Progress
from bt_keras.convert.keras_source import completed_epochs, load_model


def test_missing_files(tmp_path):
    with pytest.raises(bt_keras.UsageError, match="there is no such file"):
        load_model(tmp_path / "missing.keras", False)


def test_number_of_epochs_is_known_exactly_once():
    progress = Progress(4, 12, 12)
    assert completed_epochs("run", progress, None) == 3
    assert completed_epochs("run", None, 7) == 7
    with pytest.raises(bt_keras.UsageError, match="pass it with --epoch"):
        completed_epochs("run", None, None)
    with pytest.raises(bt_keras.UsageError, match="remove --epoch"):
        completed_epochs("run", progress, 3)
    with pytest.raises(bt_keras.UsageError, match="within an epoch"):
        completed_epochs("run", Progress(4, 13, 13), None)
