"""Color jitter, grayscale, solarization and blur: levels change, pixels stay."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from bt_keras import checks
from bt_keras.augmentation import ops, sampling
from bt_keras.augmentation.layers.base import RandomView, register
from bt_keras.config import view_fields


class _LevelView(RandomView):
    """Base class; a subclass has the `operation` and its `arguments`."""

    operation: Callable

    def arguments(self, transformations):
        """Returns the operation's arguments besides the images."""
        return {"mask": transformations}

    def augment_images(self, images, transformations, **kwargs):
        # Compiled code is for one size: of images of many sizes, it would cost more
        # than it saves.
        is_fixed = images.shape[1:3].is_fully_defined()
        operation = self.operation if is_fixed else self.operation.python_function
        return self._apply(operation, images, transformations)

    def augment_ragged_image(self, image, transformation, **kwargs):
        batch = tf.nest.map_structure(lambda x: x[None], transformation)
        return self._apply(self.operation.python_function, image[None], batch)[0]

    def _apply(self, operation, images, transformations):
        changed = operation(images, **self.arguments(transformations))
        return tf.cast(changed, self.compute_dtype)


@register
class ColorJitter(_LevelView):
    """Apply torchvision's ColorJitter: four adjustments in random order.

    Args:
        brightness: Float. Factor in [1 - brightness, 1 + brightness]. Defaults to
            `0.4`.
        contrast: Float. Factor in [1 - contrast, 1 + contrast]. Defaults to `0.4`.
        saturation: Float. Factor in [1 - saturation, 1 + saturation]. Defaults to
            `0.2`.
        hue: Float, at most 0.5. Shift in [-hue, hue] as a fraction of the color
            circle. Defaults to `0.1`.
        probability: Float in [0, 1]. Fraction of the images that are changed.
            Defaults to `0.8`.
        seed: Integer or None. Makes the changes repeatable. Defaults to `None`.

    Raises:
        UsageError: If a strength or the probability is out of range.

    Example:

    >>> from bt_keras.augmentation.layers import ColorJitter
    >>> jitter = ColorJitter(0.4, 0.4, 0.2, 0.1, probability=0.8, seed=1)
    >>> jitter(tf.zeros((2, 8, 8, 3), tf.uint8)).shape
    TensorShape([2, 8, 8, 3])
    """

    operation = staticmethod(ops.color_jitter)

    def __init__(
        self,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.2,
        hue: float = 0.1,
        probability: float = 0.8,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.strengths = (
            view_fields.check("brightness", brightness),
            view_fields.check("contrast", contrast),
            view_fields.check("saturation", saturation),
            view_fields.check("hue", hue),
        )
        self.probability = checks.number("probability", probability, checks.FRACTION)

    def get_random_transformation_batch(self, batch_size, **kwargs):
        seed = self.next_seed()
        return sampling.color_jitter(seed, batch_size, self.strengths, self.probability)

    def arguments(self, transformations):
        return transformations

    def settings(self):
        names = ("brightness", "contrast", "saturation", "hue")
        strengths = dict(zip(names, self.strengths, strict=True))
        return {**strengths, "probability": self.probability}


class _LevelSwitch(_LevelView):
    """Base class of operations that are applied with a probability."""

    def __init__(self, probability: float, **kwargs):
        super().__init__(**kwargs)
        self.probability = checks.number("probability", probability, checks.FRACTION)

    def get_random_transformation_batch(self, batch_size, **kwargs):
        return sampling.bernoulli(self.next_seed(), batch_size, self.probability)

    def settings(self):
        return {"probability": self.probability}


@register
class RandomGrayscale(_LevelSwitch):
    """Replace all three channels by the luma.

    Args:
        probability: Float in [0, 1]. Fraction of the images that are converted.
            Defaults to `0.2`.
        seed: Integer or None. Makes the choice repeatable. Defaults to `None`.
    """

    operation = staticmethod(ops.grayscale)

    def __init__(self, probability: float = 0.2, **kwargs):
        super().__init__(probability, **kwargs)


@register
class RandomSolarize(_LevelSwitch):
    """Invert all levels at or above a threshold.

    Args:
        probability: Float in [0, 1]. Fraction of the images that are solarized.
            Defaults to `0.2`.
        threshold: Integer in 0..256. The lowest level that is inverted. Defaults to
            `128`.
        seed: Integer or None. Makes the choice repeatable. Defaults to `None`.
    """

    operation = staticmethod(ops.solarize)

    def __init__(self, probability: float = 0.2, threshold: int = 128, **kwargs):
        super().__init__(probability, **kwargs)
        self.threshold = view_fields.check("threshold", threshold)

    def arguments(self, transformations):
        return {"mask": transformations, "threshold": self.threshold}

    def settings(self):
        return {**super().settings(), "threshold": self.threshold}


@register
class RandomGaussianBlur(_LevelView):
    """Apply Pillow's Gaussian blur with a random standard deviation.

    Args:
        sigma: Tuple of floats, the range of the standard deviation in pixels. Defaults
            to `(0.1, 2.0)`.
        probability: Float in [0, 1]. Fraction of the images that are blurred. Defaults
            to `1.0`.
        seed: Integer or None. Makes the blur repeatable. Defaults to `None`.

    Raises:
        UsageError: If `sigma` is negative or decreasing, or the probability is out of
            range.
    """

    operation = staticmethod(ops.gaussian_blur)

    def __init__(
        self,
        sigma: tuple[float, float] = (0.1, 2.0),
        probability: float = 1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.sigma = view_fields.check("sigma", sigma)
        self.probability = checks.number("probability", probability, checks.FRACTION)

    def get_random_transformation_batch(self, batch_size, **kwargs):
        seed = self.next_seed()
        return sampling.blur_sigma(seed, batch_size, self.sigma, self.probability)

    def arguments(self, transformations):
        return {"sigma": transformations, "max_sigma": self.sigma[1]}

    def settings(self):
        return {"sigma": self.sigma, "probability": self.probability}
