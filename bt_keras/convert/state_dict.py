"""Keras models from PyTorch's state dicts, and back.

Read: torchvision's ResNets (`conv1.weight`, `layer1.0.bn1.running_mean`, ...; the
classifier `fc.*` is left out) and the official Barlow Twins checkpoint
(`backbone.*`, `projector.*`, `bn.*`, each with or without `module.` before it).
"""

import os
from collections.abc import Mapping

import numpy as np

from bt_keras.convert import (
    architecture,
    detectron2,
    gradient_scale,
    lars_state,
    name_map,
    weight_files,
)
from bt_keras.errors import UsageError, shown
from bt_keras.model.barlow_twins import BarlowTwins

NAMINGS = ("official", "torchvision", "detectron2")

_MODULE = "module."  # What DistributedDataParallel puts before every name.


def from_torch(source, replicas=16):
    """Builds a Keras model from a PyTorch state dict, a checkpoint, or a file of one.

    Depth, width, stem and the projector's widths are read off the arrays' shapes.

    Args:
        source: str or path of a `.pth`, `.pt`, `.safetensors` or `.npz` file, or a
            mapping of str to NumPy array (or tensor, or what else has `__array__`): a
            torchvision ResNet's, the official `resnet50.pth`'s, or the official
            `checkpoint.pth`'s, whole or its `"model"` or `"state_dict"` part.
        replicas: int > 0, on how many GPUs the official code trained the checkpoint;
            16 is its own number. It divides its gradients by it, and ours are the
            whole batch's.

    Returns:
        `keras.Model` from `bt_keras.resnet` for a backbone alone, or
        `bt_keras.BarlowTwins` where there is a projector. A whole checkpoint's is
        compiled with `bt_keras.LARS`, at the rates of its last step and with its
        momenta, so that the next step is the official code's. For that,

            g_file = g / s    with s = replicas

        makes a bias's rate lr / s, its momentum s · mu and the weight decay s times
        the file's; momenta of weights, which LARS normalises, are the file's. Files
        of a single group of parameters, as of the first code, which multiplied its
        loss by 0.024, have s = replicas / 0.024.

    Raises:
        UsageError: if the file cannot be read, the names are of neither kind, or some
            are missing, left over or of another shape; they are listed.

    Example:

    >>> backbone = bt_keras.convert.from_torch("resnet50.pth")
    """
    if isinstance(source, str | os.PathLike):
        contents = weight_files.load(source)
        with weight_files.named(source):
            return from_torch(contents, replicas)
    state, momenta = parts(source)
    network = architecture.of_state(state)
    model = network.build()
    table = name_map.of_model(model)
    name_map.fill(table, state, network.ignored)
    # What trained a backbone with a classifier has no use here.
    if momenta is not None and isinstance(model, BarlowTwins):
        scale = gradient_scale.scale_of(momenta, replicas)
        model.compile(optimizer=lars_state.build(momenta, scale))
        lars_state.fill(model, table, momenta, scale)
    return model


def to_torch(model, naming="official", num_classes=1000):
    """Gives a model's weights PyTorch's names and layouts.

    Args:
        model: a model from `bt_keras.resnet`, or a `bt_keras.BarlowTwins` with such
            a backbone and a projector made from widths.
        naming: `"official"` for the names of the official Barlow Twins code, a
            backbone alone or the whole model, whichever it is; `"torchvision"` or
            `"detectron2"` for the backbone in the names of those.
        num_classes: int >= 0, the classes of torchvision's classifier `fc`, which is
            zero; 0 for none. Of `"torchvision"` only.

    Returns:
        dict of str to NumPy array: a state dict, complete for `strict=True`, in
        PyTorch's order. Counters of batches, which nothing reads, are 0.

    Raises:
        UsageError: for another naming, or a model that has no counterpart.

    Example:

    >>> state = bt_keras.convert.to_torch(backbone, naming="torchvision")
    >>> bt_keras.convert.save("resnet50.pth", state)
    """
    if naming not in NAMINGS:
        raise UsageError(f"naming={naming!r} is not one of {', '.join(NAMINGS)}.")
    is_whole = isinstance(model, BarlowTwins)
    if naming == "official":
        state = _with_counters(name_map.of_model(model))
        return {**state, **_last_norm(model)} if is_whole else state
    table = name_map.of_model(model.backbone if is_whole else model)
    if naming == "detectron2":
        return detectron2.renamed({t.name: t.to_torch() for t in table})
    width = table[-1].shape[0]  # Of the last batch norm, as of the features.
    return {**_with_counters(table), **_classifier(num_classes, width)}


