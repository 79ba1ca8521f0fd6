"""The base class of the layers that move pixels, and with them masks and boxes."""

from __future__ import annotations

import tensorflow as tf
from keras_cv import bounding_box

from bt_keras import checks
from bt_keras.augmentation.layers import ragged
from bt_keras.augmentation.layers.base import RandomView
from bt_keras.errors import UsageError

FORMATS = tuple(
    f"{prefix}{name}" for prefix in ("", "rel_") for name in ("xyxy", "yxyx", "xywh")
)
FORMATS += ("center_xywh", "center_yxhw")


class GeometricView(RandomView):
    """Base class of crops, flips and rotations.

    A subclass implements `move`, and `move_boxes` for boxes (left, top, right, bottom)
    as fractions of the image's sides.

    Args:
        bounding_box_format: String, keras-cv's name of the format of bounding boxes, or
            `None` if there are none. Defaults to `None`.
        seed: Integer or None. Defaults to `None`.
    """

    def __init__(self, bounding_box_format=None, **kwargs):
        super().__init__(**kwargs)
        if isinstance(bounding_box_format, str):
            bounding_box_format = bounding_box_format.lower()
        if bounding_box_format is not None:
            bounding_box_format = checks.choice(
                "bounding_box_format", bounding_box_format, FORMATS
            )
        self.bounding_box_format = bounding_box_format

    def move(self, images, transformations):
        """Moves the pixels of a dense batch of images or masks of any type."""
        raise NotImplementedError(f"{type(self).__name__} must implement `move`.")

    def move_one(self, image, transformation):
        """Moves the pixels of one image or mask (H, W, C)."""
        batch = tf.nest.map_structure(lambda x: x[None], transformation)
        return self.move(image[None], batch)[0]

    def move_boxes(self, boxes, transformations, images):
        """Moves boxes (N, B, 4) of `images`, which are those before the move."""
        raise NotImplementedError(f"{type(self).__name__} must implement `move_boxes`.")

    def augment_images(self, images, transformations, **kwargs):
        return tf.cast(self.move(images, transformations), self.compute_dtype)

    def augment_ragged_image(self, image, transformation, **kwargs):
        return tf.cast(self.move_one(image, transformation), self.compute_dtype)

    def augment_segmentation_masks(
        self, segmentation_masks, transformations, raw_images=None, **kwargs
    ):
        self._check_masks(segmentation_masks, raw_images)
        if isinstance(segmentation_masks, tf.RaggedTensor):
            return ragged.map_images(self.move_one, segmentation_masks, transformations)
        return self.move(segmentation_masks, transformations)

    def _check_masks(self, masks, images):
        are_ragged = [isinstance(x, tf.RaggedTensor) for x in (masks, images)]
        sizes = [x.shape[1:3] for x in (masks, images)]
        if are_ragged[0] != are_ragged[1] or not sizes[0].is_compatible_with(sizes[1]):
            shapes = [
                f"{'ragged ' if is_ragged else ''}{x.shape}"
                for x, is_ragged in zip((masks, images), are_ragged, strict=True)
            ]
            raise UsageError(
                f"{type(self).__name__}: segmentation_masks {shapes[0]} do not have "
                f"the sizes of the images, {shapes[1]}."
            )

    def augment_bounding_boxes(
        self, bounding_boxes, transformations, images=None, raw_images=None, **kwargs
    ):
        if self.bounding_box_format is None:
            raise UsageError(
                f"{type(self).__name__} got bounding boxes but not their format: give "
                f"bounding_box_format, one of {', '.join(FORMATS)}."
            )
        boxes = bounding_box.convert_format(
            bounding_box.to_dense(bounding_boxes),
            source=self.bounding_box_format,
            target="rel_xyxy",
            images=raw_images,
        )
        boxes["boxes"] = self.move_boxes(boxes["boxes"], transformations, raw_images)
        # The class of boxes outside of the image becomes -1; keras-cv drops these.
        boxes = bounding_box.clip_to_image(boxes, bounding_box_format="rel_xyxy")
        return bounding_box.convert_format(
            boxes, source="rel_xyxy", target=self.bounding_box_format, images=images
        )

    def augment_keypoints(self, keypoints, transformations, **kwargs):
        raise UsageError(
            f"{type(self).__name__} cannot move keypoints: leave them out, or use the "
            "corners of bounding boxes."
        )

    def settings(self):
        return {"bounding_box_format": self.bounding_box_format}
