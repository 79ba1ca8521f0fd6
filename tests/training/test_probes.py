"""Probes of `bt-keras pretrain`: curves in the logs, the same run without them."""

import csv

import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras import config as config_lib
from bt_keras.checkpoint import store
from bt_keras.training import probes, setup
from bt_keras.training.dry_run import dry_run
from bt_keras.training.pretrain import pretrain
from tests import tiny

CURVES = {"probe_top1", "val_probe_top1", "knn_top1"}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return tiny.write_images(tmp_path_factory.mktemp("images"), per_class=16)


@pytest.fixture
def config(images):
    """A run of two epochs with four steps each, with all probes."""
    config = config_lib.load(tiny.write_config(images / "tiny.py", images))
    config.data.validation_split = "test"
    config.checkpoint.every_steps = 2
    config.checkpoint.keep = 99
    config.callbacks.linear_probe = True
    config.callbacks.linear_probe_learning_rate = 0.05
    config.callbacks.knn_every = 1
    return config


@pytest.fixture(scope="module")
def without_probes(images, tmp_path_factory):
    """The workdir and the variables of the same run without probes."""
    config = config_lib.load(tiny.write_config(images / "tiny.py", images))
    config.data.validation_split = "test"
    workdir = tmp_path_factory.mktemp("plain")
    return workdir, values(pretrain(config, workdir))


def values(model):
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


