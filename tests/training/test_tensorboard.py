"""The TensorBoard log of a run."""

import keras
import tensorflow as tf

from bt_keras.training.tensorboard import TensorBoard
from tests import memory


def test_batches_take_no_memory(tmp_path):
    """Keras's own callback keeps more than a KiB of each batch."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    callback = TensorBoard(tmp_path)
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    logs = {name: tf.constant(1.0) for name in ("loss", "invariance", "redundancy")}

    def batch():
        callback.on_train_batch_begin(0)
        callback.on_train_batch_end(0, logs)

    assert memory.growth_kb(batch, warm_up=2_000, calls=6_000) < 1_500
    callback.on_epoch_end(0, {"loss": 1.0})
    callback.on_train_end()
    (file,) = tmp_path.rglob("events.out.tfevents.*")
    tags = {
        value.tag
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
    }
    assert tags == {"epoch_loss", "epoch_learning_rate"}
