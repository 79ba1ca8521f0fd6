"""Ragged batches: images, or masks, of different sizes."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def normalized(images: tf.Tensor | tf.RaggedTensor) -> tf.Tensor | tf.RaggedTensor:
    """Makes height and width, and these alone, ragged; dense images stay dense.

    `tf.ragged.stack` of images with a common height, width or number of channels gives
    other combinations.

    Args:
        images: Tensor or ragged tensor of shape `(N, H, W, C)`.

    Returns:
        The same images; a ragged tensor has the ragged rank 2.
    """
    if not isinstance(images, tf.RaggedTensor) or images.shape.rank != 4:
        return images
    rows = images.values
    if not isinstance(rows, tf.RaggedTensor):
        return images.with_values(tf.RaggedTensor.from_tensor(rows))
    if isinstance(rows.values, tf.RaggedTensor):
        rows = rows.with_values(rows.values.to_tensor())
    return images.with_values(rows)


def signature(dtype: tf.DType, channels: int | None) -> tf.RaggedTensorSpec:
    """Returns the type of one image of a ragged batch."""
    return tf.RaggedTensorSpec((None, None, channels), dtype, ragged_rank=1)


def map_images(
    function: Callable, images: tf.RaggedTensor, parameters: tf.Tensor | dict
) -> tf.RaggedTensor:
    """Applies `function(image, parameters)` to every image.

    Args:
        function: Callable that takes a dense image `(H, W, C)` and returns one.
        images: Ragged tensor of shape `(N, H, W, C)`.
        parameters: Tensor, or dict of tensors, with leading dimension `N`.

    Returns:
        Ragged tensor of shape `(N, H, W, C)`.
    """

    def one(element):
        image, scalars = element
        return tf.RaggedTensor.from_tensor(function(image.to_tensor(), scalars))

    spec = signature(images.dtype, images.shape[-1])
    return tf.map_fn(one, (images, parameters), fn_output_signature=spec)


def sides(images: tf.Tensor | tf.RaggedTensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns height and width: two scalars, or of ragged images tensors `(N,)`."""
    if isinstance(images, tf.RaggedTensor):
        widths = tf.reduce_max(images.row_lengths(axis=2), axis=1)
        return images.row_lengths(), widths
    _, height, width, _ = tf.unstack(tf.shape(images))
    return height, width
