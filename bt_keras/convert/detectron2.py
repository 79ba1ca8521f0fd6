"""Detectron2's names for a ResNet's tensors, those of its own conversion script."""

import re

_RULES = (
    (r"^(conv1|bn1)\.", r"stem.\1."),
    (r"^layer(\d)\.", lambda match: f"res{int(match[1]) + 1}."),
    (r"\bbn(\d)\.", r"conv\1.norm."),
    (r"\bdownsample\.0\.", "shortcut."),
    (r"\bdownsample\.1\.", "shortcut.norm."),
)


def renamed(state):
    """Gives torchvision's tensors Detectron2's names.

    Args:
        state: dict of str to NumPy array, torchvision's names, without classifier.

    Returns:
        dict of str to NumPy array: `stem.conv1.weight`, `res2.0.conv1.norm.bias`,
        `res2.0.shortcut.weight`, ...
    """
    return {_rename(name): array for name, array in state.items()}


def _rename(name):
    for pattern, replacement in _RULES:
        name = re.sub(pattern, replacement, name)
    return name
