"""The two asymmetric views of Barlow Twins, as functions of a batch and a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

from bt_keras import checks
from bt_keras.augmentation import ops, recipes, sampling
from bt_keras.augmentation import statistics as statistics_lib
from bt_keras.augmentation.crops import Crops
from bt_keras.augmentation.distortion import distort, sample_distortion
from bt_keras.augmentation.recipes import ViewRecipe
from bt_keras.augmentation.statistics import IMAGENET, Statistics
from bt_keras.errors import UsageError

# AutoGraph takes seconds, and there is no Python control flow to convert.
_do_not_convert = tf.autograph.experimental.do_not_convert


class Views:
    """Make two random views of every image of a batch; see `views`."""

    def __init__(
        self,
        size: int,
        recipe: str,
        pair: tuple[ViewRecipe, ViewRecipe],
        statistics: Statistics = IMAGENET,
        finish_on_device: bool = False,
    ):
        self.size = size
        self.recipe = recipe
        self.statistics = statistics
        self._pair = pair
        self._finish: Callable = Crops if finish_on_device else distort

    @property
    def channels(self) -> int:
        """Number of bands of the images."""
        return self.statistics.channels

    def __repr__(self):
        named = recipes.resolve(self.recipe)
        changed = "".join(
            f", {name}={recipe}"
            for name, recipe, usual in zip("ab", self._pair, named, strict=True)
            if recipe != usual
        )
        return f"Views(size={self.size}, recipe={self.recipe!r}{changed})"

    @_do_not_convert
    def __call__(
        self, images: tf.Tensor, seed: sampling.Seed, shard: tuple = (0, 1)
    ) -> tuple[tf.Tensor, tf.Tensor] | tuple[Crops, Crops]:
        """Returns both views of `images`; the same seed gives the same pixels.

        Args:
            images: uint8 tensor of shape `(N, H, W, C)`.
            seed: Two integers or integer tensor of shape `(2,)`, such as (seed, step).
            shard: Tuple (i, k), i an integer or scalar tensor, k an integer. `images`
                is the i-th of k equal shards of a batch. Random parameters are sampled
                for the whole batch, so that the concatenated views of all shards are
                the views of the batch. Defaults to `(0, 1)`, a whole batch.

        Returns:
            `(view_a, view_b)`, float32 tensors of shape `(N, size, size, C)`,
            normalized with `statistics`; with `finish_on_device` two `Crops`.
        """
        return self.distort(*self.crop(images, seed, shard), seed, shard)

    @_do_not_convert
    def crop(
        self, images: tf.Tensor, seed: sampling.Seed, shard: tuple = (0, 1)
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the resized random crops of both views.

        The image size may be unknown: inside `dataset.map` this can be called on one
        image at a time (`image[None]`, with a different seed for each), and the crops
        can be batched for `distort`.

        Args:
            images: uint8 tensor of shape `(N, H, W, C)`.
            seed: Two integers or integer tensor of shape `(2,)`.
            shard: See `__call__`. Defaults to `(0, 1)`.

        Returns:
            Two uint8 tensors of shape `(N, size, size, C)`.
        """
        images = _check_images(images, self.channels)
        count, height, width, _ = tf.unstack(tf.shape(images))
        crops = []
        for recipe, (crop_seed, _) in zip(self._pair, view_seeds(seed), strict=True):
            boxes = sampling.crop_boxes(
                crop_seed,
                count * shard[1],
                height,
                width,
                recipe.crop_scale,
                recipe.crop_ratio,
            )
            boxes = _shard_rows(boxes, count, shard)
            crops.append(ops.crop_and_resize(images, boxes, self.size))
        return tuple(crops)

    @_do_not_convert
    def distort(
        self,
        crop_a: tf.Tensor,
        crop_b: tf.Tensor,
        seed: sampling.Seed,
        shard: tuple = (0, 1),
    ) -> tuple[tf.Tensor, tf.Tensor] | tuple[Crops, Crops]:
        """Flips, jitters, blurs, solarizes and normalizes the crops of both views.

        Args:
            crop_a: uint8 tensor of shape `(N, size, size, C)`, see `crop`.
            crop_b: Same as `crop_a`, for the second view.
            seed: Two integers or integer tensor of shape `(2,)`.
            shard: See `__call__`. Defaults to `(0, 1)`.

        Returns:
            `(view_a, view_b)`, see `__call__`.
        """
        views = []
        for crop, recipe, (_, distort_seed) in zip(
            (crop_a, crop_b), self._pair, view_seeds(seed), strict=True
        ):
            crop = _check_images(crop, self.channels)
            count = tf.shape(crop)[0]
            sampled = sample_distortion(distort_seed, count * shard[1], recipe)
            sampled = _shard_rows(sampled, count, shard)
            constants = float(recipe.sigma[1]), recipe.threshold, self.statistics
            views.append(self._finish(crop, sampled, *constants))
        return tuple(views)


