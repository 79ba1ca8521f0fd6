"""Gradients of convolutions' kernels in bfloat16: as products, and TensorFlow's.

python -m benchmarks.kernel_gradient

The rule of `bt_keras.networks.kernel_gradient.product_pays` is measured by this. Both
run in turns, alone, in one process. The last columns say whether training uses the
product on a CPU with AVX512-BF16, and on one with AMX.
"""

import statistics
import time

import tensorflow as tf

from benchmarks import machine, options, table
from benchmarks.ours import kernels, step
from bt_keras.networks import kernel_gradient

_SMALL = {"depth": 18, "stem": "cifar", "size": 32, "batch": 256}
_CASES = (
    _SMALL | {"width": 1.0},
    _SMALL | {"width": 0.25},
    {"depth": 50, "width": 1.0, "stem": "imagenet", "size": 224, "batch": 16},
)
_INSTRUCTIONS = ("avx512", "amx")
_QUICK = {"size": 32, "batch": 2, "width": 0.25}


def main():
    values = options.parse(options.parser(__doc__, peers=False))
    names = {_name(case): case for case in _CASES}
    cases = options.select_cases(names, values)
    machine.describe()
    columns = "case", "input", "kernel", "stride", "number in a view"
    measured = "TensorFlow's", "product", "ratio", "min - max"
    header = [*columns, *measured, *_INSTRUCTIONS]
    table.line(header)
    table.line(["---"] * len(header))
    for name, case in cases:
        case = case | _QUICK if values.quick else case
        for operation, count in _operations(case).items():
            table.line([name, *_row(operation, count, values.rounds)])


def _name(case):
    network = f"ResNet-{case['depth']} of width {case['width']:g}"
    return f"{network}, {case['size']} px, batch {case['batch']}"


def _operations(case):
    case = case | {"projector": (8,), "precision": "bfloat16"}
    model = step.build(case, (case["size"], case["size"], 3))
    counts = kernels.operations(model, case["batch"])
    return {each: n // 2 for each, n in counts.items() if each.kind == kernels.FILTERS}


def _row(operation, count, rounds):
    arguments = dict(operation.options)
    (_, x), (_, dy) = operation.tensors
    size, stride = arguments["filter_sizes"][:2], arguments["strides"][1]
    x, dy = (tf.cast(tf.random.normal(shape), tf.bfloat16) for shape in (x, dy))
    padding = arguments["padding"]
    functions = [
        tf.function(
            lambda: tf.raw_ops.Conv2DBackpropFilter(
                input=x, out_backprop=dy, **arguments
            )
        ),
        tf.function(lambda: kernel_gradient.product(x, dy, size, stride, padding)),
    ]
    native, product = _seconds(functions, rounds)
    ratios = [a / b for a, b in zip(native, product, strict=True)]
    medians = [statistics.median(each) for each in (native, product)]
    shape = size, stride, x.shape[-1], tuple(dy.shape[1:3])
    return [
        " x ".join(map(str, x.shape)),
        " x ".join(map(str, arguments["filter_sizes"])),
        stride,
        count,
        *(f"{1e3 * seconds:.1f} ms" for seconds in medians),
        f"{medians[0] / medians[1]:.2f}x",
        f"{min(ratios):.2f} - {max(ratios):.2f}x",
        *(
            "yes" if kernel_gradient.product_pays(*shape, each) else ""
            for each in _INSTRUCTIONS
        ),
    ]


def _seconds(functions, rounds):
    """Runs the functions in turns; returns a list of seconds for each."""
    seconds = [[] for _ in functions]
    for round_ in range(rounds + 1):
        for run, of_function in zip(functions, seconds, strict=True):
            begin = time.perf_counter()
            run()
            if round_:  # The first call traces.
                of_function.append(time.perf_counter() - begin)
    return seconds


if __name__ == "__main__":
    main()
