"""Mixed Barlow Twins' term, against arXiv 2312.02151 in NumPy in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bt_keras import UsageError
from bt_keras.studies.methods.mixed import MixedBarlowTwins, mixing_term
from tests.models import mixed_inputs, mixed_pairs, pairs, tiny
from tests.studies.methods.rows import rows


def compiled(parts, **options):
    made = MixedBarlowTwins(parts.backbone, parts.projector, **options)
    made.compile(optimizer=keras.optimizers.SGD(0.1), jit_compile=False)
    return made


def standardized(z):
    z = np.float64(z)
    return (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5)


def expected_term(z_m, z_a, z_b, share, order):
    """The sum of squares of the paper, from its four matrices."""
    m, a, b = map(standardized, (z_m, z_a, z_b))
    count = len(m)
    total = 0.0
    for z in (a, b):
        c = m.T @ z / count
        truth = share * a.T @ z / count + (1 - share) * b[order].T @ z / count
        total += np.sum((c - truth) ** 2)
    return total


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_mixing_term(share):
    z_a, z_b = rows()
    z_m = np.roll(z_a, 1, axis=0) + z_b
    order = [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10]
    expected = expected_term(z_m, z_a, z_b, share, order)
    np.testing.assert_allclose(mixing_term(z_m, z_a, z_b, share), expected, rtol=1e-5)


def test_loss_and_images():
    model = compiled(tiny(), lambd=0.1, mixing_weight=3.0)
    (view_a, view_b), *_ = pairs()
    seen = []
    project = model.project
    model.project = lambda views, training: seen.append(views) or project(views)
    embeddings = project(view_a), project(view_b)
    terms = model.batch_terms((view_a, view_b), None, embeddings)
    # The share is the one that explains the first pixel.
    mixed = np.float64(seen[0])
    a, b = (np.float64(view) for view in (view_a, view_b))
    b = b[[1, 0, 3, 2, 5, 4, 7, 6]]
    share = float(((mixed - b) / (a - b)).ravel()[0])
    assert 0 <= share <= 1
    np.testing.assert_allclose(mixed, share * a + (1 - share) * b, atol=1e-4)
    mixing = mixing_term(project(seen[0]), *embeddings, share)
    np.testing.assert_allclose(terms["mixing"], mixing, rtol=1e-3)
    plain = terms["invariance"] + 0.1 * terms["redundancy"]
    np.testing.assert_allclose(
        terms["loss"], plain + 3.0 * 0.1 * terms["mixing"], rtol=1e-6
    )


def test_the_share_differs_between_steps():
    model = compiled(tiny())
    shares = []
    for step in range(200):
        model.optimizer.iterations.assign(step)
        shares.append(float(model._share()))
    assert len(set(shares)) == 200
    assert abs(np.mean(shares) - 0.5) < 0.1
    assert min(shares) < 0.1 < 0.9 < max(shares)


def test_what_cannot_be_mixed():
    with pytest.raises(UsageError, match="microbatches=2"):
        MixedBarlowTwins(tiny().backbone, (16, 16), microbatches=2)
    with pytest.raises(UsageError, match="dense tensors of floats"):
        compiled(mixed_inputs()).fit(mixed_pairs(), verbose=0)


def test_odd_batches():
    model = compiled(tiny())
    logs = model.fit(pairs(batch=7), verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    assert tf.is_tensor(mixing_term(*[rows(count=5)[0]] * 3, 0.5))
