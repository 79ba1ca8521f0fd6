"""The two asymmetric views of Barlow Twins, as functions of a batch and a seed."""

import dataclasses

import tensorflow as tf

from bt_keras.augmentation import ops, sampling
from bt_keras.augmentation.ops import blur, color, geometry
from bt_keras.augmentation.ops.packed_rgb import to_image
from bt_keras.errors import UsageError


@dataclasses.dataclass(frozen=True)
class ViewRecipe:
    """What one view of an image is made by, in this order (paper, section 2.2).

    Attributes:
        crop_scale: (float, float). The crop's share of the image's area.
        crop_ratio: (float, float). The crop's width over its height, log-uniform.
        flip: float. Probability of a horizontal flip.
        jitter: float. Probability of colour jitter.
        brightness: float. Factor in [1 - brightness, 1 + brightness].
        contrast: float. Factor in [1 - contrast, 1 + contrast].
        saturation: float. Factor in [1 - saturation, 1 + saturation].
        hue: float. Shift in [-hue, hue] of the colour circle.
        grayscale: float. Probability of losing the colours.
        blur: float. Probability of Gaussian blur.
        sigma: (float, float). The blur's standard deviation in pixels, uniform.
        solarize: float. Probability of inverting levels from 128 of 255 on.
    """

    crop_scale: tuple[float, float] = (0.08, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1
    grayscale: float = 0.2
    blur: float = 0.0
    sigma: tuple[float, float] = (0.1, 2.0)
    solarize: float = 0.0


RECIPES = {
    "imagenet": (ViewRecipe(blur=1.0), ViewRecipe(blur=0.1, solarize=0.2)),
    "small": (ViewRecipe(), ViewRecipe(solarize=0.2)),
}


# There is no Python control flow to convert, and converting takes seconds.
_as_it_is = tf.autograph.experimental.do_not_convert


def draw_distortion(seed, batch, recipe):
    """All random parameters of a view but its crop, as a dict of tensors."""
    flip, jitter, gray, blur, solarize = sampling.split_seed(seed, 5)
    strengths = (recipe.brightness, recipe.contrast, recipe.saturation, recipe.hue)
    drawn = {
        "flip": sampling.bernoulli(flip, batch, recipe.flip),
        "jitter": sampling.color_jitter(jitter, batch, strengths, recipe.jitter),
        "grayscale": sampling.bernoulli(gray, batch, recipe.grayscale),
    }
    if recipe.blur:
        drawn["sigma"] = sampling.blur_sigma(blur, batch, recipe.sigma, recipe.blur)
    if recipe.solarize:
        drawn["solarize"] = sampling.bernoulli(solarize, batch, recipe.solarize)
    return drawn


@tf.function(jit_compile=True, autograph=False)
def _distort(images, drawn, max_sigma):
    """The pixel work after the crop, in one compiled loop over the images."""

    def distort(x, flip, jitter, grayscale, sigma=None, solarize=None):
        x = geometry.flip_words(x, flip)
        x = color.color_jitter(x, **jitter)
        x = color.grayscale(x, grayscale)
        if sigma is not None:
            x = blur.gaussian_blur(x, sigma, max_sigma=max_sigma)
        if solarize is not None:
            x = color.solarize(x, solarize)
        return color.normalize(to_image(x))

    return ops.over_words(distort, images, drawn)


class Views:
    """Two random views of every image of a batch; see `views`."""

    def __init__(self, size, recipe, pair):
        self.size = size
        self.recipe = recipe
        self._pair = pair

    def __repr__(self):
        return f"Views(size={self.size}, recipe={self.recipe!r})"

    @_as_it_is
    def __call__(self, images, seed, part=(0, 1)):
        """Returns both views of `images`; the same seed gives the same pixels.

        Args:
            images: uint8 tensor of shape `(N, H, W, 3)`.
            seed: (int, int) or int tensor of shape `(2,)`, say (seed, step).
            part: (i, k), i an int or scalar tensor, k an int. These images are the
                i-th of k equal parts of a batch; the random draws are those of the
                whole batch. So the views of the parts, one after the other, are the
                views of the batch.

        Returns:
            `(view_a, view_b)`, float32 tensors of shape `(N, size, size, 3)` with
            ImageNet's mean and standard deviation taken out.
        """
        return self.distort(*self.crop(images, seed, part), seed, part)

    @_as_it_is
    def crop(self, images, seed, part=(0, 1)):
        """The random crops of both views, resized, as uint8 `(N, size, size, 3)`.

        Needs no fixed image size: inside `dataset.map` it can be called on one image
        at a time (`image[None]`, with a seed of its own), and what it returns can be
        batched for `distort`.
        """
        images = _check_images(images)
        count, height, width, _ = tf.unstack(tf.shape(images))
        crops = []
        for recipe, (crop_seed, _) in zip(self._pair, view_seeds(seed), strict=True):
            boxes = sampling.crop_boxes(
                crop_seed,
                count * part[1],
                height,
                width,
                recipe.crop_scale,
                recipe.crop_ratio,
            )
            boxes = _rows(boxes, count, part)
            crops.append(ops.crop_and_resize(images, boxes, self.size))
        return tuple(crops)

    @_as_it_is
    def distort(self, crop_a, crop_b, seed, part=(0, 1)):
        """Flip, colours, blur and normalisation: from `crop`'s uint8 to the views."""
        views = []
        for crop, recipe, (_, distort_seed) in zip(
            (crop_a, crop_b), self._pair, view_seeds(seed), strict=True
        ):
            crop = _check_images(crop)
            count = tf.shape(crop)[0]
            drawn = draw_distortion(distort_seed, count * part[1], recipe)
            drawn = _rows(drawn, count, part)
            views.append(_distort(crop, drawn, recipe.sigma[1]))
        return tuple(views)


def view_seeds(seed):
    """((crop, distort), (crop, distort)): a seed of its own for every use."""
    a_crop, a_distort, b_crop, b_distort = sampling.split_seed(seed, 4)
    return (a_crop, a_distort), (b_crop, b_distort)


def _rows(drawn, count, part):
    """What was drawn for the images of a part, out of what was for the whole batch."""
    index, parts = part
    if parts == 1:
        return drawn
    first = tf.cast(index, tf.int32) * count
    return tf.nest.map_structure(lambda column: column[first : first + count], drawn)


def _check_images(images):
    images = tf.convert_to_tensor(images)
    if images.dtype != tf.uint8 or images.shape.rank != 4 or images.shape[-1] != 3:
        raise UsageError(
            "Views need images as uint8 of shape (N, H, W, 3) with levels 0..255, got "
            f"{images.dtype.name} of shape {tuple(images.shape)}: decode to RGB "
            "without scaling, and add a batch axis."
        )
    return images


def views(size=224, recipe="imagenet"):
    """The two asymmetric views of the Barlow Twins recipe.

    Every view is a random resized crop (bicubic), a flip, colour jitter in random
    order, grey, blur and solarisation with the recipe's probabilities, normalised with
    ImageNet's mean and standard deviation. Up to the crop's last level it is what
    torchvision makes of Pillow images.

    Args:
        size: int. The side of the square views in pixels.
        recipe: str. `"imagenet"` (paper, table 6 of BYOL: blur 1.0 and 0.1, solarise
            0.0 and 0.2) or `"small"`, the same without blur, for images of a few
            dozen pixels.

    Returns:
        A `Views`: `(images, seed) -> (view_a, view_b)`.

    Raises:
        UsageError: If `size` is not a positive int or `recipe` is not known.

    Example:

    >>> make = views(32, "small")
    >>> view_a, view_b = make(tf.zeros((8, 48, 48, 3), tf.uint8), seed=(0, 1))
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise UsageError(
            f"size is {size!r}: give the side of the views in pixels as an int above 0."
        )
    if recipe not in RECIPES:
        raise UsageError(
            f"There is no view recipe {recipe!r}: choose from {', '.join(RECIPES)}."
        )
    return Views(size, recipe, RECIPES[recipe])
