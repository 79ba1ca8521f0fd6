"""The view operations as keras-cv layers, to be mixed with keras-cv's own.

Images are (N, H, W, 3) with levels 0..255, alone or in keras-cv's dictionary of
images and labels; labels pass unchanged. Each layer draws its random numbers from its
seed; `bt_keras.views` is the stateless way to the same pixels.
"""

import math

import keras
import keras_cv
import tensorflow as tf

from bt_keras.augmentation import ops, sampling
from bt_keras.errors import UsageError

register = keras.saving.register_keras_serializable("bt_keras")


def _checked(name, value, low, high):
    if not low <= value <= high:
        raise UsageError(f"{name} is {value}: it must lie in [{low}, {high}].")
    return value


class _RandomView(keras_cv.layers.VectorizedBaseImageAugmentationLayer):
    """What the layers share: seeds, configuration, labels."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.seed = seed
        # keras-cv takes 0 for "no seed" and then shares one global generator.
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
        """The constructor's other arguments, by name."""
        return {}


@register
class RandomResizedCrop(_RandomView):
    """Random part of an image, resized by antialiased bicubic interpolation.

    Args:
        size: int. The side of the square output in pixels.
        scale: (float, float). Range of the crop's share of the image's area.
        ratio: (float, float). Range of its width over its height.
        seed: int or None. Makes the crops repeatable.

    Example:

    >>> crop = RandomResizedCrop(32, seed=1)
    >>> crop(tf.zeros((8, 48, 48, 3), tf.uint8)).shape
    TensorShape([8, 32, 32, 3])
    """

    def __init__(self, size, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), **kwargs):
        super().__init__(**kwargs)
        self.size, self.scale, self.ratio = size, tuple(scale), tuple(ratio)

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
    """torchvision's ColorJitter: four adjustments in random order.

    Args:
        brightness: float. Factor in [1 - brightness, 1 + brightness].
        contrast: float. Factor in [1 - contrast, 1 + contrast].
        saturation: float. Factor in [1 - saturation, 1 + saturation].
        hue: float. Shift in [-hue, hue] of the colour circle, at most 0.5.
        probability: float in [0, 1]. Share of the images that are changed.
        seed: int or None. Makes the changes repeatable.

    Raises:
        UsageError: If a strength or the probability is out of its range.

    Example:

    >>> jitter = ColorJitter(0.4, 0.4, 0.2, 0.1, probability=0.8, seed=1)
    >>> jittered = jitter(images)   # (N, H, W, 3), levels 0..255
    """

    def __init__(
        self,
        brightness=0.4,
        contrast=0.4,
        saturation=0.2,
        hue=0.1,
        probability=0.8,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.strengths = (
            _checked("brightness", brightness, 0, math.inf),
            _checked("contrast", contrast, 0, math.inf),
            _checked("saturation", saturation, 0, math.inf),
            _checked("hue", hue, 0, 0.5),
        )
        self.probability = _checked("probability", probability, 0, 1)

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
    """An operation that an image gets or does not get."""

    def __init__(self, probability=0.5, **kwargs):
        super().__init__(**kwargs)
        self.probability = _checked("probability", probability, 0, 1)

    def get_random_transformation_batch(self, batch_size, **kwargs):
        return sampling.bernoulli(self.next_seed(), batch_size, self.probability)

    def augment_images(self, images, transformations, **kwargs):
        return tf.cast(self.switch(images, transformations), self.compute_dtype)

    def settings(self):
        return {"probability": self.probability}


@register
class RandomFlip(_RandomSwitch):
    """Mirrors images left and right.

    Args:
        probability: float in [0, 1]. Share of the images that are mirrored.
        seed: int or None. Makes the choice repeatable.
    """

    def switch(self, images, mask):
        return ops.flip(images, mask)


@register
class RandomGrayscale(_RandomSwitch):
    """Takes the colours out, leaving three equal channels of luma.

    Args:
        probability: float in [0, 1]. Share of the images that lose their colours.
        seed: int or None. Makes the choice repeatable.
    """

    def __init__(self, probability=0.2, **kwargs):
        super().__init__(probability, **kwargs)

    def switch(self, images, mask):
        return ops.grayscale(images, mask)


@register
class RandomSolarize(_RandomSwitch):
    """Inverts the levels from a threshold on.

    Args:
        probability: float in [0, 1]. Share of the images that are solarised.
        threshold: int. The lowest level that is inverted, of 0..255.
        seed: int or None. Makes the choice repeatable.
    """

    def __init__(self, probability=0.2, threshold=128, **kwargs):
        super().__init__(probability, **kwargs)
        self.threshold = _checked("threshold", threshold, 0, 256)

    def switch(self, images, mask):
        return ops.solarize(images, mask, threshold=self.threshold)

    def settings(self):
        return {**super().settings(), "threshold": self.threshold}


@register
class RandomGaussianBlur(_RandomView):
    """Pillow's Gaussian blur of random width.

    Args:
        sigma: (float, float). Range of the standard deviation in pixels.
        probability: float in [0, 1]. Share of the images that are blurred.
        seed: int or None. Makes the blur repeatable.

    Raises:
        UsageError: If `sigma` is no range from 0 on, or the probability no share.
    """

    def __init__(self, sigma=(0.1, 2.0), probability=1.0, **kwargs):
        super().__init__(**kwargs)
        _checked("the lower sigma", sigma[0], 0, sigma[1])
        self.sigma = tuple(sigma)
        self.probability = _checked("probability", probability, 0, 1)

    def get_random_transformation_batch(self, batch_size, **kwargs):
        seed = self.next_seed()
        return sampling.blur_sigma(seed, batch_size, self.sigma, self.probability)

    def augment_images(self, images, transformations, **kwargs):
        blurred = ops.gaussian_blur(images, transformations, max_sigma=self.sigma[1])
        return tf.cast(blurred, self.compute_dtype)

    def settings(self):
        return {"sigma": self.sigma, "probability": self.probability}
