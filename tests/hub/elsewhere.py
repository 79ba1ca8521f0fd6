"""The ways to use a module, run in a process other than the tests'.

`python elsewhere.py WAY,WAY,... MODULE IMAGES.npy FOLDER`: loads the module in each
way, trains it for a few steps, and writes FOLDER/WAY.npy with its features and
FOLDER/WAY.json with the losses and the numbers of changed variables. The ways of one
process must be of one group: in the group `without_bt_keras` bt_keras cannot be
imported.
"""

import contextlib
import json
import os
import random
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

STEPS = 6


def set_seeds():
    """Seeds the generators of Keras 2, Keras 3 and TensorFlow."""
    random.seed(0)
    np.random.seed(0)
    tf.random.set_seed(0)


def labels(images):
    return np.arange(len(images)) % 2


def moved(before, variables):
    """Counts the variables whose values have changed."""
    pairs = zip(before, variables, strict=True)
    return sum(bool(np.any(old != np.asarray(new))) for old, new in pairs)


def values(variables):
    return [np.array(v) for v in variables]


def statistics(variables, trainable):
    trainable_ids = {id(v) for v in trainable}
    return [v for v in variables if id(v) not in trainable_ids]


def by_tensorflow(module, images):
    """Trains the module and a linear classifier by hand."""
    before = values(module.variables)
    features = module(images, training=False).numpy()
    findings = {"moved_by_inference": moved(before, module.variables)}
    head = tf.Variable(tf.zeros((features.shape[-1], 2)))
    trainable = list(module.trainable_variables)
    losses, old = [], values(trainable)
    for _ in range(STEPS):
        with tf.GradientTape() as tape:
            logits = module(images, training=True) @ head
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels(images), logits)
            )
        for variable, gradient in zip(
            [head, *trainable],
            tape.gradient(loss, [head, *trainable]),
            strict=True,
        ):
            variable.assign_sub(0.02 * gradient)
        losses.append(float(loss))
    others = statistics(module.variables, trainable)
    return features, {
        **findings,
        "losses": losses,
        "trainable": [moved(old, trainable), len(trainable)],
        "statistics": [moved(statistics_before(before, module), others), len(others)],
    }


def statistics_before(before, module):
    trainable_ids = {id(v) for v in module.trainable_variables}
    pairs = zip(before, module.variables, strict=True)
    return [old for old, v in pairs if id(v) not in trainable_ids]


def hub_load(module, images):
    import tensorflow_hub as hub

    return by_tensorflow(hub.load(module), images)


def saved_model_load(module, images):
    return by_tensorflow(tf.saved_model.load(module), images)


def by_keras(keras, layer, images, functional=False):
    """Trains a classifier on the layer with `fit`."""
    features = np.asarray(layer(images), "float32")
    # From zeros, a step down the gradient of the whole batch lowers the loss anywhere.
    head = keras.layers.Dense(2, kernel_initializer="zeros")
    if functional:
        inputs = keras.Input(images.shape[1:])
        model = keras.Model(inputs, head(layer(inputs)))
    else:
        model = keras.Sequential([layer, head])
    model.compile(
        keras.optimizers.SGD(0.02),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    trainable, others = layer.trainable_weights, layer.non_trainable_weights
    old, old_others = values(trainable), values(others)
    batch = {"batch_size": len(images), "verbose": 0}
    model.predict(images, **batch)
    findings = {"moved_by_inference": moved(old_others, others)}
    history = model.fit(images, labels(images), epochs=STEPS, **batch).history
    findings |= {
        "losses": history["loss"],
        "trainable": [moved(old, trainable), len(trainable)],
        "statistics": [moved(old_others, others), len(others)],
    }
    return model, features, findings


def keras_layer(module, images, trainable=True):
    import tensorflow_hub as hub
    import tf_keras

    layer = hub.KerasLayer(module, trainable=trainable)
    return by_keras(tf_keras, layer, images)[1:]


def keras_layer_frozen(module, images):
    return keras_layer(module, images, trainable=False)


def load_backbone(module, images, functional=False, policy="float32", trainable=True):
    import keras

    import bt_keras

    keras.config.set_dtype_policy(policy)
    layer = bt_keras.load_backbone(module, trainable=trainable)
    model, features, findings = by_keras(keras, layer, images, functional)
    return features, {**findings, "reloaded": reloaded(keras, model, images)}


def reloaded(keras, model, images):
    """The largest difference after saving and loading the model around the layer."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        again = keras.models.load_model(path)
    outputs = (np.asarray(m(images), "float32") for m in (model, again))
    return float(np.abs(np.subtract(*outputs)).max())


def sequential(module, images):
    return load_backbone(module, images)


def functional(module, images):
    return load_backbone(module, images, functional=True)


def frozen(module, images):
    return load_backbone(module, images, trainable=False)


def mixed(module, images):
    return load_backbone(module, images, functional=True, policy="mixed_bfloat16")


def mirrored(module, images):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        return load_backbone(module, images, functional=True)


GROUPS = {
    "without_bt_keras": (hub_load, saved_model_load, keras_layer, keras_layer_frozen),
    "keras_3": (sequential, functional, frozen, mixed, mirrored),
}


def main(ways, module, images, folder):
    ways = [globals()[name] for name in ways.split(",")]
    if ways[0] in GROUPS["without_bt_keras"]:
        sys.modules["bt_keras"] = None  # Importing it fails, as without it.
        with contextlib.suppress(ImportError):
            import bt_keras  # noqa: F401

            raise AssertionError("bt_keras can be imported here")
    cpu = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)
    for way in ways:
        set_seeds()
        features, findings = way(module, np.load(images))
        np.save(os.path.join(folder, f"{way.__name__}.npy"), features)
        with open(
            os.path.join(folder, f"{way.__name__}.json"), "w", encoding="utf-8"
        ) as file:
            json.dump(findings, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
