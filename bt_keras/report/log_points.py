"""The columns of a log, as points of curves."""

from __future__ import annotations

from bt_keras.report.contents import LogPoint

_HELD_OUT = "val_"
# `OnlineKNN` classifies images by their neighbors in another set.
_NEIGHBORS = "knn_"


def log_point(column: str, epoch: int, value: float) -> LogPoint:
    """Makes a point of a value that `fit` has logged.

    Args:
        column: String, the name in the log.
        epoch: Integer >= 0, counted from 0 as in the log.
        value: Float, finite.

    Example:

    >>> from bt_keras.report.log_points import log_point
    >>> log_point("val_loss", 0, 3.5)
    LogPoint(metric='loss', epoch=1, value=3.5, images='held out')
    """
    images = "held out" if column.startswith(_HELD_OUT) else "training"
    if column.startswith(_NEIGHBORS):
        images = ""
    return LogPoint(column.removeprefix(_HELD_OUT), epoch + 1, float(value), images)
