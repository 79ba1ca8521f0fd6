"""Which network a state dict is of, read off its names and shapes."""

import dataclasses

from bt_keras.errors import UsageError, shown
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.networks import resnet
from bt_keras.networks.resnet import DEPTHS

# The weight of the redundancy term that the official checkpoints were trained with.
OFFICIAL_LAMBD = 0.0051


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A ResNet, alone or with a projector.

    Args:
        depth: int, of `bt_keras.resnet`.
        filters: int > 0, channels of the stem: 64 times the width.
        stem: str, of `bt_keras.resnet`.
        channels: int > 0, of the images.
        projector: tuple of ints, its layers' widths; empty for a backbone alone.
    """

    depth: int
    filters: int
    stem: str
    channels: int
    projector: tuple

    def build(self):
        """Returns the `keras.Model`, with initial weights."""
        shape = (None, None, self.channels)
        backbone = resnet(self.depth, self.filters / 64, self.stem, shape)
        if not self.projector:
            return backbone
        return BarlowTwins(backbone, self.projector, lambd=OFFICIAL_LAMBD)

    @property
    def ignored(self):
        """tuple of str, beginnings of names that have no counterpart in Keras."""
        # The classifier is not the backbone's. The loss standardises by the batch, so
        # that the statistics of the official code's last batch norm are never used.
        return ("bn.", "backbone.fc.") if self.projector else ("fc.",)

    def differences(self, config):
        """Compares it with what a config describes.

        Args:
            config: `ConfigDict` with the fields of configs/default.py.

        Returns:
            list of str, empty where both are the same.
        """
        ours = {
            "backbone.depth": self.depth,
            "backbone.width": self.filters / 64,
            "backbone.stem": self.stem,
            "projector": self.projector,
        }
        theirs = {
            "backbone.depth": config.backbone.depth,
            "backbone.width": max(round(64 * config.backbone.width), 1) / 64,
            "backbone.stem": config.backbone.stem,
            "projector": tuple(config.projector),
        }
        found = [
            f"{field} is {value}, the config has {theirs[field]}"
            for field, value in ours.items()
            if value != theirs[field]
        ]
        if self.channels != 3:
            found.append(f"its images have {self.channels} channels, not 3")
        return found


def of_state(state):
    """Reads an architecture off a state dict.

    Args:
        state: dict of str to NumPy array.

    Returns:
        `Architecture`.

    Raises:
        UsageError: if it is not of a ResNet, or of one that there is not.
    """
    prefix = "backbone." if any(name.startswith("backbone.") for name in state) else ""
    stem = state.get(prefix + "conv1.weight")
    if stem is None or stem.ndim != 4:
        raise UsageError(
            "these are not a ResNet's weights: there is no (out, in, height, width) "
            "array 'conv1.weight' or 'backbone.conv1.weight'; the first names are "
            f"{', '.join(map(shown, sorted(state)[:3])) or '(none)'}."
        )
    filters, channels, size, _ = stem.shape
    if not filters or not channels:
        raise UsageError(f"conv1.weight has the shape {stem.shape}, without channels.")
    depth = _depth(state, prefix)
    features = _check_widths(state, prefix, filters, depth)
    return Architecture(
        depth=depth,
        filters=filters,
        stem="imagenet" if size == 7 else "cifar",
        channels=channels,
        projector=_projector(state, features) if prefix else (),
    )


def _check_widths(state, prefix, filters, depth):
    """Returns the number of features; raises where a network would not fit.

    It is built before all its arrays are looked at, and only if the largest is there:
    a small file makes no large network.
    """
    block, counts = DEPTHS[depth]
    first = state.get(f"{prefix}layer1.0.conv1.weight")
    if block == "bottleneck" and first is not None and _outputs(first) > filters:
        last = state[f"{prefix}layer1.0.conv3.weight"]
        if _outputs(last) == 4 * filters:
            raise UsageError(
                "it is a wide ResNet or ResNeXt, which bt_keras.resnet does not have."
            )
    name = f"{prefix}layer4.{counts[-1] - 1}.conv2.weight"
    _check_shape(state, name, (8 * filters, 8 * filters, 3, 3))
    return 8 * filters * (4 if block == "bottleneck" else 1)


def _check_shape(state, name, expected):
    array = state.get(name)
    if array is None or array.shape != expected:
        found = f"missing {name}" if array is None else f"{name} is {array.shape}"
        raise UsageError(
            f"it does not fit the ResNet that its other arrays describe: {found} and "
            f"must be {expected}."
        )


def _outputs(array):
    return array.shape[0] if array.ndim else 0


def _depth(state, prefix):
    bottleneck = prefix + "layer1.0.conv3.weight" in state
    block = "bottleneck" if bottleneck else "basic"
    counts = tuple(_count_blocks(state, f"{prefix}layer{s}.") for s in (1, 2, 3, 4))
    for depth, layout in DEPTHS.items():
        if layout == (block, counts):
            return depth
    raise UsageError(
        f"no ResNet of depth {', '.join(map(str, DEPTHS))} has {counts} {block} blocks."
    )


def _count_blocks(state, prefix):
    names = (name[len(prefix) :] for name in state if name.startswith(prefix))
    return len({name.split(".")[0] for name in names})


def _projector(state, features):
    widths = []
    while (name := f"projector.{3 * len(widths)}.weight") in state:
        width = _outputs(state[name])
        _check_shape(state, name, (width, widths[-1] if widths else features))
        widths.append(width)
    if not widths or not all(widths):
        raise UsageError("there is a 'backbone.' but no 'projector.0.weight'.")
    return tuple(widths)
