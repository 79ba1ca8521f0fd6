import math

import keras
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.distribution import devices
from bt_keras.losses import barlow_twins_loss
from bt_keras.plan import flops


def counted(function, *shapes):
    """Returns the operations of a function's graph, and its output for ones."""
    traced = tf.function(function)
    arguments = [tf.ones(shape) for shape in shapes]
    graph = traced.get_concrete_function(*arguments).graph
    return sum(map(flops.of_operation, graph.get_operations())), traced(*arguments)


def conv2d(x, kernel):
    return tf.nn.conv2d(x, kernel, 2, "VALID")


def conv3d(x, kernel):
    return tf.nn.conv3d(x, kernel, [1] * 5, "VALID")


def depthwise(x, kernel):
    return tf.nn.depthwise_conv2d(x, kernel, [1, 2, 2, 1], "VALID")


def einsum(a, b):
    return tf.raw_ops.Einsum(inputs=[a, b], equation="abc,cd->abd")


def with_ellipsis(a, b):
    return tf.raw_ops.Einsum(inputs=[a, b], equation="...ij,jk->...ik")


def transposed_a(a, b):
    return tf.matmul(a, b, transpose_a=True)


def transposed_b(a, b):
    return tf.matmul(a, b, transpose_b=True)


CONVOLUTIONS = [
    (conv2d, (2, 7, 9, 4), (3, 3, 4, 5)),
    (conv3d, (2, 4, 5, 6, 3), (2, 3, 3, 3, 4)),
    (depthwise, (2, 7, 7, 4), (3, 3, 4, 2)),
]
PRODUCTS = [
    (tf.matmul, (3, 4), (4, 5)),
    (transposed_a, (4, 3), (4, 5)),
    (transposed_b, (2, 3, 4), (2, 5, 4)),
    (einsum, (2, 3, 4), (4, 5)),
    (with_ellipsis, (6, 2, 3, 4), (4, 5)),
]


@pytest.mark.parametrize(("function", "a", "b"), [*CONVOLUTIONS, *PRODUCTS])
def test_each_multiply_add_of_ones_adds_one(function, a, b):
    count, output = counted(function, a, b)
    assert count == 2 * float(tf.reduce_sum(output))


@pytest.mark.parametrize(("function", "x", "kernel"), CONVOLUTIONS)
def test_gradients_have_the_multiply_adds_of_the_convolution(function, x, kernel):
    output = function(tf.ones(x), tf.ones(kernel))

    def gradients(x, kernel, dy):
        with tf.GradientTape() as tape:
            tape.watch((x, kernel))
            y = function(x, kernel)
        return tape.gradient(y, (x, kernel), output_gradients=dy)

    count, found = counted(gradients, x, kernel, output.shape)
    forward = 2 * float(tf.reduce_sum(output))
    assert [2 * float(tf.reduce_sum(each)) for each in found] == [forward] * 2
    assert count == 3 * forward  # The convolution itself, too.


def transposed(x):
    return tf.raw_ops.Einsum(inputs=[x], equation="ij->ji")


@pytest.mark.parametrize("function", [tf.nn.relu, transposed])
def test_other_operations_are_not_counted(function):
    operations = operations_of(function, (2, 3))
    assert sum(map(flops.of_operation, operations)) == 0
    assert flops.unknown(operations) == []


def operations_of(function, shape):
    traced = tf.function(function).get_concrete_function(tf.TensorSpec(shape))
    return traced.graph.get_operations()


def product(x):
    return x @ tf.ones((3, 3))


def repeated(body):
    return lambda x: tf.while_loop(lambda i, x: i < 3, body, (0, x))[1]


def test_products_of_unknown_sizes_are_found():
    operations = operations_of(product, (None, 3))
    assert sum(map(flops.of_operation, operations)) == 0
    assert [each.type for each in flops.unknown(operations)] == ["MatMul"]
    assert flops.unknown(operations_of(product, (2, 3))) == []


def test_products_inside_of_functions_are_found():
    nested = tf.function(lambda x: tf.function(product)(x))
    (found,) = flops.unknown(operations_of(nested, (2, 3)))
    assert found.type.endswith("PartitionedCall")
    (found,) = flops.unknown(
        operations_of(repeated(lambda i, x: (i, product(x))), (2, 3))
    )
    assert found.type.endswith("While")
    assert flops.unknown(operations_of(repeated(lambda i, x: (i, x + 1)), (2, 3))) == []


@pytest.mark.skipif(devices.is_accelerated(), reason="counts the products of a CPU")
@pytest.mark.parametrize("shape", [(96, 256), (512, 768), (700, 768), (256, 64)])
def test_operations_of_the_loss_are_those_of_its_graph(shape):
    @tf.function
    def gradients(z_a, z_b):
        with tf.GradientTape() as tape:
            tape.watch((z_a, z_b))
            loss = barlow_twins_loss(z_a, z_b)
        return tape.gradient(loss, (z_a, z_b))

    graph = gradients.get_concrete_function(*[tf.TensorSpec(shape)] * 2).graph
    products = [op for op in graph.get_operations() if op.type == "MatMul"]
    total = 0
    for product in products:
        rows = product.inputs[0].shape[0 if not product.get_attr("transpose_a") else 1]
        inner = product.inputs[0].shape.num_elements() // rows
        total += 2 * inner * product.outputs[0].shape.num_elements()
    assert total == flops.of_loss(*shape)


@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
def test_multiply_adds_of_a_resnet_are_those_of_its_convolutions(stem):
    backbone = bt_keras.resnet(18, width=0.125, stem=stem)
    fixed = keras.Model(backbone.input, [layer.output for layer in backbone.layers])
    shapes = fixed.compute_output_shape((3, 32, 48, 3))
    expected = 0
    for layer, shape in zip(backbone.layers, shapes, strict=True):
        kernels = [w.shape for w in layer.weights if len(w.shape) == 4]
        expected += sum(math.prod(kernel[:3]) * math.prod(shape) for kernel in kernels)
    images = tf.TensorSpec((3, 32, 48, 3))
    assert flops.multiply_adds(backbone, images) == expected > 0


def test_multiply_adds_that_cannot_be_counted_are_none():
    network = keras.Sequential([keras.Input((4, 3)), keras.layers.GRU(2)])
    assert flops.multiply_adds(network, tf.TensorSpec((1, 4, 3))) is None
