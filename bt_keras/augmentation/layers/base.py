"""The base class of all layers: seeds, configuration, and keras-cv's inputs."""

from __future__ import annotations

import keras
import keras_cv
import tensorflow as tf

from bt_keras import checks
from bt_keras.augmentation.layers import ragged
from bt_keras.errors import UsageError

register = keras.saving.register_keras_serializable("bt_keras")


class RandomView(keras_cv.layers.VectorizedBaseImageAugmentationLayer):
    """Base class of the layers; changes neither labels nor masks nor boxes.

    Args:
        seed: Integer or None. Makes the layer repeatable. Defaults to `None`.
    """

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

    # AutoGraph has nothing to convert, and would wrap errors in many lines.
    @tf.autograph.experimental.do_not_convert
    def __call__(self, inputs, *args, **kwargs):
        # Keras refuses arrays and tensors in one dict.
        inputs = _tensors(inputs)
        self._check(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def _check(self, inputs):
        name = type(self).__name__
        is_dict = isinstance(inputs, dict)
        if is_dict and "images" not in inputs:
            raise UsageError(
                f"{name} needs images, or a dict with 'images'; this one has "
                f"{', '.join(map(repr, inputs)) or 'no entries'}."
            )
        shape = (inputs["images"] if is_dict else inputs).shape
        if len(shape) not in (3, 4):
            raise UsageError(
                f"{name} needs images of shape (H, W, C) or (N, H, W, C), got "
                f"{tuple(shape)}."
            )

    def _ensure_inputs_are_compute_dtype(self, inputs):
        """Keeps the types of all inputs, and the caller's dicts as they are.

        keras-cv converts all of them to the layer's type. In half precision there is no
        class 999 and no pixel 2049.
        """
        if not isinstance(inputs, dict):
            return ragged.normalized(inputs)
        inputs = _tensors(inputs)
        for name in {"images", "segmentation_masks"} & inputs.keys():
            inputs[name] = ragged.normalized(inputs[name])
        return inputs

    def compute_ragged_image_signature(self, images):
        return ragged.signature(self.compute_dtype, images.shape[-1])

    def augment_labels(self, labels, transformations, **kwargs):
        return labels

    def augment_segmentation_masks(self, segmentation_masks, transformations, **kwargs):
        return segmentation_masks

    def augment_bounding_boxes(self, bounding_boxes, transformations, **kwargs):
        return bounding_boxes

    def augment_keypoints(self, keypoints, transformations, **kwargs):
        return keypoints

    def get_config(self):
        return {**super().get_config(), "seed": self.seed, **self.settings()}

    def settings(self):
        """Returns the constructor's other arguments as a dict."""
        return {}


def _tensors(value):
    """Converts numbers and arrays to tensors; copies the dicts around them."""
    if isinstance(value, dict):
        return {name: _tensors(part) for name, part in value.items()}
    if value is None or tf.is_tensor(value) or keras.utils.is_keras_tensor(value):
        return value
    return tf.convert_to_tensor(value)
