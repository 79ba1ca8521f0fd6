"""Backbones as SavedModels with the interfaces of TensorFlow Hub.

The Reusable SavedModel interface (`__call__`, `variables`, `trainable_variables`,
`regularization_losses`) is for `hub.load`, `hub.KerasLayer` and
`bt_keras.load_backbone`; the signatures are for serving. Neither needs bt_keras to
load. The graph contains the normalization of images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from bt_keras.export.image_inputs import ImageInputs
from bt_keras.export.network_inputs import NetworkInputs
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
    inputs: ImageInputs | NetworkInputs,
    metadata: ModuleMetadata,
) -> None:
    """Writes a SavedModel.

    Args:
        folder: Path of an existing, empty folder.
        backbone: `keras.Model` from normalized images (N, H, W, C) or any other inputs
            to features (N, F).
        projector: `keras.Model` from features (N, F) to embeddings (N, D), or `None`.
        maps: Mapping from stride to feature map, see `networks.feature_maps`.
        inputs: `ImageInputs` or `NetworkInputs`, what the module takes.
        metadata: `ModuleMetadata` of the module.
    """
    module = _Module(backbone, projector, maps, inputs.prepare)
    specs = inputs.specs
    # A SavedModel has no Python code: each combination of flags is traced.
    for training in (True, False):
        for return_endpoints in (True, False):
            module.__call__.get_concrete_function(specs, training, return_endpoints)
    tf.saved_model.save(module, folder, _signatures(module, inputs, metadata))


class Part(tf.train.Checkpoint):
    """Base of what is saved: the variables and the losses of a network.

    Args:
        network: `keras.Model`.
        **parts: Further attributes, objects that TensorFlow can save.
    """

    def __init__(self, network, **parts):
        super().__init__(
            variables=[v.value for v in network.variables],
            trainable_variables=[v.value for v in network.trainable_variables],
            regularization_losses=_regularization_losses(network),
            **parts,
        )


class _Module(Part):
    """The object that is saved; its attributes are the interface."""

    def __init__(self, backbone, projector, maps, prepare):
        self._names = [endpoint_name(stride) for stride in maps]
        outputs = [backbone.output, *maps.values()] if maps else None
        network = keras.Model(backbone.input, outputs) if maps else backbone
        # The lambda hides the Keras layers, which must not be saved.
        self._network = lambda inputs, training: tf.nest.flatten(
            network(prepare(inputs), training=training)
        )
        parts = {"projector": _Projector(projector)} if projector else {}
        super().__init__(backbone, **parts)

    @tf.function
    def __call__(self, inputs, training=False, return_endpoints=False):
        """Computes features.

        Args:
            inputs: Float32 tensor (N, H, W, C) in [0, 1], or what the network takes.
            training: Boolean, whether batch normalization uses the batch's statistics
                and updates its moving statistics. Defaults to `False`.
            return_endpoints: Boolean, whether to return the feature maps, too.
                Defaults to `False`.

        Returns:
            Float32 tensor (N, F); or a dict of float32 tensors, "features" and the
            feature maps "stride4", "stride8", "stride16" and "stride32".
        """
        features, *maps = self._network(inputs, training)
        if not return_endpoints:
            return tf.cast(features, tf.float32)
        endpoints = dict(zip(self._names, maps, strict=True))
        endpoints[FEATURES] = features
        return {name: tf.cast(t, tf.float32) for name, t in endpoints.items()}


class _Projector(Part):
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


def _signatures(module, inputs, metadata):
    """Returns the functions of the serving signatures by name."""

    def features(values):
        return {FEATURES: module(values, training=False)}

    def feature_maps(values):
        return module(values, training=False, return_endpoints=True)

    def embedding(values):
        return {EMBEDDING: module.projector(module(values), training=False)}

    functions = {
        **input_signatures(features, inputs, metadata.bits),
        "feature_maps": _signature(feature_maps, inputs.specs),
        "embedding": _signature(embedding, inputs.specs),
    }
    return {name: functions[name] for name in metadata.signatures}


def input_signatures(
    function: Callable, inputs: ImageInputs | NetworkInputs, bits: int
) -> dict[str, Callable]:
    """Returns the signatures of a function for all forms of its inputs.

    Args:
        function: Function of `inputs.specs` to a dict of tensors.
        inputs: `ImageInputs` or `NetworkInputs`.
        bits: Integer, see `preprocessing.decode`.

    Returns:
        Dict of `tf.function`s: `"serving_default"`, and the names of
        `inputs.signatures`.
    """
    functions = {"serving_default": _signature(function, inputs.specs)}
    for name, (convert, spec) in inputs.signatures(bits).items():
        functions[name] = _signature(_composed(function, convert), spec)
    return functions


def _composed(function, first):
    return lambda values: function(first(values))


def _signature(function, specs):
    """Returns a function of tensors with the names of the specs."""

    def of_tensors(*tensors):
        return function(tf.nest.pack_sequence_as(specs, tensors))

    return tf.function(of_tensors, input_signature=tf.nest.flatten(specs))
