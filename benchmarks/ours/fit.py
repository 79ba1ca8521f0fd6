"""A whole `fit` of some steps, on views in memory."""

import bt_keras
from benchmarks import side
from benchmarks.ours import step


def prepare(case):
    model, dataset, steps = step.build(case), step.views(case), case["steps"]
    model.compile(
        optimizer=bt_keras.LARS(case["rate"]),
        steps_per_execution=case["steps_per_execution"],
    )
    return side.Work(
        start=lambda: lambda: model.fit(dataset, steps_per_epoch=steps), units=steps
    )


if __name__ == "__main__":
    side.serve(prepare)
