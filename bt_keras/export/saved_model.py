"""Backbones as SavedModels with the interfaces of TensorFlow Hub.

The Reusable SavedModel interface (`__call__`, `variables`, `trainable_variables`,
`regularization_losses`) is for `hub.load`, `hub.KerasLayer` and
`bt_keras.load_backbone`; the signatures are for serving. Neither needs bt_keras to
load. Images are in [0, 1] and normalized in the graph.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

from bt_keras.export import preprocessing
from bt_keras.hub.metadata import ModuleMetadata

# Names of the outputs.
FEATURES = "features"
EMBEDDING = "embedding"


def endpoint_name(stride: int) -> str:
    """Returns the name of the feature map at a stride, such as `"stride8"`."""
    return f"stride{stride}"


def save(
    folder: str,
    backbone: keras.Model,
    projector: keras.Model | None,
    maps: Mapping[int, keras.KerasTensor],
    metadata: ModuleMetadata,
) -> None:
    """Writes a SavedModel.

    Args:
        folder: Path of an existing, empty folder.
        backbone: `keras.Model` from normalized images (N, H, W, 3) to features (N, F).
        projector: `keras.Model` from features (N, F) to embeddings (N, D), or `None`.
        maps: Mapping from stride to feature map, see `networks.feature_maps`.
        metadata: `ModuleMetadata` of the module.
    """
    module = _Module(backbone, projector, maps)
    spec = tf.TensorSpec(metadata.input_shape, tf.float32, name="inputs")
    # A SavedModel has no Python code: each combination of flags is traced.
    for training in (True, False):
        for return_endpoints in (True, False):
            module.__call__.get_concrete_function(spec, training, return_endpoints)
    tf.saved_model.save(module, folder, _signatures(module, spec, metadata))


class _Part(tf.train.Checkpoint):
    """Base of the backbone and the projector: their variables and losses."""

    def __init__(self, network, **parts):
        super().__init__(
            variables=[v.value for v in network.variables],
            trainable_variables=[v.value for v in network.trainable_variables],
            regularization_losses=_regularization_losses(network),
            **parts,
        )


class _Module(_Part):
    """The object that is saved; its attributes are the interface."""

    def __init__(self, backbone, projector, maps):
        self._names = [endpoint_name(stride) for stride in maps]
        outputs = [backbone.output, *maps.values()] if maps else None
        network = keras.Model(backbone.input, outputs) if maps else backbone
        # The lambda hides the Keras layers, which must not be saved.
        self._network = lambda images, training: tf.nest.flatten(
            network(images, training=training)
        )
        parts = {"projector": _Projector(projector)} if projector else {}
        super().__init__(backbone, **parts)

    @tf.function
    def __call__(self, inputs, training=False, return_endpoints=False):
        """Computes the features of images.

        Args:
            inputs: Float32 tensor (N, H, W, 3) in [0, 1].
            training: Boolean, whether batch normalization uses the batch's statistics
                and updates its moving statistics. Defaults to `False`.
            return_endpoints: Boolean, whether to return the feature maps, too.
                Defaults to `False`.

        Returns:
            Float32 tensor (N, F); or a dict of float32 tensors, "features" and the
            feature maps "stride4", "stride8", "stride16" and "stride32".
        """
        features, *maps = self._network(preprocessing.normalize(inputs), training)
        if not return_endpoints:
            return tf.cast(features, tf.float32)
        endpoints = dict(zip(self._names, maps, strict=True))
        endpoints[FEATURES] = features
        return {name: tf.cast(t, tf.float32) for name, t in endpoints.items()}


class _Projector(_Part):
    """From features (N, F) to embeddings (N, D), float32."""

    def __init__(self, projector):
        self._network = lambda features, training: projector(
            features, training=training
        )
        super().__init__(projector)
        spec = tf.TensorSpec((None, projector.input_shape[-1]), name="inputs")
        for training in (True, False):
            self.__call__.get_concrete_function(spec, training)

    @tf.function
    def __call__(self, inputs, training=False):
        return tf.cast(self._network(inputs, training), tf.float32)


def regularized_variables(network: keras.Model) -> list:
    """Returns the trainable variables that have a regularizer."""
    return [v for v in network.trainable_variables if v.regularizer is not None]


def _regularization_losses(network):
    """Returns one function without arguments for each regularized variable."""

    def loss_of(variable):
        def loss():
            return tf.cast(variable.regularizer(variable.value), tf.float32)

        return tf.function(loss, input_signature=[])

    return [loss_of(variable) for variable in regularized_variables(network)]


def _signatures(module, spec, metadata):
    """Returns the functions of the serving signatures by name."""

    def features(images):
        return {FEATURES: module(images, training=False)}

    def features_of_levels(levels):
        return features(preprocessing.from_uint8(levels))

    def features_of_files(contents):
        size, ratio = metadata.image_size, metadata.resize_ratio
        return features(preprocessing.decode(contents, size, ratio, metadata.bits))

    def feature_maps(images):
        return module(images, training=False, return_endpoints=True)

    def embedding(images):
        return {EMBEDDING: module.projector(module(images), training=False)}

    levels = tf.TensorSpec(spec.shape, tf.uint8, name="inputs")
    contents = tf.TensorSpec((None,), tf.string, name="inputs")
    functions = {
        "serving_default": (features, spec),
        "uint8": (features_of_levels, levels),
        "encoded": (features_of_files, contents),
        "feature_maps": (feature_maps, spec),
        "embedding": (embedding, spec),
    }

    def signature(function, inputs_spec):
        return tf.function(lambda inputs: function(inputs), [inputs_spec])

    return {name: signature(*functions[name]) for name in metadata.signatures}
