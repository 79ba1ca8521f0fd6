"""From a function of one image to a function of a batch."""

import functools
import inspect

import tensorflow as tf


def over_planes(function, images, parameters):
    """Loops over a batch: `function(planes, **parameters)` of one image at a time.

    Inside XLA this is a loop whose body stays in the processor's cache and in which
    `tf.cond` and `tf.switch_case` are branches, so that an image pays only for the
    operations it gets. One fused operation on the whole batch has to compute every
    alternative for every image.

    Args:
        function: callable from planes (float32, shape `(3, H, W)`) and scalars, by
            name, to planes.
        images: tensor of shape `(N, H, W, 3)`.
        parameters: nest of tensors with leading dimension `N`.

    Returns:
        float32 tensor of shape `(N, H, W, 3)`.
    """

    def one(element):
        planes, scalars = element
        return function(tf.cast(planes, tf.float32), **scalars)

    planes = tf.transpose(images, (0, 3, 1, 2))
    planes = tf.map_fn(one, (planes, parameters), fn_output_signature=tf.float32)
    return tf.transpose(planes, (0, 2, 3, 1))


def batched(function):
    """Makes `function(planes, parameter, ...)` one of images and (N,) parameters.

    Keyword-only arguments of `function` are Python constants and passed as they are.
    The result is compiled by XLA on its own and inside any other `tf.function`.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    @tf.function(jit_compile=True)
    def on_batch(images, *parameters, **named):
        named = signature.bind(None, *parameters, **named).arguments
        _, *names = named
        kinds = signature.parameters
        fixed = {n: named[n] for n in names if kinds[n].kind is kinds[n].KEYWORD_ONLY}
        per_image = {n: named[n] for n in names if n not in fixed}
        return over_planes(functools.partial(function, **fixed), images, per_image)

    return on_batch