def rows(workdir):
    with open(workdir / "log.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def tags(workdir):
    """The names of the curves in the TensorBoard log."""
    found = set()
    for path in (workdir / "tensorboard").rglob("events*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            found |= {value.tag for value in event.summary.value}
    return found


def test_a_run_resumes_to_the_same_curves(config, without_probes, tmp_path, capsys):
    model = pretrain(config, tmp_path)
    assert "knn_top1: " in capsys.readouterr().out
    assert model.observers == ()
    # The weights, and all else in the log, are those of a run without probes.
    workdir, expected = without_probes
    for value, plain in zip(values(model), expected, strict=True):
        np.testing.assert_array_equal(value, plain)
    for row, plain in zip(rows(tmp_path), rows(workdir), strict=True):
        assert all(0 <= float(row[curve]) <= 1 for curve in CURVES)
        assert {name: row[name] for name in plain} == plain
    # The classes differ in brightness, which any features show.
    assert float(rows(tmp_path)[-1]["knn_top1"]) > 0.6
    assert {f"epoch_{curve.removeprefix('val_')}" for curve in CURVES} <= tags(tmp_path)

    log = (tmp_path / "log.csv").read_text()
    checkpoints = sorted((tmp_path / "checkpoints").iterdir())
    probe = state_of_probe(checkpoints[-1])
    for path in checkpoints[1:]:  # The first is within an epoch.
        path.unlink()
    pretrain(config, tmp_path)
    assert (tmp_path / "log.csv").read_text() == log
    for value, before in zip(state_of_probe(checkpoints[-1]), probe, strict=True):
        np.testing.assert_array_equal(value, before)


@pytest.mark.parametrize("every", [3, 6])
def test_a_monitored_run_resumes_to_the_same_curves(
    config, without_probes, every, tmp_path
):
    """It resumes after step 2 of 8, before or after the first epoch's last reading."""
    config.callbacks.linear_probe, config.callbacks.knn_every = False, 0
    config.callbacks.monitor_every_steps = every
    speed = {"images_per_second", "input_share"}
    model = pretrain(config, tmp_path)
    workdir, expected = without_probes
    for value, plain in zip(values(model), expected, strict=True):
        np.testing.assert_array_equal(value, plain)
    for row, plain in zip(log := rows(tmp_path), rows(workdir), strict=True):
        assert {name: row[name] for name in plain} == plain
        assert 0 < float(row["feature_rank"]) <= 8
    assert {"feature_rank", "cross_correlation", "views"} <= tags(tmp_path)

    for path in sorted((tmp_path / "checkpoints").iterdir())[1:]:
        path.unlink()
    pretrain(config, tmp_path)
    for row, before in zip(rows(tmp_path), log, strict=True):
        assert {k: v for k, v in row.items() if k not in speed} == {
            k: v for k, v in before.items() if k not in speed
        }


def state_of_probe(path):
    """The arrays of the probe in a checkpoint."""
    assert store.read(path)
    with np.load(path) as file:
        names = sorted(name for name in file.files if "observers/probe/" in name)
        assert names
        return [file[name] for name in names]


@pytest.mark.slow
def test_replicas_share_a_run_with_one_device(config, replicas, tmp_path):
    pretrain(config, tmp_path / "alone")
    together = tmp_path / "together"
    pretrain(config, together, strategy=replicas(2))
    (together / "checkpoints" / "epoch-0002.keras").unlink()
    pretrain(config, together)
    for ours, theirs in zip(rows(together), rows(tmp_path / "alone"), strict=True):
        for name, value in theirs.items():
            np.testing.assert_allclose(float(ours[name]), float(value), rtol=1e-3)


def test_a_run_without_the_probe_in_its_checkpoint_says_so(
    config, tmp_path, caplog, monkeypatch
):
    """As of a run whose checkpoint was written by other means."""
    config.callbacks.knn_every = 0
    config.epochs, config.optimizer.warmup_epochs = 1, 0.0
    with monkeypatch.context() as patch:
        patch.setattr(probes.Probes, "attach", lambda probes, model: [])
        pretrain(config, tmp_path)
    for path in sorted((tmp_path / "checkpoints").iterdir())[1:]:
        path.unlink()
    pretrain(config, tmp_path)
    assert "no state of 'probe', which starts anew" in caplog.text


def test_the_images_of_the_knn_are_equal_shares_of_the_classes(config, tmp_path):
    config.callbacks.knn_images = 6
    source, views = setup.load_data(config)
    held_out = setup.load_held_out(config, source, views)
    made = probes.from_config(config, source, held_out, views.statistics, tmp_path)
    for each in made.sources:
        labels = [int(label) for _, label in each.dataset()]
        assert sorted(labels) == [0, 0, 0, 1, 1, 1]
    splits = [each.split for each in made.sources]
    assert splits == ["train", "test"]


def test_the_images_of_the_knn_have_the_size_of_the_evaluation(config, tmp_path):
    config.evaluation.size = 12
    config.callbacks.linear_probe = False
    source, views = setup.load_data(config)
    held_out = setup.load_held_out(config, source, views)
    made = probes.from_config(config, source, held_out, views.statistics, tmp_path)
    [make_knn] = made.makers
    for images, _ in map(next, map(iter, make_knn.args)):
        assert images.shape[1:] == (12, 12, 3)


def test_nothing_is_opened_without_probes(config, tmp_path):
    config.callbacks.linear_probe, config.callbacks.knn_every = False, 0
    source, views = setup.load_data(config)
    made = probes.from_config(config, source, None, views.statistics, tmp_path)
    assert made == probes.Probes()


@pytest.mark.parametrize(("field", "value"), [("linear_probe", True), ("knn_every", 1)])
@pytest.mark.parametrize("start", [pretrain, dry_run])
def test_images_without_labels_are_one_line(
    images, config, tmp_path, field, value, start
):
    folder = tmp_path / "images"
    folder.mkdir()
    for number, path in enumerate(sorted(images.glob("train/*/*.png"))):
        (folder / f"{number}.png").write_bytes(path.read_bytes())
    config.data.source, config.data.validation_split = str(folder), ""
    config.callbacks.linear_probe, config.callbacks.knn_every = False, 0
    config.callbacks[field] = value
    match = f"config.callbacks.{field} needs labels, but"
    with pytest.raises(bt_keras.UsageError, match=match) as error:
        start(config, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("linear_probe_learning_rate", 0.0),
        ("knn_every", -1),
        ("knn_images", 0),
    ],
)
def test_values_are_checked(config, tmp_path, field, value):
    config.callbacks[field] = value
    with pytest.raises(bt_keras.UsageError, match=f"config.callbacks.{field} is"):
        pretrain(config, tmp_path / "run")


def test_queries_must_not_be_training_images(config, tmp_path):
    config.data.validation_split, config.data.test_split = "", "train"
    config.callbacks.linear_probe = False
    with pytest.raises(bt_keras.UsageError, match="are training images"):
        pretrain(config, tmp_path / "run")
