"""Tries everything an exported module offers, with TensorFlow and nothing of ours.

`python probe.py MODULE RESULTS.npz FACTS.json`: `bt_keras.export.verify` starts it as a
file of its own, in a process in which bt_keras cannot be imported. What the module
gives for its own sample images goes to RESULTS.npz, what else there is to say to
FACTS.json.
"""

import importlib.abc
import json
import sys
from pathlib import Path

SEED = 0
_STEPS = 5


class _Hidden(importlib.abc.MetaPathFinder):
    """Lets an import of bt_keras fail, as where it is not installed."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "bt_keras":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def main(folder, results, facts):
    sys.meta_path.insert(0, _Hidden())
    import numpy as np
    import tensorflow as tf
    import tensorflow_hub as hub

    with np.load(Path(folder, "assets.extra", "sample.npz")) as file:
        levels = file["images"]
    files = sorted(Path(folder, "assets.extra").glob("sample-*.png"))
    contents = [path.read_bytes() for path in files]
    images = levels.astype(np.float32) / 255.0

    module = hub.load(folder)
    arrays = _outputs(tf, hub, folder, module, images)
    arrays |= _served(tf, module, images, levels, contents)
    known = _interface(module)
    known["other_sizes"] = _other_sizes(np, module, images)
    known |= _fine_tuned(tf, module, images)
    known["importable"] = _importable()
    np.savez(results, **arrays)
    Path(facts).write_text(json.dumps(known))


def _importable():
    try:
        import bt_keras  # noqa: F401
    except ModuleNotFoundError:
        return "bt_keras" in sys.modules
    return True


def _outputs(tf, hub, folder, module, images):
    """The features by each way to load the module, and its other endpoints."""
    plain = tf.saved_model.load(folder)
    layer = hub.KerasLayer(folder, trainable=True)
    arrays = {
        "hub.load": module(images, training=False),
        "tf.saved_model.load": plain(images, training=False),
        "hub.KerasLayer": layer(images, training=False),
    }
    endpoints = module(images, training=False, return_endpoints=True)
    arrays |= {f"endpoint {name}": value for name, value in endpoints.items()}
    if hasattr(module, "projector"):
        arrays["projector"] = module.projector(arrays["hub.load"], training=False)
    return {name: value.numpy() for name, value in arrays.items()}


def _served(tf, module, images, levels, contents):
    """What the signatures give."""
    inputs = {"uint8": levels, "encoded": contents}
    arrays = {}
    for name, signature in module.signatures.items():
        served = signature(inputs=tf.constant(inputs.get(name, images)))
        for output, value in served.items():
            arrays[f"signature {name} {output}"] = value.numpy()
    return arrays


def _interface(module):
    return {
        "variables": len(module.variables),
        "trainable_variables": len(module.trainable_variables),
        "regularization_losses": [
            float(loss()) for loss in module.regularization_losses
        ],
        "signatures": sorted(module.signatures),
    }


def _other_sizes(np, module, images):
    """Whether it takes other numbers and sizes of images; what it says if not."""
    side = images.shape[1]
    others = np.random.default_rng(SEED).uniform(size=(3, side + 32, side + 9, 3))
    try:
        return list(module(others.astype(np.float32), training=False).shape)
    except Exception as error:  # TensorFlow's for what was not traced.
        return " ".join(str(error).split())[:200]


def _fine_tuned(tf, module, images):
    """Trains a linear classifier and the module for a few steps."""
    before = [v.numpy() for v in module.variables]
    module(images, training=False)
    moved_in_evaluation = _moved(before, module.variables)

    features = module(images, training=False)
    head = tf.Variable(tf.zeros((features.shape[-1], 2)))
    labels = tf.range(len(images)) % 2
    losses = []
    for _ in range(_STEPS):
        with tf.GradientTape() as tape:
            logits = module(images, training=True) @ head
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(loss)
        variables = [head, *module.trainable_variables]
        gradients = tape.gradient(loss, variables)
        norm = tf.linalg.global_norm(gradients)
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.assign_sub(0.1 * gradient / tf.maximum(norm, 1.0))
        losses.append(float(loss))
    trainable = {id(v) for v in module.trainable_variables}
    moved = _moved(before, module.variables)
    is_trainable = [id(v) in trainable for v in module.variables]
    return {
        "moved_in_evaluation": sum(moved_in_evaluation),
        "moved_trainable": sum(
            m for m, t in zip(moved, is_trainable, strict=True) if t
        ),
        "moved_statistics": sum(
            m for m, t in zip(moved, is_trainable, strict=True) if not t
        ),
        "losses": losses,
    }


def _moved(before, variables):
    return [
        bool((a != v.numpy()).any()) for a, v in zip(before, variables, strict=True)
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])
