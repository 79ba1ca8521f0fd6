"""The step that `fit` runs, on logical CPUs under a `MirroredStrategy`."""

from benchmarks import side
from benchmarks.ours import logical_cpus, step


def prepare(case):
    with logical_cpus.strategy(case["replicas"]).scope():
        return step.prepare(case)


if __name__ == "__main__":
    side.serve(prepare)
