"""The held-out images of a run, whose loss is logged after every epoch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from bt_keras import data
from bt_keras.data.source import Source
from bt_keras.training import same_images


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Images of a split that the run does not train on.

    Args:
        source: `Source`, the images.
        views: `bt_keras.augmentation.Views`, the augmentation of the run.
        batch_size: Integer, at least 2. Global batch size; the remainder of the images
            is not used.
        seed: Integer. Seeds the choice and the order of the images, and the views.
        labels: Boolean, whether the batches have labels, for probes. Defaults to
            `False`.
    """

    source: Source
    views: Callable
    batch_size: int
    seed: int
    labels: bool = False

    @property
    def steps(self) -> int:
        """Integer, the number of batches."""
        return self.source.steps_per_epoch(self.batch_size)

    def describe(self) -> str:
        """Describes in one line what the loss is computed on."""
        used = f"{self.steps * self.batch_size} of them in batches of {self.batch_size}"
        return f"held out: {self.source.describe()}; {used}"

    def numbers(self) -> dict[str, int]:
        """Returns numbers that must be equal on all workers, by their description."""
        return {
            "held-out images": self.source.num_images,
            "held-out images (a digest of names and sizes)": (
                same_images.digest_number(self.source)
            ),
        }

    def pairs(self) -> tf.data.Dataset:
        """Makes the batches of view pairs, the same ones in each iteration.

        Call it inside `strategy.scope()`, as `bt_keras.pairs`.

        Returns:
            `tf.data.Dataset` or `tf.distribute.DistributedDataset` of (view_a, view_b),
            or of ((view_a, view_b), label).
        """
        return data.pairs(
            self.source,
            self.views,
            self.batch_size,
            self.seed,
            fixed_views=True,
            labels=self.labels,
        )
