"""Packing of images into int32 pixels, and back."""

import numpy as np
import pytest

from bt_keras.augmentation.ops import packed_rgb


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_packed_images_hold_every_level_of_every_channel(dtype):
    levels = np.arange(256)
    image = np.stack([levels, levels[::-1], (levels * 7) % 256], axis=-1)
    image = image.reshape(16, 16, 3).astype(dtype)
    packed = packed_rgb.from_image(image)
    red, green, blue = np.moveaxis(image.astype(np.int64), -1, 0)
    np.testing.assert_array_equal(packed, red + 256 * green + 65536 * blue)
    np.testing.assert_array_equal(packed_rgb.to_image(packed), image)
    channels = packed_rgb.channels(packed)
    np.testing.assert_array_equal(np.stack(channels, axis=-1), image)
    np.testing.assert_array_equal(packed_rgb.from_channels(*channels), packed)
