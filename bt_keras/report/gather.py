"""Reads and computes the contents of a page."""

from __future__ import annotations

import functools
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from bt_keras import checks
from bt_keras.checkpoint import latest
from bt_keras.errors import UsageError
from bt_keras.evaluation import results as results_file
from bt_keras.report import feature_views, images, network, run_files
from bt_keras.report.contents import COMPUTED, NEED_IMAGES, Contents
from bt_keras.report.gaps import Gaps
from bt_keras.report.network import Samples
from bt_keras.scores import loss_floor
from bt_keras.workdir import Workdir

_NEED_FEATURES = ("spectra", *NEED_IMAGES)


def read(
    workdir: str | os.PathLike | Workdir,
    *,
    train_split: str | None = None,
    test_split: str | None = None,
    compute: Collection[str] = COMPUTED,
) -> Contents:
    """Reads the files of a run, and computes features of its images.

    What is missing or damaged is named in `Contents.gaps`. Features that
    `bt-keras evaluate` has stored are read; of larger data sets, a sample of 10,000
    training images and 2,000 test images is computed. Nothing is written.

    Args:
        workdir: String or path of a run's folder, or its `bt_keras.workdir.Workdir`.
        train_split: Optional string, the split of the images among which neighbors are
            found. Defaults to `None`: that of the run's config.
        test_split: Optional string, the split of the other images. Defaults to `None`:
            that of the run's config.
        compute: Collection of strings, what to compute with the network, some of
            `"correlations"`, `"spectra"`, `"neighbors"`, `"feature_map"` and
            `"confusion"`. Defaults to all of them; `()` needs no GPU and no images.

    Returns:
        `bt_keras.report.Contents`.

    Raises:
        UsageError: If the folder holds no run, or the images of a split that is given
            cannot be read.
    """
    for section in compute:
        checks.choice("compute", section, COMPUTED)
    if not isinstance(workdir, Workdir):
        workdir = Workdir(workdir)
    config = workdir.config()
    gaps = Gaps(left_out=[each for each in COMPUTED if each not in compute])
    splits = train_split, test_split
    parts = _from_files(workdir, config, gaps)
    parts |= _from_network(workdir, config, splits, gaps)
    return Contents(
        name=Path(os.path.realpath(workdir.path)).name,
        path=str(workdir.path),
        recipe=run_files.recipe(config),
        total_epochs=config.epochs,
        floor=_floor(config),
        gaps=gaps.reasons,
        **parts,
    )


def _floor(config):
    """Returns the least loss of a run, 0 where it is not that of Barlow Twins."""
    if config.method.name != "bt_keras.BarlowTwins":
        return 0.0
    return loss_floor(config.batch_size, config.projector[-1], config.lambd)


def _from_files(workdir: Workdir, config: ConfigDict, gaps: Gaps) -> dict[str, Any]:
    epochs, loss, curves = gaps.attempt(
        ["curves"], functools.partial(run_files.curves, workdir), (0, None, ())
    )
    return {
        "epochs": epochs,
        "final_loss": loss,
        "curves": curves,
        "results": gaps.attempt(["results"], functools.partial(_results, workdir), ()),
        "views": gaps.attempt(
            ["views"],
            functools.partial(run_files.views, workdir, config.views.size),
            (),
        ),
        "throughput": gaps.attempt(
            ["throughput"], functools.partial(_throughput, workdir, config), {}
        ),
        "module": gaps.attempt(
            ["module"], functools.partial(run_files.module, workdir), None
        ),
    }


def _results(workdir):
    results = results_file.read(workdir.results_file)
    if not results:
        raise UsageError(
            f"nothing is measured yet: `bt-keras evaluate --workdir={workdir.path}`."
        )
    return tuple(results)


def _throughput(workdir, config):
    progress, _ = latest.require_checkpoint(workdir)
    return run_files.throughput(workdir, progress.steps_per_epoch * config.batch_size)


def _from_network(
    workdir: Workdir,
    config: ConfigDict,
    splits: tuple[str | None, str | None],
    gaps: Gaps,
) -> dict[str, Any]:
    found = {
        "correlations": gaps.attempt(
            ["correlations"],
            functools.partial(network.correlations, workdir, config),
            (),
        )
    }
    # Before the images, which TFDS may have to prepare.
    checkpoint = functools.partial(latest.require_checkpoint, workdir)
    if gaps.attempt(_NEED_FEATURES, checkpoint, None) is None:
        return found
    open_images = functools.partial(images.sources, config, *splits)
    # A split that is given but cannot be read is an error, not a missing part.
    sources = gaps.attempt(_NEED_FEATURES, open_images, None, required=any(splits))
    if sources is None:
        return found
    if any(splits):
        found["splits"] = tuple(source.split for source in sources[:2])
    make = functools.partial(network.samples, workdir, sources)
    samples = gaps.attempt(_NEED_FEATURES, make, None)
    if samples is not None:
        knn = config.evaluation.knn
        found |= from_samples(samples, knn.k, knn.temperature, gaps)
    return found


def from_samples(
    samples: Samples, k: int, temperature: float, gaps: Gaps
) -> dict[str, Any]:
    """Computes the parts of `Contents` that show the features of single images.

    Args:
        samples: `Samples`.
        k: Integer > 0, the number of neighbors that vote in kNN.
        temperature: Float > 0, temperature of the vote.
        gaps: `Gaps`, where parts that are missing are named.

    Returns:
        Dict from names of fields of `Contents` to their values.
    """
    features = functools.partial(feature_views.feature_map, samples)
    found = {
        "spectra": samples.spectra,
        "held_out": samples.held_out,
        "feature_map": gaps.attempt(["feature_map"], features, None),
    }
    make = functools.partial(feature_views.similar, samples, k)
    similar = gaps.attempt(["neighbors", "confusion"], make, None)
    if similar is None:
        return found
    near = dict(zip(("similarities", "positions"), similar, strict=True))
    rows = functools.partial(feature_views.neighbor_rows, samples, **near)
    matrix = functools.partial(
        feature_views.confusion, samples, temperature=temperature, **near
    )
    return found | {
        "neighbors": gaps.attempt(["neighbors"], rows, ()),
        "confusion": gaps.attempt(["confusion"], matrix, None),
    }
