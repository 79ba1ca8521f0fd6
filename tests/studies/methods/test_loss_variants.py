"""The other losses of the paper, against NumPy in float64."""

import numpy as np
import pytest

from bt_keras import UsageError
from bt_keras.studies.methods.loss_variants import LossVariant
from tests.models import tiny
from tests.studies.methods.rows import rows


def model(**options):
    parts = tiny()
    return LossVariant(parts.backbone, parts.projector, lambd=0.1, **options)


def normalized(z, along):
    axis = 1 if along == "features" else 0
    centered = z - z.mean(axis, keepdims=True)
    if along == "centered":
        return centered
    return centered / np.sqrt(z.var(axis, keepdims=True) + 1e-5)


def numpy_terms(z_a, z_b, along, temperature=None):
    a, b = (normalized(np.float64(z), along) for z in (z_a, z_b))
    c = a.T @ b / len(a)
    diagonal, others = np.diag(c), c[~np.eye(len(c), dtype=bool)]
    if temperature is None:
        return np.sum((1 - diagonal) ** 2), np.sum(others**2)
    return (
        -np.log(np.sum(np.exp(diagonal / temperature))),
        np.log(np.sum(np.exp(np.maximum(others, 0) / temperature))),
    )


@pytest.mark.parametrize("along", ["batch", "features", "centered"])
@pytest.mark.parametrize("temperature", [None, 0.1])
def test_terms(along, temperature):
    options = {"objective": "cross_entropy"} if temperature else {}
    z_a, z_b = rows()
    terms = model(normalization=along, **options).loss_terms(z_a, z_b)
    invariance, redundancy = numpy_terms(z_a, z_b, along, temperature)
    expected = {
        "invariance": invariance,
        "redundancy": redundancy,
        "loss": invariance + 0.1 * redundancy,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-5, err_msg=name)


def test_by_default_the_loss_is_that_of_barlow_twins():
    z_a, z_b = rows()
    ours, other = model(), tiny(lambd=0.1)
    for name, value in other.loss_terms(z_a, z_b).items():
        np.testing.assert_allclose(ours.loss_terms(z_a, z_b)[name], value, rtol=1e-5)


def test_one_term_alone():
    z_a, z_b = rows()
    terms = model(invariance=0.0).loss_terms(z_a, z_b)
    np.testing.assert_allclose(terms["loss"], 0.1 * terms["redundancy"], rtol=1e-6)


def test_a_projector_without_batch_norm():
    made = LossVariant(tiny().backbone, (16, 12), batch_norm=False)
    kinds = [type(layer).__name__ for layer in made.projector.layers]
    assert kinds == ["Dense", "ReLU", "Dense"]
    assert made.project(np.zeros((2, 8, 8, 3), np.float32)).shape == (2, 12)


@pytest.mark.parametrize(
    "options",
    [{"normalization": "rows"}, {"objective": "mse"}, {"temperature": 0.0}],
)
def test_bad_options(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        model(**options)
