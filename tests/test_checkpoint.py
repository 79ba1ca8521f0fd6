import keras
import numpy as np
import pytest

from bt_keras import UsageError, checkpoint
from tests.test_model import tiny


def saved(folder, epochs, keep=2, loss=1.0):
    """Lets the callback see so many epochs end."""
    callback = checkpoint.EpochCheckpoint(folder, keep)
    model = tiny()
    model.compile(optimizer="sgd")
    callback.set_model(model)
    for epoch in range(epochs):
        callback.on_epoch_end(epoch, {"loss": loss})
    return model


def test_keeps_the_last_epochs_and_finds_the_newest(tmp_path):
    assert checkpoint.latest(tmp_path) == (0, None)
    saved(tmp_path, epochs=4)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["epoch-0003.keras", "epoch-0004.keras"]
    assert checkpoint.latest(tmp_path) == (4, tmp_path / "epoch-0004.keras")


def test_a_half_written_file_is_not_a_checkpoint(tmp_path):
    saved(tmp_path, epochs=1)
    (tmp_path / "unfinished.keras").write_bytes(b"half")
    assert checkpoint.latest(tmp_path)[0] == 1


def test_weights_of_a_loss_that_is_not_finite_are_not_kept(tmp_path):
    saved(tmp_path, epochs=1, loss=float("nan"))
    assert checkpoint.latest(tmp_path) == (0, None)


def test_restores_weights_and_refuses_another_architecture(tmp_path):
    model = saved(tmp_path, epochs=1)
    path = tmp_path / "epoch-0001.keras"
    like = tiny()
    like.compile(optimizer="sgd")
    again = checkpoint.restore(path, like)
    for ours, theirs in zip(again.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    wider = tiny(projector=(16, 17))
    with pytest.raises(UsageError, match="another architecture"):
        checkpoint.restore(path, wider)


def test_damaged_and_foreign_files_are_named(tmp_path):
    saved(tmp_path, epochs=1)
    path = tmp_path / "epoch-0001.keras"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UsageError, match=r"epoch-0001\.keras cannot be read"):
        checkpoint.load(path)
    inputs = keras.Input((3,))
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(tmp_path / "other.keras")
    with pytest.raises(UsageError, match="another architecture"):
        checkpoint.load(tmp_path / "other.keras")
