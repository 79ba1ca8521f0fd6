"""Turn functions of one image into functions of a batch."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable

import tensorflow as tf

from bt_keras.augmentation.ops.packed_rgb import from_image, to_image


def map_images(function: Callable, images: tf.Tensor, parameters: dict) -> tf.Tensor:
    """Applies `function(packed, **parameters)` to one image of a batch at a time.

    XLA compiles this to a loop whose data stays in the processor's cache and in which
    `tf.cond` and `tf.switch_case` are branches, so that each image costs only the
    operations applied to it. One fused operation on the whole batch would compute
    every alternative for every image.

    Args:
        function: Callable that takes a packed image (see `packed_rgb`) and scalars, as
            keyword arguments, and returns a float32 image of shape `(H, W, 3)`.
        images: Tensor of shape `(N, H, W, 3)`, uint8 or float32 of whole levels.
        parameters: Dict, possibly nested, of tensors with leading dimension `N`.

    Returns:
        float32 tensor of shape `(N, H, W, 3)`.
    """

    def one(element):
        image, scalars = element
        return function(from_image(image), **scalars)

    return tf.map_fn(one, (images, parameters), fn_output_signature=tf.float32)


def batched(function: Callable) -> Callable:
    """Turns a function of one packed image into a function of a batch.

    Args:
        function: Callable `(packed, parameter, ...)` that returns a packed image.
            Its keyword-only arguments are Python constants.

    Returns:
        Callable that takes images of shape `(N, H, W, 3)` and parameters of shape
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

        def one(packed, **scalars):
            return to_image(function(packed, **scalars, **fixed))

        return map_images(one, images, per_image)

    return on_batch
