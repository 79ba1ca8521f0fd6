"""Pure image operations on batches, with the same 8-bit results as Pillow's.

The operations are not random: every parameter is an argument with one value for each
image. They take images of shape `(N, H, W, C)`, uint8 or float32 with levels 0..255,
round them to whole levels and return whole levels as float32 (`normalize` does not
round; flips and rotations keep the type and the levels). The modules of this package
have the same operations for one image in packed format, see `packed_rgb`. Images of
other than three bands are changed band by band; `adjust_hue`, `adjust_saturation` and
`grayscale` refuse them, and `color_jitter` leaves these two adjustments out.
"""

import functools

from bt_keras.augmentation.ops import blur, color, hsv
from bt_keras.augmentation.ops.color import (
    normalize,
    normalize_unit,
)
from bt_keras.augmentation.ops.geometry import (
    center_crop_axis,
    crop_and_resize,
    resize_and_center_crop,
)
from bt_keras.augmentation.ops.map_images import batched, map_at_once, map_images
from bt_keras.augmentation.ops.orientation import flip, flip_vertically, rotate

adjust_brightness = batched(color.adjust_brightness, color.adjust_brightness)
adjust_contrast = batched(color.adjust_contrast, color.adjust_band_contrast)
adjust_hue = batched(hsv.adjust_hue)
adjust_saturation = batched(color.adjust_saturation)
color_jitter = batched(
    color.color_jitter, functools.partial(color.color_jitter, by_band=True)
)
gaussian_blur = batched(blur.gaussian_blur, blur.gaussian_blur)
grayscale = batched(color.grayscale)
solarize = batched(color.solarize, color.solarize)

__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "center_crop_axis",
    "color_jitter",
    "crop_and_resize",
    "flip",
    "flip_vertically",
    "gaussian_blur",
    "grayscale",
    "map_at_once",
    "map_images",
    "normalize",
    "normalize_unit",
    "resize_and_center_crop",
    "rotate",
    "solarize",
]
