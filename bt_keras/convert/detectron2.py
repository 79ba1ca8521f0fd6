"""Detectron2's names of a ResNet's tensors, as in its own conversion script."""

from __future__ import annotations

import re

import numpy as np

_RULES = (
    (r"^(conv1|bn1)\.", r"stem.\1."),
    (r"^layer(\d)\.", lambda match: f"res{int(match[1]) + 1}."),
    (r"\bbn(\d)\.", r"conv\1.norm."),
    (r"\bdownsample\.0\.", "shortcut."),
    (r"\bdownsample\.1\.", "shortcut.norm."),
)


def rename(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Replaces torchvision's names by Detectron2's.

    Args:
        state: Dict of str to NumPy array, with torchvision's names and no classifier.

    Returns:
        Dict of str to NumPy array: `stem.conv1.weight`, `res2.0.conv1.norm.bias`,
        `res2.0.shortcut.weight`, ...
    """
    return {_rename(name): array for name, array in state.items()}


def _rename(name):
    for pattern, replacement in _RULES:
        name = re.sub(pattern, replacement, name)
    return name
