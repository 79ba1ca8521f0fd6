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

HELD_OUT = 0.1


def probe_accuracies(
    split: Features,
    num_classes: int,
    rates: Sequence[float],
    *,
    schedule: Callable[[int], float],
    epochs: int,
    batch_size: int,
    momentum: float,
    weight_decay: float,
    seed: int,
) -> list[float]:
    """Trains one linear layer for each rate and tests it on held-out features.

    A tenth of every class is held out. The layers are trained side by side: the loss of
    each has its rate as a weight, which is the same as that rate, because the layers
    share nothing and the update of SGD with momentum is linear in the gradient. Of
    features above 1 GiB, the same share of every class is taken that fits.

    Args:
        split: `Features` of the training images.
        num_classes: Integer.
        rates: Sequence of floats > 0.
        schedule: Function from an epoch, counted from 0, to the factor of the rates.
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
    ...     split, 2, (0.3,), schedule=lambda epoch: 1.0, epochs=5, batch_size=8, **sgd
    ... )
    [1.0]
    """
    rest, held_out = _divided(split, seed)
    inputs = keras.Input(split.features.shape[1:])
    outputs = []
    for number, rate in enumerate(rates):
        # The same initial weights for each.
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
        auto_scale_loss=False,
        jit_compile=False,
    )
    batches = shuffled_batches(rest, split.moments, batch_size, seed)
    model.fit(
        batches.map(lambda features, labels: (features, (labels,) * len(rates))),
        epochs=epochs,
        steps_per_epoch=-(-len(rest.labels) // batch_size),
        callbacks=[
            keras.callbacks.LearningRateScheduler(lambda epoch, _: schedule(epoch)),
            FitProgress("choice of the linear probe's rate"),
        ],
        shuffle=False,
        verbose=0,
    )
    tested = ordered_batches(held_out, split.moments)
    logits = model.predict(tested, verbose=0)
    logits = logits if isinstance(logits, list) else [logits]
    return [float(np.mean(each.argmax(axis=1) == held_out.labels)) for each in logits]


def _divided(split, seed):
    """Returns the `Features` to train on, and those to test on."""
    labels = split.labels
    rows = np.arange(len(labels))
    share = WHOLE_BYTES / (4 * split.features.size)
    if share < 1:
        rows = balanced_subset(labels, share, seed)
    held_out = held_out_positions(labels[rows], HELD_OUT, seed)
    if not len(held_out):
        raise UsageError(
            "config.evaluation.linear.rates='grid' holds out training images to choose "
            f"the rate, but {len(labels)} images have no class with two of them: add "
            "images, or use rates='paper'."
        )
    rest = np.setdiff1d(np.arange(len(rows)), held_out)
    return tuple(
        Features(split.features[rows[part]], labels[rows[part]])
        for part in (rest, held_out)
    )
