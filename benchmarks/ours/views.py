"""`bt_keras.pairs` from arrays in memory or a folder of files."""

import numpy as np
import tensorflow as tf

import bt_keras
from benchmarks import side


def prepare(case):
    source = case["path"]
    if source.endswith(".npy"):
        source = tf.data.Dataset.from_tensor_slices(np.load(source))
    views = bt_keras.views(case["size"], case["recipe"], **case["options"])
    pairs = bt_keras.pairs(source, views, case["batch"], endless=True)

    def start():
        iterator = iter(pairs)
        return lambda: next(iterator)

    sent = _num_bytes(pairs.element_spec) / case["batch"]
    return side.Work(start, case["batch"], case["lead_in"], extra={"bytes": sent})


def _num_bytes(spec):
    tensors = tf.nest.flatten(spec, expand_composites=True)
    return sum(each.shape.num_elements() * each.dtype.size for each in tensors)


if __name__ == "__main__":
    side.serve(prepare)
