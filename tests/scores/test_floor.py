import numpy as np
import pytest

from bt_keras import UsageError
from bt_keras.scores import loss_floor


def loss(matrix, lambd):
    diagonal = np.diag(matrix)
    rest = np.square(matrix).sum() - np.square(diagonal).sum()
    return np.square(1 - diagonal).sum() + lambd * rest


def correlation(a, b):
    a, b = ((z - z.mean(axis=0)) / z.std(axis=0) for z in (a, b))
    return a.T @ b / len(a)


@pytest.mark.parametrize(
    ("batch", "lambd", "expected"),
    [(2048, 0.0051, 123.5), (256, 0.005, 1103.0)],
    ids=["official code", "lightly"],
)
def test_published_sizes(batch, lambd, expected):
    assert loss_floor(batch, 8192, lambd) == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize("lambd", [0.0, 5e-3, 0.3, 1.0])
def test_a_matrix_of_rank_n_minus_1_attains_it(lambd):
    """A scaled projection with equal diagonal, from columns of a Hadamard matrix."""
    hadamard = np.array([[1]])
    for _ in range(4):
        hadamard = np.kron(hadamard, [[1, 1], [1, -1]])
    width, rank = 16, 5
    basis = hadamard[:, :rank] / 4
    kappa = lambd * (width / rank - 1)
    matrix = basis @ basis.T * width / rank / (1 + kappa)
    floor = loss_floor(rank + 1, width, lambd)
    assert loss(matrix, lambd) == pytest.approx(floor)


@pytest.mark.parametrize("lambd", [5e-3, 0.3, 1.0, 20.0])
@pytest.mark.parametrize("batch", [4, 7, 12])
def test_no_embeddings_are_below_it(lambd, batch):
    rng, width = np.random.default_rng(0), 10
    floor = loss_floor(batch, width, lambd)
    for noise in np.linspace(0, 2, 50):
        a = rng.normal(size=(batch, width))
        b = a + noise * rng.normal(size=(batch, width))
        assert loss(correlation(a, b), lambd) >= floor


def test_a_large_lambda_is_bounded_by_columns_that_are_zero():
    matrix = np.diag([1.0] * 3 + [0.0] * 7)
    for lambd in (1.0, 20.0):
        assert loss_floor(4, 10, lambd) == pytest.approx(loss(matrix, lambd))


def test_it_is_zero_for_enough_images():
    assert loss_floor(9, 8, 0.005) == 0 < loss_floor(8, 8, 0.005)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((1, 8, 0.1), "batch"), ((8, 0, 0.1), "width"), ((8, 8, -0.1), "lambd")],
)
def test_values_out_of_range_are_named(arguments, name):
    with pytest.raises(UsageError, match=f"{name}="):
        loss_floor(*arguments)
