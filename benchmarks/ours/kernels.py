"""Every convolution and matrix product of a training step, alone, one after the other.

This is the limit of a step with TensorFlow's own kernels: it leaves out batch norm,
activations, the optimizer and all else. The operations and their shapes are those of
the layers of the built network; each runs as often as in a step, on both views.

They run eagerly: calling a `tf.function` for each would add its overhead.
"""

import collections
import functools
import math
import time
from typing import NamedTuple

import keras
import tensorflow as tf

from benchmarks import side
from benchmarks.ours import step
from bt_keras import losses
from bt_keras.plan import flops

_VIEWS = 2
_FORWARD, _INPUTS, FILTERS = "forward", "input gradients", "filter gradients"
KINDS = (_FORWARD, _INPUTS, FILTERS, "dense", "loss")


class Operation(NamedTuple):
    """One convolution or matrix product.

    Args:
        kind: String, one of `KINDS`.
        name: String, name of the function in `tf.raw_ops`.
        dtype: String, dtype of its tensors.
        tensors: Tuple of (name of the argument, shape).
        options: Tuple of (name of the argument, value).
        flops: Integer, its number of floating-point operations.
    """

    kind: str
    name: str
    dtype: str
    tensors: tuple
    options: tuple
    flops: int


def prepare(case):
    model = step.build(case, (case["size"], case["size"], 3))
    counts = operations(model, case["batch"])
    needed = _flops(counts, case["batch"], case["projector"][-1])
    tensor = functools.cache(_random)  # Operations share tensors of equal shape.
    bound = [(each.kind, _bound(each, tensor), n) for each, n in counts.items()]
    kinds = {}

    def start():
        kinds.update({kind: [] for kind in KINDS})  # The harness reads the last round.
        return lambda: _run(bound, kinds)

    return side.Work(start=start, extra={"kinds": kinds, "flops": needed})


def operations(model, batch_size):
    """Lists the convolutions and matrix products of a training step.

    Args:
        model: `bt_keras.BarlowTwins` whose backbone has a known image size.
        batch_size: Integer, N.

    Returns:
        Dict of `Operation` to int, how often it runs.
    """
    layers = [*model.backbone.layers, *model.projector.layers]
    found, counts = [], collections.Counter()
    for layer in layers:
        if isinstance(layer, keras.layers.Conv2D):
            found.append(_convolutions(layer, batch_size))
        elif isinstance(layer, keras.layers.Dense):
            found.append(_dense(layer, batch_size))
    forward, _, filters = found[0]
    found[0] = forward, filters  # Images have no gradient.
    for of_layer in found:
        counts.update(dict.fromkeys(of_layer, _VIEWS))
    counts.update(_loss(batch_size, layers[-1].output.shape[-1]))
    return counts


def _flops(counts, n, d):
    """Returns the operations of a step, by the implementation of the loss."""
    network = sum(each.flops * k for each, k in counts.items() if each.kind != "loss")
    ways = ("auto", "correlation")
    return {way: network + flops.of_loss(n, d, way) for way in ways}


def _convolutions(layer, batch_size):
    """Returns the forward pass and both gradients of a layer on one view."""
    x, y = ((batch_size, *tensor.shape[1:]) for tensor in (layer.input, layer.output))
    w = tuple(layer.kernel.shape)
    common = ("strides", (1, *layer.strides, 1)), ("padding", layer.padding.upper())
    dtype, count = layer.compute_dtype, 2 * math.prod(y) * math.prod(w[:-1])

    def operation(kind, name, tensors, *sizes):
        return Operation(kind, name, dtype, tensors, (*sizes, *common), count)

    input_, filter_, output = ("input", x), ("filter", w), ("out_backprop", y)
    return (
        operation(_FORWARD, "Conv2D", (input_, filter_)),
        operation(
            _INPUTS, "Conv2DBackpropInput", (filter_, output), ("input_sizes", x)
        ),
        operation(
            FILTERS, "Conv2DBackpropFilter", (input_, output), ("filter_sizes", w)
        ),
    )


def _dense(layer, batch_size):
    """Returns the products of a layer on one view: forward, and both gradients."""
    w = tuple(layer.kernel.shape)
    x, y = ((batch_size, size) for size in w)
    return (
        _product("dense", layer.compute_dtype, x, w),
        _product("dense", layer.compute_dtype, y, w, "transpose_b"),
        _product("dense", layer.compute_dtype, x, y, "transpose_a"),
    )


def _loss(n, d):
    """Returns a dict of the loss's products to their counts, in its cheaper form."""
    product = functools.partial(_product, "loss", "float32")
    rows = n, d
    if losses.cheapest_implementation(n, d) == "gram":
        return {product(rows, rows, "transpose_b"): 2, product((n, n), rows): 2}
    square = d, d
    return {
        product(rows, rows, "transpose_a"): 1,
        product(rows, square): 1,
        product(rows, square, "transpose_b"): 1,
    }


def _product(kind, dtype, a, b, transposed=None):
    inner = a[0] if transposed == "transpose_a" else a[1]
    count = 2 * math.prod(a) * math.prod(b) // inner
    options = ((transposed, True),) if transposed else ()
    return Operation(kind, "MatMul", dtype, (("a", a), ("b", b)), options, count)


def _bound(operation, tensor):
    """Returns a function without arguments that runs the operation."""
    arguments = {name: tensor(s, operation.dtype) for name, s in operation.tensors}
    for name, value in operation.options:
        is_size = name.endswith("_sizes")
        arguments[name] = tf.constant(value) if is_size else value
    return functools.partial(getattr(tf.raw_ops, operation.name), **arguments)


def _random(shape, dtype):
    return tf.cast(tf.random.normal(shape), dtype)


def _run(bound, seconds_of_kind):
    """Runs all operations; appends the seconds of each kind."""
    seconds = dict.fromkeys(seconds_of_kind, 0.0)
    for kind, run, count in bound:
        begin = time.perf_counter()
        for _ in range(count):
            run()
        seconds[kind] += time.perf_counter() - begin
    for kind, value in seconds.items():
        seconds_of_kind[kind].append(value)


if __name__ == "__main__":
    side.serve(prepare)
