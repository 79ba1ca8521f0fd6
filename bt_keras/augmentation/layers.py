"""The view operations as keras-cv layers, to be mixed with keras-cv's own layers.

Images have shape `(N, H, W, 3)` and levels 0..255. They are passed alone or in
keras-cv's dictionary of images and labels; labels are returned unchanged. Each layer
has a random generator that starts from its `seed`; `bt_keras.views` is the stateless
function with the same operations.
"""

from __future__ import annotations

import keras
import keras_cv
import tensorflow as tf

from bt_keras import checks
from bt_keras.augmentation import ops, sampling
from bt_keras.config import view_fields

register = keras.saving.register_keras_serializable("bt_keras")


class _RandomView(keras_cv.layers.VectorizedBaseImageAugmentationLayer):
    """Base class of the layers: seed, configuration and labels."""

    def __init__(self, seed=None, **kwargs):
        if seed is not None:
            seed = checks.number("seed", seed, checks.STEP)
        super().__init__(seed=seed, **kwargs)
        self.seed = seed
        # keras-cv treats 0 as "no seed" and then uses one global generator.
        self._random_generator = (
            tf.random.Generator.from_non_deterministic_state()
            if seed is None
            else tf.random.Generator.from_seed(seed)
        )

    def next_seed(self):
        return self._random_generator.make_seeds(1)[:, 0]

    def augment_labels(self, labels, transformations, **kwargs):
        return labels

    def get_config(self):
        return {**super().get_config(), "seed": self.seed, **self.settings()}

    def settings(self):
        """Returns the constructor's other arguments as a dict."""
        return {}


@register
class RandomResizedCrop(_RandomView):
    """Crop a random box and resize it with antialiased bicubic interpolation.

    Args:
        size: Integer. Side of the square output in pixels.
        scale: Tuple of floats, the range of the crop's fraction of the image area.
            Defaults to `(0.08, 1.0)`.
        ratio: Tuple of floats, the range of the crop's width divided by its height.
            Defaults to `(3 / 4, 4 / 3)`.
        seed: Integer or None. Makes the crops repeatable. Defaults to `None`.

    Example:

    >>> from bt_keras.augmentation.layers import RandomResizedCrop
    >>> crop = RandomResizedCrop(32, seed=1)
    >>> crop(tf.zeros((8, 48, 48, 3), tf.uint8)).shape
    TensorShape([8, 32, 32, 3])
    """

    def __init__(
        self,
        size: int,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.size = checks.number("size", size, checks.COUNT)
        self.scale = checks.interval("scale", scale, checks.POSITIVE)
        self.ratio = checks.interval("ratio", ratio, checks.POSITIVE)

    def get_random_transformation_batch(self, batch_size, images=None, **kwargs):
        _, height, width, _ = tf.unstack(tf.shape(images))
        return sampling.crop_boxes(
            self.next_seed(), batch_size, height, width, self.scale, self.ratio
        )

    def augment_images(self, images, transformations, **kwargs):
        crops = ops.crop_and_resize(
            tf.cast(images, tf.uint8), transformations, self.size
        )
        return tf.cast(crops, self.compute_dtype)

    def settings(self):
        return {"size": self.size, "scale": self.scale, "ratio": self.ratio}


@register
class ColorJitter(_RandomView):
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

    def augment_images(self, images, transformations, **kwargs):
        jittered = ops.color_jitter(images, **transformations)
        return tf.cast(jittered, self.compute_dtype)

    def settings(self):
        names = ("brightness", "contrast", "saturation", "hue")
        strengths = dict(zip(names, self.strengths, strict=True))
        return {**strengths, "probability": self.probability}


class _RandomSwitch(_RandomView):
    """Base class of operations that are applied with a probability."""

    def __init__(self, probability: float = 0.5, **kwargs):
        super().__init__(**kwargs)
        self.probability = checks.number("probability", probability, checks.FRACTION)

    def get_random_transformation_batch(self, batch_size, **kwargs):
        return sampling.bernoulli(self.next_seed(), batch_size, self.probability)

    def augment_images(self, images, transformations, **kwargs):
        return tf.cast(self.switch(images, transformations), self.compute_dtype)

    def settings(self):
        return {"probability": self.probability}


@register
class RandomFlip(_RandomSwitch):
    """Flip images horizontally.

    Args:
        probability: Float in [0, 1]. Fraction of the images that are flipped.
            Defaults to `0.5`.
        seed: Integer or None. Makes the choice repeatable. Defaults to `None`.
    """

    def switch(self, images, mask):
        return ops.flip(images, mask)


@register
class RandomGrayscale(_RandomSwitch):
    """Replace all three channels by the luma.

    Args:
        probability: Float in [0, 1]. Fraction of the images that are converted.
            Defaults to `0.2`.
        seed: Integer or None. Makes the choice repeatable. Defaults to `None`.
    """

    def __init__(self, probability: float = 0.2, **kwargs):
        super().__init__(probability, **kwargs)

    def switch(self, images, mask):
        return ops.grayscale(images, mask)


@register
class RandomSolarize(_RandomSwitch):
    """Invert all levels at or above a threshold.

    Args:
        probability: Float in [0, 1]. Fraction of the images that are solarized.
            Defaults to `0.2`.
        threshold: Integer in 0..256. The lowest level that is inverted. Defaults to
            `128`.
        seed: Integer or None. Makes the choice repeatable. Defaults to `None`.
    """

    def __init__(self, probability: float = 0.2, threshold: int = 128, **kwargs):
        super().__init__(probability, **kwargs)
        self.threshold = view_fields.check("threshold", threshold)

    def switch(self, images, mask):
        return ops.solarize(images, mask, threshold=self.threshold)

    def settings(self):
        return {**super().settings(), "threshold": self.threshold}


@register
class RandomGaussianBlur(_RandomView):
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

    def augment_images(self, images, transformations, **kwargs):
        blurred = ops.gaussian_blur(images, transformations, max_sigma=self.sigma[1])
        return tf.cast(blurred, self.compute_dtype)

    def settings(self):
        return {"sigma": self.sigma, "probability": self.probability}
