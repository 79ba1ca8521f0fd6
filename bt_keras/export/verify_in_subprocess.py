"""Use everything that an exported module offers, with TensorFlow but not bt_keras.

`python verify_in_subprocess.py MODULE ARRAYS.npz FINDINGS.json` is started by
`bt_keras.export.verify`, with the path of this file: bt_keras cannot be imported in
this process. The module's outputs for its sample images are written to ARRAYS.npz,
everything else to FINDINGS.json.
"""

import importlib.abc
import json
import sys
from pathlib import Path

SEED = 0
_STEPS = 5


class _HideBtKeras(importlib.abc.MetaPathFinder):
    """Make `import bt_keras` fail as if it was not installed."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "bt_keras":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def main(folder, arrays_file, findings_file):
    """Writes the outputs and the findings of a module."""
    sys.meta_path.insert(0, _HideBtKeras())
    import numpy as np
    import tensorflow as tf
    import tensorflow_hub as hub

    module = hub.load(folder)
    extra = Path(folder, "assets.extra")
    with np.load(extra / "sample.npz") as file:
        sample = dict(file)
    findings = _interface(module)
    if "images" in sample:
        inputs, forms = _image_sample(np, extra, sample["images"])
        findings["other_sizes"] = _shape_for_other_sizes(np, module, inputs)
    else:
        inputs, forms = _nest_sample(tf, extra, module, sample)
    arrays = _call_outputs(tf, hub, folder, module, inputs)
    arrays |= _signature_outputs(tf, module, forms)
    findings |= _fine_tune(tf, module, inputs)
    findings["importable"] = _is_bt_keras_importable()
    np.savez(arrays_file, **arrays)
    Path(findings_file).write_text(json.dumps(findings), encoding="utf-8")


def _image_sample(np, extra, levels):
    """Returns images in [0, 1], and what each signature takes."""
    images = levels.astype(np.float32) / 255.0
    contents = [path.read_bytes() for path in sorted(extra.glob("sample-*.png"))]
    forms = {"": images, "uint8": levels, "encoded": contents}
    return images, {name: {"inputs": values} for name, values in forms.items()}


def _nest_sample(tf, extra, module, sample):
    """Returns a nest of tensors, and what each signature takes."""
    described = json.loads((extra / "bt_keras.json").read_text(encoding="utf-8"))
    names = [each["name"] for each in described["inputs"]]
    tensors = [tf.constant(sample[f"input_{i}"]) for i in range(len(names))]
    specs = module.__call__.concrete_functions[0].structured_input_signature[0][0]
    inputs = tf.nest.pack_sequence_as(specs, tensors)
    return inputs, {"": dict(zip(names, tensors, strict=True))}


def _is_bt_keras_importable():
    try:
        import bt_keras  # noqa: F401
    except ModuleNotFoundError:
        return "bt_keras" in sys.modules
    return True


def _call_outputs(tf, hub, folder, module, inputs):
    """Returns the features by each way to load the module, and its other outputs."""
    plain = tf.saved_model.load(folder)
    layer = hub.KerasLayer(folder, trainable=True)
    arrays = {
        "hub.load": module(inputs, training=False),
        "tf.saved_model.load": plain(inputs, training=False),
        "hub.KerasLayer": layer(inputs, training=False),
    }
    endpoints = module(inputs, training=False, return_endpoints=True)
    arrays |= {f"endpoint {name}": value for name, value in endpoints.items()}
    if hasattr(module, "projector"):
        arrays["projector"] = module.projector(arrays["hub.load"], training=False)
    return {name: value.numpy() for name, value in arrays.items()}


def _signature_outputs(tf, module, forms):
    arrays = {}
    for name, signature in module.signatures.items():
        inputs = forms.get(name, forms[""])
        outputs = signature(**{key: tf.constant(v) for key, v in inputs.items()})
        for output, value in outputs.items():
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


def _shape_for_other_sizes(np, module, images):
    """Returns the output's shape for images of another size, or the error."""
    _, side, _, channels = images.shape
    shape = (3, side + 32, side + 9, channels)
    others = np.random.default_rng(SEED).uniform(size=shape)
    try:
        return list(module(others.astype(np.float32), training=False).shape)
    except Exception as error:  # TensorFlow's error for an input that was not traced.
        return " ".join(str(error).split())[:200]


def _fine_tune(tf, module, inputs):
    """Trains a linear classifier and the module for a few steps."""
    before = [v.numpy() for v in module.variables]
    module(inputs, training=False)
    changed_in_inference = _changed(before, module.variables)

    features = module(inputs, training=False)
    head = tf.Variable(tf.zeros((features.shape[-1], 2)))
    labels = tf.range(len(features)) % 2
    losses = []
    variables = [head, *module.trainable_variables]
    has_effect = [False] * len(variables)
    for _ in range(_STEPS):
        with tf.GradientTape() as tape:
            logits = module(inputs, training=True) @ head
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(loss)
        gradients = [
            # Those of embedding layers are sparse.
            tf.convert_to_tensor(g) if isinstance(g, tf.IndexedSlices) else g
            for g in tape.gradient(loss, variables)
        ]
        norm = tf.linalg.global_norm(gradients)
        for i, gradient in enumerate(gradients):
            if gradient is None:  # The loss does not depend on the variable.
                has_effect[i] = True
                continue
            target = variables[i] - 0.1 * gradient / tf.maximum(norm, 1.0)
            has_effect[i] |= bool(tf.reduce_any(target != variables[i]))
            variables[i].assign(target)
        losses.append(float(loss))
    trainable = {id(v) for v in module.trainable_variables}
    changed = _changed(before, module.variables)
    is_trainable = [id(v) in trainable for v in module.variables]
    # A gradient that is zero changes nothing, as in a branch whose scale is zero.
    expected = dict(
        zip(map(id, module.trainable_variables), has_effect[1:], strict=True)
    )
    as_expected = [
        c or not expected[id(v)]
        for c, v, t in zip(changed, module.variables, is_trainable, strict=True)
        if t
    ]
    return {
        "changed_in_inference": sum(changed_in_inference),
        "changed_trainable": sum(as_expected),
        "learns": any(has_effect),
        # A mean of zero stays where all inputs are zero.
        "changed_statistics": sum(
            c or not v.numpy().any()
            for c, v, t in zip(changed, module.variables, is_trainable, strict=True)
            if not t
        ),
        "losses": losses,
    }


def _changed(before, variables):
    return [
        bool((a != v.numpy()).any()) for a, v in zip(before, variables, strict=True)
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])
