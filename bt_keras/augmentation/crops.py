"""Crops whose other operations a GPU or TPU applies, in the step that uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union

import tensorflow as tf

from bt_keras.augmentation.distortion import distort_at_once
from bt_keras.augmentation.statistics import Statistics

# An `ExtensionType` does not understand `|`.
_Sampled = Mapping[str, Union[tf.Tensor, Mapping[str, tf.Tensor]]]  # noqa: UP007


class Crops(tf.experimental.BatchableExtensionType):
    """The crops of a view, and the random parameters of its other operations.

    A dataset can have elements of this type. They need a quarter of the bytes of
    views.

    Attributes:
        images: uint8 tensor of shape `(N, size, size, C)`.
        sampled: Dict of tensors with leading dimension `N`, see `sample_distortion`.
        max_sigma: Float, the largest standard deviation of the blur in pixels.
        threshold: Integer in 0..256, the lowest level that solarization inverts.
        statistics: `Statistics` for the normalization, as a tuple.
    """

    images: tf.Tensor
    sampled: _Sampled
    max_sigma: float
    threshold: int
    statistics: tuple[tuple[float, ...], ...]

    class Spec:
        """The type of `Crops`, for `tf.data`."""

        @property
        def shape(self) -> tf.TensorShape:
            """Shape of the view."""
            return self.images.shape  # type: ignore[attr-defined]

        def _create_empty_value(self):
            """Called by `tf.distribute`: the rows of a replica after the last batch."""
            return tf.nest.map_structure(
                lambda spec: tf.zeros((0, *spec.shape[1:]), spec.dtype),
                self,
                expand_composites=True,
            )

    @property
    def shape(self) -> tf.TensorShape:
        """Shape of the view."""
        return self.images.shape

    def finish(self) -> tf.Tensor:
        """Returns the view, a float32 tensor, see `Views`."""
        constants = self.max_sigma, self.threshold, Statistics(*self.statistics)
        return distort_at_once(self.images, dict(self.sampled), *constants)


def finish_crops(nest: Any) -> Any:
    """Replaces the `Crops` in a nest, such as an element of a dataset, by views.

    Args:
        nest: Nest of `Crops` and anything else.

    Returns:
        The nest with a float32 tensor of shape `(N, size, size, C)`, normalized, in
        place of every `Crops`.

    Example:

    >>> from bt_keras.augmentation.crops import finish_crops
    >>> views = bt_keras.views(32, "small", finish_on_device=True)
    >>> crops = views(np.zeros((4, 40, 40, 3), "uint8"), seed=(0, 0))
    >>> view_a, view_b = finish_crops(crops)
    >>> view_a.shape
    TensorShape([4, 32, 32, 3])
    """
    return tf.nest.map_structure(
        lambda part: part.finish() if isinstance(part, Crops) else part, nest
    )
