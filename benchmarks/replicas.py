"""Overhead of replicas: the step on one device, and on logical CPUs with a strategy.

python -m benchmarks.replicas

The replicas share the cores of this machine and compute together what one device does,
so that everything above 1x is overhead: collectives, including those of batch norm, and
smaller matrix products. The last case is the overhead of the guard against non-finite
values on one device.
"""

from benchmarks import machine, options, table, turns

_STEP = {"depth": 18, "width": 0.25, "stem": "cifar", "rate": 0.01}
_STEP |= {"precision": "float32"}
_SMALL = _STEP | {"size": 32, "projector": (2048, 2048, 2048), "batch": 128}
# 135 million parameters, whose gradients the guard checks, and few other operations.
_WIDE = _STEP | {"size": 8, "projector": (8192, 8192, 8192), "batch": 32}
_QUICK = {"width": 0.1, "size": 8, "projector": (64, 64), "batch": 8}
_COUNTS = (1, 2, 4)


def main():
    values = options.parse(options.parser(__doc__, seconds=10.0, peers=False))
    cases = options.select_cases(CASES, values)
    machine.describe()
    table.header(ratio="time / first side's")
    for name, (sides, case) in cases:
        case = case | _QUICK if values.quick else case
        table.rows(name, turns.take_turns(sides(case), values), table.MILLISECONDS)


def _replicas(case):
    sides = [
        options.ours("replicas", case | {"replicas": count}, f"replicas: {count}")
        for count in _COUNTS
    ]
    return [options.ours("step", case, "one device"), *sides]


def _guard(case):
    return [
        options.ours("unguarded", case, "without the guard"),
        options.ours("step", case, "bt_keras"),
    ]


def _named(case):
    width = case["projector"][-1]
    network = f"ResNet-{case['depth']} of width {case['width']}, {case['size']} px"
    return f"{network}, D={width}, batch {case['batch']}"


CASES = {
    f"{_named(_SMALL)}, {way}": (_replicas, _SMALL | {"implementation": way})
    for way in ("gram", "correlation")
} | {f"the guard, {_named(_WIDE)}": (_guard, _WIDE)}

if __name__ == "__main__":
    main()
