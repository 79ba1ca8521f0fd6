"""What a reading of `RepresentationMonitor` costs in `fit` of a small network.

python -m benchmarks.monitor

Every other step has a reading, so that both kinds of steps meet the same machine. The
cost of a reading is the median difference between a step with one and the mean of the
steps before and after it. At the default interval, the share of the time is a hundredth
of its ratio to a step.
"""

import statistics

import bt_keras
from benchmarks import machine, options, table
from benchmarks.clock import StepClock
from benchmarks.ours import step

_CASE = {
    "depth": 18,
    "width": 0.25,
    "stem": "cifar",
    "size": 32,
    "projector": (1024, 1024, 1024),
    "batch": 256,
}
_QUICK = {"width": 0.1, "size": 8, "projector": (64, 64), "batch": 8}
_INTERVAL = 100  # The default.


def main():
    made = options.parser(__doc__, rounds=40, peers=False, cases=False)
    values = options.parse(made)
    precision = "bfloat16" if machine.has_bfloat16() else "float32"
    case = _CASE | {"precision": precision} | (_QUICK if values.quick else {})
    machine.describe()
    model, dataset = step.build(case), step.views(case)
    model.compile(optimizer=bt_keras.LARS(0.01))
    monitor, clock = (
        bt_keras.callbacks.RepresentationMonitor(every_steps=2),
        StepClock(),
    )
    steps = 2 * values.rounds + 5
    callbacks = [monitor, clock]
    model.fit(dataset, steps_per_epoch=steps, verbose=0, callbacks=callbacks)
    seconds = clock.seconds[3:]  # After warm-up: without, with, without, ...
    without, readings = seconds[::2], seconds[1::2]
    costs = [
        reading - (before + after) / 2
        for before, reading, after in zip(without, readings, without[1:], strict=False)
    ]
    alone, cost = statistics.median(without), statistics.median(costs)
    table.line(["step", "cost of a reading", f"share at {_INTERVAL} steps", "readings"])
    table.line(["---"] * 4)
    numbers = [f"{1e3 * value:.1f} ms" for value in (alone, cost)]
    share = f"{cost / _INTERVAL / alone:.2%}"
    table.line([*numbers, share, str(len(costs))])


if __name__ == "__main__":
    main()
