"""What TensorBoard receives."""

import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.augmentation.pictures import view_grid
from bt_keras.augmentation.statistics import IMAGENET
from bt_keras.callbacks import RepresentationMonitor, representation
from bt_keras.callbacks.pictures import heat_map
from bt_keras.callbacks.summaries import Summaries
from bt_keras.errors import UsageError
from tests import models


def events(folder):
    """Yields the step, the tag and the tensor of every value in the logs."""
    for file in sorted(folder.rglob("events.out.tfevents.*")):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                yield event.step, value.tag, tf.make_ndarray(value.tensor)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A fit of 12 steps with a reading in each: its log, model and monitor."""
    folder = tmp_path_factory.mktemp("logs")
    model = models.tiny()
    model.compile(optimizer=bt_keras.LARS(0.2), jit_compile=False)
    monitor = RepresentationMonitor(every_steps=1, log_dir=folder)
    model.fit(models.pairs(batches=11), verbose=0, callbacks=[monitor])
    return folder, monitor


def of(run, tag):
    return {step: value for step, name, value in events(run[0]) if name == tag}


def test_each_reading_has_scalars(run):
    for tag in ("loss", "feature_std", "off_diagonal", "trust_ratio_max"):
        values = of(run, tag)
        assert list(values) == list(range(1, 12))
        assert np.isfinite(list(values.values())).all()


def test_the_trust_ratios_name_their_variables(run):
    text = of(run, "trust_ratio")[11]
    smallest, largest = text.item().decode().split(" to ")
    assert float(smallest.split()[0]) <= float(largest.split()[0])
    assert "kernel" in smallest
    assert "kernel" in largest


def test_each_tenth_reading_has_pictures(run):
    snapshot = run[1].observer.read()  # Of step 11.
    c = heat_map(representation.correlations(*snapshot.embeddings, 256))
    expected = {"cross_correlation": c, "views": view_grid(snapshot.views, IMAGENET)}
    for tag, picture in expected.items():
        pictures = of(run, tag)
        assert list(pictures) == [1, 11]
        width, height, png = pictures[11]
        assert (int(height), int(width)) == picture.shape[:2]
        np.testing.assert_array_equal(tf.io.decode_png(png).numpy(), picture)


def test_histograms_count_all_features(run):
    snapshot = run[1].observer.read()
    for tag, rows in (("features", 8 * 6), ("embeddings", 8 * 16)):
        histogram = of(run, tag)
        assert list(histogram) == [1, 11]
        assert histogram[11][:, 2].sum() == rows
    largest = histogram[11][-1, 1]
    assert largest == pytest.approx(snapshot.embeddings[0].max(), rel=1e-6)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    summaries = Summaries(tmp_path / "file" / "log", IMAGENET)
    with pytest.raises(UsageError, match="choose another folder"):
        summaries.scalars({"loss": 1.0}, step=1)
