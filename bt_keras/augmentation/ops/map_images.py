"""From a function of one image to a function of a batch."""

import functools
import inspect

import tensorflow as tf

from bt_keras.augmentation.ops.packed_rgb import from_image, to_image


def over_words(function, images, parameters):
    """Loops over a batch: `function(words, **parameters)` of one image at a time.

    Inside XLA this is a loop whose body stays in the processor's cache and in which
    `tf.cond` and `tf.switch_case` are branches, so that an image pays only for the
    operations it gets. One fused operation on the whole batch has to compute every
    alternative for every image.

    Args:
        function: callable from words (see `ops.words`) and scalars, by name, to a
            float32 image (H, W, 3).
        images: tensor of shape `(N, H, W, 3)`, uint8 or float32 of whole levels.
        parameters: nest of tensors with leading dimension `N`.

    Returns:
        float32 tensor of shape `(N, H, W, 3)`.
    """

    def one(element):
        image, scalars = element
        return function(from_image(image), **scalars)

    return tf.map_fn(one, (images, parameters), fn_output_signature=tf.float32)


def batched(function):
    """Makes `function(words, parameter, ...)` one of images and (N,) parameters.

    Keyword-only arguments of `function` are Python constants and passed as they are.
    The result is compiled by XLA on its own and inside any other `tf.function`.
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

        def one(words, **scalars):
            return to_image(function(words, **scalars, **fixed))

        return over_words(one, images, per_image)

    return on_batch
