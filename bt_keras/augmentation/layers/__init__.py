"""The view operations as keras-cv layers, to be mixed with keras-cv's own layers.

Images have levels 0..255. They are passed alone, one or a batch of them, or in
keras-cv's dictionary:

- `"images"`: of shape `(H, W, C)` or `(N, H, W, C)`, or a ragged batch of images of
  different sizes. `RandomResizedCrop` makes a dense batch of it, the other layers keep
  it ragged.
- `"labels"` or `"targets"`: returned unchanged.
- `"segmentation_masks"`: of the images' sizes, ragged like them, of any type. Crops,
  flips and rotations move them; no mask gets a level that it did not have.
- `"bounding_boxes"`: keras-cv's dictionary of `"boxes"` and `"classes"`. Crops, flips
  and rotations move them, and need `bounding_box_format` for that. A box that a crop
  leaves out is dropped.
- `"keypoints"`: crops, flips and rotations refuse them.
- All other entries are returned unchanged.

Each layer has a random generator that starts from its `seed`; `bt_keras.views` is the
stateless function with the same operations.
"""

from bt_keras.augmentation.layers.color import (
    ColorJitter,
    RandomGaussianBlur,
    RandomGrayscale,
    RandomSolarize,
)
from bt_keras.augmentation.layers.crop import RandomResizedCrop
from bt_keras.augmentation.layers.orientation import RandomFlip, RandomRotate90

__all__ = [
    "ColorJitter",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomResizedCrop",
    "RandomRotate90",
    "RandomSolarize",
]
