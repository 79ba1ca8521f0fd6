"""The random resized crop: masks, levels that are no whole numbers."""

import numpy as np
from PIL import Image

from bt_keras.augmentation import layers

SIZE = 24


def _away_from_edges(length):
    """Output pixels with a center inside of a pixel; Pillow rounds on the edges."""
    return (2 * np.arange(SIZE) + 1) * length % (2 * SIZE) != 0


def test_masks_take_the_nearest_pixel_as_in_pillow(images):
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 2**31 - 1, (64, 32, 32, 1)).astype(np.int32)
    layer, twin = (layers.RandomResizedCrop(SIZE, seed=4) for _ in range(2))
    boxes = twin.get_random_transformation_batch(64, images=images).numpy()
    got = layer({"images": images, "segmentation_masks": masks})["segmentation_masks"]
    for mask, result, (top, left, height, width) in zip(masks, got, boxes, strict=True):
        box = left, top, left + width, top + height
        image = Image.fromarray(mask[..., 0])
        expected = image.resize((SIZE, SIZE), Image.Resampling.NEAREST, box)
        clear = np.ix_(_away_from_edges(height), _away_from_edges(width))
        np.testing.assert_array_equal(
            result[..., 0].numpy()[clear], np.asarray(expected)[clear]
        )


def test_floats_are_rounded(images):
    crop, twin = (layers.RandomResizedCrop(SIZE, seed=4) for _ in range(2))
    np.testing.assert_array_equal(crop(images - 0.4), twin(images))


def test_boxes_outside_of_the_crop_are_dropped(images):
    corner = {
        "boxes": np.tile(np.float32([0, 0, 2, 2]), (64, 1, 1)),
        "classes": np.ones((64, 1)),
    }
    layer = layers.RandomResizedCrop(
        SIZE, (0.05, 0.1), bounding_box_format="xyxy", seed=1
    )
    got = layer({"images": images, "bounding_boxes": corner})["bounding_boxes"]
    counts = got["boxes"].row_lengths().numpy()
    assert 0 < np.sum(counts) < 16
    np.testing.assert_array_equal(counts, got["classes"].row_lengths())


def test_one_image_without_batch(images):
    assert layers.RandomResizedCrop(SIZE)(images[0]).shape == (SIZE, SIZE, 3)
