"""The class of backbones that `bt_keras.load_backbone` rebuilds."""

from __future__ import annotations

import keras

from bt_keras.networks import image_range


@keras.saving.register_keras_serializable("bt_keras")
class LoadedBackbone(keras.Model):
    """Backbone that `bt_keras.load_backbone` rebuilt: a functional Keras model.

    It has the layers of the exported network, for images after `ImageNormalization`.
    While none of its weights is trainable, all layers run in inference mode, also in
    `fit`.

    Args:
        inputs: `KerasTensor` of images (N, H, W, C) in [0, 1], or the inputs of a
            network of anything else.
        outputs: `KerasTensor` of features (N, F), or a dict of `"features"` and the
            feature maps, float32.
        name: Optional string. Defaults to `None`.
        **kwargs: Keyword arguments of `keras.Model` (`trainable`).
    """

    # Keras 3.11 rebuilds subclasses from their layers only with these arguments.
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

    def __call__(self, inputs, *args, **kwargs):
        if any(getattr(layer, "takes_unit_images", False) for layer in self.layers):
            image_range.check_shape(inputs, self.input_shape)
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs, training=None, mask=None):
        # Keras applies dropout in frozen models.
        training = training if self.trainable_variables else False
        return super().call(inputs, training=training, mask=mask)
