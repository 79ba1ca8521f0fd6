"""Features whose scores are known: of full rank, of rank 5, and collapsed."""

import numpy as np

COUNT, WIDTH = 600, 24


def full_rank():
    """Independent features of equal size."""
    return np.random.default_rng(0).normal(size=(COUNT, WIDTH))


def rank_5():
    """All features are mixtures of five."""
    rng = np.random.default_rng(1)
    return rng.normal(size=(COUNT, 5)) @ rng.normal(size=(5, WIDTH))


def collapsed(dtype="float32"):
    """Equal rows up to the rounding errors of a network."""
    rng = np.random.default_rng(2)
    rows = np.tile(rng.uniform(0.5, 2, WIDTH), (COUNT, 1))
    # One or two of the smallest steps.
    steps = rng.integers(-2, 3, rows.shape) * np.finfo(dtype).eps / 2
    return (rows * (1 + steps)).astype(dtype)
