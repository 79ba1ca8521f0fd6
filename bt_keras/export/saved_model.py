"""Backbones as SavedModels, with the interfaces that TensorFlow Hub asks for.

The Reusable SavedModel interface (`__call__`, `variables`, `trainable_variables`,
`regularization_losses`) is what `hub.load`, `hub.KerasLayer` and
`bt_keras.load_backbone` train further; the signatures are for serving. All of it loads
in processes that have no bt_keras. Images come in [0, 1] and are normalised inside.
"""

import keras
import tensorflow as tf

from bt_keras.export import preprocessing
from bt_keras.networks import feature_dim, feature_maps

# What the endpoints of `return_endpoints=True` are called.
FEATURES = "features"
EMBEDDING = "embedding"


def endpoint_name(stride):
    """The name of the map at a stride, such as `"stride8"`."""
    return f"stride{stride}"


def save(backbone, projector, folder, known):
    """Writes a SavedModel.

    Args:
        backbone: `keras.Model`, normalised images (N, H, W, 3) to features (N, F).
        projector: `keras.Model`, features (N, F) to embeddings (N, D), or None.
        folder: path of an existing, empty folder.
        known: dict, what `interface` returned for them.
    """
    module = _Module(backbone, projector)
    spec = tf.TensorSpec(known["input_shape"], tf.float32, name="inputs")
    # TensorFlow keeps no Python: each way to call the module is traced on its own.
    for training in (True, False):
        for return_endpoints in (True, False):
            module.__call__.get_concrete_function(spec, training, return_endpoints)
    tf.saved_model.save(module, folder, _signatures(module, spec, known))


class _Part(tf.train.Checkpoint):
    """What the backbone and the projector have in common: their weights."""

    def __init__(self, network, **parts):
        super().__init__(
            variables=[v.value for v in network.variables],
            trainable_variables=[v.value for v in network.trainable_variables],
            regularization_losses=_regularization_losses(network),
            **parts,
        )


class _Module(_Part):
    """The object that is saved; its attributes are the interface."""

    def __init__(self, backbone, projector):
        # Behind a lambda, as the layers themselves must not be saved.
        maps = feature_maps(backbone)
        self._names = [endpoint_name(stride) for stride in maps]
        outputs = [backbone.output, *maps.values()] if maps else None
        network = keras.Model(backbone.input, outputs) if maps else backbone
        self._network = lambda images, training: tf.nest.flatten(
            network(images, training=training)
        )
        parts = {"projector": _Projector(projector)} if projector else {}
        super().__init__(backbone, **parts)

    @tf.function
    def __call__(self, inputs, training=False, return_endpoints=False):
        """Features of images.

        Args:
            inputs: float32 Tensor (N, H, W, 3) in [0, 1].
            training: bool, whether batch norm uses, and keeps, the batch's statistics.
            return_endpoints: bool, whether to give a dict of all that there is.

        Returns:
            float32 Tensor (N, F); or a dict of float32 Tensors, "features" and the
            maps "stride4", "stride8", "stride16" and "stride32".
        """
        features, *maps = self._network(preprocessing.normalize(inputs), training)
        if not return_endpoints:
            return tf.cast(features, tf.float32)
        endpoints = dict(zip(self._names, maps, strict=True))
        endpoints[FEATURES] = features
        return {name: tf.cast(t, tf.float32) for name, t in endpoints.items()}


class _Projector(_Part):
    """Embeddings (N, D), float32, of features (N, F)."""

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


def _regularized(network):
    return [v for v in network.trainable_variables if v.regularizer is not None]


def _regularization_losses(network):
    """A function without arguments for every regularised variable, as Hub has them."""

    def loss_of(variable):
        def loss():
            return tf.cast(variable.regularizer(variable.value), tf.float32)

        return tf.function(loss, input_signature=[])

    return [loss_of(variable) for variable in _regularized(network)]


def interface(backbone, projector, image_size, resize_ratio):
    """Says what a module has, without making one.

    Args:
        backbone: `keras.Model`.
        projector: `keras.Model` or None.
        image_size: int > 0, the side in pixels that encoded images are brought to.
        resize_ratio: float >= 1, their shorter side before the central crop, in parts
            of `image_size`.

    Returns:
        dict of JSON values: sizes, shapes, numbers of variables, strides, signatures.
    """
    # A subclass of keras.Model has no `input_shape`.
    shape = getattr(backbone, "input_shape", None) or (None, None, None, 3)
    shape = (None, *shape[1:])
    strides = list(feature_maps(backbone))
    signatures = ["serving_default", "uint8"]
    # What encoded images are made into must be what the backbone takes.
    if all(side in (None, image_size) for side in shape[1:3]):
        signatures.append("encoded")
    if strides:
        signatures.append("feature_maps")
    if projector:
        signatures.append("embedding")
    return {
        "image_size": image_size,
        "resize_ratio": resize_ratio,
        "input_shape": list(shape),
        "feature_dim": feature_dim(backbone),
        "strides": strides,
        "embedding_dim": projector.output_shape[-1] if projector else None,
        "variables": len(backbone.variables),
        "trainable_variables": len(backbone.trainable_variables),
        "statistics": _count_statistics(backbone),
        "regularization_losses": len(_regularized(backbone)),
        "stored_arrays": len(backbone.variables)
        + len(getattr(projector, "variables", ())),
        "signatures": signatures,
    }


def _count_statistics(network):
    """How many variables of batch norms training moves past the optimizer."""
    layers = getattr(network, "layers", None)
    if layers:
        return sum(map(_count_statistics, layers))
    is_norm = "BatchNormalization" in type(network).__name__ and network.trainable
    return len(network.non_trainable_variables) if is_norm else 0


def _signatures(module, spec, known):
    def features(images):
        return {FEATURES: module(images, training=False)}

    def of_levels(levels):
        return features(preprocessing.from_uint8(levels))

    def of_files(contents):
        size, ratio = known["image_size"], known["resize_ratio"]
        return features(preprocessing.decode(contents, size, ratio))

    def maps(images):
        return module(images, training=False, return_endpoints=True)

    def embedding(images):
        return {EMBEDDING: module.projector(module(images), training=False)}

    levels = tf.TensorSpec(spec.shape, tf.uint8, name="inputs")
    contents = tf.TensorSpec((None,), tf.string, name="inputs")
    functions = {
        "serving_default": (features, spec),
        "uint8": (of_levels, levels),
        "encoded": (of_files, contents),
        "feature_maps": (maps, spec),
        "embedding": (embedding, spec),
    }

    def signature(function, inputs_spec):
        return tf.function(lambda inputs: function(inputs), [inputs_spec])

    return {name: signature(*functions[name]) for name in known["signatures"]}
