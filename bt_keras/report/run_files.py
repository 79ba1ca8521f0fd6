"""What the small files of a run say: recipe, log, throughput, views, export."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict
from PIL import Image
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from bt_keras import config as config_lib
from bt_keras.errors import UsageError
from bt_keras.files import log_file, reading
from bt_keras.report.contents import LogPoint, Module, Picture
from bt_keras.report.log_points import log_point
from bt_keras.report.pictures import data_uri
from bt_keras.workdir import Workdir

# What Keras's TensorBoard callback writes at the end of every epoch.
_EPOCH_TAG = "epoch_loss"
# Pixels of a view on the page.
_VIEW_SIDE = 112


def recipe(config: ConfigDict) -> dict[str, tuple[object, object]]:
    """Returns `(value, default)` of every field of a config.

    Args:
        config: `ConfigDict` of a run.
    """
    defaults = config_lib.fields(config_lib.default())
    fields = config_lib.fields(config)
    return {
        field: (fields[field], defaults.get(field))
        for field in reversed(fields)  # The order of the file.
        if fields[field] != {}
    }


def curves(workdir: Workdir) -> tuple[int, float, tuple[LogPoint, ...]]:
    """Reads log.csv.

    Args:
        workdir: `Workdir` of the run.

    Returns:
        `(epochs, loss, points)`: the number of the last epoch, its loss, and a
        `LogPoint` for every finite value.

    Raises:
        UsageError: If no epoch is finished.
    """
    log = log_file.read(workdir.log_file)
    rows = log.rows() if log else []
    if not rows:
        raise UsageError("no epoch is finished yet (log.csv has no line).")
    points = tuple(
        log_point(name, int(row["epoch"]), value)
        for row in rows
        for name, value in row.items()
        if name != "epoch" and math.isfinite(value)
    )
    return int(rows[-1]["epoch"]) + 1, rows[-1].get("loss", math.nan), points


def throughput(workdir: Workdir, images_per_epoch: int) -> dict[int, float]:
    """Computes the images per second of every epoch from the TensorBoard log.

    The first epoch after a start is left out: when it began is not recorded.

    Args:
        workdir: `Workdir` of the run.
        images_per_epoch: Integer > 0, the images that an epoch trains on.

    Returns:
        Dict from epochs, counted from 1, to floats.

    Raises:
        UsageError: If no process has finished two epochs.
    """
    speeds = {}
    for file in sorted((workdir.tensorboard / "train").glob("events.out.*")):
        before = None
        for epoch, time in _epoch_ends(file):
            if before and before[0] + 1 == epoch and time > before[1]:
                speeds[epoch + 1] = images_per_epoch / (time - before[1])
            before = epoch, time
    if not speeds:
        raise UsageError(
            "the TensorBoard log has no two epochs that one process has finished."
        )
    return speeds


def _epoch_ends(file: Path):
    """Yields `(epoch, time)` of every end of an epoch in a TensorBoard file."""
    for event in EventFileLoader(str(file)).Load():
        if any(value.tag == _EPOCH_TAG for value in event.summary.value):
            yield event.step, event.wall_time


def views(workdir: Workdir, size: int) -> tuple[tuple[Picture, Picture], ...]:
    """Divides views.png into its view pairs.

    Args:
        workdir: `Workdir` of the run.
        size: Integer > 0, the side of a view in pixels.

    Returns:
        Tuple of pairs of `Picture`.

    Raises:
        OSError, ValueError: If the file is missing or damaged.
    """
    if not workdir.sample_views.is_file():
        raise UsageError("views.png is missing: `bt-keras pretrain` writes it.")
    return divide_views(reading.read_bytes(workdir.sample_views), size)


def divide_views(png: bytes, size: int) -> tuple[tuple[Picture, Picture], ...]:
    """Divides what `bt_keras.training.sample_views.draw` has drawn into its pairs.

    Args:
        png: Bytes of a PNG file.
        size: Integer > 0, the side of a view in pixels.

    Returns:
        Tuple of pairs of `Picture`.

    Raises:
        OSError, ValueError: If the file is damaged.
    """
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
            levels = np.asarray(picture)
    except Image.DecompressionBombError as error:
        raise ValueError("it is too large") from error
    levels = levels.reshape(*levels.shape[:2], -1)  # Gray images have two axes.
    if levels.shape[0] != 2 * size or not levels.shape[1]:
        raise ValueError(
            f"views.png has {levels.shape[0]} rows of pixels, not {2 * size}."
        )
    uris = [
        data_uri(levels[top : top + size, left : left + size], _VIEW_SIDE)
        for left in range(0, levels.shape[1], size)
        for top in (0, size)
    ]
    pictures = [Picture(uri) for uri in uris]
    return tuple(zip(pictures[::2], pictures[1::2], strict=True))


def module(workdir: Workdir) -> Module:
    """Reads export.json.

    Args:
        workdir: `Workdir` of the run.

    Raises:
        OSError, LookupError, TypeError, ValueError: If the file is damaged.
        UsageError: If the run has not been exported.
    """
    path = workdir.export_report
    if not path.exists():
        raise UsageError(
            f"the run is not exported yet: `bt-keras export --workdir={workdir.path}`."
        )
    export = reading.read_json_object(path)
    return Module(str(export["module"]), int(export["passed"]), int(export["checks"]))
