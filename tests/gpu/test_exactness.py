"""Numbers of a GPU against NumPy in float64 and recordings of PyTorch, without TF32."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import relative_error

# These tests of the CPU must hold on a GPU, too.
from tests.convert.test_torchvision import (  # noqa: F401
    test_features_equal_torchvisions,
)
from tests.losses.compute import numpy_loss, terms_and_gradients
from tests.losses.test_barlow_twins import (  # noqa: F401
    test_equals_pytorch_in_float64,
)
from tests.model.test_barlow_twins import train_as_recorded
from tests.networks.test_batch_norm import (  # noqa: F401
    test_stacked_views_equal_numpy_for_each_view,
)

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("shape", [(256, 2048), (512, 256)], ids=["gram", "direct"])
def test_the_loss_equals_numpy_in_float64(shape, compiled):
    z_a, noise = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    z_b = z_a + noise
    step = tf.function(terms_and_gradients, jit_compile=compiled)
    loss, *_ = step(tf.constant(z_a), tf.constant(z_b), 0.0051, "auto")
    assert relative_error(loss, numpy_loss(z_a, z_b, 0.0051)) < 1e-5


def test_four_steps_equal_the_official_code(recorded):
    # cuDNN's convolutions by Winograd's method are less exact than a CPU's.
    train_as_recorded(recorded, 18, tolerance=1e-4)
