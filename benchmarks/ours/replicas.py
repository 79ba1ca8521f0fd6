"""The step that `fit` runs, on logical CPUs under a `MirroredStrategy`."""

import tensorflow as tf

from benchmarks import side
from benchmarks.ours import step


def prepare(case):
    # Before TensorFlow starts, and one strategy per process: every strategy starts
    # numbering its collectives at 0, so that those of two would collide.
    (cpu,) = tf.config.list_physical_devices("CPU")
    devices = [tf.config.LogicalDeviceConfiguration() for _ in range(case["replicas"])]
    tf.config.set_logical_device_configuration(cpu, devices)
    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    with tf.distribute.MirroredStrategy(names).scope():
        return step.prepare(case)


if __name__ == "__main__":
    side.serve(prepare)
