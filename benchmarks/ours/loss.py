"""`bt_keras.barlow_twins_loss` and its gradients inside a `tf.function`."""

import tensorflow as tf

import bt_keras
from benchmarks import processes, side


@tf.function
def gradients(z_a, z_b):
    with tf.GradientTape() as tape:
        tape.watch((z_a, z_b))
        loss = bt_keras.barlow_twins_loss(z_a, z_b)
    return loss, tape.gradient(loss, (z_a, z_b))


def embeddings(n, d):
    generator = tf.random.Generator.from_seed(0)
    return generator.normal((n, d)), generator.normal((n, d))


def prepare(case):
    gradients(*embeddings(4, 8))  # Initializes the runtime, which is not measured.
    processes.reset_peak()
    baseline = processes.resident()
    z_a, z_b = embeddings(case["n"], case["d"])
    return side.Work(
        start=lambda: lambda: gradients(z_a, z_b), extra={"baseline": baseline}
    )


if __name__ == "__main__":
    side.serve(prepare)
