"""Infers a network's architecture from the names and shapes of a state dict."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np

from bt_keras.errors import UsageError, shown
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.networks import resnet
from bt_keras.networks.resnet import DEPTHS

# The weight of the redundancy reduction term in the official training.
OFFICIAL_LAMBD = 0.0051


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A ResNet with or without a projector.

    Args:
        depth: Integer, as in `bt_keras.resnet`.
        filters: Integer > 0, channels of the stem: 64 times the width.
        stem: String, as in `bt_keras.resnet`.
        channels: Integer > 0, channels of the images.
        projector: Tuple of ints, widths of the projector's layers. Empty for a
            backbone without projector.
    """

    depth: int
    filters: int
    stem: str
    channels: int
    projector: tuple[int, ...]

    def build(self) -> keras.Model:
        """Builds the model with initial weights."""
        shape = (None, None, self.channels)
        backbone = resnet(self.depth, self.filters / 64, self.stem, shape)
        if not self.projector:
            return backbone
        return BarlowTwins(backbone, self.projector, lambd=OFFICIAL_LAMBD)

    @property
    def ignored(self) -> tuple[str, ...]:
        """Prefixes of names that have no counterpart in Keras."""
        # `fc` is the classifier. The loss standardizes with batch statistics, so that
        # the running statistics of the official code's last batch norm are not used.
        return ("bn.", "backbone.fc.") if self.projector else ("fc.",)

    def differences(self, config) -> list[str]:
        """Compares the architecture with that of a config.

        Args:
            config: `ConfigDict` with the fields of configs/default.py.

        Returns:
            List of str, one for each difference.
        """
        ours = {
            "backbone.name": "resnet",
            "backbone.depth": self.depth,
            "backbone.width": self.filters / 64,
            "backbone.stem": self.stem,
            "backbone.features": 0,
            "projector": self.projector,
        }
        theirs = {
            "backbone.name": config.backbone.name,
            "backbone.depth": config.backbone.depth,
            "backbone.width": max(round(64 * config.backbone.width), 1) / 64,
            "backbone.stem": config.backbone.stem,
            "backbone.features": config.backbone.features,
            "projector": tuple(config.projector),
        }
        found = [
            f"{field} is {value} in the file and {theirs[field]} in the config"
            for field, value in ours.items()
            if value != theirs[field]
        ]
        if self.channels != 3:
            found.append(f"images have {self.channels} channels instead of 3")
        return found


def infer_architecture(state: dict[str, np.ndarray]) -> Architecture:
    """Infers the architecture that a state dict belongs to.

    Args:
        state: Dict of str to NumPy array, with torchvision's names, or those of the
            official Barlow Twins code.

    Returns:
        `Architecture`.

    Raises:
        UsageError: If it is not a ResNet, or one that `bt_keras.resnet` cannot build.
    """
    prefix = "backbone." if any(name.startswith("backbone.") for name in state) else ""
    stem = state.get(prefix + "conv1.weight")
    if stem is None or stem.ndim != 4:
        raise UsageError(
            "these are not the weights of a ResNet: there is no array 'conv1.weight' "
            "or 'backbone.conv1.weight' of shape (out, in, height, width); the first "
            f"names are {', '.join(map(shown, sorted(state)[:3])) or '(none)'}."
        )
    filters, channels, size, _ = stem.shape
    if not filters or not channels:
        raise UsageError(f"conv1.weight has shape {stem.shape}, without channels.")
    depth = _infer_depth(state, prefix)
    features = _check_widths(state, prefix, filters, depth)
    return Architecture(
        depth=depth,
        filters=filters,
        stem="imagenet" if size == 7 else "cifar",
        channels=channels,
        projector=_infer_projector(state, features) if prefix else (),
    )


def _check_widths(state, prefix, filters, depth):
    """Returns the feature dimension; raises if the file lacks the largest kernel.

    The network is built before all arrays are checked. Checking the largest one first
    ensures that a small file cannot make the network large.
    """
    block, counts = DEPTHS[depth]
    first = state.get(f"{prefix}layer1.0.conv1.weight")
    if block == "bottleneck" and first is not None and _outputs(first) > filters:
        last = state[f"{prefix}layer1.0.conv3.weight"]
        if _outputs(last) == 4 * filters:
            raise UsageError(
                "wide ResNets and ResNeXts are not supported: use a ResNet that "
                "bt_keras.resnet can build."
            )
    name = f"{prefix}layer4.{counts[-1] - 1}.conv2.weight"
    _check_shape(state, name, (8 * filters, 8 * filters, 3, 3))
    return 8 * filters * (4 if block == "bottleneck" else 1)


def _check_shape(state, name, expected):
    array = state.get(name)
    if array is None or array.shape != expected:
        problem = (
            f"missing {name}" if array is None else f"{name} has shape {array.shape}"
        )
        raise UsageError(
            f"the arrays do not belong to one ResNet: {problem}, expected {expected}."
        )


def _outputs(array):
    return array.shape[0] if array.ndim else 0


def _infer_depth(state, prefix):
    bottleneck = prefix + "layer1.0.conv3.weight" in state
    block = "bottleneck" if bottleneck else "basic"
    counts = tuple(_count_blocks(state, f"{prefix}layer{s}.") for s in (1, 2, 3, 4))
    for depth, layout in DEPTHS.items():
        if layout == (block, counts):
            return depth
    raise UsageError(
        f"a ResNet with {counts} {block} blocks is not supported: the supported depths "
        f"are {', '.join(map(str, DEPTHS))}."
    )


def _count_blocks(state, prefix):
    names = (name[len(prefix) :] for name in state if name.startswith(prefix))
    return len({name.split(".")[0] for name in names})


def _infer_projector(state, features):
    widths = []
    while (name := f"projector.{3 * len(widths)}.weight") in state:
        width = _outputs(state[name])
        _check_shape(state, name, (width, widths[-1] if widths else features))
        widths.append(width)
    if not widths or not all(widths):
        raise UsageError(
            "the weights of a backbone ('backbone.*') have no projector: "
            "'projector.0.weight' is missing."
        )
    return tuple(widths)
