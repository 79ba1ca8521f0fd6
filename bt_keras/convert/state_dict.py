"""Converts PyTorch state dicts to Keras models and back.

Supported are torchvision's ResNets (`conv1.weight`, `layer1.0.bn1.running_mean`, ...;
the classifier `fc.*` is ignored), also within the models of other libraries (see
`torch_names`), and the official Barlow Twins checkpoint (`backbone.*`, `projector.*`,
`bn.*`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import keras
import numpy as np

from bt_keras.convert import (
    architecture,
    detectron2,
    gradient_scale,
    lars_state,
    name_map,
    torch_checkpoint,
    torch_names,
    weight_files,
)
from bt_keras.errors import UsageError
from bt_keras.model.barlow_twins import BarlowTwins

NAMINGS = ("official", "torchvision", "detectron2")


def from_torch(source: str | os.PathLike | Mapping, replicas: int = 16) -> keras.Model:
    """Builds a Keras model from a PyTorch state dict, checkpoint or file.

    The architecture (depth, width, stem and projector) is inferred from the shapes of
    the arrays. The names of a ResNet's arrays are those of torchvision, also behind
    prefixes (`module.`, `backbone.`, `encoder.`, torch.compile's `_orig_mod.`), or
    those of lightly, solo-learn or VISSL. What else a model contains is left out, such
    as classifiers and projectors with biases.

    From a whole checkpoint of the official code, the model is compiled with
    `bt_keras.LARS`, with the learning rates of the last step and with the momenta, so
    that its next step equals that of the official code. The gradients of the official
    code are smaller than ours:

        g_file = g / s,    s = replicas

    Therefore the learning rate of biases is `lr / s`, their momentum is `s * mu`, and
    the weight decay is multiplied by s. LARS normalizes the gradients of weights, so
    that their momenta do not change. Checkpoints of the first release have a single
    parameter group and a loss multiplied by 0.024: for them, s = replicas / 0.024.

    Args:
        source: String or path of a `.pth`, `.pt`, `.ckpt`, `.torch`, `.safetensors` or
            `.npz` file, or a mapping of str to NumPy array (or tensor, or any object
            with `__array__`): the state dict of a ResNet, the official `resnet50.pth`,
            or a checkpoint that contains one, such as the official `checkpoint.pth`.
        replicas: Integer > 0, number of GPUs that the official code trained on.
            Defaults to `16`, as in its published training.

    Returns:
        `keras.Model` as from `bt_keras.resnet` for a backbone, or
        `bt_keras.BarlowTwins` if there is a projector.

    Raises:
        UsageError: If the file cannot be read, the architecture is not supported, or
            arrays are missing, unexpected or have the wrong shape. The message lists
            them.

    Example:

    >>> backbone = bt_keras.resnet(18, width=1 / 16)
    >>> bt_keras.convert.save("resnet18.pth", bt_keras.convert.to_torch(backbone))
    >>> model = bt_keras.convert.from_torch("resnet18.pth")
    >>> model.name, model.output_shape
    ('resnet18', (None, 32))
    """
    return read_torch(source, replicas)[0]


def read_torch(
    source: str | os.PathLike | Mapping, replicas: int = 16
) -> tuple[keras.Model, list[str]]:
    """Builds a Keras model as `from_torch` does.

    Args:
        source: As for `from_torch`.
        replicas: As for `from_torch`. Defaults to `16`.

    Returns:
        `(model, left)`: the model, and the list of the names of the arrays that are
        left out.

    Raises:
        UsageError: As for `from_torch`.
    """
    if isinstance(source, str | os.PathLike):
        contents = weight_files.load(source)
        with weight_files.prefix_errors(source):
            return read_torch(contents, replicas)
    state, optimizer = torch_checkpoint.split(source)
    state, left = torch_names.find_resnet(state)
    network = architecture.infer_architecture(state)
    left += [name for name in state if name.startswith(network.ignored)]
    model = network.build()
    variables = name_map.map_variables(model)
    name_map.assign_weights(variables, state, network.ignored)
    # The optimizer of a backbone with a classifier is not that of Barlow Twins.
    if optimizer is not None and isinstance(model, BarlowTwins):
        scale = gradient_scale.scale_from_replicas(optimizer, replicas)
        model.compile(optimizer=lars_state.build_optimizer(optimizer, scale))
        lars_state.assign_momenta(model, variables, optimizer, scale)
    return model, left


def to_torch(
    model: keras.Model, naming: str = "official", num_classes: int = 1000
) -> dict[str, np.ndarray]:
    """Converts the weights of a model to a PyTorch state dict.

    Args:
        model: A model from `bt_keras.resnet` with `features=0`, or a
            `bt_keras.BarlowTwins` with such a backbone and a projector given as widths.
        naming: String, whose tensor names to use: `"official"` for the official Barlow
            Twins code (the whole model), `"torchvision"` or `"detectron2"` (only the
            backbone). Defaults to `"official"`.
        num_classes: Integer >= 0, number of classes of torchvision's classifier `fc`,
            whose weights are zero; 0 omits it. Only used by `"torchvision"`. Defaults
            to `1000`.

    Returns:
        Dict of str to NumPy array in PyTorch's order, complete for
        `load_state_dict(strict=True)`. `num_batches_tracked` is 0.

    Raises:
        UsageError: If the naming is unknown, or the model has no counterpart.

    Example:

    >>> backbone = bt_keras.resnet(18, width=1 / 16)
    >>> state = bt_keras.convert.to_torch(backbone, naming="torchvision")
    >>> state["conv1.weight"].shape, state["fc.weight"].shape
    ((4, 3, 7, 7), (1000, 32))
    """
    if naming not in NAMINGS:
        raise UsageError(f"naming={naming!r} is not one of {', '.join(NAMINGS)}.")
    has_projector = isinstance(model, BarlowTwins)
    if naming == "official":
        state = _with_counters(name_map.map_variables(model))
        return {**state, **_last_batch_norm(model)} if has_projector else state
    variables = name_map.map_variables(model.backbone if has_projector else model)
    if naming == "detectron2":
        return detectron2.rename({v.name: v.to_torch() for v in variables})
    features = variables[-1].shape[0]  # The width of the last batch norm.
    return {**_with_counters(variables), **_classifier(num_classes, features)}


def to_checkpoint(model: keras.Model, epoch: int) -> dict:
    """Builds a checkpoint from which the official code resumes on 16 GPUs.

    This is the inverse of `from_torch`. The learning rates in the file have the
    official ratio of 0.0048 to 0.2. The official gradients are smaller than ours by

        s = (0.0048 / 0.2) / (bias_learning_rate / learning_rate)

    which is 16 for the rates of configs/default.py. The momenta of biases and the
    weight decay are therefore divided by s.

    Args:
        model: `bt_keras.BarlowTwins`, compiled with `bt_keras.LARS`.
        epoch: Integer >= 0, number of completed epochs.

    Returns:
        Dict with `"epoch"`, `"model"` (names with the prefix `module.`, as under
        DistributedDataParallel) and `"optimizer"`.

    Raises:
        UsageError: If the model or its optimizer has no counterpart.

    Example:

    >>> model = bt_keras.BarlowTwins(bt_keras.resnet(18, width=1 / 16), (8, 8))
    >>> model.compile(optimizer=bt_keras.LARS(0.2, bias_learning_rate=0.0003))
    >>> checkpoint = bt_keras.convert.to_checkpoint(model, epoch=300)
    >>> list(checkpoint)
    ['epoch', 'model', 'optimizer']
    >>> bt_keras.convert.save("checkpoint.pth", checkpoint)
    """
    if not isinstance(model, BarlowTwins):
        raise UsageError(
            f"the model must be a bt_keras.BarlowTwins, not {type(model).__name__}."
        )
    if not isinstance(epoch, int) or epoch < 0:
        raise UsageError(f"epoch={epoch!r} must be an int >= 0.")
    state = {
        torch_checkpoint.PREFIX + name: array for name, array in to_torch(model).items()
    }
    optimizer = lars_state.optimizer_state(model, name_map.map_variables(model))
    return {"epoch": epoch, "model": state, "optimizer": optimizer}


def to_detectron2(model: keras.Model) -> dict:
    """Builds the contents of a file for Detectron2's `MODEL.WEIGHTS`.

    Save it as `.pth`. Detectron2's config must have `RESNETS.STRIDE_IN_1X1` False,
    `INPUT.FORMAT` RGB, and the normalization of the training.

    Args:
        model: A model as in `to_torch`. Only its backbone is converted.

    Returns:
        Dict with `"model"`, `"__author__"` and `"matching_heuristics"`.

    Raises:
        UsageError: If the model has no counterpart.

    Example:

    >>> backbone = bt_keras.resnet(50, width=1 / 16)
    >>> contents = bt_keras.convert.to_detectron2(backbone)
    >>> contents["model"]["res2.0.shortcut.weight"].shape
    (16, 4, 1, 1)
    >>> bt_keras.convert.save("detectron2.pth", contents)
    """
    return {
        "model": to_torch(model, naming="detectron2"),
        "__author__": "bt_keras",
        "matching_heuristics": True,
    }


def _with_counters(variables):
    """Returns the state dict of variables, with `num_batches_tracked`."""
    state = {}
    for variable in variables:
        state[variable.name] = variable.to_torch()
        if variable.name.endswith(".running_var"):
            state[variable.name.replace("running_var", name_map.COUNTER)] = np.int64(0)
    return {name: np.asarray(array) for name, array in state.items()}


def _last_batch_norm(model):
    """Returns the initial statistics of the official loss's batch norm."""
    width = model.projector.output_shape[-1]
    return {
        "bn.running_mean": np.zeros(width, np.float32),
        "bn.running_var": np.ones(width, np.float32),
        f"bn.{name_map.COUNTER}": np.zeros((), np.int64),
    }


def _classifier(num_classes, features):
    if not isinstance(num_classes, int) or num_classes < 0:
        raise UsageError(f"num_classes={num_classes!r} must be an int >= 0.")
    if not num_classes:
        return {}
    return {
        "fc.weight": np.zeros((num_classes, features), np.float32),
        "fc.bias": np.zeros(num_classes, np.float32),
    }
