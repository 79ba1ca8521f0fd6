import numpy as np
import pytest

from bt_keras import UsageError
from bt_keras.scores import effective_rank
from tests.scores import constructed


def directly(rows):
    """The paper's equation, from a singular value decomposition."""
    singular = np.linalg.svd(np.asarray(rows, "float64"), compute_uv=False)
    shares = singular / np.abs(singular).sum() + 1e-7
    return np.exp(-(shares * np.log(shares)).sum())


@pytest.mark.parametrize("shape", [(300, 12), (12, 300)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_it_equals_the_direct_computation(shape, dtype):
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=shape) * rng.uniform(0.01, 1, shape[1])).astype(dtype)
    assert effective_rank(rows) == pytest.approx(directly(rows), rel=1e-6)


def test_constructed_features():
    assert 23 < effective_rank(constructed.full_rank()) < 24.01
    assert 4.5 < effective_rank(constructed.rank_5()) < 5.01
    assert effective_rank(constructed.collapsed()) == pytest.approx(1, abs=1e-3)
    assert effective_rank(np.zeros((9, 4))) == 0


def test_it_takes_a_sample_of_many_rows():
    rows = constructed.full_rank()
    rows[1::2] = 0
    assert effective_rank(rows, samples=300) == pytest.approx(directly(rows[::2]))
    assert effective_rank(rows, samples=None) == pytest.approx(directly(rows))
    with pytest.raises(UsageError, match="samples=0"):
        effective_rank(rows, samples=0)
