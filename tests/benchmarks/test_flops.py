import pytest
import tensorflow as tf

from benchmarks import flops
from bt_keras.distribution import devices
from bt_keras.losses import barlow_twins_loss


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
    assert total == flops.loss(*shape, gram=True)
