"""The step that `fit` runs, on views in memory."""

import keras
import tensorflow as tf

import bt_keras
from benchmarks import side

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def build(case, input_shape=(None, None, 3)):
    """Builds the model of a case in its precision."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(_POLICIES[case["precision"]])
    network = case["depth"], case["width"], case["stem"], input_shape
    # Settings that most cases leave at their defaults.
    extra = {k: case[k] for k in ("implementation", "microbatches") if k in case}
    return bt_keras.BarlowTwins(bt_keras.resnet(*network), case["projector"], **extra)


def views(case):
    """Returns an endless dataset of one batch of view pairs in memory."""
    shape = case["batch"], case["size"], case["size"], 3
    batch = tuple(tf.random.normal(shape) for _ in range(2))
    return tf.data.Dataset.from_tensors(batch).repeat()


def prepare(case):
    model = build(case)
    model.compile(optimizer=bt_keras.LARS(case["rate"]))
    dataset = views(case)
    # As in `fit`: split among replicas; without a strategy, the dataset itself.
    dataset = tf.distribute.get_strategy().experimental_distribute_dataset(dataset)
    model.fit(dataset, steps_per_epoch=1, verbose=0)  # Builds and compiles the step.
    iterator = iter(dataset)
    return side.Work(start=lambda: lambda: model.train_function(iterator))


if __name__ == "__main__":
    side.serve(prepare)
