"""VICReg's terms, against the equations of arXiv 2105.04906 in NumPy in float64."""

import numpy as np
import pytest

from bt_keras import UsageError
from bt_keras.studies.methods.vicreg import VICReg
from tests.models import tiny
from tests.studies.methods.rows import rows


def model(**options):
    parts = tiny()
    return VICReg(parts.backbone, parts.projector, **options)


def expected_terms(z_a, z_b):
    views = [np.float64(z) for z in (z_a, z_b)]
    deviations = [np.sqrt(z.var(axis=0, ddof=1) + 1e-4) for z in views]
    covariances = [np.cov(z, rowvar=False) for z in views]
    width = z_a.shape[1]
    return {
        "invariance": np.mean((views[0] - views[1]) ** 2),
        "variance": np.mean([np.maximum(0, 1 - each).mean() for each in deviations]),
        "covariance": sum(
            (each[~np.eye(width, dtype=bool)] ** 2).sum() / width
            for each in covariances
        ),
    }


@pytest.mark.parametrize(
    "weights",
    [{}, {"invariance": 10.0, "variance": 0.0, "covariance": 2.0}],
)
def test_terms(weights):
    # Of deviations on both sides of 1.
    z_a, z_b = (z * np.linspace(0.3, 1.5, 8, dtype=np.float32) for z in rows())
    terms = model(**weights).loss_terms(z_a, z_b)
    expected = expected_terms(z_a, z_b)
    weights = {"invariance": 25.0, "variance": 25.0, "covariance": 1.0} | weights
    expected["loss"] = sum(weights[name] * expected[name] for name in expected)
    assert expected["variance"] > 0
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("name", ["invariance", "variance", "covariance"])
def test_bad_weights(name):
    with pytest.raises(UsageError, match=name):
        model(**{name: -1.0})
