"""The learning rate of the cached linear probe, chosen on held-out training images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np

from bt_keras.errors import UsageError
from bt_keras.evaluation.feature_batches import (
    WHOLE_BYTES,
    ordered_batches,
    shuffled_batches,
)
from bt_keras.evaluation.features import Features
from bt_keras.evaluation.label_subsets import balanced_subset
from bt_keras.evaluation.labeled_splits import held_out_positions
from bt_keras.evaluation.linear_layer import linear_layer
from bt_keras.progress_bar import FitProgress

_HELD_OUT = 0.1


def probe_accuracies(
    split: Features,
    num_classes: int,
    rates: Sequence[float],
    *,
    schedule: Callable[[float], float],
    epochs: int,
    batch_size: int,
    momentum: float,
    weight_decay: float,
    seed: int,
) -> list[float]:
    """Trains one linear layer for each rate and tests it on held-out features.

    A tenth of every class is held out. Features above 1 GiB are replaced by a
    stratified sample of that size, on which the layers are trained for as many steps.

    Args:
        split: `Features` of the training images.
        num_classes: Integer.
        rates: Sequence of floats > 0.
        schedule: Function from a share of the training in [0, 1) to the factor of the
            rates, called for each epoch.
        epochs: Integer > 0.
        batch_size: Integer > 0.
        momentum: Float in [0, 1).
        weight_decay: Float >= 0, added to the gradient.
        seed: Integer. Seeds the choice of images, the weights and the order.

    Returns:
        List of floats in [0, 1], the top-1 accuracy of each rate.

    Raises:
        UsageError: If no class has two images.

    Example:

    >>> from bt_keras.evaluation.features import Features
    >>> from bt_keras.evaluation.probe_rates import probe_accuracies
    >>> labels = np.arange(40) % 2
    >>> split = Features(labels[:, np.newaxis].astype("float32"), labels)
    >>> sgd = {"momentum": 0.9, "weight_decay": 0.0, "seed": 0}
    >>> probe_accuracies(
    ...     split, 2, (0.3,), schedule=lambda done: 1.0, epochs=5, batch_size=8, **sgd
    ... )
    [1.0]
    """
    rows = _sample(split, seed)
    rest, held_out = _divided(split, rows, seed)
    model = layers_of_rates(
        split.features.shape[1], num_classes, rates, momentum, weight_decay, seed
    )
    epochs = round(epochs * len(split.labels) / len(rows))
    batches = shuffled_batches(rest, split.moments, batch_size, seed)
    model.fit(
        _for_each(batches, rates),
        epochs=epochs,
        steps_per_epoch=-(-len(rest.labels) // batch_size),
        callbacks=[
            keras.callbacks.LearningRateScheduler(
                lambda epoch, _: schedule(epoch / epochs)
            ),
            FitProgress("choice of the linear probe's rate"),
        ],
        shuffle=False,
        verbose=0,
    )
    tested = _for_each(ordered_batches(held_out, split.moments), rates)
    scores = model.evaluate(tested, return_dict=True, verbose=0)
    # Keras prefixes the names of metrics if there are several outputs.
    names = [f"rate_{i}_top1" if len(rates) > 1 else "top1" for i in range(len(rates))]
    return [scores[name] for name in names]


def layers_of_rates(
    width: int,
    num_classes: int,
    rates: Sequence[float],
    momentum: float,
    weight_decay: float,
    seed: int,
) -> keras.Model:
    """Builds one linear layer for each learning rate, which are trained together.

    The loss of each has its rate as a weight. With the optimizer's rate 1, this is SGD
    with that rate: the layers share nothing, and an update is linear in the gradient.

    Args:
        width: Integer, the number of features.
        num_classes: Integer.
        rates: Sequence of floats > 0.
        momentum: Float in [0, 1).
        weight_decay: Float >= 0, added to the gradient.
        seed: Integer. Seeds the initial weights, which all layers have.

    Returns:
        `keras.Model`, compiled, from features to a list of logits.

    Example:

    >>> from bt_keras.evaluation.probe_rates import layers_of_rates
    >>> model = layers_of_rates(8, 3, (0.1, 0.01), 0.9, 0.0, seed=0)
    >>> [tuple(logits.shape) for logits in model(np.zeros((2, 8)))]
    [(2, 3), (2, 3)]
    """
    inputs = keras.Input((width,))
    outputs = []
    for number, rate in enumerate(rates):
        keras.utils.set_random_seed(seed)
        decay = keras.regularizers.L2(0.5 * weight_decay * rate)
        layer = linear_layer(
            num_classes,
            name=f"rate_{number}",
            kernel_regularizer=decay,
            bias_regularizer=decay,
        )
        outputs.append(layer(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(
        optimizer=keras.optimizers.SGD(1.0, momentum),
        loss=[
            keras.losses.SparseCategoricalCrossentropy(from_logits=True) for _ in rates
        ],
        loss_weights=list(map(float, rates)),
        metrics=[[keras.metrics.SparseCategoricalAccuracy("top1")] for _ in rates],
        auto_scale_loss=False,
        jit_compile=False,
    )
    return model


def _for_each(batches, rates):
    """Returns batches with the labels of every output."""
    return batches.map(lambda features, labels: (features, (labels,) * len(rates)))


def _sample(split, seed):
    """Returns the rows of all features, or of a sample that fits into 1 GiB."""
    share = WHOLE_BYTES / (4 * split.features.size)
    if share >= 1:
        return np.arange(len(split.labels))
    return balanced_subset(split.labels, share, seed)


def _divided(split, rows, seed):
    """Returns the `Features` of the rows to train on, and of those to test on."""
    held_out = held_out_positions(split.labels[rows], _HELD_OUT, seed)
    if not len(held_out):
        raise UsageError(
            "config.evaluation.linear.rates='grid' holds out training images to choose "
            f"the rate, but no class has two of the {len(rows)} images that it takes: "
            "add images, or use rates='paper'."
        )
    rest = np.setdiff1d(np.arange(len(rows)), held_out)
    return tuple(
        Features(split.features[rows[part]], split.labels[rows[part]])
        for part in (rest, held_out)
    )
