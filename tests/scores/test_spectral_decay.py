import math

import numpy as np
import pytest

from bt_keras import UsageError
from bt_keras.scores import alpha_req
from tests.scores import constructed


def with_spectrum(values, count=500):
    """Rows whose covariance has exactly these eigenvalues, and a large mean."""
    rng = np.random.default_rng(0)
    width = len(values)
    rows = rng.normal(size=(count, width))
    orthogonal, _ = np.linalg.qr(rows - rows.mean(axis=0))
    rotation, _ = np.linalg.qr(rng.normal(size=(width, width)))
    scales = np.sqrt(np.asarray(values) * (count - 1))
    return 7 + orthogonal * scales @ rotation


def directly(rows, first, last):
    """Weighted least squares on the eigenvalues of `np.cov`, by lstsq."""
    spectrum = np.linalg.eigvalsh(np.cov(np.asarray(rows, "float64").T))[::-1]
    index = np.arange(first, last + 1)
    root = np.sqrt(1 / index)[:, np.newaxis]
    lines = np.stack([-np.log(index), np.ones(len(index))], axis=1)
    target = np.log(spectrum[index - 1])[:, np.newaxis]
    return np.linalg.lstsq(root * lines, root * target, rcond=None)[0][0, 0]


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.5])
def test_the_exponent_of_an_exact_power_law(alpha):
    rows = with_spectrum(np.arange(1, 65) ** -alpha)
    assert alpha_req(rows) == pytest.approx(alpha, abs=1e-8)
    assert alpha_req(100 * rows) == pytest.approx(alpha, abs=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_equals_the_direct_computation(dtype):
    rng = np.random.default_rng(3)
    rows = (rng.normal(size=(400, 60)) * rng.uniform(0.1, 2, 60)).astype(dtype)
    assert alpha_req(rows) == pytest.approx(directly(rows, 6, 50), rel=1e-6)
    assert alpha_req(rows, 2, 20) == pytest.approx(directly(rows, 2, 20), rel=1e-6)


def test_constructed_features():
    full = constructed.full_rank()
    assert alpha_req(full) == pytest.approx(directly(full, 6, 24))
    assert 0 < alpha_req(full) < 0.5
    for dtype in ("float32", "float64"):
        assert alpha_req(constructed.rank_5().astype(dtype)) == math.inf
        assert alpha_req(constructed.collapsed(dtype)) == math.inf


def test_it_does_not_see_a_collapse():
    """As documented: all but one direction is small, and alpha is that of the rest."""
    spectrum = np.arange(1, 65) ** -1.0
    spectrum[0] = 1e6
    assert alpha_req(with_spectrum(spectrum)) == pytest.approx(1, abs=1e-3)


def test_a_range_without_a_line_is_an_error():
    with pytest.raises(UsageError, match="leave 2 eigenvalues"):
        alpha_req(constructed.full_rank(), 6, 7)
    with pytest.raises(UsageError, match="first=0"):
        alpha_req(constructed.full_rank(), 0, 7)
