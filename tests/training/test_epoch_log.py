"""log.csv: the same bytes on every system, and no file that stays open."""

import keras
import numpy as np
import pytest

from bt_keras.training.epoch_log import EpochLog


@pytest.fixture
def model():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def fit(model, *callbacks, epochs=2):
    images = np.ones((2, 1), "float32")
    model.fit(images, images, epochs=epochs, callbacks=list(callbacks), verbose=0)


def test_the_lines_of_several_fits_are_those_of_keras(model, tmp_path):
    ours, theirs = tmp_path / "ours.csv", tmp_path / "theirs.csv"
    for _ in range(2):
        other = keras.callbacks.CSVLogger(str(theirs), append=True)
        fit(model, EpochLog(str(ours)), other)
    callback = EpochLog(str(ours))
    for _ in range(2):  # As a run that begins within an epoch.
        fit(model, callback, epochs=1)
    contents, expected = ours.read_bytes(), theirs.read_bytes()
    assert contents.startswith(expected)
    assert contents.count(b"\r\n") == 1 + 4 + 2
    assert contents.count(b"epoch") == 1


def test_a_run_that_resumes_keeps_its_columns(model, tmp_path):
    class Adds(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["accuracy"] = 0.5

    path = tmp_path / "log.csv"
    fit(model, Adds(), EpochLog(str(path)), epochs=1)
    fit(model, EpochLog(str(path)), epochs=1)
    header, first, second = (line.split(",") for line in path.read_text().splitlines())
    assert header[:3] == ["epoch", "accuracy", "loss"]
    assert (first[1], second[1]) == ("0.5", "NA")
    assert float(second[2]) < float(first[2])


def test_the_file_is_closed_when_fit_raises(model, tmp_path):
    class Fails(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise RuntimeError("stop")

    callback = EpochLog(str(tmp_path / "log.csv"))
    with pytest.raises(RuntimeError, match="stop"):
        fit(model, callback, Fails())
    assert callback.csv_file.closed
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 2
