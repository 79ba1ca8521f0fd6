"""`bt_keras.pairs` from arrays in memory or a folder of files."""

import numpy as np
import tensorflow as tf

import bt_keras
from benchmarks import side


def prepare(case):
    source = case["path"]
    if source.endswith(".npy"):
        source = tf.data.Dataset.from_tensor_slices(np.load(source))
    views = bt_keras.views(case["size"], case["recipe"])
    pairs = bt_keras.pairs(source, views, case["batch"], endless=True)

    def start():
        iterator = iter(pairs)
        return lambda: next(iterator)

    return side.Work(start, units=case["batch"], lead_in=case["lead_in"])


if __name__ == "__main__":
    side.serve(prepare)
