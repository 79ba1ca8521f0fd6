"""Turn functions of one image into functions of a batch."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

import tensorflow as tf

from bt_keras.augmentation.ops import bands
from bt_keras.augmentation.ops.packed_rgb import from_image, to_image
from bt_keras.errors import UsageError


def map_images(function: Callable, images: tf.Tensor, parameters: dict) -> tf.Tensor:
    """Applies `function(packed, **parameters)` to one image of a batch at a time.

    XLA compiles this to a loop whose data stays in the processor's cache and in which
    `tf.cond` and `tf.switch_case` are branches, so that each image costs only the
    operations applied to it. One fused operation on the whole batch would compute
    every alternative for every image.

    Args:
        function: Callable that takes a packed image (see `packed_rgb`) and scalars, as
            keyword arguments, and returns a float32 image of shape `(H, W, 3)`. Of
            images that do not have three bands it gets groups of three.
        images: Tensor of shape `(N, H, W, C)`, uint8 or float32 of whole levels.
        parameters: Dict, possibly nested, of tensors with leading dimension `N`.

    Returns:
        float32 tensor of shape `(N, H, W, C)`.
    """

    def one(element):
        image, scalars = element
        return function(from_image(image), **scalars)

    channels = images.shape[-1]
    elements = bands.split(images), bands.repeat(parameters, channels)
    mapped = tf.map_fn(one, elements, fn_output_signature=tf.float32)
    return bands.merge(mapped, channels)


def map_at_once(function: Callable, images: tf.Tensor, parameters: dict) -> tf.Tensor:
    """Applies `function(packed, **parameters)` to all images of a batch at once.

    The levels are those of `map_images`. A GPU or TPU computes every alternative for
    every image faster than it enters a branch for each of them.

    Args:
        function: As for `map_images`. It gets packed images of shape `(N, H, W)`, and
            parameters of shape `(N, 1, 1)`; of those that are rows, one for each image,
            the first axis has become that of the row.
        images: As for `map_images`.
        parameters: As for `map_images`.

    Returns:
        float32 tensor of shape `(N, H, W, C)`.
    """
    channels = images.shape[-1]
    scalars = tf.nest.map_structure(
        lambda parameter: tf.transpose(parameter)[..., tf.newaxis, tf.newaxis],
        bands.repeat(parameters, channels),
    )
    mapped = function(from_image(bands.split(images)), **scalars)
    return bands.merge(mapped, channels)


def batched(function: Callable, of_bands: Callable | None = None) -> Callable:
    """Turns a function of one packed image into a function of a batch.

    Args:
        function: Callable `(packed, parameter, ...)` that returns a packed image.
            Its keyword-only arguments are Python constants.
        of_bands: Callable with the same arguments, for images that do not have three
            bands. Defaults to `None`: the operation needs RGB images.

    Returns:
        Callable that takes images of shape `(N, H, W, C)` and parameters of shape
        `(N,)` and returns float32 images. XLA compiles it, also inside another
        `tf.function`.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    @tf.function(jit_compile=True, autograph=False)
    def on_batch(images, *parameters, **named):
        named = signature.bind(None, *parameters, **named).arguments
        _, *names = named
        kinds = signature.parameters
        fixed = {n: named[n] for n in names if kinds[n].kind is kinds[n].KEYWORD_ONLY}
        per_image = {n: tf.convert_to_tensor(named[n]) for n in names if n not in fixed}

        chosen = function if bands.is_rgb(images) else of_bands
        if chosen is None:
            raise UsageError(
                f"{function.__name__} needs RGB images (N, H, W, 3), got shape "
                f"{tuple(images.shape)}."
            )

        def one(packed, **scalars):
            return to_image(chosen(packed, **scalars, **fixed))

        return map_images(one, images, per_image)

    return on_batch
