import keras
import numpy as np
import pytest
import tensorflow as tf

from bt_keras.evaluation import train_crops
from bt_keras.evaluation.classifier import Classifier, rate_factor
from tests.conftest import half_precision
from tests.evaluation.gray import small_backbone, trainable


@pytest.fixture
def frozen():
    return trainable()


@pytest.fixture
def classifier(frozen):
    return Classifier(frozen.backbone, frozen.num_classes)


def train(classifier, frozen, steps=5, rate=0.4, backbone_rate=0.01):
    batches = train_crops.batches_of_crops(frozen.train_source, 8, 16, seed=0)
    classifier.train(batches, steps, rate, backbone_rate)
    return list(batches.take(steps))


def weights_of(classifier):
    return classifier.backbone.get_weights() + classifier.head.get_weights()


def test_reset_restores_pretrained_weights_or_draws_fresh_ones(classifier, frozen):
    def reset(*args):
        classifier.reset(*args)
        return weights_of(classifier)

    pretrained = reset(1, True)
    before = frozen.backbone.get_weights()
    for ours, theirs in zip(pretrained[:-2], before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    scratch, other = reset(1, False), reset(2, False)
    for kernel in (0, -2):
        assert not np.allclose(scratch[kernel], other[kernel])
    assert not np.allclose(scratch[0], before[0])
    # Both networks get the same classifier: small weights and zero biases.
    np.testing.assert_array_equal(scratch[-2], pretrained[-2])
    assert 0.003 < scratch[-2].std() < 0.03
    assert not scratch[-1].any()
    # Training in between has no effect.
    train(classifier, frozen, steps=1)
    for ours, theirs in zip(reset(1, False), scratch, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_steps_equal_sgd_with_two_rates(classifier, frozen):
    """v ← 0.9 v - rate g, p ← p + v, with the gradient of an explicit loss."""
    classifier.reset(0, pretrained=False)
    copy = keras.models.clone_model(frozen.backbone)
    copy.set_weights(classifier.backbone.get_weights())
    before = copy.non_trainable_variables[0].numpy()
    kernel, bias = (tf.Variable(w) for w in classifier.head.get_weights())
    variables = [v.value for v in copy.trainable_variables] + [kernel, bias]
    rates = [0.01] * len(copy.trainable_variables) + [0.4] * 2
    velocities = [np.zeros(v.shape) for v in variables]
    # The rate of the fourth of five steps is 0.2 times, of the last 0.04 times.
    for factor, (images, labels) in zip(
        (1, 1, 1, 0.2, 0.04), train(classifier, frozen, 5, 0.4, 0.01), strict=True
    ):
        with tf.GradientTape() as tape:
            logits = copy(images, training=True) @ kernel + bias
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, variables)
        for i, (variable, gradient) in enumerate(
            zip(variables, gradients, strict=True)
        ):
            velocities[i] = 0.9 * velocities[i] - factor * rates[i] * gradient.numpy()
            variable.assign_add(velocities[i])
    expected = [*copy.get_weights(), kernel.numpy(), bias.numpy()]
    # The moving statistics of batch normalization have changed.
    assert not np.allclose(copy.non_trainable_variables[0], before, atol=1e-3)
    for ours, theirs in zip(weights_of(classifier), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_reset_clears_the_momentum(classifier, frozen):
    def trained():
        classifier.reset(0, pretrained=True)
        train(classifier, frozen, steps=2)
        return weights_of(classifier)

    for ours, theirs in zip(trained(), trained(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("steps", [1, 10, 20, 237])
def test_the_rate_drops_after_60_and_80_percent_of_the_steps(steps):
    first, second = round(0.6 * steps), round(0.8 * steps)
    expected = [1.0] * first + [0.2] * (second - first) + [0.04] * (steps - second)
    factors = [rate_factor(step, steps) for step in range(steps)]
    np.testing.assert_allclose(factors, expected, rtol=1e-6)


@half_precision
def test_float16_is_trained_with_a_scaled_loss(frozen):
    """Without loss scaling, these gradients underflow in float16."""
    keras.config.set_dtype_policy("mixed_float16")
    frozen.backbone = small_backbone()
    keras.config.set_dtype_policy("float32")
    classifier = Classifier(frozen.backbone, frozen.num_classes)
    classifier.reset(0, pretrained=True)
    before = weights_of(classifier)
    train(classifier, frozen, steps=2, rate=1.0, backbone_rate=1e-4)
    after = weights_of(classifier)
    assert all(np.isfinite(w).all() for w in after)
    # The kernel, gamma and beta; then the head.
    for i in (0, 1, 2, -2, -1):
        assert not np.array_equal(before[i], after[i]), i
