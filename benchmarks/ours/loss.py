"""`bt_keras.barlow_twins_loss` and its gradients inside a `tf.function`."""

import tensorflow as tf

import bt_keras
from benchmarks import processes, side
from benchmarks.ours import logical_cpus


@tf.function
def gradients(z_a, z_b, implementation="auto"):
    with tf.GradientTape() as tape:
        tape.watch((z_a, z_b))
        loss = bt_keras.barlow_twins_loss(z_a, z_b, implementation=implementation)
    return loss, tape.gradient(loss, (z_a, z_b))


def embeddings(n, d):
    generator = tf.random.Generator.from_seed(0)
    return generator.normal((n, d)), generator.normal((n, d))


def prepare(case):
    implementation = case.get("implementation", "auto")
    if case.get("replicas", 1) > 1:
        return _on_replicas(case, implementation)
    gradients(*embeddings(4, 8))  # Initializes the runtime, which is not measured.
    processes.reset_peak()
    baseline = processes.resident()
    z_a, z_b = embeddings(case["n"], case["d"])
    return side.Work(
        start=lambda: lambda: gradients(z_a, z_b, implementation),
        extra={"baseline": baseline},
    )


def _on_replicas(case, implementation):
    """Divides the rows over logical CPUs."""
    strategy = logical_cpus.strategy(case["replicas"])
    rows = case["n"] // case["replicas"]
    z_a, z_b = (
        strategy.experimental_distribute_values_from_function(
            lambda _, view=view: embeddings(rows, case["d"])[view]
        )
        for view in range(2)
    )

    @tf.function
    def step():
        return strategy.run(gradients, (z_a, z_b, implementation))

    return side.Work(start=lambda: step)


if __name__ == "__main__":
    side.serve(prepare)
