"""Images of one size for all layers, whose compiled code the tests then share."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (64, 32, 32, 3)).astype(np.uint8)
