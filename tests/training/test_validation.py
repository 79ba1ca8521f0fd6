"""`config.data.validation_split`: the loss of held-out images after every epoch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras import config as config_lib
from bt_keras.cli import main
from bt_keras.training import pretrain as pretrain_lib
from bt_keras.training import setup
from tests import tiny
from tests.cli.commands import one_error_line, rows
from tests.losses.compute import numpy_terms

_HELD_OUT = 19  # per class: 38 images, 4 batches of 8 and a remainder
_TERMS = ("loss", "invariance", "redundancy")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    tiny.write_images(folder, per_class=_HELD_OUT)
    for path in (folder / "train").rglob("1[0-9].png"):
        path.unlink()  # Two steps are left of the training split.
    return folder


@pytest.fixture
def config(images):
    config = config_lib.load(tiny.write_config(images / "tiny.py", images))
    config.data.validation_split = "test"
    return config


@pytest.fixture(scope="module")
def run(images, tmp_path_factory):
    """A run of two epochs through the command, and what it printed."""
    workdir = tmp_path_factory.mktemp("run")
    tiny.write_config(images / "tiny.py", images)
    with pytest.MonkeyPatch.context() as patch:
        printed = []
        patch.setattr("builtins.print", lambda *text, **_: printed.append(text))
        assert not main(
            [
                "pretrain",
                f"--config={images / 'tiny.py'}",
                f"--workdir={workdir}",
                "--config.data.validation_split=test",
                "--config.steps_per_execution=2",
            ]
        )
    return workdir, str(printed)


def test_the_last_line_of_the_log_is_the_loss_of_the_last_checkpoint(run, config):
    workdir, printed = run
    assert "held out: 38 images" in printed
    assert "32 of them in batches of 8" in printed
    source, views = setup.load_data(config)
    pairs = setup.load_held_out(config, source, views).pairs()
    model = keras.models.load_model(workdir / "checkpoints" / "epoch-0002.keras")
    terms = [
        numpy_terms(*(model.project(view, training=False) for view in batch))
        for batch in pairs
    ]
    assert len(terms) == 4
    invariance, redundancy = np.mean(terms, axis=0)
    last = rows(workdir / "log.csv")[-1]
    expected = (invariance + config.lambd * redundancy, invariance, redundancy)
    logged = [float(last[f"val_{name}"]) for name in _TERMS]
    np.testing.assert_allclose(logged, expected, rtol=1e-4)
    (events,) = (workdir / "tensorboard" / "validation").iterdir()
    in_tensorboard = {
        (value.tag, event.step): float(tf.make_ndarray(value.tensor))
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    }
    for name, value in zip(_TERMS, logged, strict=True):
        assert in_tensorboard[f"epoch_{name}", 1] == pytest.approx(value)


def test_it_does_not_change_the_training(run, config, tmp_path):
    config.data.validation_split = ""
    config.steps_per_execution = 2
    model = pretrain_lib.pretrain(config, tmp_path)
    theirs = keras.models.load_model(run[0] / "checkpoints" / "epoch-0002.keras")
    for ours, other in zip(model.variables, theirs.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), other.numpy())
    # The split may be added, removed or changed while the run is resumed.
    config.data.validation_split = "test"
    config.steps_per_execution = 2
    (tmp_path / "checkpoints" / "epoch-0002.keras").unlink()
    pretrain_lib.pretrain(config, tmp_path)
    first, second = rows(tmp_path / "log.csv")
    assert first["val_loss"] == "NA"
    assert second == rows(run[0] / "log.csv")[1]


def test_the_batches_are_the_same_each_time(config):
    held_out = setup.load_held_out(config, *setup.load_data(config))
    pairs = held_out.pairs()
    assert len(pairs) == 4
    for first, again in zip(pairs, pairs, strict=True):
        for view, same in zip(first, again, strict=True):
            np.testing.assert_array_equal(view, same)


def test_a_held_out_image_that_cannot_be_read_is_named(config, tmp_path, monkeypatch):
    path = tmp_path / "images"
    tiny.write_images(path, per_class=_HELD_OUT)
    wide = tf.io.encode_png(np.full((10, 12, 3), 99, np.uint8))
    tf.io.write_file(str(path / "test" / "dark" / "0.png"), wide)  # Two sizes.
    config.data.source = str(path)
    load = setup.load_held_out

    def load_and_remove(*args):
        held_out = load(*args)
        (path / "test" / "light" / "3.png").unlink()
        return held_out

    monkeypatch.setattr(setup, "load_held_out", load_and_remove)
    with pytest.raises(bt_keras.UsageError, match=r"light/3\.png' cannot be opened"):
        pretrain_lib.pretrain(config, tmp_path / "run")
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


@pytest.mark.parametrize(
    ("split", "parts"),
    [
        ("train", ["the run trains on 20 of its 20 images"]),
        ("training", ["the run trains on 20 of its 20 images"]),
        ("nowhere", ["no split 'nowhere': it has 'test', 'train'"]),
    ],
)
def test_a_split_that_cannot_be_used_is_named(images, tmp_path, capsys, split, parts):
    tiny.write_config(images / "tiny.py", images)
    workdir = tmp_path / "run"
    arguments = [
        "pretrain",
        f"--config={images / 'tiny.py'}",
        f"--workdir={workdir}",
        f"--config.data.validation_split={split}",
    ]
    one_error_line(capsys, arguments, *parts)
    assert not workdir.exists()


@pytest.mark.parametrize(
    ("train", "held_out", "shared"),
    [("train", "train[:1%]", 100), ("train[:90%]", "train[8950:9100]", 50)],
)
def test_a_part_of_the_training_images_is_refused(train, held_out, shared):
    config = config_lib.load("demo")
    config.data.train_split, config.data.validation_split = train, held_out
    with pytest.raises(bt_keras.UsageError, match=f"trains on {shared} of its"):
        setup.load_held_out(config, *setup.load_data(config))


def test_the_rest_of_the_training_images_is_held_out():
    config = config_lib.load("demo")
    config.data.train_split = "train[:99%]"
    config.data.validation_split = "train[99%:]"
    held_out = setup.load_held_out(config, *setup.load_data(config))
    assert held_out.source.num_images == 100


def test_a_small_split_is_one_smaller_batch(config, caplog):
    config.batch_size = 64
    source, views = setup.load_data(config_lib.load("demo"))
    held_out = setup.load_held_out(config, source, views, replicas=4)
    assert (held_out.batch_size, held_out.steps) == (36, 1)
    assert "on a batch of 36" in caplog.text
    with pytest.raises(bt_keras.UsageError, match="64 replicas needs at least 64"):
        setup.load_held_out(config, source, views, replicas=64)
