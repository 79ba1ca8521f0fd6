"""SimCLR's loss, against equation 1 of arXiv 2002.05709 in NumPy in float64."""

import numpy as np
import pytest

from bt_keras import UsageError
from bt_keras.studies.methods.simclr import SimCLR
from tests.models import tiny
from tests.studies.methods.rows import rows


def model(**options):
    parts = tiny()
    return SimCLR(parts.backbone, parts.projector, **options)


def expected_loss(z_a, z_b, temperature):
    z = np.float64(np.concatenate([z_a, z_b]))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    exponentials, count = np.exp(z @ z.T / temperature), len(z_a)
    losses = []
    for i in range(2 * count):
        j = (i + count) % (2 * count)
        others = sum(exponentials[i, k] for k in range(2 * count) if k != i)
        losses.append(-np.log(exponentials[i, j] / others))
    return np.mean(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_loss(temperature):
    z_a, z_b = rows()
    terms = model(temperature=temperature).loss_terms(z_a, z_b)
    expected = expected_loss(z_a, z_b, temperature)
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-5)


def test_the_default_is_that_of_the_paper():
    assert model().temperature == 0.1


def test_bad_temperature():
    with pytest.raises(UsageError, match="temperature"):
        model(temperature=0)
