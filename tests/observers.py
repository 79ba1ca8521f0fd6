"""An observer for tests."""

import keras
import tensorflow as tf

from bt_keras.distribution import collectives
from bt_keras.model.observers import Observer
from bt_keras.model.replicated_mean import ReplicatedMean


class Mean(Observer):
    """Logs the mean of the features of the global batch and counts the steps."""

    def __init__(self, name="mean", tests=False):
        super().__init__(name)
        self.tests = tests
        self.steps = []  # Every traced step.

    def build(self, model):
        self.metrics = [ReplicatedMean(name=f"{self.name}_of_features")]
        self.count = keras.Variable(0.0, trainable=False, name="count")
        self.variables = [self.count]

    def observe(self, step):
        self.steps.append(step)
        self.count.assign_add(1.0)
        return {f"{self.name}_of_features": self.mean(step)}

    def observe_test(self, step):
        self.steps.append(step)
        return {f"{self.name}_of_features": self.mean(step)} if self.tests else {}

    def mean(self, step):
        rows = tf.cast(tf.concat(step.features, axis=0), tf.float32)
        total, count = collectives.all_reduce_sum(
            [tf.reduce_sum(rows), tf.cast(tf.size(rows), tf.float32)]
        )
        return total / count
