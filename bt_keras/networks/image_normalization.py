"""The layers of a loaded backbone that the network itself does not have.

A loaded backbone takes images in [0, 1]; the networks that are trained and exported
take normalized images.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from bt_keras.augmentation import ops
from bt_keras.augmentation import statistics as statistics_lib
from bt_keras.augmentation.statistics import IMAGENET, Statistics
from bt_keras.errors import UsageError
from bt_keras.networks import graph, image_range

# Name of the features among the outputs of a loaded backbone with endpoints.
FEATURES = "features"
# Name of the attribute of a backbone whose normalization was taken off.
_STATISTICS = "image_statistics"


@keras.saving.register_keras_serializable("bt_keras")
class ImageNormalization(keras.layers.Layer):
    """Normalizes images in [0, 1] with given statistics, in float32.

    Args:
        check_range: Boolean, whether to raise an error for images outside [0, 1] in
            eager calls. Defaults to `True`.
        statistics: `bt_keras.Statistics`, or another pair (mean, deviation). Defaults
            to those of ImageNet.
        **kwargs: Keyword arguments of `keras.layers.Layer` (`name`).

    Input and output: tensors (N, H, W, C); the output is float32 under every dtype
    policy, since half precision cannot represent all 8-bit levels.

    Example:

    >>> from bt_keras.networks.image_normalization import ImageNormalization
    >>> images = tf.constant([[[[0.485, 0.456, 0.635]]]])
    >>> ImageNormalization()(images).numpy().round(3) + 0.0
    array([[[[0.   , 0.   , 1.018]]]], dtype=float32)
    """

    takes_unit_images = True

    def __init__(
        self, check_range: bool = True, statistics: Statistics = IMAGENET, **kwargs
    ):
        super().__init__(autocast=False, **{**kwargs, "dtype": "float32"})
        self.check_range = check_range
        self.statistics = statistics_lib.check(statistics)

    def call(self, images):
        if self.check_range:
            image_range.check(images)
        return ops.normalize_unit(tf.cast(images, tf.float32), self.statistics)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "check_range": self.check_range,
            "statistics": [list(numbers) for numbers in self.statistics],
        }


@keras.saving.register_keras_serializable("bt_keras")
class Float32Output(keras.layers.Layer):
    """Converts the output of a network in mixed precision to float32."""

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **{**kwargs, "dtype": "float32"})

    def call(self, inputs):
        return tf.cast(inputs, tf.float32)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, "float32")


def statistics_of(backbone: keras.Model | keras.Layer) -> Statistics | None:
    """Returns the statistics that a backbone's images are normalized with.

    Args:
        backbone: Any backbone.

    Returns:
        `Statistics` of a backbone that `bt_keras.load_backbone` returned, of a model
        built on its tensors, or of what `behind_normalization` made of one; `None` if
        they are not known.
    """
    for node in _nodes(backbone):
        if isinstance(node.operation, ImageNormalization):
            return node.operation.statistics
    found = getattr(backbone, _STATISTICS, None)
    return statistics_lib.check(found) if found else None


def behind_normalization(backbone: keras.Model | keras.Layer):
    """Returns the part of a backbone that takes normalized images.

    Args:
        backbone: Any backbone. One that `bt_keras.load_backbone` returned, or a model
            that was built on its tensors, starts with `ImageNormalization`.

    Returns:
        The backbone itself if it does not; otherwise a `keras.Model` of the layers
        behind, from normalized images to features (N, F), which shares their weights.

    Raises:
        UsageError: If a part of the backbone takes images in [0, 1], and it is not the
            whole backbone or has no layers.
    """
    for node in _nodes(backbone):
        if isinstance(node.operation, ImageNormalization):
            outputs = backbone.output
            features = outputs[FEATURES] if isinstance(outputs, dict) else outputs
            last = graph.producer(features)
            if isinstance(last.operation, Float32Output):
                (features,) = last.input_tensors
            (normalized,) = node.output_tensors
            backbone = keras.Model(normalized, features, name=backbone.name)
            # For the export; Keras does not save it.
            setattr(backbone, _STATISTICS, node.operation.statistics)
            break
    _refuse_unit_images(backbone)
    return backbone


def _nodes(backbone):
    is_functional = hasattr(backbone, "operations") and hasattr(backbone, "outputs")
    return graph.own_nodes(backbone) if is_functional else []


def _refuse_unit_images(backbone):
    """Raises `UsageError` if a layer would normalize images that are normalized."""
    for layer in _all_layers(backbone):
        if not getattr(layer, "takes_unit_images", False):
            continue
        if layer is backbone:
            raise UsageError(
                f"the backbone {backbone.name!r} is the graph of a module without an "
                "architecture: it takes images in [0, 1], not normalized ones, and "
                "its layers are not known. It can be neither pretrained nor exported."
            )
        raise UsageError(
            f"the backbone {backbone.name!r} contains {layer.name!r}, which takes "
            "images in [0, 1], not normalized ones: build it on the tensors of the "
            "loaded backbone, as in keras.Model(loaded.input, head(loaded.output))."
        )


def _all_layers(layer):
    yield layer
    for inner in getattr(layer, "layers", None) or ():
        yield from _all_layers(inner)
