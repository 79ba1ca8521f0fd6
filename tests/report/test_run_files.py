"""What is read from the small files of a run."""

import io
import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bt_keras import config as config_lib
from bt_keras.errors import UsageError
from bt_keras.report import run_files
from bt_keras.training.sample_views import draw
from bt_keras.workdir import Workdir
from tests.markdown import ROOT
from tests.report.test_pictures import decoded, levels


@pytest.fixture
def workdir(tmp_path):
    return Workdir(tmp_path)


def test_the_recipe_has_the_defaults_beside_the_values():
    found = run_files.recipe(config_lib.load("demo"))
    assert found["batch_size"] == (128, 2048)
    assert found["seed"] == (0, 0)
    assert found["optimizer.options.trust_coefficient"][0] == 0.02


def test_curves_of_a_run_of_the_first_version():
    epochs, loss, points = run_files.curves(Workdir(ROOT / "tests/before/run"))
    assert (epochs, loss) == (2, 25.193790435791016)
    found = {(p.metric, p.epoch, p.images): p.value for p in points}
    assert found["redundancy", 2, "training"] == 31.913841247558594
    assert len(found) == 6  # Three metrics, no held-out images.


def test_curves_of_held_out_images_and_of_a_loss_that_is_not_finite(workdir):
    workdir.log_file.write_text("epoch,loss,val_loss\n0,3.0,4.0\n1,nan,5.0\n2,1")
    epochs, loss, points = run_files.curves(workdir)
    assert epochs == 2
    assert math.isnan(loss)
    found = [(p.metric, p.epoch, p.value, p.images) for p in points]
    assert found == [
        ("loss", 1, 3.0, "training"),
        ("loss", 1, 4.0, "held out"),
        ("loss", 2, 5.0, "held out"),
    ]


@pytest.mark.parametrize("content", [None, "", "epoch,loss\n", "no log\n"])
def test_a_log_without_epochs_is_named(workdir, content):
    if content is not None:
        workdir.log_file.write_text(content)
    with pytest.raises(UsageError, match="no epoch is finished yet"):
        run_files.curves(workdir)


def write_epochs(folder, times):
    """Writes a TensorBoard file with an event at the end of every epoch."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder))
    for epoch, time in times.items():
        event = Event(wall_time=time, step=epoch)
        event.summary.value.add(tag="epoch_loss", simple_value=1.0)
        writer.add_event(event)
        event = Event(wall_time=time + 0.5, step=epoch)
        event.summary.value.add(tag="another", simple_value=1.0)
        writer.add_event(event)
    writer.close()


def test_throughput_is_measured_between_the_ends_of_epochs(workdir):
    folder = workdir.tensorboard / "train"
    write_epochs(folder, {0: 100.0, 1: 110.0, 2: 115.0})
    write_epochs(folder, {3: 900.0, 4: 910.0})  # Resumed later.
    assert run_files.throughput(workdir, 1000) == {2: 100.0, 3: 200.0, 5: 100.0}


def test_throughput_of_one_epoch_is_unknown(workdir):
    with pytest.raises(UsageError, match="no two epochs"):
        run_files.throughput(workdir, 1000)
    write_epochs(workdir.tensorboard / "train", {0: 100.0})
    with pytest.raises(UsageError, match="no two epochs"):
        run_files.throughput(workdir, 1000)


@pytest.mark.parametrize("bands", [1, 3])
def test_views_are_the_pairs_of_the_picture(workdir, bands):
    from bt_keras import Statistics

    views = levels(2, 3, 8, 8, bands)
    unit = Statistics((0.0,) * bands, (1.0,) * bands)
    batch = [tf.constant(view / 255.0, tf.float32) for view in views]
    workdir.sample_views.write_bytes(draw(batch, unit))
    pairs = run_files.views(workdir, size=8)
    assert len(pairs) == 3
    for number, pair in enumerate(pairs):
        for view, picture in zip(views, pair, strict=True):
            found = decoded(picture.uri).reshape(8, 8, bands)
            np.testing.assert_array_equal(found, view[number])


def png(height, width):
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "png")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", OSError),
        (b"no picture", OSError),
        (png(16, 24)[:45], (OSError, SyntaxError)),
        (png(15, 24), ValueError),
    ],
    ids=["empty", "text", "cut", "other size"],
)
def test_a_damaged_picture_is_an_error_of_its_own(workdir, content, error):
    workdir.sample_views.write_bytes(content)
    with pytest.raises(error):
        run_files.views(workdir, size=8)


def test_a_missing_picture_and_a_missing_module_are_named(workdir):
    with pytest.raises(UsageError, match=r"views\.png is missing"):
        run_files.views(workdir, size=8)
    with pytest.raises(UsageError, match="bt-keras export"):
        run_files.module(workdir)


def test_the_export_report(workdir):
    workdir.export_report.write_text('{"module": "m", "passed": 10, "checks": 11}')
    found = run_files.module(workdir)
    assert (found.path, found.passed, found.checks) == ("m", 10, 11)
