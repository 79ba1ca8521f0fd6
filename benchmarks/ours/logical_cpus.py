"""Replicas on one machine: logical CPUs that share its cores."""

import tensorflow as tf


def strategy(replicas):
    """Returns a `MirroredStrategy` of `replicas` logical CPUs.

    Call it before TensorFlow starts, and once per process: every strategy starts
    numbering its collectives at 0, so that those of two would collide.
    """
    (cpu,) = tf.config.list_physical_devices("CPU")
    devices = [tf.config.LogicalDeviceConfiguration() for _ in range(replicas)]
    tf.config.set_logical_device_configuration(cpu, devices)
    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    return tf.distribute.MirroredStrategy(names)
