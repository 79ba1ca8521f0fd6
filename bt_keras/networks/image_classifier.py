"""Classifiers: a backbone, a linear layer, and the names of the classes."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from bt_keras.augmentation.statistics import IMAGENET, Statistics
from bt_keras.networks import image_range
from bt_keras.networks.image_normalization import Float32Output, ImageNormalization


@keras.saving.register_keras_serializable("bt_keras")
class ClassProbabilities(keras.layers.Layer):
    """Softmax over classes that have names.

    Args:
        class_names: Sequence of strings, in the order of the logits.
        **kwargs: Keyword arguments of `keras.layers.Layer` (`name`).

    Input: logits (N, K). Output: float32 tensor (N, K), the probabilities.
    """

    def __init__(self, class_names: Sequence[str], **kwargs):
        super().__init__(autocast=False, **{**kwargs, "dtype": "float32"})
        self.class_names = tuple(class_names)

    def call(self, logits):
        return tf.nn.softmax(tf.cast(logits, tf.float32))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        return {**super().get_config(), "class_names": list(self.class_names)}


@keras.saving.register_keras_serializable("bt_keras")
class ImageClassifier(keras.Model):
    """A functional Keras model from images in [0, 1] to class probabilities.

    `image_classifier` builds it.

    Attributes:
        class_names: Tuple of strings, the classes in the order of the probabilities.
    """

    # Keras 3.11 rebuilds subclasses from their layers only with these arguments.
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.layers[-1].class_names

    def __call__(self, inputs, *args, **kwargs):
        image_range.check_shape(inputs, self.input_shape)
        return super().__call__(inputs, *args, **kwargs)


def image_classifier(
    backbone: keras.Model,
    head: keras.layers.Dense,
    class_names: Sequence[str],
    statistics: Statistics = IMAGENET,
) -> ImageClassifier:
    """Builds a classifier that shares the weights of its parts.

    Args:
        backbone: `keras.Model` from normalized images (N, H, W, C) to features (N, F).
        head: `keras.layers.Dense` from features to logits (N, K).
        class_names: Sequence of K strings.
        statistics: `Statistics` for the normalization. Defaults to those of ImageNet.

    Returns:
        `ImageClassifier` from images (N, H, W, C) in [0, 1] to float32 probabilities
        (N, K).

    Example:

    >>> from bt_keras.networks import image_classifier
    >>> backbone = bt_keras.resnet(18, width=1 / 16)
    >>> model = image_classifier(backbone, keras.layers.Dense(2), ("cat", "dog"))
    >>> probabilities = model(np.zeros((1, 32, 32, 3), "float32"))
    >>> model.class_names[int(np.argmax(probabilities[0]))] in ("cat", "dog")
    True
    """
    images = keras.Input(backbone.input_shape[1:], name="images")
    normalize = ImageNormalization(statistics=statistics, name="image_normalization")
    features = backbone(normalize(images))
    logits = head(Float32Output(name="features_float32")(features))
    probabilities = ClassProbabilities(class_names, name="probabilities")(logits)
    return ImageClassifier(images, probabilities, name="image_classifier")
