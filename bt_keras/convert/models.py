"""Keras models from PyTorch's state dicts, and back.

Read: torchvision's ResNets (`conv1.weight`, `layer1.0.bn1.running_mean`, ...; the
classifier `fc.*` is left out) and the official Barlow Twins checkpoint
(`backbone.*`, `projector.*`, `bn.*`, each with or without `module.` before it).
"""

import os
from collections.abc import Mapping

import numpy as np

from bt_keras.convert import architecture, detectron2, files, optimizer, tensors
from bt_keras.errors import UsageError
from bt_keras.model import BarlowTwins

NAMINGS = ("official", "torchvision", "detectron2")

_MODULE = "module."  # What DistributedDataParallel puts before every name.


def from_torch(source):
    """Builds a Keras model from a PyTorch state dict, a checkpoint, or a file of one.

    Depth, width, stem and the projector's widths are read off the arrays' shapes.

    Args:
        source: str or path of a `.pth`, `.pt`, `.safetensors` or `.npz` file, or a
            mapping of str to NumPy array (or anything `np.asarray` takes): a
            torchvision ResNet's, the official `resnet50.pth`'s, or the official
            `checkpoint.pth`'s, whole or its `"model"` part.

    Returns:
        `keras.Model` from `bt_keras.resnet` for a backbone alone, or
        `bt_keras.BarlowTwins` where there is a projector. A whole checkpoint's is
        compiled with `bt_keras.LARS`, at the rates of its last step and with its
        momenta (of gradients that the official code divides by its number of GPUs).

    Raises:
        UsageError: if the file cannot be read, the names are of neither kind, or some
            are missing, left over or of another shape; they are listed.

    Example:

    >>> backbone = bt_keras.convert.from_torch("resnet50.pth")
    """
    if isinstance(source, str | os.PathLike):
        contents = files.load(source)
        with files.named(source):
            return from_torch(contents)
    state, momenta = parts(source)
    network = architecture.of_state(state)
    model = network.build()
    table = tensors.of_model(model)
    tensors.fill(table, state, network.ignored)
    # What trained a backbone with a classifier has no use here.
    if momenta is not None and isinstance(model, BarlowTwins):
        model.compile(optimizer=optimizer.build(momenta))
        optimizer.fill(model, table, momenta)
    return model


def to_torch(model, naming="official", num_classes=1000):
    """Gives a model's weights PyTorch's names and layouts.

    Args:
        model: a model from `bt_keras.resnet`, or a `bt_keras.BarlowTwins` with such
            a backbone and a projector made from widths.
        naming: `"official"` for the names of the official Barlow Twins code, a
            backbone alone or the whole model, whichever it is; `"torchvision"` or
            `"detectron2"` for the backbone in the names of those.
        num_classes: int >= 0 or None, the classes of torchvision's classifier `fc`,
            which is zero; 0 or None for none. Of `"torchvision"` only.

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
        state = _with_counters(tensors.of_model(model))
        return {**state, **_last_norm(model)} if is_whole else state
    table = tensors.of_model(model.backbone if is_whole else model)
    if naming == "detectron2":
        return detectron2.renamed({t.name: t.to_torch() for t in table})
    width = table[-1].shape[0]  # Of the last batch norm, as of the features.
    return {**_with_counters(table), **_classifier(num_classes, width)}


def to_checkpoint(model, epoch):
    """Makes a checkpoint that the official code resumes from.

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
    momenta = optimizer.to_torch(model, tensors.of_model(model))
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
            "from_torch takes a file or a mapping of names to arrays, got "
            f"{type(source).__name__}."
        )
    momenta = None
    if isinstance(source.get("model"), Mapping):
        source, momenta = source["model"], source.get("optimizer")
    state = {}
    for name, value in source.items():
        short = str(name).removeprefix(_MODULE)
        if short in state:
            raise UsageError(f"there is {short!r} twice, with 'module.' and without.")
        if not short.endswith(tensors.COUNTER):
            state[short] = _array(name, value)
    return state, momenta


def _array(name, value):
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{name!r} is not an array ({error}).") from error
    # ml_dtypes' bfloat16 is of kind V.
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        kind = type(value).__name__ if array.dtype.kind == "O" else array.dtype
        raise UsageError(f"{name!r} is of {kind}, not an array of numbers.")
    return array


def _with_counters(table):
    state = {}
    for tensor in table:
        state[tensor.name] = tensor.to_torch()
        if tensor.name.endswith(".running_var"):
            state[tensor.name.replace("running_var", tensors.COUNTER)] = np.int64(0)
    return {name: np.asarray(array) for name, array in state.items()}


def _last_norm(model):
    width = model.projector.output_shape[-1]
    return {
        "bn.running_mean": np.zeros(width, np.float32),
        "bn.running_var": np.ones(width, np.float32),
        f"bn.{tensors.COUNTER}": np.zeros((), np.int64),
    }


def _classifier(num_classes, width):
    if not num_classes:
        return {}
    if not isinstance(num_classes, int) or num_classes < 0:
        raise UsageError(f"num_classes={num_classes!r} must be an int >= 0 or None.")
    return {
        "fc.weight": np.zeros((num_classes, width), np.float32),
        "fc.bias": np.zeros(num_classes, np.float32),
    }