def to_checkpoint(model, epoch):
    """Makes a checkpoint that the official code resumes from, on 16 replicas.

    The inverse of `from_torch`: the file's rates stand in the official ratio, and

        s = (0.0048 / 0.2) / (bias_learning_rate / learning_rate)

    which is 16 for the rates of configs/default.py, is by how much smaller its
    gradients are taken to be. The file has momenta of biases divided by s, and the
    weight decay divided by s.

    Args:
        model: `bt_keras.BarlowTwins`, compiled with `bt_keras.LARS`.
        epoch: int >= 0, how many epochs are done.

    Returns:
        dict with `"epoch"`, `"model"` (names with `module.` before them, as under
        DistributedDataParallel) and `"optimizer"`.

    Raises:
        UsageError: if the model or its optimizer has no counterpart.

    Example:

    >>> checkpoint = bt_keras.convert.to_checkpoint(model, epoch=300)
    >>> bt_keras.convert.save("checkpoint.pth", checkpoint)
    """
    if not isinstance(model, BarlowTwins):
        raise UsageError(
            f"a checkpoint is of a bt_keras.BarlowTwins, not {type(model).__name__}."
        )
    if not isinstance(epoch, int) or epoch < 0:
        raise UsageError(f"epoch={epoch!r} must be an int >= 0.")
    state = {_MODULE + name: a for name, a in to_torch(model).items()}
    momenta = lars_state.to_torch(model, name_map.of_model(model))
    return {"epoch": epoch, "model": state, "optimizer": momenta}


def to_detectron2(model):
    """Makes the contents of a file that Detectron2 takes as `MODEL.WEIGHTS`.

    Args:
        model: as of `to_torch`; the backbone is taken.

    Returns:
        dict to save as `.pth`. With it, `RESNETS.STRIDE_IN_1X1` must be False, and
        `INPUT.FORMAT` RGB, normalised as in training.
    """
    return {
        "model": to_torch(model, naming="detectron2"),
        "__author__": "bt_keras",
        "matching_heuristics": True,
    }


def parts(source):
    """Takes a state dict or checkpoint apart.

    Args:
        source: mapping, see `from_torch`.

    Returns:
        `(state, momenta)`: dict of str to NumPy array, names without `module.` and
        without counters; and the optimizer's state dict or None.

    Raises:
        UsageError: if it is no mapping from names to arrays of numbers.
    """
    if not isinstance(source, Mapping):
        raise UsageError(
            "weights are a mapping of names to arrays, or a file of one, not "
            f"{type(source).__name__}."
        )
    momenta = None
    for key in ("model", "state_dict"):  # Ours, and that of Lightning and MoCo.
        if isinstance(source.get(key), Mapping):
            source, momenta = source[key], source.get("optimizer")
            break
    state = {}
    for name, value in source.items():
        short = str(name).removeprefix(_MODULE)
        if short in state:
            raise UsageError(
                f"there is {shown(short)} twice, with 'module.' and without."
            )
        if not short.endswith(name_map.COUNTER):
            state[short] = name_map.as_array(str(name), value)
    return state, momenta


def _with_counters(table):
    state = {}
    for tensor in table:
        state[tensor.name] = tensor.to_torch()
        if tensor.name.endswith(".running_var"):
            state[tensor.name.replace("running_var", name_map.COUNTER)] = np.int64(0)
    return {name: np.asarray(array) for name, array in state.items()}


def _last_norm(model):
    width = model.projector.output_shape[-1]
    return {
        "bn.running_mean": np.zeros(width, np.float32),
        "bn.running_var": np.ones(width, np.float32),
        f"bn.{name_map.COUNTER}": np.zeros((), np.int64),
    }


def _classifier(num_classes, width):
    if not isinstance(num_classes, int) or num_classes < 0:
        raise UsageError(f"num_classes={num_classes!r} must be an int >= 0.")
    if not num_classes:
        return {}
    return {
        "fc.weight": np.zeros((num_classes, width), np.float32),
        "fc.bias": np.zeros(num_classes, np.float32),
    }
