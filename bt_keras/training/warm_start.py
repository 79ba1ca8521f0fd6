"""Starts a run from the weights of a pretrained network."""

from __future__ import annotations

import math
import os

import keras
import numpy as np

from bt_keras.augmentation import Statistics
from bt_keras.checkpoint import save_restore
from bt_keras.checkpoint.progress import Progress
from bt_keras.convert import pretrained
from bt_keras.convert.pretrained import Pretrained
from bt_keras.errors import UsageError, listed
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.workdir import Workdir, writable


def read(
    model: BarlowTwins,
    workdir: Workdir,
    source: str | os.PathLike | None,
    statistics: Statistics,
    is_chief: bool,
) -> WarmStart | None:
    """Reads the weights that a new run starts from.

    Args:
        model: `bt_keras.BarlowTwins` of the run, with its initial weights.
        workdir: `Workdir` of the run.
        source: Optional string or path, see `bt_keras.convert.pretrained.load`.
        statistics: `Statistics` that the run normalizes its images with.
        is_chief: Boolean, whether to print what is read.

    Returns:
        `WarmStart`, or `None` without a source or for a run that resumes.

    Raises:
        UsageError: See `WarmStart`.
    """
    if source is None:
        return None
    if any(workdir.checkpoints.glob("*.keras")):
        if is_chief:
            print(f"--init_from={source} is not read: the run has checkpoints")
        return None
    start = WarmStart(model, source, statistics)
    if is_chief:
        print(start.describe(), flush=True)
    return start


class WarmStart:
    """The weights that a run starts from, checked against its model.

    The backbone must fit. The projector is taken if it fits, too.

    Args:
        model: `bt_keras.BarlowTwins` of the run, with its initial weights.
        source: String or path, see `bt_keras.convert.pretrained.load`.
        statistics: `Statistics` that the run normalizes its images with.

    Raises:
        UsageError: If there is no such source, or its backbone has another
            architecture.
    """

    def __init__(
        self, model: BarlowTwins, source: str | os.PathLike, statistics: Statistics
    ):
        loaded = _load(source)
        ours, theirs = model.backbone, loaded.backbone
        if difference := _difference(ours, theirs):
            raise UsageError(
                f"--init_from={source}: its network {theirs.name!r} has another "
                f"architecture than {ours.name!r} of the config: {difference}. Change "
                "config.backbone (or config.data.channels, the bands of the images), "
                "or take other weights."
            )
        self._model, self._source = model, source
        self._parts = [(ours, theirs)]
        self._left = [*loaded.left]
        self._normalization = _difference_of_statistics(loaded.statistics, statistics)
        self._add_projector(model.projector, loaded.projector)

    def _add_projector(self, ours, theirs):
        if theirs is None:
            return
        if difference := _difference(ours, theirs):
            self._left.append(f"the projector ({difference})")
        else:
            self._parts.append((ours, theirs))

    def assign(self) -> None:
        """Assigns the weights; call it in the scope of the strategy."""
        for ours, theirs in self._parts:
            for variable, value in zip(ours.weights, theirs.weights, strict=True):
                variable.assign(value.numpy())

    def write(self, workdir: Workdir, progress: Progress) -> None:
        """Writes the first checkpoint of a run, with the weights it starts from.

        Args:
            workdir: `Workdir` of the run.
            progress: `Progress` of a run without steps.

        Raises:
            UsageError: If it cannot be written.
        """
        with writable(workdir.path):
            workdir.checkpoints.mkdir(parents=True, exist_ok=True)
        save_restore.write(self._model, workdir.checkpoints, progress)

    def describe(self) -> str:
        """Returns a line that says what is loaded and what is left out."""
        loaded = " and ".join(
            f"{theirs.name} ({len(ours.weights)} arrays, {_count(ours):,} weights)"
            for ours, theirs in self._parts
        )
        line = f"starting from {self._source}: loaded {loaded}"
        if len(self._parts) == 1:
            line += "; the projector is new"
        line += f"; left out: {listed(self._left) if self._left else 'nothing'}"
        return line + self._normalization


def _load(source) -> Pretrained:
    try:
        return pretrained.load(source)
    except UsageError as error:
        raise UsageError(f"--init_from={source}: {error}") from error


def _difference_of_statistics(theirs, ours):
    """Returns the end of a line about images that are normalized differently."""
    if theirs is None or np.allclose(theirs, ours, atol=1e-3):
        return ""
    mean, deviation = (tuple(round(x, 4) for x in values) for values in theirs)
    return (
        f"; its images were normalized with other statistics than this run's: set "
        f"config.data.mean={mean} and config.data.deviation={deviation} to keep them"
    )


def _count(network: keras.Model) -> int:
    return sum(math.prod(variable.shape) for variable in network.weights)


def _difference(ours: keras.Layer, theirs: keras.Layer) -> str | None:
    """Describes the first difference of two networks, `None` if there is none."""
    left, right = _kinds(ours), _kinds(theirs)
    for number, (one, other) in enumerate(zip(left, right, strict=False), 1):
        if one != other:
            return f"its layer {number} with weights is {other}, not {one}"
    if len(left) != len(right):
        return f"it has {len(right)} layers with weights, not {len(left)}"
    return None


def _kinds(network: keras.Layer) -> list[str]:
    """Returns the class and the shapes of every layer with weights, in order."""
    kinds = []
    for layer in network._flatten_layers():
        shapes = [str(tuple(variable.shape)) for variable in layer.weights]
        if shapes and not getattr(layer, "layers", None):
            kinds.append(f"{type(layer).__name__} {', '.join(shapes)}")
    return kinds
