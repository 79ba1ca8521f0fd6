import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras import config
from bt_keras.evaluation import FineTuning, FrozenBackbone, train_crops
from bt_keras.evaluation.classifier import Classifier, rate_factor
from bt_keras.networks import BatchNormalization
from tests.evaluation.gray import grey_levels


def small_backbone():
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(6, 3, use_bias=False)(inputs)
    x = keras.layers.ReLU()(BatchNormalization()(x))
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


@pytest.fixture
def frozen():
    sources = grey_levels((40, 40, 40)), grey_levels((20, 20, 20), seed=1)
    return FrozenBackbone(small_backbone(), *sources, 8, 1.0, batch_size=32)


@pytest.fixture
def classifier(frozen):
    return Classifier(frozen.backbone, frozen.num_classes)


def train(classifier, frozen, steps=5, rate=0.4, backbone_rate=0.01):
    batches = train_crops.batches_of_crops(frozen.train_source, 8, 16, seed=0)
    classifier.train(batches, steps, rate, backbone_rate)
    return list(batches.take(steps))


def weights_of(classifier):
    return classifier.backbone.get_weights() + classifier.head.get_weights()


def test_pretrained_starts_from_the_weights_and_scratch_from_its_seed(
    classifier, frozen
):
    def start(*args):
        classifier.start(*args)
        return weights_of(classifier)

    pretrained = start(1, True)
    before = frozen.backbone.get_weights()
    for ours, theirs in zip(pretrained[:-2], before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    scratch, other = start(1, False), start(2, False)
    for kernel in (0, -2):
        assert not np.allclose(scratch[kernel], other[kernel])
    assert not np.allclose(scratch[0], before[0])
    # Both networks get the same classifier: small weights, no bias.
    np.testing.assert_array_equal(scratch[-2], pretrained[-2])
    assert 0.003 < scratch[-2].std() < 0.03
    assert not scratch[-1].any()
    # Whatever was trained in between.
    train(classifier, frozen, steps=1)
    for ours, theirs in zip(start(1, False), scratch, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_steps_are_those_of_sgd_with_two_rates(classifier, frozen):
    """v ← 0.9 v - rate g, p ← p + v, with gradients of a loss written by hand."""
    classifier.start(0, pretrained=False)
    copy = keras.models.clone_model(frozen.backbone)
    copy.set_weights(classifier.backbone.get_weights())
    before = copy.non_trainable_variables[0].numpy()
    kernel, bias = (tf.Variable(w) for w in classifier.head.get_weights())
    variables = [v.value for v in copy.trainable_variables] + [kernel, bias]
    rates = [0.01] * len(copy.trainable_variables) + [0.4] * 2
    velocities = [np.zeros(v.shape) for v in variables]
    # Of five steps the fourth has a fifth of the rate, the last a fifth of that.
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
    # Batch norm's statistics among them, which moved.
    assert not np.allclose(copy.non_trainable_variables[0], before, atol=1e-3)
    for ours, theirs in zip(weights_of(classifier), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_momentum_does_not_outlast_a_start(classifier, frozen):
    def trained():
        classifier.start(0, pretrained=True)
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


def test_default_is_the_papers_protocol():
    """Section 4.1: 20 epochs, a batch of 256, 0.002 for the backbone, 0.5 for the
    classifier."""
    paper = FineTuning(**config.default().evaluation.finetune)
    assert paper.rates()["pretrained"] == (0.5, 0.002)
    assert paper.steps(12_811) == math.ceil(20 * 12_811 / 256)
    assert paper.momentum == 0.9


@pytest.mark.parametrize(
    ("num_images", "steps"), [(3, 40), (256, 40), (257, 40), (2560, 200), (2561, 201)]
)
def test_few_images_get_the_least_number_of_steps(num_images, steps):
    assert FineTuning(epochs=20, min_steps=40).steps(num_images) == steps


def test_classes_that_are_apart_are_told_apart(frozen):
    before = frozen.backbone.get_weights()
    settings = {"epochs": 10, "batch_size": 8, "scratch_learning_rate": 0.2}
    tuned = list(FineTuning((1.0,), seeds=1, **settings).run(frozen))
    assert [(t.backbone, t.settings) for t in tuned] == [
        (backbone, "labels=100%, images=120, seed=0, 150 steps")
        for backbone in ("pretrained", "scratch")
    ]
    assert all(t.scores["top5"] == 1 for t in tuned)
    assert all(t.scores["top1"] > 0.9 for t in tuned), tuned
    for ours, theirs in zip(frozen.backbone.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_runs_come_in_order_and_repeat(frozen):
    """Every share, every seed, both networks; the same seed gives the same scores."""
    tuned = list(FineTuning((0.1, 0.2), 2, epochs=1).run(frozen))
    assert list(FineTuning((0.1,), 1, epochs=1).run(frozen)) == tuned[:2]
    assert [(t.backbone, t.settings) for t in tuned] == [
        (backbone, f"labels={labels}, seed={seed}, 1 steps")
        for labels in ("10%, images=12", "20%, images=24")
        for seed in (0, 1)
        for backbone in ("pretrained", "scratch")
    ]


def test_half_precision_is_trained_with_a_scaled_loss(frozen):
    """The gradient of the loss is too small for float16, and arrives all the same."""
    keras.config.set_dtype_policy("mixed_float16")
    frozen.backbone = small_backbone()
    keras.config.set_dtype_policy("float32")
    classifier = Classifier(frozen.backbone, frozen.num_classes)
    classifier.start(0, pretrained=True)
    before = weights_of(classifier)
    train(classifier, frozen, steps=2, rate=1.0, backbone_rate=1e-4)
    after = weights_of(classifier)
    assert all(np.isfinite(w).all() for w in after)
    # Kernel, gamma, beta; then the head.
    for i in (0, 1, 2, -2, -1):
        assert not np.array_equal(before[i], after[i]), i


@pytest.mark.parametrize(
    ("arguments", "part"),
    [({"shares": (0.1, 0.0)}, "0.0"), ({"shares": (1.5,)}, "1.5"), ({"seeds": 0}, "0")],
)
def test_values_out_of_range_are_named(arguments, part):
    with pytest.raises(bt_keras.UsageError, match=part):
        FineTuning(**arguments)