def view_seeds(seed: sampling.Seed) -> tuple:
    """Splits a seed into ((crop, distort), (crop, distort)) of both views."""
    a_crop, a_distort, b_crop, b_distort = sampling.split_seed(seed, 4)
    return (a_crop, a_distort), (b_crop, b_distort)


def _shard_rows(sampled, count, shard):
    """Selects the parameters of a shard from those of the whole batch."""
    index, shards = shard
    if shards == 1:
        return sampled
    first = tf.cast(index, tf.int32) * count
    return tf.nest.map_structure(lambda column: column[first : first + count], sampled)


def _check_images(images, channels):
    try:
        images = tf.convert_to_tensor(images)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"images={checks.described(images)} must be a uint8 tensor (N, H, W, "
            f"{channels})."
        ) from error
    shape = images.shape
    if images.dtype != tf.uint8 or shape.rank != 4 or shape[-1] != channels:
        raise UsageError(
            f"Views need images as uint8 of shape (N, H, W, {channels}) with levels "
            f"0..255, got {images.dtype.name} of shape {tuple(shape)}: decode to "
            f"{'RGB' if channels == 3 else f'{channels} bands'} without scaling, and "
            "add a batch axis."
        )
    return images


def views(
    size: int = 224,
    recipe: str = "imagenet",
    statistics: Statistics = IMAGENET,
    a: Mapping | ViewRecipe | None = None,
    b: Mapping | ViewRecipe | None = None,
    finish_on_device: bool = False,
) -> Views:
    """Makes the function that gives the two asymmetric views of the official recipe.

    Every view is a random resized crop (bicubic), flips, a rotation, color jitter in
    random order, grayscale, blur and solarization with the recipe's probabilities,
    normalized. Before normalization its pixels equal those of torchvision's transforms
    on Pillow images. Images of other than three bands are changed band by band, each as
    Pillow changes a gray image; hue, saturation and grayscale, which need RGB, are left
    out.

    Args:
        size: Integer > 0. Side of the square views in pixels. Defaults to `224`.
        recipe: `"imagenet"` (paper, section 2.2: blur with probability 1.0 and 0.1,
            solarization with 0.0 and 0.2) or `"small"`, the same without blur, for
            images of a few dozen pixels. Neither flips vertically or rotates. Defaults
            to `"imagenet"`.
        statistics: `bt_keras.Statistics`, or another pair (mean, deviation) with a
            number for each band of images in [0, 1]: what normalization uses. Images
            must have as many bands. `bt_keras.data.measure` measures them. Defaults to
            ImageNet's, of three bands.
        a: Dict of the fields in which the first view differs from the recipe, such as
            `{"crop_scale": (0.2, 1.0)}`, or its `bt_keras.ViewRecipe`, which describes
            every field. Defaults to `None`, no difference.
        b: Same as `a`, for the second view.
        finish_on_device: Boolean. Whether the function only crops, and returns
            `bt_keras.augmentation.Crops`, uint8 crops with the random parameters of the
            other operations. `bt_keras.BarlowTwins` applies these in its step. The host
            then does less, and a GPU receives a quarter of the bytes. On a CPU the
            views have the same bits, but the step is slower. Defaults to `False`.

    Returns:
        `Views`, a callable `(images, seed) -> (view_a, view_b)`.

    Raises:
        UsageError: If `size` is not a positive integer, `recipe` or a field is unknown,
            or a value or `statistics` are out of range.

    Example:

    >>> make = bt_keras.views(32, "small", b={"vertical_flip": 0.5})
    >>> images = np.zeros((8, 48, 48, 3), "uint8")
    >>> view_a, view_b = make(images, seed=(0, 1))
    >>> view_a.shape
    TensorShape([8, 32, 32, 3])
    """
    size = checks.number("size", size, checks.COUNT, ", the side in pixels.")
    statistics = statistics_lib.check(statistics)
    pair = recipes.resolve(recipe, a, b, statistics.channels)
    checks.choice("finish_on_device", finish_on_device, (True, False))
    return Views(size, recipe, pair, statistics, finish_on_device)
