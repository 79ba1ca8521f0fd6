"""Pure image operations on batches, equal to Pillow's to the level.

Nothing here is random: every parameter is an argument with one value an image. All
take images (N, H, W, 3), uint8 or float32 with levels 0..255, round them to whole
levels and return such, as float32 (`flip` and `normalize` take any). The modules have
the same operations for the words of one image, see `ops.words`.
"""

from bt_keras.augmentation.ops import blur, color, hsv
from bt_keras.augmentation.ops.color import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    normalize,
    normalize_unit,
)
from bt_keras.augmentation.ops.geometry import (
    central,
    crop_and_resize,
    flip,
    resize_and_center_crop,
)
from bt_keras.augmentation.ops.map_images import batched, over_words

adjust_brightness = batched(color.adjust_brightness)
adjust_contrast = batched(color.adjust_contrast)
adjust_hue = batched(hsv.adjust_hue)
adjust_saturation = batched(color.adjust_saturation)
color_jitter = batched(color.color_jitter)
gaussian_blur = batched(blur.gaussian_blur)
grayscale = batched(color.grayscale)
solarize = batched(color.solarize)

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "central",
    "color_jitter",
    "crop_and_resize",
    "flip",
    "gaussian_blur",
    "grayscale",
    "normalize",
    "normalize_unit",
    "over_words",
    "resize_and_center_crop",
    "solarize",
]
