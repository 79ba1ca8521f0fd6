import numpy as np
import pytest

from bt_keras import UsageError
from bt_keras.networks import projector


def test_layers_have_no_biases_and_no_final_norm():
    network = projector((32, 16, 8), feature_dim=64)
    shapes = [tuple(v.shape) for v in network.trainable_variables if len(v.shape) > 1]
    assert shapes == [(64, 32), (32, 16), (16, 8)]
    # Two vectors for each of the two batch norms, none for Dense layers.
    assert sum(len(v.shape) == 1 for v in network.trainable_variables) == 4
    assert network(np.ones((2, 64), "float32")).shape == (2, 8)


def test_initial_kernel_is_distributed_as_in_pytorch():
    kernel = projector((512,), feature_dim=400).trainable_variables[0].numpy()
    bound = 1 / np.sqrt(400)
    assert np.abs(kernel).max() <= bound
    assert abs(kernel.std() / (bound / np.sqrt(3)) - 1) < 0.01


@pytest.mark.parametrize("widths", [(), (0,), (8, -1), (8, "a"), (8.5,)])
def test_invalid_widths_are_reported(widths):
    with pytest.raises(UsageError, match="projector="):
        projector(widths, 64)
