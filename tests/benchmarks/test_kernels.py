import collections

import pytest
import tensorflow as tf

from benchmarks.ours import kernels, step
from bt_keras import losses
from bt_keras.plan import step_cost

_RESNET50 = {
    "depth": 50,
    "width": 0.25,
    "stem": "imagenet",
    "size": 64,
    "projector": (96, 128),
    "batch": 8,
}
_RESNET18 = _RESNET50 | {"depth": 18, "stem": "cifar", "size": 16}


def _model(case, precision="float32"):
    size = case["size"]
    return step.build(case | {"precision": precision}, (size, size, 3))


@pytest.mark.parametrize(
    "case",
    [_RESNET50, _RESNET18, _RESNET18 | {"batch": 128}],
    ids=["bottlenecks", "basic blocks", "correlation"],
)
def test_operations_have_the_flops_of_the_step(case):
    model, batch, width = _model(case), case["batch"], case["projector"][-1]
    operations = kernels.operations(model, batch)
    model.compile("sgd")
    view = tf.TensorSpec((batch, case["size"], case["size"], 3))
    way = losses.cheapest_implementation(batch, width)
    expected = step_cost.of_step(model, view, 1, width, way).flops
    assert sum(each.flops * count for each, count in operations.items()) == expected
    assert kernels._flops(operations, batch, width)["auto"] == expected


def test_counts_are_those_of_both_views():
    operations = kernels.operations(_model(_RESNET18, "bfloat16"), batch_size=8)
    counts, dtypes = collections.Counter(), collections.defaultdict(set)
    for each, count in operations.items():
        counts[each.kind] += count
        dtypes[each.kind].add(each.dtype)
    # 20 convolutions, the first without an input gradient, and two dense layers. The
    # loss has two Gram matrices and two gradients.
    convolutions = {"forward": 40, "input gradients": 38, "filter gradients": 40}
    assert counts == convolutions | {"dense": 12, "loss": 4}
    assert dtypes.pop("loss") == {"float32"}
    assert all(each == {"bfloat16"} for each in dtypes.values())


def test_convolutions_are_those_of_the_traced_network():
    model = _model(_RESNET50)
    images = tf.TensorSpec((8, 64, 64, 3))
    graph = tf.function(model.backbone).get_concrete_function(images).graph
    traced = collections.Counter(
        (tuple(op.inputs[1].shape), tuple(op.outputs[0].shape))
        for op in graph.get_operations()
        if op.type == "Conv2D"
    )
    listed = collections.Counter()
    for each, count in kernels.operations(model, batch_size=8).items():
        if each.kind == "filter gradients":
            output, sizes = dict(each.tensors)["out_backprop"], dict(each.options)
            listed[sizes["filter_sizes"], output] += count
    assert listed == {shapes: 2 * count for shapes, count in traced.items()}


def test_a_step_runs_every_kind_and_reports_the_last_round():
    work = kernels.prepare(_RESNET50 | {"precision": "float32", "batch": 2})
    for _ in range(2):
        work.start()()
    assert list(work.extra["kinds"]) == list(kernels.KINDS)
    assert all(seconds > 0 for (seconds,) in work.extra["kinds"].values())
