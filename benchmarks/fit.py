"""What `steps_per_execution` changes in `fit` with a small network.

python -m benchmarks.fit

The fewer operations a step has, the larger is the share of returning to Python after
every execution: logs, callbacks and the progress bar.
"""

from benchmarks import machine, options, table, turns

_CASE = {
    "depth": 18,
    "width": 0.25,
    "stem": "cifar",
    "size": 32,
    "projector": (1024, 1024, 1024),
    "rate": 0.01,
    "steps": 32,
}
_QUICK = {"width": 0.1, "size": 8, "projector": (64, 64)}
_BATCH_SIZES = (64, 256)
_COUNTS = (1, 8, 32)


def main():
    values = options.parse(options.parser(__doc__, seconds=10.0, peers=False))
    precision = "bfloat16" if machine.has_bfloat16() else "float32"
    names = {
        f"ResNet-18 of width 0.25, 32 px, D=1024, batch {size}, {precision}": size
        for size in _BATCH_SIZES
    }
    cases = options.select_cases(names, values)
    machine.describe()
    table.header(ratio="time / first side's")
    for name, size in cases:
        case = _CASE | {"batch": size, "precision": precision}
        case = case | _QUICK if values.quick else case
        sides = [
            options.ours(
                "fit",
                case | {"steps_per_execution": count},
                f"steps_per_execution={count}",
            )
            for count in _COUNTS
        ]
        table.rows(name, turns.take_turns(sides, values), table.MILLISECONDS)


if __name__ == "__main__":
    main()
