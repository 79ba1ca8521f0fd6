"""Finds a ResNet in a state dict by its names, and gives it torchvision's names.

Known are torchvision's own names behind any prefix (`backbone.`, `encoder.`, VISSL's
`_feature_blocks.`), the numbers of a `torch.nn.Sequential` of a ResNet's children, as
lightly makes it (`backbone.0.weight`, `backbone.4.0.conv1.weight`), and lightly's own
ResNets (`shortcut` instead of `downsample`, `linear` instead of `fc`).
"""

from __future__ import annotations

import re

import numpy as np

from bt_keras.errors import UsageError, listed

# The official code's names of backbone and projector.
OFFICIAL = "backbone."
_FIRST_BLOCK = re.compile(r"(.*?)(layer1|[24])\.0\.conv1\.weight")
# Children of torchvision's ResNets, and of lightly's, which have no `relu` and
# `maxpool`, in front of the four stages.
_STEMS = {"layer1": ("conv1", "bn1"), "4": ("0", "1"), "2": ("0", "1")}
# Copies of the network whose weights are averages over the training.
_AVERAGED = ("momentum", "teacher", "target", "ema", "encoder_k")
_LIGHTLY = ((r"\.shortcut\.", ".downsample."), (r"^linear\.", "fc."))


def find_resnet(
    state: dict[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Finds a ResNet in a state dict.

    Args:
        state: Dict of str to NumPy array, with the names of a file.

    Returns:
        `(resnet, left)`: dict of str to NumPy array with torchvision's names, and the
        list of the names that do not belong to it. The names of the official Barlow
        Twins code, with a projector without biases, stay as they are. So do those of a
        state dict in which no ResNet is found.

    Raises:
        UsageError: If there are several ResNets.

    Example:

    >>> from bt_keras.convert.torch_names import find_resnet
    >>> names = ("conv1.weight", "bn1.weight", "layer1.0.conv1.weight")
    >>> state = {f"encoder.{name}": np.zeros(1) for name in names}
    >>> resnet, left = find_resnet({**state, "classifier.bias": np.zeros(1)})
    >>> list(resnet), left
    (['conv1.weight', 'bn1.weight', 'layer1.0.conv1.weight'], ['classifier.bias'])
    """
    found = _stages(state)
    if not found:
        return state, []
    prefix = _choose(list(found))
    if prefix == OFFICIAL and _has_official_projector(state):
        return state, []
    own = {name for name in state if name.startswith(prefix)}
    resnet = {
        _torchvision_name(name.removeprefix(prefix), found[prefix]): state[name]
        for name in state
        if name in own
    }
    return resnet, [name for name in state if name not in own]


def _stages(state):
    """Returns the prefix of every ResNet with the name of its first stage."""
    found = {}
    for name in state:
        if match := _FIRST_BLOCK.fullmatch(name):
            prefix, stage = match.groups()
            conv, norm = _STEMS[stage]
            stem = state.get(f"{prefix}{conv}.weight")
            if stem is not None and f"{prefix}{norm}.weight" in state:
                # Stage 3 of a network whose first one is 2 is called 4.
                found.setdefault(prefix, stage)
                found[prefix] = min(found[prefix], stage)
    return found


def _choose(prefixes: list[str]) -> str:
    trained = [p for p in prefixes if not any(word in p for word in _AVERAGED)]
    if OFFICIAL in trained:
        return OFFICIAL
    if len(chosen := trained or prefixes) == 1:
        return chosen[0]
    raise UsageError(
        f"there are {len(chosen)} ResNets, whose names begin with "
        f"{listed(sorted(chosen))}: pass the arrays of one of them."
    )


def _has_official_projector(state):
    names = [name for name in state if name.startswith("projector.")]
    linear = [name for name in names if getattr(state[name], "ndim", 0) == 2]
    biases = {name.replace(".weight", ".bias") for name in linear}
    return "projector.0.weight" in names and biases.isdisjoint(names)


def _torchvision_name(name: str, stage: str) -> str:
    if stage != "layer1":
        number, dot, rest = name.partition(".")
        if number in ("0", "1"):
            name = f"{('conv1', 'bn1')[int(number)]}{dot}{rest}"
        elif number.isdecimal():
            name = f"layer{int(number) - int(stage) + 1}{dot}{rest}"
    for pattern, replacement in _LIGHTLY:
        name = re.sub(pattern, replacement, name)
    return name
