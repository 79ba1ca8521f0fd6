"""Which images the columns of a log are about."""

import pytest

from bt_keras.report.log_points import log_point


@pytest.mark.parametrize(
    ("column", "metric", "images"),
    [
        ("loss", "loss", "training"),
        ("val_loss", "loss", "held out"),
        ("val_probe_top1", "probe_top1", "held out"),
        ("knn_top1", "knn_top1", ""),
    ],
)
def test_columns_name_their_images(column, metric, images):
    point = log_point(column, 4, 0.5)
    assert (point.metric, point.epoch, point.images) == (metric, 5, images)
