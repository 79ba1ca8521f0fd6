"""What a page about a run says, as plain data."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from bt_keras.errors import UsageError
from bt_keras.evaluation.results import Result

# The name of the network with the run's initial weights.
UNTRAINED = "untrained"
# Parts of a page that can be missing, and their titles.
SECTIONS = {
    "curves": "Training",
    "results": "Accuracy",
    "correlations": "Cross-correlation",
    "spectra": "Spectrum of the features",
    "views": "What the network saw",
    "neighbors": "Nearest neighbors",
    "feature_map": "Map of the features",
    "confusion": "Confusion matrix",
    "throughput": "Throughput",
    "module": "Exported module",
}
# Those that show features of single images.
NEED_IMAGES = ("neighbors", "feature_map", "confusion")
# Those that are computed with the network.
COMPUTED = ("correlations", "spectra", *NEED_IMAGES)
# Those that show all runs of a page, not only the first.
OF_ALL_RUNS = ("curves", "results", "spectra", "throughput")


@dataclasses.dataclass(frozen=True)
class LogPoint:
    """A value of log.csv.

    Args:
        metric: String, without the prefix `val_`.
        epoch: Integer > 0.
        value: Float, finite.
        images: String, `"training"` or `"held out"`; empty for a metric of two sets of
            images. Defaults to `"training"`.
    """

    metric: str
    epoch: int
    value: float
    images: str = "training"


@dataclasses.dataclass(frozen=True)
class Correlation:
    """The cross-correlation matrix C of one network.

    Args:
        network: String, such as `"untrained"` or `"epoch 6"`.
        block: Float array (B, B), the first rows and columns of C.
        width: Integer, the number of all rows of C.
        pairs: Integer, the number of view pairs.
        diagonal: Float, the mean of the diagonal of C.
        off_diagonal: Float, the root of the mean square of all other entries.
    """

    network: str
    block: np.ndarray
    width: int
    pairs: int
    diagonal: float
    off_diagonal: float


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """The singular values of the features of one network, which are not centered.

    Args:
        network: String, such as `"untrained"` or `"epoch 6"`.
        values: Float array, the singular values in descending order.
        rank: Float, the effective rank, see `bt_keras.scores.effective_rank`.
        width: Integer, the number of features.
        images: Integer, the number of images.
    """

    network: str
    values: np.ndarray
    rank: float
    width: int
    images: int


@dataclasses.dataclass(frozen=True)
class Picture:
    """A small image.

    Args:
        uri: String, a data URI.
        label: String, the name of its class; empty without labels. Defaults to `""`.
    """

    uri: str
    label: str = ""


@dataclasses.dataclass(frozen=True)
class NeighborRow:
    """An image and those that a network finds most similar.

    Args:
        query: `Picture`.
        neighbors: Tuple of `Picture`, the most similar first.
        similarities: Tuple of floats, their cosines.
    """

    query: Picture
    neighbors: tuple[Picture, ...]
    similarities: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class FeatureMap:
    """Features in two dimensions.

    Args:
        method: String, such as `"t-SNE"`.
        points: Float array (N, 2).
        pictures: Tuple of N `Picture`s.
    """

    method: str
    points: np.ndarray
    pictures: tuple[Picture, ...]


@dataclasses.dataclass(frozen=True)
class Confusion:
    """How often images of each class are taken for each class.

    Args:
        classes: Tuple of K strings.
        counts: Integer array (K, K), a row for each class of the images.
        num_classes: Integer >= K, the number of all classes.
    """

    classes: tuple[str, ...]
    counts: np.ndarray
    num_classes: int


@dataclasses.dataclass(frozen=True)
class Module:
    """An exported module.

    Args:
        path: String.
        passed: Integer, the number of checks that it passed.
        checks: Integer, the number of checks.
    """

    path: str
    passed: int
    checks: int


@dataclasses.dataclass(frozen=True)
class Contents:
    """All that a page says about a run. `bt_keras.report.read` makes it.

    Args:
        name: String, the name of the run's folder, or another title.
        path: String, the path of the folder; empty without one.
        recipe: Dict from the fields of the config to `(value, default)`.
        epochs: Integer, the number of epochs in the log.
        total_epochs: Integer, the number of epochs of the config.
        floor: Float, the least loss of a batch, see `bt_keras.scores.loss_floor`.
        final_loss: Optional float, the last loss of the log, also if it is not finite.
        curves: Tuple of `LogPoint`.
        results: Tuple of `Result`.
        correlations: Tuple of `Correlation`, the untrained network's first.
        spectra: Tuple of `Spectrum`, the untrained network's first.
        views: Tuple of pairs of `Picture`.
        neighbors: Tuple of `NeighborRow`.
        feature_map: Optional `FeatureMap`.
        confusion: Optional `Confusion`.
        throughput: Dict from an epoch to its images per second.
        module: Optional `Module`.
        held_out: Boolean, whether neighbors, map and confusion matrix are those of
            images that are not training images. Defaults to `True`.
        splits: Optional tuple of the names of the splits of the images, if they were
            chosen: those among which neighbors are found, and those of `held_out`.
            Defaults to `None`: the run's.
        gaps: Dict from keys of `SECTIONS` to a sentence that says why the part is
            missing.
    """

    name: str
    path: str
    recipe: dict[str, tuple[object, object]]
    epochs: int
    total_epochs: int
    floor: float = 0.0
    final_loss: float | None = None
    curves: tuple[LogPoint, ...] = ()
    results: tuple[Result, ...] = ()
    correlations: tuple[Correlation, ...] = ()
    spectra: tuple[Spectrum, ...] = ()
    views: tuple[tuple[Picture, Picture], ...] = ()
    neighbors: tuple[NeighborRow, ...] = ()
    feature_map: FeatureMap | None = None
    confusion: Confusion | None = None
    throughput: dict[int, float] = dataclasses.field(default_factory=dict)
    module: Module | None = None
    held_out: bool = True
    splits: tuple[str, str] | None = None
    gaps: dict[str, str] = dataclasses.field(default_factory=dict)

    def require(self, section: str) -> Any:
        """Returns a part of the contents.

        Args:
            section: String, a key of `SECTIONS` that is a field.

        Raises:
            UsageError: If it is missing.
        """
        if section in self.gaps:
            reason = self.gaps[section]
            raise UsageError(f"{self.path or self.name}: {SECTIONS[section]}: {reason}")
        return getattr(self, section)
